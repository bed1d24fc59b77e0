"""A running bridge keeps a place up to date, whatever the place does."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bridge.app.wiring import Publishers
from bridge.core.errors import Unreachable
from bridge.pipeline.feedback.rate_limit import RateLimiter
from bridge.ports.clock import Limit
from bridge.ports.feedback import Occasion, Pending, SaveCursor, Snapshot, Turn
from bridge.ports.outcomes import Cursor, Subscription, about_deployment
from tests.worlds.bridge import Origin, World, running_world
from tests.worlds.embedded import until
from tests.worlds.sites import make_site

QUICK = {
    "BRIDGE_FEEDBACK_DEBOUNCE": "0.02",
    "BRIDGE_FEEDBACK_RETRY": "0.05",
    "BRIDGE_FEEDBACK_RETRY_AT_MOST": "0.2",
}


@dataclass
class Board:
    """A place outside: one line for each deployment, edited in place.

    Attributes:
        lines: what stands there, by the target's id.
        writes: all that was written, oldest first, each with its time.
        away: nothing is reachable; `hangs`: nothing comes back.
    """

    turn: Turn
    lines: dict[str, str] = field(default_factory=dict)
    writes: list[tuple[float, str]] = field(default_factory=list)
    away: bool = False
    hangs: bool = False
    tried: asyncio.Event = field(default_factory=asyncio.Event)

    async def publish(
        self,
        subscription: Subscription,
        snapshot: Snapshot,
        cursor: Cursor,
        save_cursor: SaveCursor,
    ) -> Sequence[Subscription]:
        self.tried.set()
        if self.hangs:
            await asyncio.Event().wait()
        if self.away:
            raise Unreachable("the board", "ConnectError")
        state = str(snapshot.deployments[0].state)
        if cursor.get("shows") != state:
            await self.turn(subscription.lane)
            self.lines[subscription.id] = state
            self.writes.append((time.monotonic(), state))
            await save_cursor({"shows": state})
        return ()


def plan(occasion: Occasion) -> list[Subscription]:
    """A line for each deployment."""
    return [
        Subscription(f"line {one.app}", "board.line", "board", (about_deployment(one.id),), {})
        for one in occasion.outcome.deployments
    ]


@pytest.fixture
def board() -> Board:
    """A board, with a pause between two writes."""
    return Board(RateLimiter(time.time).within([Limit(1, 0.05)]))


def on(board: Board) -> Publishers:
    return Publishers((plan,), publishers={"board.line": board})


@pytest.fixture
async def world(tmp_path: Path, board: Board) -> AsyncIterator[World]:
    async with running_world(tmp_path / "bridge", on(board), **QUICK) as running:
        yield running


async def line_is(board: Board, state: str) -> None:
    async def line() -> str:
        return board.lines.get("line shop/web", "")

    await until(line, lambda found: found == state)


async def failing(world: World) -> list[Pending]:
    return await world.stores.journal.feedback(limit=10, failing=True)


@pytest.mark.journey
@pytest.mark.parametrize("trouble", ["away", "hangs"])
async def test_a_place_in_trouble_delays_no_deployment_and_is_right_afterwards(
    world: World, origin: Origin, board: Board, trouble: str
) -> None:
    await make_site(world, origin)
    setattr(board, trouble, True)

    await world.commit(origin, "feat: second", {"web/index.html": "<h1>second</h1>"})
    async with asyncio.timeout(20):
        await board.tried.wait()
    (deployment,) = await world.ended(1)

    assert deployment.state == "done"
    assert board.lines == {}
    if trouble == "away":
        (one,) = await until(lambda: failing(world), bool)
        assert one.error == "the board can't be reached: ConnectError"
        board.away = False
        await line_is(board, "done")


@pytest.mark.journey
async def test_what_was_not_shown_before_the_end_is_shown_after_the_next_start(
    tmp_path: Path, origin: Origin, board: Board
) -> None:
    board.hangs = True
    async with running_world(tmp_path / "bridge", on(board), **QUICK) as world:
        await make_site(world, origin)
        await world.commit(origin, "feat: second", {"web/index.html": "<h1>second</h1>"})
        await world.ended(1)
    assert board.lines == {}

    board.hangs = False
    async with running_world(tmp_path / "bridge", on(board), **QUICK):
        await line_is(board, "done")

    assert [state for _, state in board.writes] == ["done"]


async def test_where_feedback_is_off_nothing_is_planned_and_all_deploys(
    tmp_path: Path, origin: Origin, board: Board
) -> None:
    async with running_world(
        tmp_path / "bridge", on(board), BRIDGE_FEEDBACK_ENABLED="false", **QUICK
    ) as world:
        await make_site(world, origin)
        await world.commit(origin, "feat: second", {"web/index.html": "<h1>second</h1>"})
        await world.ended(1)
        assert await world.stores.journal.feedback(limit=10) == []

    assert not board.tried.is_set()
