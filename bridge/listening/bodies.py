"""Bound the memory of what has come through aiohttp and waits; read bodies from it.

Aiohttp takes hundreds of kilobytes from each connection before a handler asks for them, and while a
handler waits. Here all connections of a listener share a budget for that, and the oldest gives way.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aiohttp import StreamReader, web

from bridge.listening.arrivals import Arrival, Arrivals

T = TypeVar("T")

READ_AHEAD = 64 * 1024
"""Bytes of a body that nobody has asked for; after twice as many its connection has to wait."""

MOST_UNREAD = 16 * 1024 * 1024
"""Bytes that wait on all connections of a listener."""


class Crowded(ConnectionError):
    """A request gives way to others: too much is arriving at once."""


class Unread:
    """Count what one connection has sent, until it is answered or counted elsewhere.

    Args:
        all_: what all connections have sent.
        abort: closes the connection, if it has to give way and no handler can say so.
    """

    def __init__(self, all_: Arrivals, abort: Callable[[], None]) -> None:
        self._all = all_
        self._abort = abort
        self._arrival: Arrival | None = None
        self._elsewhere = False
        self._until: asyncio.Timeout | None = None
        self._over: type[ConnectionError] | None = None

    def now(self, count: int) -> None:
        """Count so many bytes; the oldest may have to give way to them."""
        if self._arrival is not None and (self._elsewhere or not count):
            self._arrival.end()
            self._arrival = None
        elif count and not self._elsewhere:
            self._arrival = self._arrival or self._all.begin(self._gives_way)
            self._arrival.more(count - self._arrival.got)

    def taken(self) -> None:
        """Count nothing more of the present request: it is being handled, in memory of its own."""
        self._elsewhere = True
        self.now(0)

    def answered(self, left: int) -> None:
        """Note that a request is answered; `left` bytes belong to the next one."""
        self._elsewhere = False
        self.now(0)
        self.now(left)

    def gone(self) -> None:
        """Note that the client is gone; a handler that waits is told."""
        self.now(0)
        self._tell(ConnectionResetError)

    async def wait_for(self, what: Awaitable[T], seconds: float | None = None) -> T:
        """Return what a handler waits for: a body, or memory for it.

        Raises:
            TimeoutError: the seconds are over.
            Crowded: others need the memory.
            ConnectionResetError: the client is gone.
        """
        try:
            async with asyncio.timeout(0 if self._over else seconds) as self._until:
                return await what
        except TimeoutError:
            if self._over is not None:
                raise self._over from None
            raise
        finally:
            self._until = None

    def _gives_way(self) -> None:
        if self._until is None:
            self._abort()
        else:
            self._tell(Crowded)

    def _tell(self, over: type[ConnectionError]) -> None:
        self._over = over
        if self._until is not None and not self._until.expired():
            self._until.reschedule(asyncio.get_running_loop().time())


def unread_of(request: web.Request) -> Unread:
    """Return what a request's connection has sent; it must be of a listener of ours."""
    protocol: Any = request.protocol
    unread: Unread = protocol.unread
    return unread


async def body_of(
    request: web.Request, seconds: float, most: int, *, waits: bool = False
) -> bytearray:
    """Return a request's body, once it has arrived.

    Args:
        waits: its handler may wait on before it uses the body, so that it still counts.

    Raises:
        TimeoutError, ConnectionError: see `Unread.wait_for`.
        web.HTTPRequestEntityTooLarge: it has more than `most` bytes.
    """
    body = bytearray()
    unread = unread_of(request)
    try:
        await unread.wait_for(_read(request.content, body, most), seconds)
    except BaseException:
        # The stream keeps the error, and so this frame and itself, until a garbage collection.
        body.clear()
        request.content.set_exception(ConnectionAbortedError())
        raise
    if not waits:
        unread.taken()
    return body


async def _read(stream: StreamReader, body: bytearray, most: int) -> None:
    async for some in stream.iter_any():
        body += some
        if len(body) > most:
            raise web.HTTPRequestEntityTooLarge(most, len(body))
