"""The connections of the fast path: limits, time-outs, and the head of a plain webhook."""

import asyncio
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

from bridge.listening.connections import ConnectionLimits, Crowd, client_of
from bridge.web.hooks import Hooks

FIRST_SECONDS = 1.0
"""Seconds that a new connection gets for its first bytes when the listener stops."""


class QuickDoor:
    """Tracks all connections of a listener, and closes them; it does not create them.

    Args:
        hosts: those whose webhooks may use the fast path.
        aiohttp: creates the protocol of connections that are handed to it.
        keepalive: seconds that a connection may be silent, or take for its headers.
        most: connections at a time, of which aiohttp has at most half. At the limit, a new one
            replaces the one that has been idle longest, or has been sending its body longest, so
            idle connections can't starve new ones.
        closed: called for each connection that is replaced.
    """

    def __init__(
        self,
        hooks: Hooks,
        hosts: Iterable[str],
        aiohttp: Callable[[], asyncio.Protocol],
        keepalive: float,
        most: int,
        closed: Callable[[], None],
    ) -> None:
        self.hooks = hooks
        self.hosts = {f"POST /hooks/{host} HTTP/1.1".encode(): host for host in hosts}
        self.aiohttp = aiohttp
        self.keepalive = keepalive
        self.most = most
        self.loop = asyncio.get_running_loop()
        self.connections: OrderedDict[Connection, None] = OrderedDict()
        self._crowd = Crowd(logging.getLogger("bridge.web.door"), closed)
        self.connection_limits = ConnectionLimits(most // 2, keepalive, crowd=self._crowd)
        self._date = (0, b"")

    def opened(self, connection: "Connection") -> None:
        self.connections[connection] = None
        if len(self.connections) + len(self.connection_limits) > self.most:
            self._drop_one(connection)

    def _drop_one(self, newest: "Connection") -> None:
        """Close one; the newest only if all others have sent complete requests."""
        for connection in self.connections:
            if connection is not newest and not connection.keeping:
                del self.connections[connection]
                self._abort(connection)
                return
        if len(self.connection_limits):
            self.connection_limits.drop_one()
        else:
            self._abort(newest)

    def _abort(self, connection: "Connection") -> None:
        connection.abort()
        there = len(self.connections) + len(self.connection_limits)
        self._crowd.closed(limit=self.most, client=connection.client, connections=there)

    def heard(self, connection: "Connection") -> None:
        """Note that one of its requests has begun, or was answered."""
        if connection in self.connections:
            self.connections.move_to_end(connection)

    def date(self) -> bytes:
        """Return the Date header, generated once a second."""
        now = int(time.time())
        if self._date[0] != now:
            self._date = now, f"Date: {formatdate(now, usegmt=True)}\r\n".encode()
        return self._date[1]

    async def stop(self, patience: float) -> None:
        """Finish pending writes, for at most `patience` seconds; then close the rest.

        Who has just connected is about to send, and gets the time for it.
        """
        self._crowd.end()
        ends = [connection.close_when_idle() for connection in list(self.connections)]
        if firsts := [end for end in ends if end is not None]:
            await asyncio.wait(firsts, timeout=FIRST_SECONDS)
        busy = [one.waiting for one in self.connections if one.waiting is not None]
        if busy:
            await asyncio.wait(busy, timeout=patience)
        for connection in list(self.connections):
            connection.abort()


# ── one connection ───────────────────────────────────────────────────────────────────────────────

_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}


class Connection(asyncio.Protocol):
    """A tracked connection, until it ends or is handed to aiohttp."""

    __slots__ = (
        "_begun", "_closes", "_door", "_first", "_idle_since", "_paused", "_timer", "_transport",
        "keeping", "waiting",
    )  # fmt: skip

    def __init__(self, door: QuickDoor) -> None:
        self._door = door
        self._transport: Any = None
        self._closes = self._paused = False
        self.keeping = False  # it has sent a complete body, and waits for the response
        self._begun = False  # it has sent something
        self._first: asyncio.Future[None] | None = None  # done once it has
        self._idle_since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.waiting: asyncio.Future[Any] | None = None  # for memory, or for the disk

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._door.opened(self)
        self._idle_since = self._door.loop.time()
        self._timer = self._door.loop.call_later(self._door.keepalive, self._look_at_time)

    def eof_received(self) -> bool:
        """Note the end of the input; the response is still sent."""
        self._closes = True
        return self.waiting is not None

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def _answer(self, status: int, body: bytes, *, closes: bool, more: bytes = b"") -> None:
        if self._transport.is_closing():
            return
        if closes:
            more += b"Connection: close\r\n"
        self._transport.write(
            b"%sContent-Type: application/json\r\nContent-Length: %d\r\n%s%s\r\n%s"
            % (_STATUS_LINES[status], len(body), self._door.date(), more, body)
        )
        if closes:
            self._transport.close()
        self._idle_since = self._door.loop.time()
        self._door.heard(self)

    @property
    def idle(self) -> bool:
        """Return whether nothing but, at most, a request's headers is in progress."""
        return self.waiting is None

    def close_when_idle(self) -> "asyncio.Future[None] | None":
        """Take nothing more; running requests are answered.

        Return what is done once a new connection has sent something or is gone; None for others.
        """
        self._closes = True
        if not self._begun:
            self._first = self._door.loop.create_future()
            return self._first
        if self.idle:
            self._transport.close()
        return None

    def _begins(self) -> None:
        """Note that it has sent something, or is gone."""
        self._begun = True
        if self._first is not None and not self._first.done():
            self._first.set_result(None)

    @property
    def client(self) -> str:
        return client_of(self._transport)

    def abort(self) -> None:
        self._transport.abort()

    def _look_at_time(self) -> None:
        """Close a connection that was silent for too long, or is too slow with its headers."""
        left = self._door.keepalive - (self._door.loop.time() - self._idle_since)
        if not self.idle:
            left = self._door.keepalive
        if left > 0:
            self._timer = self._door.loop.call_later(left, self._look_at_time)
        else:
            self._transport.close()

    def _let_go(self) -> None:
        self._begins()
        self._door.connections.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()


# ── the head ─────────────────────────────────────────────────────────────────────────────────────

MOST_HEAD, MOST_LINES = 8000, 100
"""Bytes and lines of headers that the fast path reads: aiohttp accepts that many bytes in a single
line, and some more lines, so larger heads are handed to it."""

_BEGINS = b"POST /hooks/"
_LINES = re.compile(rb"(?:[!#-'*+\-.0-9A-Z^-z|~]+:[\t -~]*\r\n)*").fullmatch
_LENGTH = re.compile(r"[0-9]{1,15}").fullmatch
_NOT_PLAIN = frozenset({"transfer-encoding", "expect", "upgrade", "te", "trailer"})


class Headers(dict[str, str]):
    """Headers by case-insensitive name."""

    def get(self, name: str, default: Any = None) -> Any:
        return dict.get(self, name.lower(), default)

    def __getitem__(self, name: str) -> str:
        return dict.__getitem__(self, name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and dict.__contains__(self, name.lower())


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a request; `closes`: the sender wants the connection closed afterwards."""

    host: str
    headers: Headers
    length: int
    closes: bool


def read_head(raw: bytes, hosts: dict[bytes, str]) -> Head | None:
    """Read the head of a plain webhook, with its last line's end; None for others. Pure.

    `hosts` are by their full request line.
    """
    line, _, rest = raw.partition(b"\r\n")
    host = hosts.get(line)
    if host is None or not _LINES(rest):
        return None
    headers = Headers()
    lines = rest.decode("ascii").split("\r\n")
    lines.pop()
    for one in lines:
        name, _, value = one.partition(":")
        headers[name.lower()] = value.strip("\t ")
    length = headers.get("content-length", "")
    if (
        len(lines) > MOST_LINES
        or len(headers) != len(lines)
        or not _LENGTH(length)
        or "host" not in headers
        or not _NOT_PLAIN.isdisjoint(headers)
    ):
        return None
    connection = headers.get("connection", "keep-alive").lower()
    if connection not in ("keep-alive", "close"):
        return None
    return Head(host, headers, int(length), connection == "close")


def begins_plainly(data: bytes) -> bool:
    """Return whether a partial head may become a plain webhook's."""
    return data[: len(_BEGINS)] == _BEGINS[: len(data)]
