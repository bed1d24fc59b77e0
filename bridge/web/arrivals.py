"""Small bodies that are on their way: what has come of them is bounded, what is announced is free.

Nobody waits for a place here. Where there is none, the body that has been on its way longest
goes: those that hosts send come at once, so who announces bodies and does not send them keeps
nobody out.
"""

import asyncio
from collections.abc import Callable

from aiohttp import web

from bridge.core.errors import Unreachable

CROWDED = "too much is arriving at once"


class Arrival:
    """One body on its way."""

    __slots__ = ("_all", "_drop", "dropped", "got")

    def __init__(self, all_: "Arrivals", drop: Callable[[], None]) -> None:
        self._all = all_
        self._drop = drop
        self.got = 0
        self.dropped = False

    def more(self, count: int) -> None:
        """So many more bytes of it have come; it may have to go itself for them."""
        if not self.dropped:
            self.got += count
            self._all.grown(count)

    def end(self) -> None:
        """It has come wholly, or never will."""
        self._all.left(self)

    def drop(self) -> None:
        """Others have come later and are quicker."""
        self.dropped = True
        self.end()
        self._drop()


class Arrivals:
    """All of them, the one that began first in front; `size`: bytes that they may have in all."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._used = 0
        self._all: dict[Arrival, None] = {}

    def __len__(self) -> int:
        return len(self._all)

    def begin(self, drop: Callable[[], None]) -> Arrival:
        """One more; `drop` is called where it has to go."""
        new = Arrival(self, drop)
        self._all[new] = None
        return new

    def grown(self, count: int) -> None:
        """Somebody's got more; make room for it."""
        self._used += count
        while self._used > self._size and len(self._all) > 1:
            next(iter(self._all)).drop()

    def left(self, one: Arrival) -> None:
        """It takes nothing any more; once is enough."""
        if one in self._all:
            del self._all[one]
            self._used -= one.got


async def arrived(request: web.Request, arrivals: Arrivals, timeout: float) -> bytes:  # noqa: ASYNC109 - it has to end sooner where others need its room
    """A request's body, once it is there.

    Raises:
        TimeoutError: it did not come within `timeout` seconds.
        Unreachable: it had to go for others.
    """
    body = bytearray()
    loop = asyncio.get_running_loop()
    until = asyncio.timeout(timeout)

    def drop() -> None:
        if not until.expired():  # it may end in this very moment anyway
            until.reschedule(loop.time())

    arrival = arrivals.begin(drop)
    try:
        async with until:
            async for some in request.content.iter_any():
                arrival.more(len(some))
                body += some
    except TimeoutError:
        if arrival.dropped:
            raise Unreachable("the bridge", CROWDED) from None
        raise
    finally:
        arrival.end()
    return bytes(body)
