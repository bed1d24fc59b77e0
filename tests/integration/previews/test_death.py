"""The process dies at any moment, or any answer is lost: nothing is made twice or left behind."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

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


STORIES: list[Story] = [opened, updated, closed]


READS = {
    *("previews_due", "due_previews", "previews", "rules_of_previews", "places_taken"),
    *("read_apps", "made", "pull_files", "pull_request"),
}
"""Calls after which a death leaves what it would have left before them."""


async def moments_of_each(kind: type[Lifetime], folder: Path) -> list[list[int]]:
    """The moments of each story after its calls: who dies before one, dies after another one."""
    found = []
    async with keeper_world(folder) as world:
        for story in STORIES:
            life = Lifetime()
            await world.start(life)
            await story(world)
            steps = [step.split()[:2] for step in life.steps]
            assert len(steps) > 20
            found.append(
                [
                    moment
                    for moment, (when, call) in enumerate(steps, 1)
                    if when == "after" and (kind is Hiccup or call not in READS)
                ]
            )
    return found


async def lived(world: KeeperWorld, lives: list[Lifetime]) -> None:
    """Let one story follow the other, each in a life that ends, and then in another one."""
    for story, life in zip(STORIES, lives, strict=True):
        await world.start(life)
        with contextlib.suppress(Death, BridgeError):
            await story(world)
        world.clock.now += 3
        await world.start()
        await world.swept()
        await world.settle()
        await check(world, story)


async def check(world: KeeperWorld, story: Story) -> None:
    row = await world.row()
    if story is closed:
        assert (row.state, world.live()) == (PreviewState.ENDED, [])
    else:
        assert (row.state, world.live()) == (PreviewState.UP, [world.marker()])
        assert row.asked == row.pull.head_sha
        assert world.deployed[str(row.made)] == row.pull.head_sha
    assert world.orphans == []
    assert set(world.asked.values()) == {1}


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Lifetime, Hiccup])
async def test_death_or_a_lost_answer_at_any_moment(kind: type[Lifetime], tmp_path: Path) -> None:
    moments = await moments_of_each(kind, tmp_path / "whole")

    for at in range(max(map(len, moments))):
        async with keeper_world(tmp_path / str(at)) as world:
            await lived(world, [kind(those[min(at, len(those) - 1)]) for those in moments])


@pytest.mark.slow
async def test_death_on_postgres(tmp_path: Path) -> None:
    moments = await moments_of_each(Lifetime, tmp_path / "whole")

    for at in range(0, min(map(len, moments)), 4):
        url = the_server().prepared()
        async with keeper_world(tmp_path / str(at), url) as world:
            await lived(world, [Lifetime(those[at]) for those in moments])
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
    await check(world, opened)

    await closed(world)
    await check(world, closed)
    assert faults == []


async def test_two_processes_that_both_take_themselves_for_the_leader(world: KeeperWorld) -> None:
    await world.tell(1)
    mine = world.keeper
    theirs = world.making.restarted()
    await world.start(backend=theirs)

    await asyncio.gather(mine.look(), world.keeper.look(), return_exceptions=True)
    await world.settle()
    await check(world, opened)

    await world.tell(1, open=False)
    await asyncio.gather(mine.look(), world.keeper.look(), return_exceptions=True)
    await world.settle()
    await check(world, closed)
    await theirs.close()
