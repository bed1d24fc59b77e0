"""What people ask of a preview begins at once in the process that keeps it, and elsewhere soon."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bridge.core.people import Actor
from bridge.core.previews.preview import PreviewState
from bridge.pipeline.gates.commands import Requester
from bridge.pipeline.previews.commands import PreviewCommands
from tests.worlds.embedded import until
from tests.worlds.preview_keeper import KeeperWorld

NEVER = 3600.0
ADA = Requester("cli:ada", Actor("cli", "ada"))


@pytest.fixture
def parts(poll: float) -> dict[str, Any]:
    return {"poll": poll}


@pytest.fixture
async def world(world: KeeperWorld) -> AsyncIterator[KeeperWorld]:
    """One with a preview that is up and a keeper that runs."""
    await world.tell(1)
    await world.settle()
    before = world.life.moments
    running = asyncio.create_task(world.keeper.run())
    await until(world.row, lambda _row: world.life.moments >= before + 2)  # it has read what is due
    yield world
    running.cancel()
    await asyncio.wait([running])


@pytest.mark.parametrize(("poll", "is_here"), [(NEVER, True), (0.1, False)])
async def test_the_keeper_of_this_process_is_woken_and_another_finds_it_at_its_next_look(
    world: KeeperWorld, *, is_here: bool
) -> None:
    if not is_here:
        world.journal.preview_asked = lambda: None  # that of the command line has no keeper

    await PreviewCommands(world.journal, world.clock).stop(ADA, await world.row())

    await until(world.row, lambda one: one.state is PreviewState.ENDING)
