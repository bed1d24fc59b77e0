"""What a listener's connections share; which of them goes when there are too many."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from email.utils import formatdate
from typing import Any, Protocol

from bridge.listening.crowd import Crowd, count_nothing
from bridge.listening.guests import Guests
from bridge.web.hooks import Hooks


class Aiohttp(Protocol):
    """What is used of `aiohttp.web.Server`."""

    def __call__(self) -> asyncio.Protocol:
        """Make the protocol of one more."""


class Caller(Protocol):
    """A connection, as the door sees it.

    Attributes:
        keeping: whether it has sent all of a body, and waits for the answer.
        waiting: what it waits for, if it does: room, or the disk.
    """

    keeping: bool
    waiting: asyncio.Future[Any] | None

    @property
    def client(self) -> str:
        """Whose it is: an address."""

    def close_when_idle(self) -> None:
        """Take nothing more; what is under way is answered."""

    def abort(self) -> None:
        """Close at once."""


class QuickDoor:
    """Knows all connections of a listener, and ends them; it makes none of them.

    Args:
        hosts: those whose webhooks may come the quick way.
        aiohttp: makes the protocol of connections that are left to it.
        keepalive: seconds that a connection may be silent, or take for its headers.
        most: connections at a time, of which aiohttp has no more than half. One that comes on
            top takes the place of the one that has been silent longest, or has been sending its
            body longest: so who only holds connections keeps nobody out.
        closed: is called for each one that goes for another.
    """

    def __init__(
        self,
        hooks: Hooks,
        hosts: Iterable[str],
        aiohttp: Aiohttp,
        keepalive: float,
        most: int,
        closed: Callable[[], None] = count_nothing,
    ) -> None:
        self.hooks = hooks
        self.hosts = {f"POST /hooks/{host} HTTP/1.1".encode(): host for host in hosts}
        self.aiohttp = aiohttp
        self.keepalive = keepalive
        self.most = most
        self.loop = asyncio.get_running_loop()
        self.connections: OrderedDict[Caller, None] = OrderedDict()
        self._crowd = Crowd(logging.getLogger("bridge.web.door"), closed)
        self.guests = Guests(most // 2, keepalive, crowd=self._crowd)
        self._date = (0, b"")

    def opened(self, connection: Caller) -> None:
        """A connection has been made."""
        self.connections[connection] = None
        if len(self.connections) + len(self.guests) > self.most:
            self._drop_one(connection)

    def _drop_one(self, newest: Caller) -> None:
        """Close one; the newest only where all others have sent what they have to send."""
        for one in self.connections:
            if one is not newest and not one.keeping:
                del self.connections[one]
                self._abort(one)
                return
        if len(self.guests):
            self.guests.drop_one()
        else:
            self._abort(newest)

    def _abort(self, connection: Caller) -> None:
        connection.abort()
        there = len(self.connections) + len(self.guests)
        self._crowd.closed(limit=self.most, client=connection.client, connections=there)

    def heard(self, connection: Caller) -> None:
        """A request of it has begun, or has been answered."""
        if connection in self.connections:
            self.connections.move_to_end(connection)

    def date(self) -> bytes:
        """The Date header, made once a second."""
        now = int(time.time())
        if self._date[0] != now:
            self._date = now, f"Date: {formatdate(now, usegmt=True)}\r\n".encode()
        return self._date[1]

    async def stop(self, patience: float) -> None:
        """Finish what is being kept, for so many seconds; then close what is still open."""
        self._crowd.end()
        for connection in list(self.connections):
            connection.close_when_idle()
        busy = [one.waiting for one in self.connections if one.waiting is not None]
        if busy:
            await asyncio.wait(busy, timeout=patience)
        for connection in list(self.connections):
            connection.abort()
