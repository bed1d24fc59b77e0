"""A push that the host could not deliver is decided all the same."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.github import FakeGithub
from tests.fakes.gitlab import FakeGitlab
from tests.fakes.host import FakeHost
from tests.worlds.bridge import SECRET, TOKEN, Origin, running_world
from tests.worlds.sites import MAIN, make_app, newest, on

QUICK = {"BRIDGE_CATCHUP_EVERY": "0.2", "BRIDGE_CATCHUP_GRACE": "0"}


@pytest.fixture(params=[pytest.param(FakeGithub, marks=pytest.mark.journey), FakeGitlab])
async def host(request: pytest.FixtureRequest) -> AsyncIterator[FakeHost]:
    async with request.param() as fake:
        yield fake


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
