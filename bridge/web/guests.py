"""Connections that are left to aiohttp: bounded in number, and in how long they don't read.

Aiohttp closes what is idle, but not who asks on and never reads the answers; and it has no
limit for how many there are. Here the one that has been silent longest goes for a new one, so
that who only holds connections keeps nobody out of what aiohttp serves.
"""

import asyncio
from collections import OrderedDict
from typing import Any


class Guests:
    """All of them, the one that has been silent longest in front.

    Args:
        most: of them at a time.
        patience: seconds that one may leave its answers unread.
    """

    def __init__(self, most: int, patience: float) -> None:
        self._most = most
        self.patience = patience
        self.loop = asyncio.get_running_loop()
        self._all: OrderedDict[Guest, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._all)

    def welcome(self, protocol: asyncio.Protocol, transport: Any, data: bytes) -> None:
        """Leave a connection to aiohttp's protocol, with what has come already."""
        guest = Guest(self, protocol, transport)
        self._all[guest] = None
        if len(self._all) > self._most:
            self.drop_one()
        transport.set_protocol(guest)
        protocol.connection_made(transport)
        guest.data_received(data)

    def drop_one(self) -> None:
        """Close the one that has been silent longest, if there is one."""
        if self._all:
            self._all.popitem(last=False)[0].abort()

    def heard(self, guest: "Guest") -> None:
        """It has sent something."""
        if guest in self._all:
            self._all.move_to_end(guest)

    def left(self, guest: "Guest") -> None:
        """It is gone."""
        self._all.pop(guest, None)


class Guest(asyncio.Protocol):
    """Hands on to aiohttp's protocol what its transport tells."""

    __slots__ = ("_guests", "_protocol", "_transport", "_unread")

    def __init__(self, guests: Guests, protocol: asyncio.Protocol, transport: Any) -> None:
        self._guests = guests
        self._protocol = protocol
        self._transport = transport
        self._unread: asyncio.TimerHandle | None = None

    def abort(self) -> None:
        """Close it at once."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """As of any protocol."""
        self._guests.heard(self)
        self._protocol.data_received(data)

    def eof_received(self) -> bool | None:
        """As of any protocol."""
        return self._protocol.eof_received()

    def pause_writing(self) -> None:
        """Its answers pile up: it has to read them, or go."""
        self._unread = self._guests.loop.call_later(self._guests.patience, self.abort)
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """It has read them."""
        self._reads()
        self._protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """As of any protocol."""
        self._reads()
        self._guests.left(self)
        self._protocol.connection_lost(exc)

    def _reads(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
