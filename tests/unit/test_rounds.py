"""Rounds of work: woken, by their time, and after errors."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from bridge.core.backoff import Backoff
from bridge.core.errors import Unreachable
from bridge.pipeline.rounds import Rounds, all_ended

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


async def test_a_wake_during_a_round_leads_to_another_one() -> None:
    assert await played(at_rest, 2, 1) == 2


async def test_the_next_round_comes_at_its_time() -> None:
    async def soon(_number: int) -> float:
        return 0.001

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
