"""A connection as such: how long it lasts, whether it is read from, and how it is answered."""

import asyncio
from http import HTTPStatus
from typing import Any

from bridge.listening.guests import client_of
from bridge.web.quick.door import QuickDoor

_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}


class Connection(asyncio.Protocol):
    """One that the door knows, until it ends or is left to aiohttp."""

    __slots__ = (
        "_closes", "_door", "_idle_since", "_paused", "_timer", "_transport", "keeping", "waiting",
    )  # fmt: skip

    def __init__(self, door: QuickDoor) -> None:
        self._door = door
        self._transport: Any = None
        self._closes = self._paused = False
        self.keeping = False  # a body that has come wholly
        self._idle_since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.waiting: asyncio.Future[Any] | None = None  # for room, or for the disk

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A sender has connected."""
        self._transport = transport
        self._door.opened(self)
        self._idle_since = self._door.loop.time()
        self._timer = self._door.loop.call_later(self._door.keepalive, self._look_at_time)

    def eof_received(self) -> bool:
        """Nothing more will come; the answer is still sent."""
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
        """Whether nothing of it is under way but, at most, a request's headers."""
        return self.waiting is None

    def close_when_idle(self) -> None:
        """Take nothing more; what is under way is answered."""
        self._closes = True
        if self.idle:
            self._transport.close()

    @property
    def client(self) -> str:
        """Whose it is: an address."""
        return client_of(self._transport)

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def _look_at_time(self) -> None:
        """Close what has been silent for too long, or takes too long for its headers."""
        left = self._door.keepalive - (self._door.loop.time() - self._idle_since)
        if not self.idle:
            left = self._door.keepalive
        if left > 0:
            self._timer = self._door.loop.call_later(left, self._look_at_time)
        else:
            self._transport.close()

    def _let_go(self) -> None:
        self._door.connections.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
