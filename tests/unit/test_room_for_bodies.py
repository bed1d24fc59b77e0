"""The memory for bodies: nobody is passed over, whatever happens in the same moment."""

import asyncio
import time
from collections.abc import Callable

import pytest

from bridge.core.errors import Unreachable
from bridge.listening.arriving import Arrivals, Crowded, Unread
from bridge.web.hooks import Room


async def both_in_one_round(soon: float, then: Callable[[], object]) -> None:
    """The loop finds itself late, so that it runs what was due after `soon` seconds and `then`."""
    asyncio.get_running_loop().call_later(2 * soon, then)
    time.sleep(4 * soon)  # noqa: ASYNC251 - the loop has to be late
    await asyncio.sleep(0)


async def test_who_has_waited_for_long_enough_as_room_is_given_is_told_so() -> None:
    room = Room(10)
    assert room.take(10)
    waiter = asyncio.create_task(room.wait(5, 0.01))
    await asyncio.sleep(0)

    await both_in_one_round(0.01, lambda: room.give(10))

    with pytest.raises(Unreachable, match="too many large webhooks"):
        await waiter
    assert room.take(10)


async def test_who_gives_up_holds_up_nobody_who_needs_less() -> None:
    room = Room(10)
    assert room.take(6)
    much = asyncio.create_task(room.wait(10, 0.01))
    await asyncio.sleep(0)
    little = asyncio.create_task(room.wait(4, 60.0))

    with pytest.raises(Unreachable):
        await much

    async with asyncio.timeout(5):
        await little


async def test_one_that_was_too_slow_is_dropped_for_another_without_a_fault() -> None:
    arrivals = Arrivals(10)
    unread = Unread(arrivals, lambda: None)
    unread.now(1)

    slow = asyncio.create_task(unread.wait_for(asyncio.Event().wait(), 0.01))
    await asyncio.sleep(0)
    faults: list[Exception] = []

    def another_comes() -> None:
        try:
            arrivals.begin(lambda: None).more(11)
        except RuntimeError as error:
            faults.append(error)

    await both_in_one_round(0.01, another_comes)

    with pytest.raises((TimeoutError, Crowded)):
        await slow
    assert faults == []


def test_what_is_over_takes_no_room_from_what_arrives() -> None:
    dropped: list[str] = []
    arrivals = Arrivals(10)
    for _ in range(3):
        over = arrivals.begin(lambda: dropped.append("over"))
        over.more(6)
        over.end()

    arrivals.begin(lambda: dropped.append("first")).more(4)
    arrivals.begin(lambda: dropped.append("second")).more(6)

    assert dropped == []
