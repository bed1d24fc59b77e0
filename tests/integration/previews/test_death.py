"""The process dies at any moment, or any answer is lost: nothing is made twice or left behind."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.core.errors import BridgeError
from bridge.core.previews.preview import PreviewState
from tests.chaos.dokploy.faults import resets
from tests.fakes.journey import Death, Lifetime
from tests.worlds.postgres import the_server
from tests.worlds.preview_keeper import SHAS, Hiccup, KeeperWorld, keeper_world

Story = Callable[[KeeperWorld], Awaitable[None]]


async def opened(world: KeeperWorld) -> None:
    await world.tell(1)
    await world.settle()


async def updated(world: KeeperWorld) -> None:
    await world.tell(1, head_sha=SHAS[500])
    await world.settle()


async def closed(world: KeeperWorld) -> None:
    await world.tell(1, open=False)
    await world.settle()


STORIES: dict[str, tuple[list[Story], Story]] = {
    "opened": ([], opened),
    "updated": ([opened], updated),
    "closed": ([opened], closed),
}
"""What has happened before, and what happens while the process dies."""


async def moments_of(name: str, folder: Path) -> int:
    """How many moments a story has at which the process may die."""
    before, story = STORIES[name]
    async with keeper_world(folder) as world:
        for one in before:
            await one(world)
        life = Lifetime()
        await world.start(life)
        await story(world)
        return life.moments


async def lived(world: KeeperWorld, name: str, life: Lifetime) -> None:
    """Let a story happen in a life that ends, and then go on in another one."""
    before, story = STORIES[name]
    for one in before:
        await one(world)
    await world.start(life)
    with contextlib.suppress(Death, BridgeError):
        await story(world)
    world.clock.now += 3
    await world.start()
    await world.swept()
    await world.settle()


async def check(world: KeeperWorld, name: str) -> None:
    row = await world.row()
    if name == "closed":
        assert (row.state, world.live()) == (PreviewState.ENDED, [])
    else:
        assert (row.state, world.live()) == (PreviewState.UP, [world.marker()])
        assert row.asked == row.pull.head_sha
        assert world.deployed[str(row.made)] == row.pull.head_sha
    assert world.orphans == []
    assert set(world.asked.values()) == {1}
    assert len(world.asked) == (2 if name == "updated" else 1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Lifetime, Hiccup])
@pytest.mark.parametrize("name", STORIES)
async def test_death_or_a_lost_answer_at_any_moment(name: str, kind: Any, tmp_path: Path) -> None:
    moments = await moments_of(name, tmp_path / "whole")
    assert moments > 20

    for moment in range(1, moments + 1):
        async with keeper_world(tmp_path / str(moment)) as world:
            await lived(world, name, kind(moment))
            await check(world, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", STORIES)
async def test_death_on_postgres(name: str, tmp_path: Path) -> None:
    moments = await moments_of(name, tmp_path / "whole")

    for moment in range(1, moments + 1, 7):
        url = the_server().prepared()
        async with keeper_world(tmp_path / str(moment), url) as world:
            await lived(world, name, Lifetime(moment))
            await check(world, name)
        the_server().take_back(url)


WRITES = (
    "environment.create",
    "application.create",
    "application.update",
    "domain.create",
    "application.cleanQueues",
    "application.delete",
)


@pytest.mark.parametrize("arrives", [True, False])
@pytest.mark.parametrize("lost", WRITES)
async def test_a_request_or_its_answer_that_is_lost_on_the_wire(
    world: KeeperWorld, lost: str, *, arrives: bool
) -> None:
    faults = world.making.proxy.once[lost]
    faults.append(resets(arrives=arrives))
    await opened(world)
    await check(world, "opened")

    await closed(world)
    await check(world, "closed")
    assert faults == []


async def test_two_processes_that_both_take_themselves_for_the_leader(world: KeeperWorld) -> None:
    await world.tell(1)
    mine = world.keeper
    theirs = world.making.restarted()
    await world.start(backend=theirs)

    await asyncio.gather(mine.look(), world.keeper.look(), return_exceptions=True)
    await world.settle()
    await check(world, "opened")

    await world.tell(1, open=False)
    await asyncio.gather(mine.look(), world.keeper.look(), return_exceptions=True)
    await world.settle()
    await check(world, "closed")
    await theirs.close()
