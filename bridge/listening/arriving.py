"""Bound the memory of requests that are still arriving: heads, bodies, and what waits unread.

Aiohttp takes hundreds of kilobytes from each connection before a handler asks for them, and while a
handler waits. Here all connections of a listener share a budget for that, and the oldest gives way.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aiohttp import StreamReader, web
from aiohttp.http_exceptions import HttpProcessingError


class Arrival:
    """One that arrives."""

    __slots__ = ("_all", "_drop", "dropped", "got")

    def __init__(self, all_: "Arrivals", drop: Callable[[], None]) -> None:
        self._all = all_
        self._drop = drop
        self.got = 0
        self.dropped = False

    def more(self, count: int) -> None:
        """Count received bytes; it may be evicted for them."""
        if not self.dropped:
            self.got += count
            self._all.grown(count)

    def end(self) -> None:
        """Note that it is complete, or was given up."""
        self._all.left(self)

    def drop(self) -> None:
        """Evict it, since others came later and are quicker."""
        self.dropped = True
        self.end()
        self._drop()


class Arrivals:
    """All that arrive, the oldest first; `size` is their limit in bytes."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._used = 0
        self._all: dict[Arrival, None] = {}

    def __len__(self) -> int:
        return len(self._all)

    def begin(self, drop: Callable[[], None]) -> Arrival:
        """Add one; `drop` is called if it is evicted."""
        new = Arrival(self, drop)
        self._all[new] = None
        return new

    def grown(self, count: int) -> None:
        """Account for received bytes; evict the oldest when over budget."""
        self._used += count
        while self._used > self._size and len(self._all) > 1:
            next(iter(self._all)).drop()

    def left(self, one: Arrival) -> None:
        if one in self._all:
            del self._all[one]
            self._used -= one.got


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


# ── Heads ─────────────────────────────────────────────────────────────────────────────────────────

MOST_OF_ONE = 32 * 1024
"""Bytes of one head."""

MOST_OF_ALL = 8 * 1024 * 1024
"""Bytes of memory for all heads of a listener that are not complete."""

PART, PART_OF_BODY = 512, 4 * 1024
"""Bytes that the parser gets at a time. So much of a head is not counted at most. It holds fewer
requests than the parser takes ahead, which would keep what follows them, uncounted."""

MOST_MESSAGES = 1
"""Complete requests that wait for the one before them; then the protocol stops reading."""

COPIES = 2
LINE = 300
"""What the parser makes of a head: each byte twice, and so many bytes for each line."""


class HeadTooLarge(HttpProcessingError):
    """A head is longer than `MOST_OF_ONE`."""

    code = 431
    message = f"the head of the request is longer than {MOST_OF_ONE} bytes"


class HeadLimit:
    """Aiohttp's parser of one connection, fed in parts and with each head counted.

    Whatever follows a complete request waits unread until the protocol has begun with that one.

    Args:
        parser: a `HttpRequestParser`.
        heads: all heads of the listener that are not complete.
        drop: closes the connection, if its head is the oldest and there is no room for others.
    """

    def __init__(self, parser: Any, heads: Arrivals, drop: Callable[[], None]) -> None:
        self._parser = parser
        self._heads = heads
        self._drop = drop
        self._head: Arrival | None = None
        self._length = 0
        self._body: StreamReader | None = None
        self._rest = b""
        self._queued = 0
        self._fed = self._fed_before = 0  # of the newest body, and of those before it

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)

    def feed_data(self, data: bytes) -> tuple[list[Any], bool, bytes]:
        """Return the requests whose heads are complete, as `HttpRequestParser` does.

        Raises:
            HeadTooLarge, HttpProcessingError: this is not a request that we read.
        """
        if self._length > MOST_OF_ONE:
            raise HeadTooLarge
        if self._rest and self._queued:  # whoever reads a body asks, too
            self._rest += data
            return [], False, b""
        data, self._rest = self._rest + data, b""
        found: list[Any] = []
        at = 0
        while at < len(data) or not at:  # also of nothing: it asks for what was held back
            if found and not self._arrives:
                self._rest = data[at:]  # the protocol asks for it, see `MOST_MESSAGES`
                break
            of_body = self._arrives
            part = data[at : at + (PART_OF_BODY if of_body and not found else PART)]
            at += max(len(part), 1)
            requests, upgraded, rest = self._parser.feed_data(part)
            if requests:
                found += requests
                self._queued += len(requests)
                self._body = requests[-1][1]
                self._fed, self._fed_before = 0, self._fed_before + self._fed
                self.end()
            if of_body or self._arrives:
                self._fed += len(part)
            elif not requests:
                self._grow(part)
            if upgraded:
                return found, True, rest + data[at:]
        return found, False, b""

    @property
    def held(self) -> int:
        """Return how many bytes of bodies and later requests have come and are not answered."""
        return self._fed_before + self._fed + len(self._rest)

    def message_consumed(self) -> None:
        """Note that the protocol begins with a request."""
        self._queued = max(0, self._queued - 1)
        self._parser.message_consumed()

    def answered(self) -> None:
        """Note that a request is answered."""
        self._fed_before = 0
        if not self._queued and not self._arrives:
            self._fed, self._body = 0, None

    @property
    def _arrives(self) -> bool:
        return self._body is not None and not self._body.is_eof()

    def _grow(self, part: bytes) -> None:
        """Count a part that completes no head."""
        if not part:
            return
        if self._head is None:
            self._head = self._heads.begin(self._drop)
        self._head.more(COPIES * len(part) + LINE * part.count(b"\n"))
        self._length += len(part)
        if self._length > MOST_OF_ONE:
            raise HeadTooLarge

    def end(self) -> None:
        """Note that a head is complete, or its connection gone."""
        self._length = 0
        if self._head is not None:
            self._head.end()
            self._head = None
