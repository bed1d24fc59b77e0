"""Limit aiohttp's connections: their number, and how long they may leave responses unread.

Aiohttp closes idle connections, but not those that keep sending requests and never read the
responses; and it has no limit for their number. Here a new connection replaces the one that has
been silent longest, so idle connections can't starve new ones.
"""

import asyncio
import ipaddress
import logging
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

SAID_EVERY = 60.0
"""The shortest time between two log lines of a listener, in seconds."""


class Crowd:
    """Logs the first closed connection at once, and then once a minute how many there were."""

    def __init__(self, logger: logging.Logger, count: Callable[[], None] = lambda: None) -> None:
        self._logger = logger
        self._count = count
        self._closed = 0
        self._newest: dict[str, object] = {}
        self._timer: asyncio.TimerHandle | None = None

    def closed(self, *, limit: int, client: str, connections: int) -> None:
        """Note that a client's connection was closed, by a limit; `connections` are open."""
        self._count()
        self._closed += 1
        self._newest = {"limit": limit, "client": client, "open": connections}
        if self._timer is None:
            self._say()

    def _say(self) -> None:
        self._timer = None
        if not self._closed:
            return
        self._timer = asyncio.get_running_loop().call_later(SAID_EVERY, self._say)
        self._logger.info(
            "too many connections; the longest idle ones are closed",
            extra={"closed": self._closed, **self._newest},
        )
        self._closed = 0

    def end(self) -> None:
        """Log the remaining count; nothing follows."""
        if self._timer is not None:
            self._timer.cancel()
            self._say()
        if self._timer is not None:
            self._timer.cancel()


# ── the connections ──────────────────────────────────────────────────────────────────────────────

_PREFIX = 64
"""Bits of an IPv6 address that identify a client, which has all addresses below."""


class ConnectionLimits:
    """All connections, the one that has been silent longest first.

    Args:
        most: connections at a time.
        patience: seconds that one may leave its responses unread.
        each: connections at a time from one client; None sets no limit.
        crowd: called for each connection that is replaced, if any.
    """

    def __init__(
        self, most: int, patience: float, *, each: int | None = None, crowd: Crowd | None = None
    ) -> None:
        self._most = most
        self._each = each
        self._crowd = crowd
        self.patience = patience
        self.loop = asyncio.get_running_loop()
        self._all: OrderedDict[Guest, None] = OrderedDict()
        self._of_client: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._all)

    def expect(self, protocol: asyncio.Protocol) -> "Guest":
        """Return the protocol of a connection that is aiohttp's from its first byte on."""
        return Guest(self, protocol)

    def welcome(self, protocol: asyncio.Protocol, transport: Any, data: bytes) -> None:
        """Hand a connection to aiohttp's protocol, with the received bytes."""
        guest = Guest(self, protocol)
        transport.set_protocol(guest)
        guest.connection_made(transport)
        guest.data_received(data)

    def came(self, guest: "Guest") -> None:
        """Add a connection; close another one if there are too many, of its own client first."""
        self._all[guest] = None
        self._of_client[guest.client] += 1
        if self._each is not None and self._of_client[guest.client] > self._each:
            self._drop(next(one for one in self._all if one.client == guest.client), self._each)
        elif len(self._all) > self._most:
            self._drop(next(iter(self._all)), self._most)

    def drop_one(self) -> None:
        """Close the one that has been silent longest, if there is one."""
        if self._all:
            self._drop(next(iter(self._all)), self._most)

    def _drop(self, guest: "Guest", limit: int) -> None:
        self.left(guest)
        guest.abort()
        if self._crowd is not None:
            self._crowd.closed(limit=limit, client=guest.client, connections=len(self._all))

    def heard(self, guest: "Guest") -> None:
        """Note that it has sent something."""
        if guest in self._all:
            self._all.move_to_end(guest)

    def left(self, guest: "Guest") -> None:
        if guest in self._all:
            del self._all[guest]
            self._of_client[guest.client] -= 1
            if not self._of_client[guest.client]:
                del self._of_client[guest.client]


class Guest(asyncio.Protocol):
    """Passes the events of its transport on to aiohttp's protocol."""

    __slots__ = ("_connection_limits", "_protocol", "_transport", "_unread", "client")

    def __init__(self, connection_limits: ConnectionLimits, protocol: asyncio.Protocol) -> None:
        self._connection_limits = connection_limits
        self._protocol = protocol
        self._transport: Any = None
        self._unread: asyncio.TimerHandle | None = None
        self.client = ""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.client = client_of(transport)
        self._connection_limits.came(self)
        self._protocol.connection_made(transport)

    def abort(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._connection_limits.heard(self)
        self._protocol.data_received(data)

    def eof_received(self) -> bool | None:
        return self._protocol.eof_received()

    def pause_writing(self) -> None:
        """Start its time-out: its unread responses pile up."""
        self._unread = self._connection_limits.loop.call_later(
            self._connection_limits.patience, self.abort
        )
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Stop its time-out: it has read the responses."""
        self._reads()
        self._protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._reads()
        self._connection_limits.left(self)
        self._protocol.connection_lost(exc)

    def _reads(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None


def client_of(transport: Any) -> str:
    """Return its client: an address, or for IPv6 the client's network."""
    peer = transport.get_extra_info("peername")
    host = str(peer[0]) if isinstance(peer, tuple) and peer else ""
    if ":" not in host:
        return host
    return str(ipaddress.IPv6Network((host.partition("%")[0], _PREFIX), strict=False))
