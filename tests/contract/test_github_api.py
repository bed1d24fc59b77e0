"""Every call to GitHub, through PyGithub, against a mock of GitHub's own contract."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from pydantic import SecretStr

from bridge.core.errors import NotFound, Refused, Unreachable
from bridge.core.hooks import HostHook, Scope, ScopeKind
from bridge.githosts.github.api import Github, github_api
from bridge.ports.githosts import CommitState, Hook
from tests.oracles.host_contracts import operations
from tests.worlds.hosts import Mocked, everything

REPOSITORY = "octocat/Hello-World"
SHA = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
OLD = "d" * 40
PINNED = "aa218f56b14c9653891f9e74264a383fa43fefbd"
"""The commit of the contract's example of a ref."""


@pytest.fixture
async def github(github_mock: str) -> AsyncIterator[Mocked]:
    api = github_api(token=SecretStr("ghp_atoken"), api_url=github_mock)
    assert api is not None
    yield Mocked("github", api)
    await api.close()


@pytest.fixture
async def app(github_mock: str, pem: str) -> AsyncIterator[Mocked]:
    api = github_api(app_id=12345, private_key=SecretStr(pem), api_url=github_mock)
    assert api is not None
    yield Mocked("github", api)
    await api.close()


ORG = Hook("orgs/my-org", "1", None)
OWN = Hook(f"repos/{REPOSITORY}", "1", None)
APP = Hook("app", "app", None)

URL, SECRET = "https://bridge.example.com/hooks/github", "a secret of the tests"
OF_REPOSITORY = HostHook(Scope(ScopeKind.REPOSITORY, REPOSITORY, "1"), "12345678", URL)
OF_ORG = HostHook(Scope(ScopeKind.OWNER, "octo-org", "1"), "12345678", URL)
OF_APP = HostHook(Scope(ScopeKind.APP, "", "1"), "app", URL)


def _scope(hook: HostHook, api: Github) -> Awaitable[Any]:
    return api.hook_scope(hook.scope.kind, hook.scope.name)


def _make(hook: HostHook, api: Github) -> Awaitable[Any]:
    return api.create_hook(hook.scope, URL, SECRET)


def _change(hook: HostHook, api: Github) -> Awaitable[Any]:
    return api.change_hook(hook, URL, SECRET)


def _test(hook: HostHook, api: Github) -> Awaitable[Any]:
    return api.test_hook(hook)


def _delete(hook: HostHook, api: Github) -> Awaitable[Any]:
    return api.delete_hook(hook)


CALLS: dict[str, Callable[[Github], Awaitable[Any]]] = {
    "repository": lambda api: api.repository(REPOSITORY),
    "commit": lambda api: api.commit(REPOSITORY, SHA),
    "an account": lambda api: api.number_of(REPOSITORY, "octocat"),
    "pull request": lambda api: api.pull_request(REPOSITORY, 1347),
    "pull requests of a commit": lambda api: api.pull_requests(REPOSITORY, SHA),
    "open pull requests": lambda api: api.open_pulls(REPOSITORY),
    "pull requests since": lambda api: api.pulls_since(REPOSITORY, 0.0),
    "files of a pull request": lambda api: api.pull_files(REPOSITORY, 1347),
    "who may write": lambda api: api.may_write(REPOSITORY, "octocat"),
    "comments": lambda api: everything(api, "comments", REPOSITORY, 1),
    "comment": lambda api: api.comment(REPOSITORY, 1, "hello"),
    "edit a comment": lambda api: api.edit_comment(REPOSITORY, 1, "1", "hello again"),
    "status": lambda api: api.set_status(
        REPOSITORY, SHA, "dokploy/shop/web", CommitState.RUNNING, "builds", "https://d.example/1"
    ),
    "deployment": lambda api: api.create_deployment(
        REPOSITORY, SHA, "refs/heads/main", "shop/web", "deployment 1"
    ),
    "find a deployment": lambda api: api.find_deployment(REPOSITORY, SHA, "shop/web", "number 1"),
    "state of a deployment": lambda api: api.set_deployment(
        REPOSITORY,
        "1",
        CommitState.SUCCESS,
        "is live",
        environment_url="https://shop.example.com",
        log_url="https://d.example/1",
    ),
    "deployment of a preview": lambda api: api.create_deployment(
        REPOSITORY, SHA, "refs/heads/main", "preview/shop/web/pr-12", "number 1", transient=True
    ),
    "end of a deployment": lambda api: api.end_deployment(
        REPOSITORY, "1", "the preview has ended", replaced=False
    ),
    "compare": lambda api: api.compare(REPOSITORY, OLD, SHA),
    "head of a branch": lambda api: api.head(REPOSITORY, "main"),
    "tags": lambda api: api.tags(REPOSITORY, 10),
    "move a branch": lambda api: api.move_branch(REPOSITORY, "bridge/web/1", PINNED),
    "make a branch": lambda api: api._make_branch(REPOSITORY, "bridge/web/1", PINNED),
    "delete a branch": lambda api: api.delete_branch(REPOSITORY, "bridge/web/1"),
    "checks": lambda api: api.checks(REPOSITORY, SHA),
    "required checks": lambda api: api.required_checks(REPOSITORY, "main"),
    "who has set statuses": lambda api: api.with_apps(REPOSITORY, SHA, [], ["security/brakeman"]),
    "an App": lambda api: api._app_id(REPOSITORY, "octoapp"),
    "webhooks": lambda api: api.hooks(REPOSITORY),
    "deliveries": lambda api: everything(api, "sendings", OWN, 0.0),
    "payload of a delivery": lambda api: api.payload(OWN, "12345678"),
    "redeliver": lambda api: api.redeliver(OWN, "12345678"),
    "deliveries of an organisation": lambda api: everything(api, "sendings", ORG, 0.0),
    "payload of an organisation's": lambda api: api.payload(ORG, "12345678"),
    "redeliver an organisation's": lambda api: api.redeliver(ORG, "12345678"),
}

for kind, hook in (("repository", OF_REPOSITORY), ("organisation", OF_ORG)):
    CALLS |= {
        f"scope of a {kind}": partial(_scope, hook),
        f"make a webhook of a {kind}": partial(_make, hook),
        f"change a webhook of a {kind}": partial(_change, hook),
        f"test a webhook of a {kind}": partial(_test, hook),
        f"delete a webhook of a {kind}": partial(_delete, hook),
    }

APP_CALLS: dict[str, Callable[[Github], Awaitable[Any]]] = {
    "comments": CALLS["comments"],
    "status": CALLS["status"],
    "webhooks": CALLS["webhooks"],
    "deliveries of the App": lambda api: everything(api, "sendings", APP, 0.0),
    "payload of the App's": lambda api: api.payload(APP, "12345678"),
    "redeliver the App's": lambda api: api.redeliver(APP, "12345678"),
    "scope of the App": partial(_scope, OF_APP),
    "change the webhook of the App": partial(_change, OF_APP),
}


async def test_every_operation_of_the_contract_is_called(github: Mocked, app: Mocked) -> None:
    for call in CALLS.values():
        await call(github.api)
    for call in APP_CALLS.values():
        await call(app.api)

    assert github.called | app.called == operations("github")


async def test_answers_are_read(github: Mocked) -> None:
    (pull,) = await github.api.pull_requests(REPOSITORY, SHA)
    (listed,) = await github.api.open_pulls(REPOSITORY)
    (changed,) = await github.api.pulls_since(REPOSITORY, 0.0)
    files = await github.api.pull_files(REPOSITORY, 1347)
    (comment,) = await CALLS["comments"](github.api)
    branch = await github.api.head(REPOSITORY, "main")
    checks = await github.api.checks(REPOSITORY, SHA)
    required = await github.api.required_checks(REPOSITORY, "main")

    assert (pull.number, pull.head, pull.open, pull.own) == (1347, "new-topic", True, True)
    assert pull == listed == changed
    assert (pull.base, pull.title, pull.author) == ("master", "Amazing new feature", "octocat")
    assert (pull.draft, pull.labels) == (False, {"bug"})
    assert pull.url == "https://github.com/octocat/Hello-World/pull/1347"
    assert pull.updated_at == datetime(2011, 1, 26, 19, 1, 12, tzinfo=UTC).timestamp()
    assert files.paths == ("file1.txt",)
    assert await github.api.may_write(REPOSITORY, "octocat")
    assert (comment.id, comment.body, comment.ours) == ("1", "Me too", True)
    assert branch == "7fd1a60b01f91b314f59955a4e4d4e80d8edf11d"
    assert [(one.name, one.app, str(one.state)) for one in checks] == [
        ("continuous-integration/jenkins", "", "passed"),
        ("mighty_readme", "Octocat App", "passed"),
        ("security/brakeman", "", "passed"),
    ]
    assert required == ()


async def test_a_call_that_breaks_the_contract_is_told(github: Mocked) -> None:
    """So the tests above can fail."""
    with pytest.raises(Refused):
        await github.api.access.ask(REPOSITORY, "POST", f"/statuses/{SHA}", body={"state": "red"})


async def test_an_error_of_the_contract_becomes_ours(github: Mocked) -> None:
    await CALLS["comments"](github.api)  # by now it knows who we are
    for call, code, error in (
        ("comments", 404, NotFound),
        ("comment", 410, NotFound),
        ("comment", 403, Refused),
        ("comment", 422, Refused),
        ("edit a comment", 422, Refused),
        ("deployment", 409, Refused),
        ("compare", 404, NotFound),
        ("deliveries", 400, Refused),
        ("commit", 503, Unreachable),
    ):
        github.prefer = f"code={code}"
        with pytest.raises(error):
            await CALLS[call](github.api)
