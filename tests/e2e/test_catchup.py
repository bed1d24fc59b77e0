"""A push that the host could not deliver, or never told of, is decided all the same."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.ports.inbox import Delivery
from tests.fakes.github import FakeGithub
from tests.fakes.gitlab import FakeGitlab
from tests.fakes.host import FakeHost
from tests.unit.embedded.support import until
from tests.worlds.bridge import SECRET, TOKEN, Origin, World, running_world

MAIN = "refs/heads/main"
QUICK = {"BRIDGE_CATCHUP_EVERY": "0.2", "BRIDGE_CATCHUP_GRACE": "0"}


@pytest.fixture(params=[FakeGithub, FakeGitlab])
async def host(request: pytest.FixtureRequest) -> AsyncIterator[FakeHost]:
    async with request.param() as fake:
        yield fake


def on(host: FakeHost, origin: Origin) -> Origin:
    """The origin as it is known to a host."""
    return replace(origin, host=host.name, url=f"{host.url}/{origin.name}.git")


async def make_app(world: World, origin: Origin) -> None:
    assert world.backend is not None
    app = await world.backend.app("web", origin.clone_url)
    await world.backend.save_git(app["applicationId"], origin.clone_url)
    before = origin.head()
    await world.commit(origin, "feat: known", {"web/index.html": "<h1>known</h1>"})
    assert origin.head() != before
    await until(lambda: world.stores.inbox.newest(1), lambda found: found[0].state == "decided")


async def newest(world: World, count: int) -> list[Delivery]:
    """The deliveries, once so many are decided."""
    return await until(
        lambda: world.stores.inbox.newest(10),
        lambda found: len(found) == count and all(one.state == "decided" for one in found),
    )


async def test_a_webhook_that_found_nobody_is_fetched_after_the_next_start(
    tmp_path: Path, origin: Origin, host: FakeHost
) -> None:
    origin = on(host, origin)
    repository = host.repository(origin.name, id=origin.id, git=origin.repository.path)
    settings: dict[str, Any] = {**host.settings, **QUICK, "BRIDGE_CATCHUP_RECONCILE": "false"}
    async with running_world(tmp_path / "bridge", **settings) as world:
        await make_app(world, origin)
    secret = SECRET if host.name == "github" else TOKEN
    hook = host.hook(repository, f"https://bridge.example.com/hooks/{host.name}", secret)
    before = origin.head()
    after = origin.repository.commit("feat: missed", {"web/index.html": "<h1>missed</h1>"})
    event = "push" if host.name == "github" else "Push Hook"
    await host.send(hook, event, origin.payload(MAIN, before, after), lost=True)

    async with running_world(tmp_path / "bridge", **settings) as world:
        fetched, known = await newest(world, 2)
        await asyncio.sleep(0.5)  # two more rounds, which find nothing new
        assert [one.id for one in await world.stores.inbox.newest(10)] == [fetched.id, known.id]
        assert fetched.id == hook.sent[0].delivery
        assert await world.reasons(fetched.id, host.name) == {"shop/web": "no_watch_paths"}
        assert {one.commit for one in await world.deployments()} == {before, after}


async def test_a_branch_that_moved_without_any_webhook_is_found(
    tmp_path: Path, origin: Origin, host: FakeHost
) -> None:
    origin = on(host, origin)
    host.repository(origin.name, id=origin.id, git=origin.repository.path)
    settings: dict[str, Any] = {**host.settings, **QUICK}
    async with running_world(tmp_path / "bridge", **settings) as world:
        await make_app(world, origin)
        before = origin.head()
        after = origin.repository.commit("feat: untold", {"web/index.html": "<h1>untold</h1>"})
    async with running_world(tmp_path / "bridge", **settings) as world:
        found, _ = await newest(world, 2)
        late = await world.push(origin, MAIN, before, after)
        assert await world.reasons(found.id, host.name) == {"shop/web": "no_watch_paths"}
        assert await world.reasons(late, host.name) == {"shop/web": "duplicate_push"}
        newest_deployment = (await world.deployments())[-1]
        assert newest_deployment.trigger == "push, found by reconciliation"
        assert (newest_deployment.commit, newest_deployment.message) != (before, None)
