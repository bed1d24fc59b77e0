"""A push deploys: the whole journey through the public doors."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.core.apps import Rules, Trigger
from bridge.core.events import Action
from tests.worlds.bridge import ZERO, Origin, World, running_world
from tests.worlds.embedded import holding, path_with, until
from tests.worlds.sites import at, gitlab_origin, make_project_app, make_site, page, push_broken

pytestmark = pytest.mark.journey


@pytest.fixture(params=["sqlite", "postgres"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """A running bridge with the embedded backend inside, on each database."""
    others: dict[str, Any] = {"BRIDGE_JOURNEY_LOST": "1", "BRIDGE_JOURNEY_UNTOLD": "3"}
    if request.param == "postgres":
        others["DATABASE_URL"] = request.getfixturevalue("postgres")
    async with running_world(tmp_path / "bridge", **others) as running:
        yield running


async def test_a_push_changes_the_published_page(world: World, origin: Origin) -> None:
    app = await make_site(world, origin)

    id_ = await world.commit(origin, "feat: second", {"web/index.html": "<h1>second</h1>"})
    (deployment,) = await world.ended(1)

    assert deployment.state == "done", deployment.note
    assert deployment.deployed_commit == deployment.commit == origin.head()
    assert deployment.delivery == id_
    assert await page(world, app) == "<h1>second</h1>"
    assert await world.reasons(id_) == {"shop/web": "no_watch_paths"}
    changes = await world.stores.journal.changes(deployment.id)
    states = [str(change.state) for change in changes]
    assert states[0] == "waiting"
    assert states[1] == "asked"
    assert states[-1] == "done"


async def test_a_push_deploys_inside_the_watch_paths_alone_and_says_why(
    world: World, origin: Origin
) -> None:
    await make_site(world, origin, watch=["web/**"])

    async def decided(id_: str) -> tuple[str, str]:
        delivery = await world.delivery(id_)
        (decision,) = (await world.stores.journal.decisions([delivery.seq]))[delivery.seq]
        return decision.reason, decision.evidence

    outside = await world.commit(origin, "docs: more", {"docs/read.md": "more"})
    assert await decided(outside) == ("no_path_hit", "1 file changed, none matches web/**")
    assert await world.deployments() == []

    inside = await world.commit(origin, "feat: page", {"web/about.html": "about"})
    await world.ended(1)
    assert await decided(inside) == ("path_hit", "web/about.html matches web/**")


async def test_a_duplicate_delivery_deploys_once(world: World, origin: Origin) -> None:
    await make_site(world, origin)
    before = origin.head()
    after = origin.repository.commit("feat: second", {"web/index.html": "2"})
    payload = origin.payload("refs/heads/main", before, after)

    first = await world.hook("github", payload, id_="11111111-2222-3333-4444-555555555555")
    second = await world.hook("github", payload, id_="11111111-2222-3333-4444-555555555555")

    assert (first.status_code, first.json()["status"]) == (202, "accepted")
    assert (second.status_code, second.json()["status"]) == (200, "duplicate")
    await world.ended(1)


@pytest.mark.parametrize("host", ["github", "gitlab"])
async def test_two_hooks_for_one_push_deploy_once_though_the_push_before_it_comes_late(
    world: World, origin: Origin, host: str
) -> None:
    origin = replace(origin, host=host)
    await make_site(world, origin)
    zero = origin.head()
    one = origin.repository.commit("feat: second", {"web/index.html": "2"})
    two = origin.repository.commit("feat: third", {"web/index.html": "3"})
    now = int(time.time())  # the app was made before
    pushed_at = {zero: now, one: now + 5}

    async def push(before: str, after: str) -> str:
        payload = origin.payload("refs/heads/main", before, after)
        if host == "github":
            payload["repository"]["pushed_at"] = pushed_at[before]
        answer = await world.hook(host, payload)
        return str(answer.json()["delivery"])

    first = await push(one, two)
    late = await push(zero, one)
    twin = await push(one, two)

    assert await world.reasons(late, host) == {"shop/web": "no_watch_paths"}
    reasons = [(await world.reasons(id_, host))["shop/web"] for id_ in (first, twin)]
    assert sorted(reasons) == ["duplicate_push", "no_watch_paths"]
    # On a busy machine a build may be over before the first look; its end is told later then.
    await world.ended(2)


async def test_forth_back_and_forth_again_deploys_three_times(world: World, origin: Origin) -> None:
    await make_site(world, origin)
    one = origin.head()
    two = origin.repository.commit("feat: second", {"web/index.html": "2"})

    for count, (before, after) in enumerate([(one, two), (two, one), (one, two)], start=1):
        await world.push(origin, "refs/heads/main", before, after)
        await world.ended(count)

    assert await world.states() == ["done", "done", "done"]


async def wait_for_tags(world: World, app: dict[str, Any]) -> None:
    """Set a rule: of a plain Git source Dokploy itself knows no trigger."""
    rules = Rules(trigger=Trigger.TAG)
    await world.stores.journal.save_rules(app["applicationId"], rules, by="cli: ada")


async def test_a_tag_deploys_the_app_that_waits_for_tags(world: World, origin: Origin) -> None:
    app = await make_site(world, origin)
    await wait_for_tags(world, app)
    pushed = await world.commit(origin, "feat: second", {"web/index.html": "2"})
    origin.repository.git("tag", "v1.0.0")

    tagged = await world.push(origin, "refs/tags/v1.0.0", ZERO, origin.head("v1.0.0"))
    (deployment,) = await world.ended(1)

    deleted = await world.push(origin, "refs/tags/v1.0.0", origin.head(), ZERO)
    assert await world.reasons(deleted) == {"shop/web": "ref_deleted"}
    assert len(await world.deployments()) == 1
    assert await world.reasons(pushed) == {"shop/web": "trigger_mismatch"}
    assert await world.reasons(tagged) == {"shop/web": "tag_pushed"}
    assert (deployment.state, deployment.ref) == ("done", "refs/tags/v1.0.0")
    assert deployment.deployed_commit == origin.head("main")
    assert await page(world, app) == "2"


async def test_another_branch_a_skip_directive_and_a_deletion_deploy_nothing(
    world: World, origin: Origin
) -> None:
    await make_site(world, origin)
    before = origin.head()

    skipped = await world.commit(origin, "docs: typo [skip ci]", {"web/index.html": "2"})
    other = await world.push(origin, "refs/heads/feature/main", before, origin.head())

    assert await world.reasons(skipped) == {"shop/web": "skip_directive"}
    assert await world.reasons(other) == {"shop/web": "branch_mismatch"}
    deleted = await world.push(origin, "refs/heads/main", origin.head(), ZERO)
    assert await world.reasons(deleted) == {"shop/web": "ref_deleted"}
    assert await world.deployments() == []


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A docker whose builds wait for this file."""
    file = tmp_path / "gate"
    monkeypatch.setenv("PATH", path_with(tmp_path / "tools", docker=holding(file)))
    return file


async def make_image(world: World, origin: Origin) -> dict[str, Any]:
    """An app that is built by (a stand-in for) docker."""
    assert world.backend is not None
    return await world.backend.app(
        "api",
        origin.clone_url,
        buildType="dockerfile",
        dockerfile="Dockerfile",
        dockerContextPath="",
        dockerBuildStage="",
    )


async def test_two_pushes_during_a_build_give_one_more_deployment(
    gate: Path, world: World, origin: Origin
) -> None:
    await make_image(world, origin)
    await world.commit(origin, "feat: one", {"Dockerfile": "FROM scratch"})
    await until(world.states, lambda states: states == ["running"])

    await world.commit(origin, "feat: two", {"a": "2"})
    await world.commit(origin, "feat: three", {"a": "3"})
    await until(world.states, lambda states: states == ["running", "superseded", "waiting"])
    gate.touch()
    first, second, third = await world.ended(3)

    assert [first.state, second.state, third.state] == ["done", "superseded", "done"]
    assert second.superseded_by == third.id
    assert third.deployed_commit == third.commit == origin.head()
    assert second.asked_at is None


async def test_a_cancel_ends_what_runs_and_what_waits(
    gate: Path, world: World, origin: Origin
) -> None:
    app = await make_image(world, origin)
    await world.commit(origin, "feat: one", {"Dockerfile": "FROM scratch"})
    await until(world.states, lambda states: states == ["running"])
    await world.commit(origin, "feat: two", {"a": "2"})
    await until(world.states, lambda states: states == ["running", "waiting"])

    id_ = await world.ask(Action.CANCEL, app["applicationId"])
    running, waiting = await world.ended(2)

    assert [running.state, waiting.state] == ["cancelled", "cancelled"]
    assert waiting.note == "cancelled before the backend was asked"
    assert await world.reasons(id_, "cli") == {"shop/api": "cancel_asked"}


async def test_a_person_deploys_and_redeploys(world: World, origin: Origin) -> None:
    app = await make_site(world, origin)
    await world.commit(origin, "feat: second", {"web/index.html": "2"})
    await world.ended(1)
    origin.repository.commit("feat: third, not pushed to the bridge", {"web/index.html": "3"})

    await world.ask(Action.REDEPLOY, app["applicationId"])
    redeployed = (await world.ended(2))[-1]
    assert (redeployed.state, await page(world, app)) == ("done", "2")
    assert "nothing was fetched" in redeployed.note

    id_ = await world.ask(Action.DEPLOY, app["applicationId"])
    deployed = (await world.ended(3))[-1]
    assert (deployed.state, await page(world, app)) == ("done", "3")
    assert deployed.trigger == "cli: ada"
    assert deployed.deployed_commit == origin.head()
    assert await world.reasons(id_, "cli") == {"shop/web": "asked"}


async def test_a_replay_deploys_the_same_push_again(world: World, origin: Origin) -> None:
    await make_site(world, origin)
    id_ = await world.commit(origin, "feat: second", {"web/index.html": "2"})
    await world.ended(1)
    original = await world.delivery(id_)

    replayed = await world.ask(Action.REPLAY, str(original.seq))
    again = (await world.ended(2))[-1]

    assert again.state == "done"
    assert again.trigger == "push, replayed by cli: ada"
    assert await world.reasons(replayed, "cli") == {"shop/web": "no_watch_paths"}


async def test_a_failing_build_ends_failed_and_the_next_push_deploys(
    world: World, origin: Origin
) -> None:
    app = await push_broken(world, origin)
    (failed,) = await world.ended(1)
    assert failed.state == "failed"
    assert failed.note
    assert await page(world, app) != "mended"

    origin.repository.git("mv", "elsewhere", "web")
    await world.commit(origin, "fix: mend it", {"web/index.html": "mended"})
    await world.ended(2)

    assert await page(world, app) == "mended"


async def test_an_app_on_gitlab_deploys_the_same(tmp_path: Path) -> None:
    async with (
        gitlab_origin(tmp_path) as origin,
        running_world(tmp_path / "bridge", **at(origin)) as world,
    ):
        app = await make_project_app(world, origin, "web/**")

        skipped = await world.commit(origin, "docs", {"docs/a.md": "a"})
        pushed = await world.commit(origin, "feat", {"web/index.html": "second"})
        (deployment,) = await world.ended(1)
        deleted = await world.push(origin, "refs/heads/main", origin.head(), ZERO)

        assert await world.reasons(skipped, "gitlab") == {"shop/web": "no_path_hit"}
        assert await world.reasons(pushed, "gitlab") == {"shop/web": "path_hit"}
        assert await world.reasons(deleted, "gitlab") == {"shop/web": "ref_deleted"}
        assert deployment.state == "done", deployment.note
        assert deployment.deployed_commit == origin.head()
        assert await page(world, app) == "second"


async def test_what_is_not_ours_and_what_is_malformed_block_nothing(
    world: World, origin: Origin
) -> None:
    await make_site(world, origin)
    other = replace(origin, name="my-org/other", id=815, url="https://github.com/my-org/other.git")
    id_ = await world.push(other, "refs/heads/main", origin.head(), origin.head())
    strange = await world.delivery(id_)
    assert strange.state == "ignored"
    assert strange.error == "no app deploys from my-org/other on github"

    broken = await world.hook("github", {"ref": 7}, id_="11111111-2222-3333-4444-555555555555")
    await world.commit(origin, "feat: second", {"web/index.html": "2"})
    await world.ended(1)

    delivery = await world.delivery("11111111-2222-3333-4444-555555555555")

    assert broken.status_code == 202
    assert delivery.state == "failed"
    assert "ref" in (delivery.error or "")


async def test_deployments_wait_for_the_backend_and_go_on_when_it_is_back(
    tmp_path: Path, origin: Origin
) -> None:
    from bridge.embedded.server import EmbeddedServer
    from tests.worlds.embedded import client_of

    server = EmbeddedServer(tmp_path / "dokploy")
    await server.start()
    port = int(server.url.rpartition(":")[2])
    async with running_world(
        tmp_path / "bridge",
        BRIDGE_DOKPLOY_URL=server.url,
        BRIDGE_DOKPLOY_API_KEY=server.api_key,
        BRIDGE_DOKPLOY_READ_RETRIES="0",
    ) as world:
        async with client_of(server) as client:
            world.backend = client
            await make_site(world, origin)
            await world.commit(origin, "feat: second", {"web/index.html": "2"})
            await world.ended(1)
        await server.stop()

        pushed = await world.commit(origin, "feat: third", {"web/index.html": "3"})
        assert await world.reasons(pushed) == {"shop/web": "no_watch_paths"}
        await until(world.deployments, lambda those: "can't be reached" in those[-1].note)

        server = EmbeddedServer(tmp_path / "dokploy", port=port)
        await server.start()
        try:
            last = (await world.ended(2))[-1]
            assert (last.state, last.deployed_commit) == ("done", origin.head())
        finally:
            await server.stop()


async def test_the_bridge_is_ready_and_alive(world: World) -> None:
    alive, ready = await asyncio.gather(world.web.get("/healthz"), world.web.get("/readyz"))

    assert (alive.status_code, ready.status_code) == (200, 200)
    assert ready.text.splitlines() == [
        "{", '"status": "ready",', '"inbox": "ok",', '"journal": "ok",', '"workflows": "ok"', "}",
    ]  # fmt: skip


async def test_what_is_kept_is_read_by_its_owner_only(tmp_path: Path) -> None:
    """Also in a folder that others may read, as a volume is."""
    tmp_path.chmod(0o755)
    umask = os.umask(0o022)
    try:
        async with running_world(tmp_path):
            files = [file for file in tmp_path.iterdir() if ".sqlite" in file.name]
            modes = {file.name: oct(file.stat().st_mode & 0o077) for file in files}
    finally:
        os.umask(umask)

    assert len(modes) >= 6
    assert set(modes.values()) == {"0o0"}
