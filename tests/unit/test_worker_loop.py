"""Rounds of work: woken, by their time, and after errors."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from bridge.core.backoff import Backoff
from bridge.core.errors import Unreachable
from bridge.pipeline.background import Lanes, Rounds, all_ended

NEVER = 3600.0


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
    task = asyncio.create_task(rounds.run())
    try:
        async with asyncio.timeout(5):
            await over.wait()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
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


async def test_all_are_waited_for_before_an_error_is_raised() -> None:
    ended: list[str] = []

    async def slow() -> None:
        await asyncio.sleep(0)
        ended.append("slow")

    async def fails() -> None:
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        await all_ended(fails(), slow())
    assert ended == ["slow"]


class Lane:
    """Work of one lane, which is due until it succeeds."""

    def __init__(self, *, takes: float = 0.0, fails: Exception | None = None) -> None:
        self.takes, self.fails = takes, fails
        self.tries = self.failed = 0

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
    task = asyncio.create_task(rounds.run())
    try:
        async with asyncio.timeout(5):
            await over.wait()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("takes", [0.0, 0.1])
@pytest.mark.parametrize("fails", [Unreachable("dokploy", "away"), KeyError("a bug")])
async def test_a_lane_that_fails_or_hangs_is_waited_for_once_and_holds_up_no_other(
    fails: Exception, takes: float, caplog: pytest.LogCaptureFixture
) -> None:
    bad, hangs, good = Lane(takes=takes, fails=fails), Lane(takes=60.0), Lane()

    await kept_up(bad, good, hangs)

    assert (bad.tries, hangs.tries) == (1, 1)
    assert caplog.text.count("nothing can be done") == 1
