"""Secrets of webhooks that speak only for their own repositories; over the public doors."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from bridge.app.data_folder import seal_of
from bridge.app.wiring import NO_PUBLISHERS
from bridge.core.events import Action
from bridge.core.hooks import Scope, ScopeKind
from bridge.pipeline.deciding import hooks as hook_secrets
from bridge.ports.githosts import APART
from bridge.ports.hooks import MadeHook
from bridge.ports.inbox import DeliveryState
from tests.fakes.github import FakeGithub
from tests.worlds.bridge import Origin, World, hook_headers, running_world, settings_for
from tests.worlds.embedded import Repository, git_server
from tests.worlds.sites import make_site

OURS = "a secret of our own webhook"
NEWER = "a newer secret of our own webhook"
MONO = Scope(ScopeKind.REPOSITORY, "my-org/mono", "4711")
OTHER = Scope(ScopeKind.REPOSITORY, "my-org/other", "4712")
GITLAB_TOKEN = "a token of our own webhook".replace(" ", "-")
SIGNING = f"whsec_{base64.b64encode(b'k' * 32).decode()}"
KEY = "k" * 64


@pytest.fixture(autouse=True)
def _read_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command has stored is read a quarter of a second later, not a second."""
    monkeypatch.setattr(hook_secrets, "PAUSE", 0.25)


@pytest.fixture
async def origin(tmp_path: Path) -> AsyncIterator[Origin]:
    """A repository at its host: of one on a disk, no repository's secret may speak."""
    root = tmp_path / "hosted"
    repository = Repository.make(root / "my-org/mono.git", {"web/index.html": "first"})
    async with git_server(root) as server:
        yield Origin(repository, url=f"{server.url}/my-org/mono.git")


def settings_at(origin: Origin) -> dict[str, Any]:
    home = origin.url.removesuffix(f"/{origin.name}.git")
    return {
        "BRIDGE_SECRET_KEY": KEY,
        "BRIDGE_GITHUB_WEB_URL": home,
        "BRIDGE_GITLAB_WEB_URL": home,
    }


@pytest.fixture
async def world(
    request: pytest.FixtureRequest, tmp_path: Path, origin: Origin
) -> AsyncIterator[World]:
    others = settings_at(origin)
    if getattr(request, "param", "") == "postgres":
        others["DATABASE_URL"] = request.getfixturevalue("postgres")
    async with running_world(tmp_path / "bridge", NO_PUBLISHERS, **others) as running:
        yield running


def made(scope: Scope, secret: str, host: str = "github", **others: Any) -> MadeHook:
    seal = seal_of(settings_for(Path("unused"), BRIDGE_SECRET_KEY=KEY))
    if "sealed_next" in others:
        others["sealed_next"] = seal.close(others["sealed_next"])
    return MadeHook(host, scope, seal.close(secret), time.time(), **{"hook": "12"} | others)


async def store(world: World, *hooks: MadeHook) -> None:
    """Store webhooks behind the back of the running bridge, as a command does."""
    for one in hooks:
        await world.stores.journal.plan_hook(one)


async def send(
    world: World, payload: Mapping[str, Any], secret: str = OURS, **others: str
) -> httpx.Response:
    body = json.dumps(payload).encode()
    headers = hook_headers("github", payload, body) | {"X-GitHub-Hook-ID": "12"} | others
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers["X-Hub-Signature-256"] = f"sha256={signature}"
    return await world.web.post("/hooks/github", content=body, headers=headers)


def push_of(origin: Origin, **repository: Any) -> dict[str, Any]:
    after = origin.repository.commit(f"feat: {uuid.uuid4()}", {"web/index.html": "new"})
    payload = origin.payload("refs/heads/main", origin.head("main~1"), after)
    payload["repository"] |= repository
    return payload


async def refused(world: World, answer: httpx.Response, host: str = "github") -> str:
    """Return why an accepted delivery was refused when it was decided."""
    assert answer.status_code == 202, answer.text
    found = await world.delivery(answer.json()["delivery"], host)
    assert found.state is DeliveryState.FAILED
    assert await world.deployments() == []
    return str(found.error)


@pytest.mark.parametrize("world", ["sqlite", "postgres"], indirect=True)
async def test_a_webhook_that_was_made_a_moment_ago_deploys(world: World, origin: Origin) -> None:
    await make_site(world, origin)
    assert (await send(world, push_of(origin))).status_code == 401
    await store(world, made(MONO, OURS))

    answer = await send(world, push_of(origin))

    assert answer.status_code == 202, answer.text
    await world.ended(1)


async def test_the_secret_of_one_repository_does_not_deploy_another(
    world: World, origin: Origin
) -> None:
    await make_site(world, origin)
    await store(world, made(OTHER, OURS))

    answer = await send(world, push_of(origin))

    why = await refused(world, answer)
    assert why.startswith("it is signed with the secret of my-org/other, which speaks for no other")
    replayed = await world.ask(Action.REPLAY, str((await world.stores.inbox.newest(1))[0].seq))
    found = await world.delivery(replayed, "cli")
    assert found.state is DeliveryState.FAILED
    assert "which speaks for no other repository" in str(found.error)
    assert await world.deployments() == []


async def test_nor_by_a_payload_that_is_parsed_apart(world: World, origin: Origin) -> None:
    await make_site(world, origin)
    await store(world, made(OTHER, OURS))
    payload = push_of(origin)
    payload["head_commit"]["message"] = "x" * APART

    why = await refused(world, await send(world, payload))

    assert "which speaks for no other repository" in why


async def test_a_refusal_lasts_beyond_a_restart_and_the_webhook_itself(
    tmp_path: Path, origin: Origin
) -> None:
    async with running_world(tmp_path / "bridge", **settings_at(origin)) as world:
        await make_site(world, origin)
        await store(world, made(OTHER, OURS))
        await refused(world, await send(world, push_of(origin)))
        await world.stores.journal.drop_hook(made(OTHER, OURS).key)
    async with running_world(tmp_path / "bridge", **settings_at(origin)) as world:
        number = str((await world.stores.inbox.newest(1))[0].seq)

        found = await world.delivery(await world.ask(Action.REPLAY, number), "cli")

        assert "which speaks for no other repository" in str(found.error)
        assert await world.deployments() == []
        assert (await send(world, push_of(origin))).status_code == 401


@pytest.mark.parametrize("told", [True, False])
async def test_a_renamed_repository_goes_on_deploying_if_its_host_confirms_the_name(
    tmp_path: Path, origin: Origin, told: bool
) -> None:
    async with FakeGithub() as github:
        settings = settings_at(origin)
        settings |= {"BRIDGE_GITHUB_API_URL": github.url, "BRIDGE_GITHUB_TOKEN": github.token}
        if told:
            github.repository(origin.name, id=origin.id, git=origin.repository.path)
        async with running_world(tmp_path / "bridge", **settings) as world:
            await make_site(world, origin)
            await store(world, made(replace(MONO, name="old-org/old-name"), OURS))

            answer = await send(world, push_of(origin))

            if told:
                await world.ended(1)
            else:
                assert "whether that is its new name" in await refused(world, answer)


@pytest.mark.parametrize("host", ["github", "gitlab"])
async def test_the_secret_of_one_repository_does_not_deploy_another_by_its_address_or_number(
    tmp_path: Path, origin: Origin, host: str
) -> None:
    """It signs for `my-org/other`, and says that this has the victim's number and address."""
    origin = replace(origin, host=host)
    bound = json.dumps({"my-org/other": GITLAB_TOKEN})
    settings = settings_at(origin) | {f"BRIDGE_{host.upper()}_REPOSITORY_SECRETS": bound}
    async with running_world(tmp_path / "bridge", **settings) as world:
        await make_site(world, origin)
        after = origin.repository.commit("feat: evil", {"web/index.html": "new"})
        payload = origin.payload("refs/heads/main", origin.head("main~1"), after)
        if host == "gitlab":
            payload["project"]["path_with_namespace"] = "my-org/other"
            answer = await from_gitlab(world, payload, GITLAB_TOKEN)
        else:
            payload["repository"]["full_name"] = "my-org/other"
            answer = await send(world, payload, GITLAB_TOKEN)

        assert answer.status_code == 202, answer.text
        found = await world.delivery(answer.json()["delivery"], host)
        assert found.state is not DeliveryState.KEPT
        assert await world.deployments() == []


async def test_an_app_s_secret_speaks_for_every_repository(world: World, origin: Origin) -> None:
    await make_site(world, origin)
    await store(world, made(Scope(ScopeKind.APP, "", "1"), OURS, hook="app"))

    await send(world, push_of(origin), **{"X-GitHub-Hook-ID": "99"})

    await world.ended(1)


async def test_what_one_webhook_may_not_say_another_still_says(
    world: World, origin: Origin
) -> None:
    """GitHub gives both webhooks of one push the same id."""
    await make_site(world, origin)
    await store(world, made(OTHER, OURS), made(MONO, NEWER, hook="13"))
    payload, id_ = push_of(origin), str(uuid.uuid4())

    first = await send(world, payload, OURS, **{"X-GitHub-Delivery": id_})
    other = {"X-GitHub-Delivery": id_, "X-GitHub-Hook-ID": "13"}
    second = await send(world, payload, NEWER, **other)
    again = await send(world, payload, NEWER, **other)

    assert (first.status_code, second.status_code, again.status_code) == (202, 202, 200)
    await world.ended(1)


async def test_a_secret_that_can_not_be_unsealed_refuses_its_own_webhook_alone(
    world: World, origin: Origin
) -> None:
    await store(world, replace(made(MONO, OURS), sealed="sealed with a key that is gone"))

    assert (await send(world, push_of(origin))).status_code == 401
    assert (await world.hook("github", push_of(origin))).status_code == 202


# ── GitLab ──────────────────────────────────────────────────────────────────


async def from_gitlab(
    world: World, payload: Mapping[str, Any], token: str | None, signed_with: str | None = None
) -> httpx.Response:
    body = json.dumps(payload).encode()
    headers = hook_headers("gitlab", payload, body)
    del headers["X-Gitlab-Token"]
    if token is not None:
        headers["X-Gitlab-Token"] = token
    if signed_with is not None:
        id_, at = headers["Idempotency-Key"], str(int(time.time()))
        key = base64.b64decode(signed_with.removeprefix("whsec_"))
        digest = hmac.digest(key, f"{id_}.{at}.".encode() + body, "sha256")
        headers |= {
            "webhook-id": id_,
            "webhook-timestamp": at,
            "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        }
    return await world.web.post("/hooks/gitlab", content=body, headers=headers)


async def test_gitlab_s_token_speaks_for_its_project_beside_one_for_all(
    world: World, origin: Origin
) -> None:
    """The token for all is compared without a look at the body: nobody else's may pass by it."""
    origin = replace(origin, host="gitlab")
    await store(world, made(OTHER, f"{GITLAB_TOKEN} {SIGNING}", "gitlab"))
    after = origin.repository.commit("feat: other", {"web/index.html": "2"})
    payload = origin.payload("refs/heads/main", origin.head("main~1"), after)

    why = await refused(world, await from_gitlab(world, payload, GITLAB_TOKEN), "gitlab")

    assert "speaks for no other repository" in why
    for token in ("none of ours", None):
        assert (await from_gitlab(world, payload, token)).status_code == 401


@pytest.mark.parametrize("signs", [True, False, None])
async def test_gitlab_s_signature_has_to_be_right_where_there_is_one(
    world: World, origin: Origin, signs: bool | None
) -> None:
    origin = replace(origin, host="gitlab")
    await store(world, made(MONO, f"{GITLAB_TOKEN} {SIGNING}", "gitlab", signs=signs))
    payload = origin.payload("refs/heads/main", origin.head(), origin.head())
    other = f"whsec_{base64.b64encode(b'o' * 32).decode()}"

    right, wrong, without_token, unsigned = [
        (await from_gitlab(world, payload, token, key)).status_code
        for token, key in (
            (GITLAB_TOKEN, SIGNING),
            (GITLAB_TOKEN, other),
            (None, SIGNING),
            (GITLAB_TOKEN, None),
        )
    ]

    assert (right, wrong, without_token) == (202, 401, 401)
    assert unsigned == (401 if signs else 202)


async def test_a_flood_of_wrong_signatures_reads_the_store_once_in_each_pause(
    world: World, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[float] = []
    store_ = world.stores.journal
    usual = store_.made_hooks

    async def counted() -> list[MadeHook]:
        read.append(time.monotonic())
        return await usual()

    monkeypatch.setattr(store_, "made_hooks", counted)
    payload = push_of(origin)

    answers = await asyncio.gather(*(send(world, payload, "wrong") for _ in range(200)))

    assert {one.status_code for one in answers} == {401}
    assert len(read) >= 1
    assert all(later - earlier >= 0.99 * hook_secrets.PAUSE for earlier, later in pairwise(read))
