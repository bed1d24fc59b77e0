"""Bound the memory of request heads that are not complete.

Aiohttp limits a line and the number of lines. Together they allow a megabyte for each connection,
which whoever opens two thousand holds without any secret.
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

PART = 4 * 1024
"""Bytes that the parser gets at a time: so much of a head is not counted at most."""

COPIES = 2
LINE = 300
"""What the parser makes of a head: each byte twice, and so many bytes for each line."""


class HeadTooLarge(HttpProcessingError):
    """A head is longer than `MOST_OF_ONE`."""

    code = 431
    message = f"the head of the request is longer than {MOST_OF_ONE} bytes"


class HeadLimit:
    """Aiohttp's parser of one connection, fed in parts and with each head counted.

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

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)

    def feed_data(self, data: bytes) -> tuple[list[Any], bool, bytes]:
        """Return the requests whose heads are complete, as `HttpRequestParser` does.

        Raises:
            HeadTooLarge, HttpProcessingError: this is not a request that we read.
        """
        if self._length > MOST_OF_ONE:
            raise HeadTooLarge
        found: list[Any] = []
        for begin in range(0, max(len(data), 1), PART):  # nothing asks for what it held back
            part = data[begin : begin + PART]
            requests, upgraded, rest = self._parser.feed_data(part)
            if requests:
                found += requests
                self._body = requests[-1][1]
                self.end()
            elif self._body is None or self._body.is_eof():
                self._grow(part)
            if upgraded:
                return found, True, rest + data[begin + PART :]
        return found, False, b""

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
