"""Every call to GitLab, through python-gitlab, against a mock of GitLab's own contract."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from pydantic import SecretStr

from bridge.core.errors import NotFound, Refused, Unreachable
from bridge.core.hooks import HostHook, Scope, ScopeKind
from bridge.githosts import HOSTS
from bridge.githosts.gitlab.api import Gitlab, gitlab_api
from bridge.ports.githosts import CommitState, Hook
from tests.oracles.host_contracts import operations
from tests.worlds.hosts import Mocked, everything

PROJECT = "top/sub/app"
SHA = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
OLD = "d" * 40
HOOK = Hook(PROJECT, "1", None)


@pytest.fixture
async def gitlab(gitlab_mock: str) -> AsyncIterator[Mocked]:
    api = gitlab_api(token=SecretStr("glpat-atoken"), url=gitlab_mock)
    assert api is not None
    yield Mocked("gitlab", api)
    await api.close()


URL, SECRET = "https://bridge.example.com/hooks/gitlab", HOSTS["gitlab"].new_secret()
OF_PROJECT = HostHook(Scope(ScopeKind.REPOSITORY, PROJECT, "4711"), "1", URL)
OF_GROUP = HostHook(Scope(ScopeKind.OWNER, "a/group"), "1", URL)


def _listed(hook: HostHook, api: Gitlab) -> Awaitable[Any]:
    return api.hooks_at(hook.scope)


def _make(hook: HostHook, api: Gitlab) -> Awaitable[Any]:
    return api.create_hook(hook.scope, URL, SECRET)


def _change(hook: HostHook, api: Gitlab) -> Awaitable[Any]:
    return api.change_hook(hook, URL, SECRET)


def _test(hook: HostHook, api: Gitlab) -> Awaitable[Any]:
    return api.test_hook(hook)


def _delete(hook: HostHook, api: Gitlab) -> Awaitable[Any]:
    return api.delete_hook(hook)


CALLS: dict[str, Callable[[Gitlab], Awaitable[Any]]] = {
    "repository": lambda api: api.repository(PROJECT),
    "repository by its id": lambda api: api.repository("4711"),
    "commit": lambda api: api.commit(PROJECT, SHA),
    "merge request": lambda api: api.pull_request(PROJECT, 1),
    "merge requests of a commit": lambda api: api.pull_requests(PROJECT, SHA),
    "open merge requests": lambda api: api.open_pulls(PROJECT),
    "merge requests since": lambda api: api.pulls_since(PROJECT, 0.0),
    "files of a merge request": lambda api: api.pull_files(PROJECT, 1),
    "who may write": lambda api: api.may_write(PROJECT, "john_smith"),
    "notes": lambda api: everything(api, "comments", PROJECT, 1),
    "note": lambda api: api.comment(PROJECT, 1, "hello"),
    "edit a note": lambda api: api.edit_comment(PROJECT, 1, "1", "hello again"),
    "status": lambda api: api.set_status(
        PROJECT, SHA, "dokploy/shop/web", CommitState.RUNNING, "builds", "https://d.example/1"
    ),
    "deployment": lambda api: api.create_deployment(
        PROJECT, SHA, "refs/tags/v1", "shop/web", "deployment 1"
    ),
    "find a deployment": lambda api: api.find_deployment(PROJECT, SHA, "shop/web", "number 1"),
    "state of a deployment": lambda api: api.set_deployment(
        PROJECT, "41", CommitState.SUCCESS, "live", environment_url="https://shop.example.com"
    ),
    "end of a deployment": lambda api: api.end_deployment(
        PROJECT, "41", "the preview has ended", replaced=False
    ),
    "compare": lambda api: api.compare(PROJECT, OLD, SHA),
    "head of a branch": lambda api: api.head(PROJECT, "feat/x"),
    "tags": lambda api: api.tags(PROJECT, 10),
    "make a branch": lambda api: api._make_branch(PROJECT, "bridge/web/1", SHA),
    "delete a branch": lambda api: api.delete_branch(PROJECT, "bridge/web/1"),
    "checks": lambda api: api.checks(PROJECT, SHA),
    "required checks": lambda api: api.required_checks(PROJECT, "main"),
    "webhooks": lambda api: api.hooks(PROJECT),
    "events": lambda api: everything(api, "sendings", HOOK, 0.0),
    "payload of an event": lambda api: api.payload(HOOK, "1"),
    "resend": lambda api: api.redeliver(HOOK, "1"),
}

for kind, hook in (("project", OF_PROJECT), ("group", OF_GROUP)):
    CALLS |= {
        f"webhooks of a {kind}": partial(_listed, hook),
        f"make a webhook of a {kind}": partial(_make, hook),
        f"change a webhook of a {kind}": partial(_change, hook),
        f"test a webhook of a {kind}": partial(_test, hook),
        f"delete a webhook of a {kind}": partial(_delete, hook),
    }
CALLS["group"] = lambda api: api.hook_scope(ScopeKind.OWNER, "a/group")


async def test_every_operation_of_the_contract_is_called(gitlab: Mocked) -> None:
    for call in CALLS.values():
        await call(gitlab.api)

    assert gitlab.called == operations("gitlab")


async def test_answers_are_read(gitlab: Mocked) -> None:
    (merge,) = await gitlab.api.pull_requests(PROJECT, SHA)
    (listed,) = await gitlab.api.open_pulls(PROJECT)
    (changed,) = await gitlab.api.pulls_since(PROJECT, 0.0)
    files = await gitlab.api.pull_files(PROJECT, 1)
    (sending,) = await CALLS["events"](gitlab.api)
    branch = await gitlab.api.head(PROJECT, "main")

    assert merge == listed == changed
    assert merge.number == 14
    assert merge.updated_at == datetime(2022, 11, 14, 17, 22, 1, 470_000, UTC).timestamp()
    assert files.paths == ("doc/update/5.4-to-6.0.md",)
    assert await gitlab.api.may_write(PROJECT, "john_smith")
    assert await gitlab.api.may_write(PROJECT, "id:1")
    assert sending.delivery == "3a427872-00df-429c-9bc9-a9475de2efe4"
    assert (sending.event, sending.at) == ("Push Hook", None)
    assert branch == "7b5c3cc8be40ee161ae89a06bba6229da1032a0c"


async def test_a_call_that_breaks_the_contract_is_told(gitlab: Mocked) -> None:
    """So the tests above can fail."""
    body = {"environment": "e", "sha": SHA, "ref": "main", "tag": False, "status": "red"}
    with pytest.raises(Refused):
        await gitlab.api.access.ask(PROJECT, "POST", "/deployments", body=body)


async def test_an_error_of_the_contract_becomes_ours(gitlab: Mocked) -> None:
    await CALLS["notes"](gitlab.api)  # by now it knows who we are
    for call, code, error in (
        ("notes", 404, NotFound),
        ("note", 404, NotFound),
        ("status", 401, Refused),
        ("status", 403, Refused),
        ("status", 409, Refused),
        ("deployment", 401, Refused),
        ("compare", 404, NotFound),
        ("resend", 429, Unreachable),
    ):
        gitlab.prefer = f"code={code}"
        with pytest.raises(error):
            await CALLS[call](gitlab.api)
