"""Bound the memory of request heads that are not complete, and of requests behind others.

Aiohttp limits a line and the number of lines. Together they allow a megabyte for each connection,
which whoever opens two thousand holds without any secret. It reads dozens of requests ahead, too.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aiohttp.http_exceptions import HttpProcessingError

from bridge.listening.arrivals import Arrival, Arrivals

if TYPE_CHECKING:
    from aiohttp import StreamReader

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
        """Return whether a body is arriving."""
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
