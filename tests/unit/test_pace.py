"""When work is done: rounds, lanes, pauses, polling, backpressure, and the clock they go by."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import AsyncMock

import pytest

from bridge.core.backoff import Backoff
from bridge.core.errors import TooEarly, Unreachable
from bridge.pipeline.background import Lanes, Rounds
from bridge.pipeline.deciding.deliveries import FEW, LONGEST, SHARE, Backpressure
from bridge.pipeline.deploying.polling import MANY, BackendPoller
from bridge.ports.clock import SteadyClock
from tests.fakes.journey import FakeBackend, ManualClock, app, deployment

# ── rounds of work, and lanes in them ─────────────────────────────────────────────

NEVER = 3600.0


async def run_until(over: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work)
    try:
        async with asyncio.timeout(5):
            await over.wait()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def played(do: Callable[[int], Awaitable[float]], until: int, *wakes: int) -> int:
    """Run rounds up to a number, with a wake during those named; return how many there were."""
    count, over = 0, asyncio.Event()

    async def once() -> float:
        nonlocal count
        count += 1
        if count in wakes:
            rounds.wake()
        if count == until:
            over.set()
        return await do(count)

    rounds = Rounds("nothing can be done", once, Backoff(0.001, 0.001))
    await run_until(over, rounds.run())
    return count


async def at_rest(_number: int) -> float:
    return NEVER


async def test_the_next_round_comes_when_woken_and_at_its_time() -> None:
    async def soon(_number: int) -> float:
        return 0.001

    assert await played(at_rest, 2, 1) == 2
    assert await played(soon, 3) == 3


@pytest.mark.parametrize("error", [Unreachable("the journal", "away"), KeyError("a bug")])
async def test_an_error_ends_nothing(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    async def fails_first(number: int) -> float:
        if number == 1:
            raise error
        return NEVER

    assert await played(fails_first, 2) == 2
    assert "nothing can be done" in caplog.text


@dataclass
class Lane:
    """Work of one lane, which is due until it succeeds."""

    takes: float = 0.0
    fails: Exception | None = None
    tries: int = 0
    failed: int = 0

    async def work(self) -> None:
        self.tries += 1
        await asyncio.sleep(self.takes)
        if self.fails is not None:
            self.failed += 1
            raise self.fails


async def kept_up(bad: Lane, good: Lane, hangs: Lane) -> None:
    """Run rounds until the good lane was at work six times since the bad one has failed."""
    lanes = {"bad": bad, "good": good, "hangs": hangs}
    before, over = 0, asyncio.Event()

    async def next_at() -> dict[str, float]:
        nonlocal before
        await asyncio.sleep(0)
        before = before if bad.failed else good.tries
        if good.tries > before + 5:
            over.set()
        return dict.fromkeys(lanes, 0.0)

    async def look() -> float:
        await rounds.keep_up(next_at, lambda name: lanes[name].work(), 0.01)
        return 0.01

    rounds = Lanes[str]("nothing can be done", look, lambda: 1.0, Backoff(10.0, 60.0), 0.05)
    await run_until(over, rounds.run())


@pytest.mark.parametrize("takes", [0.0, 0.1])
@pytest.mark.parametrize("fails", [Unreachable("dokploy", "away"), KeyError("a bug")])
async def test_a_lane_that_fails_or_hangs_is_waited_for_once_and_holds_up_no_other(
    fails: Exception, takes: float, caplog: pytest.LogCaptureFixture
) -> None:
    bad, hangs, good = Lane(takes=takes, fails=fails), Lane(takes=60.0), Lane()

    await kept_up(bad, good, hangs)

    assert (bad.tries, hangs.tries) == (1, 1)
    assert caplog.text.count("nothing can be done") == 1


# ── pauses between retries ────────────────────────────────────────────────────────


def test_pauses_grow_up_to_the_longest_or_are_as_the_other_side_asks() -> None:
    backoff = Backoff(1.0, 30.0)

    pauses = [backoff.pause(failures) for failures in (0, 1, 2, 5, 6, 10**9)]

    assert pauses == [1.0, 1.0, 2.0, 16.0, 30.0, 30.0]
    assert backoff.after(2, Unreachable("slack", "429", retry_after=90.0)) == 90.0
    assert backoff.after(2, TooEarly("slack", "its pace", retry_after=0.5)) == 0.5
    for no_time in (None, 0.0, -5.0):
        assert backoff.after(2, Unreachable("slack", "429", retry_after=no_time)) == 2.0


# ── how often a backend is polled ─────────────────────────────────────────────────


@pytest.mark.parametrize(("followed", "a_second"), [(1, 40), (MANY // 2, 24), (MANY, 8)])
async def test_the_more_are_followed_the_slower_each_is_asked_for(followed, a_second) -> None:
    clock = ManualClock()
    backend = FakeBackend(clock)
    poller = BackendPoller(backend, clock, AsyncMock(return_value=frozenset()), sleep=clock.sleep)
    began = clock.now
    with ExitStack() as stack:
        for number in range(followed):
            stack.enter_context(poller.following(f"{number}"))
        while clock.now - began < 60:
            await poller.look(deployment(), app())

    asked = backend.count("deployments", "queue") / (clock.now - began)
    assert asked == pytest.approx(a_second, rel=0.1)


# ── backpressure under many webhooks ──────────────────────────────────────────────


@dataclass
class Road:
    """A clock, a counter, and the pauses that were made."""

    now: float = 0.0
    kept: int = 0
    pauses: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def backpressure(self) -> Backpressure:
        return Backpressure(lambda: self.kept, clock=lambda: self.now, sleep=self.sleep)


async def test_many_webhooks_get_most_of_the_time_not_all_and_few_hold_nothing_up() -> None:
    road = Road()
    backpressure = road.backpressure()
    road.now, road.kept = 1.0, 200
    await backpressure.give(0.05)
    assert (road.pauses, backpressure.batch(128)) == ([], 128)

    for spent in (0.05, 0.05, 60.0):
        road.now, road.kept = road.now + 1.0, road.kept + 5000
        await backpressure.give(spent)
        assert (backpressure.batch(128), backpressure.batch(8)) == (FEW, 8)
    road.now += 1.0
    await backpressure.give(0.05)

    assert road.pauses == [0.05 * SHARE] * 2 + [LONGEST]
    assert backpressure.batch(128) == 128


# ── a clock that never jumps ──────────────────────────────────────────────────────


@dataclass
class Machine:
    """A machine with a clock that can be set."""

    wall: float = 1_700_000_000.0
    ticks: float = 5.0

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.ticks += seconds

    def steady(self) -> SteadyClock:
        return SteadyClock(lambda: self.wall, lambda: self.ticks)


def test_a_jump_changes_nothing_at_once_and_it_agrees_again_in_the_end() -> None:
    for jump in (0.0, 60.0, -60.0):
        machine = Machine()
        clock = machine.steady()
        before = clock()
        machine.wall += jump

        assert clock() == before
        machine.passes(10.0)
        assert 9.0 - 1e-6 <= clock() - before <= 11.0 + 1e-6
        for _ in range(600):
            machine.passes(1.0)
            clock()
        assert abs(clock() - machine.wall) < 1e-3


def test_it_never_goes_back() -> None:
    machine = Machine()
    clock = machine.steady()
    times = []
    for jump in (0.0, -1000.0, 5.0, 1e6, -1e6, 0.0):
        machine.wall += jump
        machine.passes(0.5)
        times.append(clock())

    assert times == sorted(set(times))
