"""The quick way for webhooks: plain requests, without a framework in between.

A webhook is a POST with a Content-Length, and hosts send nothing else. Such a request is read
here, in half the time that aiohttp takes. Whatever is not as plain (other routes and methods,
chunks, `Expect`, upgrades, a header twice, anything that is not quite HTTP) is left to aiohttp,
with the very bytes that have come: from then on the connection is aiohttp's, for good. So the
quick way has to be right only about what it takes, and every guard holds on both.
"""

import asyncio
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from typing import Any, Protocol

from bridge.core import trace
from bridge.core.errors import BridgeError, Unreachable
from bridge.journey.ingest import Receipt
from bridge.ports.githosts import Body, Envelope
from bridge.ports.inbox import Kept
from bridge.web.answers import RETRY_AFTER_SECONDS, error_body
from bridge.web.arrivals import CROWDED, Arrival
from bridge.web.guests import Guests
from bridge.web.hooks import SMALL, Hooks, Refusal

log = logging.getLogger(__name__)

MOST_HEAD, MOST_LINES = 8000, 100
"""Bytes and lines of headers that are looked at: aiohttp takes as many in a single line, and some
more lines, so what is beyond it is beyond us."""

INTERNAL = HTTPStatus.INTERNAL_SERVER_ERROR.value
FAILED_INSIDE = "the bridge failed inside; its log says more"

MOST_AHEAD = 64 * 1024
"""Bytes that are taken ahead of an answer; then the sender has to wait."""

_END = b"\r\n\r\n"
_LINES = re.compile(rb"(?:[!#-'*+\-.0-9A-Z^-z|~]+:[\t -~]*\r\n)*").fullmatch
_LENGTH = re.compile(r"[0-9]{1,15}").fullmatch
_NOT_PLAIN = frozenset({"transfer-encoding", "expect", "upgrade", "te", "trailer"})


class Headers(dict[str, str]):
    """Headers by name, whatever its case."""

    def get(self, name: str, default: Any = None) -> Any:
        """As of any mapping."""
        return dict.get(self, name.lower(), default)

    def __getitem__(self, name: str) -> str:
        return dict.__getitem__(self, name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and dict.__contains__(self, name.lower())


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before a body; `closes`: the sender wants the connection closed after it."""

    host: str
    headers: Headers
    length: int
    closes: bool


def read_head(raw: bytes, hosts: dict[bytes, str]) -> Head | None:
    """Read the head of a plain webhook, with its last line's end; None where it is none. Pure.

    Args:
        hosts: by their whole request line.
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
        or not _NOT_PLAIN.isdisjoint(headers)
    ):
        return None
    connection = headers.get("connection", "keep-alive").lower()
    if connection not in ("keep-alive", "close"):
        return None
    return Head(host, headers, int(length), connection == "close")


class Aiohttp(Protocol):
    """What is used of `aiohttp.web.Server`."""

    def __call__(self) -> asyncio.Protocol:
        """Make the protocol of one more."""


class QuickDoor:
    """Makes the protocols of a listener's connections, and ends them all.

    Args:
        hosts: those whose webhooks may come the quick way.
        aiohttp: makes the protocol of connections that are left to it.
        keepalive: seconds that a connection may be silent, or take for its headers.
        most: connections at a time, of which aiohttp has no more than half. One that comes on
            top takes the place of the one that has been silent longest, or has been sending its
            body longest: so who only holds connections keeps nobody out.
    """

    def __init__(
        self,
        hooks: Hooks,
        hosts: Iterable[str],
        aiohttp: Aiohttp,
        keepalive: float,
        most: int,
    ) -> None:
        self.hooks = hooks
        self.hosts = {f"POST /hooks/{host} HTTP/1.1".encode(): host for host in hosts}
        self.aiohttp = aiohttp
        self.keepalive = keepalive
        self.most = most
        self.loop = asyncio.get_running_loop()
        self.connections: OrderedDict[QuickConnection, None] = OrderedDict()
        self.guests = Guests(most // 2, keepalive)
        self._date = (0, b"")

    def __call__(self) -> "QuickConnection":
        """A protocol for a new connection."""
        return QuickConnection(self)

    def opened(self, connection: "QuickConnection") -> None:
        """A connection has been made."""
        self.connections[connection] = None
        if len(self.connections) + len(self.guests) > self.most:
            self._drop_one(connection)

    def _drop_one(self, newest: "QuickConnection") -> None:
        """Close one; the newest only where all others have sent what they have to send."""
        for one in self.connections:
            if one is not newest and not one.keeping:
                del self.connections[one]
                one.abort()
                return
        if len(self.guests):
            self.guests.drop_one()
        else:
            newest.abort()

    def heard(self, connection: "QuickConnection") -> None:
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
        for connection in list(self.connections):
            connection.close_when_idle()
        busy = [one.waiting for one in self.connections if one.waiting is not None]
        if busy:
            await asyncio.wait(busy, timeout=patience)
        for connection in list(self.connections):
            connection.abort()


class QuickConnection(asyncio.Protocol):
    """One connection: head, body, answer, and again."""

    __slots__ = (
        "_ahead", "_arrival", "_body", "_closes", "_door", "_head", "_holds_room", "_idle_since",
        "_paused", "_timer", "_transport", "_waits_for_body", "keeping", "waiting",
    )  # fmt: skip

    def __init__(self, door: QuickDoor) -> None:
        self._door = door
        self._transport: Any = None
        self._ahead = b""  # what has come and is not looked at yet
        self._head: tuple[Head, Envelope] | None = None
        self._body: bytearray | None = None  # while it arrives
        self._arrival: Arrival | None = None  # of a small one
        self._holds_room = False
        self._closes = self._paused = False
        self.keeping = False  # a body that has come wholly
        self._idle_since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._waits_for_body: asyncio.TimerHandle | None = None
        self.waiting: asyncio.Future[Any] | None = None  # for room, or for the disk

    # ── what the transport tells ──────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A sender has connected."""
        self._transport = transport
        self._door.opened(self)
        self._idle_since = self._door.loop.time()
        self._timer = self._door.loop.call_later(self._door.keepalive, self._look_at_time)

    def connection_lost(self, _error: Exception | None) -> None:
        """It is gone; what is being kept is kept all the same."""
        self._let_go()
        self._no_more_of_body()
        self._ahead = b""

    def eof_received(self) -> bool:
        """Nothing more will come; the answer is still sent."""
        self._closes = True
        return self.waiting is not None

    def data_received(self, data: bytes) -> None:
        """Some bytes have come."""
        if self._body is not None:
            self._more_of_body(data)
        elif self.waiting is not None:
            self._ahead += data
            if len(self._ahead) > MOST_AHEAD:
                self._pause()
        else:
            self._look(self._ahead + data if self._ahead else data)

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()

    # ── head ──────────────────────────────────────────────────────────────

    def _look(self, data: bytes) -> None:
        """Look at what has come since the last answer."""
        end = data.find(_END, 0, MOST_HEAD)
        if end < 0:
            self._ahead = data
            if len(data) >= MOST_HEAD or not _begins_plainly(data):
                self._leave_to_aiohttp(data)
            return
        head = read_head(data[: end + 2], self._door.hosts)
        if head is None:
            self._leave_to_aiohttp(data)
            return
        self._ahead = b""
        begin = end + 4
        try:
            envelope = self._door.hooks.admit(head.host, head.headers, head.length)
        except (BridgeError, Refusal) as error:
            self._refuse(head.host, "", error)
            return
        self._head = head, envelope
        self._door.heard(self)
        if len(data) - begin >= head.length:
            self._ahead = data[begin + head.length :]
            self._keep(data[begin : begin + head.length])
        elif head.length <= SMALL or self._takes_room(head.length):
            self._begin_body(head.length, data[begin:])
        else:
            self._ahead = data[begin:]
            self._pause()
            self.waiting = self._door.loop.create_task(self._wait_outside(head, envelope))

    def _leave_to_aiohttp(self, data: bytes) -> None:
        self._let_go()
        self._resume()
        self._door.guests.welcome(self._door.aiohttp(), self._transport, data)

    # ── body ──────────────────────────────────────────────────────────────

    def _begin_body(self, length: int, begun: bytes) -> None:
        self._body = bytearray()
        if length <= SMALL:
            self._arrival = self._door.hooks.arrivals.begin(self._crowded_out)
        timeout = self._door.hooks.limits.timeout
        self._waits_for_body = self._door.loop.call_later(timeout, self._too_slow)
        self._more_of_body(begun)
        self._resume()

    def _more_of_body(self, data: bytes) -> None:
        assert self._head is not None
        assert self._body is not None
        missing = self._head[0].length - len(self._body)
        self._body += data if len(data) <= missing else data[:missing]
        if len(data) < missing:
            if self._arrival is not None:
                self._arrival.more(len(data))
            return
        assert self._waits_for_body is not None
        self._waits_for_body.cancel()
        if self._arrival is not None:
            self._arrival.end()
        body, self._body, self._arrival = self._body, None, None
        self._ahead = data[missing:]
        self._keep(body)

    def _too_slow(self) -> None:
        self._no_more_of_body()
        self._refuse_now(TimeoutError())

    def _crowded_out(self) -> None:
        self._no_more_of_body()
        self._refuse_now(Unreachable("the bridge", CROWDED))

    def _no_more_of_body(self) -> None:
        if self._body is None:
            return
        self._body = None
        assert self._waits_for_body is not None
        self._waits_for_body.cancel()
        if self._arrival is not None:
            self._arrival.end()
            self._arrival = None
        self._give_back()

    # ── room ──────────────────────────────────────────────────────────────

    def _takes_room(self, length: int) -> bool:
        self._holds_room = self._door.hooks.room_for(length).take(length)
        return self._holds_room

    async def _wait_for_room(self, length: int) -> None:
        hooks = self._door.hooks
        await hooks.room_for(length).wait(length, hooks.limits.patience)
        self._holds_room = True

    async def _wait_outside(self, head: Head, envelope: Envelope) -> None:
        """With a large body: nothing of it is read before there is room for all of it."""
        trace.follow(envelope.id)
        try:
            await self._wait_for_room(head.length)
        except Unreachable as error:
            self.waiting = None
            self._refuse_now(error)
            return
        self.waiting = None
        if self._transport.is_closing():
            self._give_back()
            return
        data, self._ahead = self._ahead, b""
        self._begin_body(head.length, data)

    def _give_back(self) -> None:
        if self._holds_room:
            assert self._head is not None
            length = self._head[0].length
            self._holds_room = False
            self._door.hooks.room_for(length).give(length)

    # ── keeping and answering ─────────────────────────────────────────────

    def _keep(self, body: Body) -> None:
        assert self._head is not None
        self.keeping = True
        length = self._head[0].length
        if length <= SMALL and (self._holds_room or self._takes_room(length)):
            self._put(body)
        else:
            self.waiting = self._door.loop.create_task(self._kept(body))

    def _put(self, body: Body) -> None:
        """A small one, nearly all: with a callback, since a task costs as much as a signature."""
        assert self._head is not None
        head, envelope = self._head
        try:
            delivery, done = self._door.hooks.put(head.host, envelope, body)
        except Exception as error:  # noqa: BLE001 - it is told there, whatever it is
            self._is_not_kept(error)
        else:
            self.waiting = done
            done.add_done_callback(partial(self._is_put, delivery))

    def _is_put(self, delivery: str, done: asyncio.Future[Kept]) -> None:
        if error := done.exception():
            self._is_not_kept(error)
        else:
            self._is_kept(Receipt(delivery, done.result().duplicate))

    async def _kept(self, body: Body) -> None:
        """A large one, or one that finds no room."""
        assert self._head is not None
        head, envelope = self._head
        trace.follow(envelope.id)
        try:
            if not self._holds_room and not self._takes_room(head.length):
                await self._wait_for_room(head.length)
            receipt = await self._door.hooks.take(head.host, envelope, body)
        except Exception as error:  # noqa: BLE001 - it is told there, whatever it is
            self._is_not_kept(error)
        else:
            self._is_kept(receipt)

    def _is_not_kept(self, error: BaseException) -> None:
        assert self._head is not None
        head, envelope = self._head
        self._ends_keeping()
        with trace.about(envelope.id):
            if isinstance(error, BridgeError):
                self._refuse(head.host, envelope.event, error)
                return
            # A bug; without an answer the sender would wait for its time-out.
            log.error("a webhook could not be kept", exc_info=error)
            self._answer(INTERNAL, error_body(FAILED_INSIDE), closes=True)

    def _is_kept(self, receipt: Receipt) -> None:
        assert self._head is not None
        head, envelope = self._head
        self._ends_keeping()
        status, answer = self._door.hooks.answer(head.host, envelope.event, receipt)
        self._answer(status, answer, closes=head.closes or self._closes)
        if self._ahead and not self._transport.is_closing():
            self._look(self._ahead)
        if len(self._ahead) <= MOST_AHEAD:
            self._resume()

    def _ends_keeping(self) -> None:
        self.waiting, self.keeping = None, False
        self._give_back()

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

    def _refuse_now(self, error: Exception) -> None:
        assert self._head is not None
        head, envelope = self._head
        self._refuse(head.host, envelope.event, error)

    def _refuse(self, host: str, event: str, error: Exception) -> None:
        status, why = self._door.hooks.refused(host, event, error)
        busy = status == HTTPStatus.SERVICE_UNAVAILABLE
        more = f"Retry-After: {RETRY_AFTER_SECONDS}\r\n".encode() if busy else b""
        self._answer(status, error_body(why), closes=True, more=more)

    # ── its end ───────────────────────────────────────────────────────────

    @property
    def idle(self) -> bool:
        """Whether nothing of it is under way but, at most, a request's headers."""
        return self.waiting is None and self._body is None

    def close_when_idle(self) -> None:
        """Take nothing more; what is under way is answered."""
        self._closes = True
        if self.idle:
            self._transport.close()

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
        for timer in (self._timer, self._waits_for_body):
            if timer is not None:
                timer.cancel()


_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
_BEGINS = b"POST /hooks/"


def _begins_plainly(data: bytes) -> bool:
    return data[: len(_BEGINS)] == _BEGINS[: len(data)]
