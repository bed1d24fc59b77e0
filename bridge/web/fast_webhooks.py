"""The webhooks of a connection, each read, kept and answered before the next."""

import asyncio
import logging
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from bridge.core import trace
from bridge.core.errors import BridgeError, Unreachable
from bridge.listening.listener import FAILED_INSIDE
from bridge.pipeline.deciding.ingest import ManySecrets, Receipt, receipt
from bridge.ports.githosts import Body, Envelope
from bridge.ports.inbox import Kept
from bridge.web.answers import CROWDED, RETRY_AFTER_SECONDS, Refusal, error_body
from bridge.web.fast_connections import (
    MOST_HEAD,
    Connection,
    Head,
    QuickDoor,
    begins_plainly,
    read_head,
)
from bridge.web.hooks import SMALL

if TYPE_CHECKING:
    from bridge.listening.arriving import Arrival

log = logging.getLogger(__name__)

MOST_AHEAD = 64 * 1024
"""Bytes to read ahead of a response; then the sender has to wait."""

_END = b"\r\n\r\n"


class WebhookConnection(Connection):
    """Reads head and body, answers, and starts again."""

    __slots__ = ("_ahead", "_arrival", "_body", "_head", "_holds_room", "_waits_for_body")

    def __init__(self, door: QuickDoor) -> None:
        super().__init__(door)
        self._ahead = b""  # received but unread bytes
        self._head: tuple[Head, Envelope] | None = None
        self._body: bytearray | None = None  # while it arrives
        self._arrival: Arrival | None = None  # of a small one, or while it waits for memory
        self._holds_room = False
        self._waits_for_body: asyncio.TimerHandle | None = None

    # ── events of the transport ───────────────────────────────────────────

    def connection_lost(self, _error: Exception | None) -> None:
        """Note that it is gone; a pending write still finishes."""
        self._let_go()
        self._no_more_of_body()
        self._wait_no_more()
        self._ahead = b""

    def data_received(self, data: bytes) -> None:
        if not self._begun:
            self._begins()
        if self._body is not None:
            self._more_of_body(data)
        elif self.waiting is not None:
            self._ahead += data
            if len(self._ahead) > MOST_AHEAD:
                self._pause()
        else:
            self._look(self._ahead + data if self._ahead else data)

    @property
    def idle(self) -> bool:
        """Return whether it is idle, i.e. no body is arriving either."""
        return super().idle and self._body is None

    # ── head ──────────────────────────────────────────────────────────────

    def _look(self, data: bytes) -> None:
        """Read the bytes received since the last response."""
        end = data.find(_END, 0, MOST_HEAD)
        if end < 0:
            self._ahead = data
            if len(data) >= MOST_HEAD or not begins_plainly(data):
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
            if self._door.hooks.may_be_new(error):
                self._leave_to_aiohttp(data)
            else:
                self._refuse(head, "", error)
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
        self._door.connection_limits.welcome(self._door.aiohttp(), self._transport, data)

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
        self._ends_arriving()
        body, self._body = self._body, None
        self._ahead = data[missing:]
        self._keep(body)

    def _too_slow(self) -> None:
        self._no_more_of_body()
        self._refuse_now(TimeoutError())

    def _crowded_out(self) -> None:
        self._no_more_of_body()
        self._wait_no_more()
        self._refuse_now(Unreachable("the bridge", CROWDED))

    def _no_more_of_body(self) -> None:
        if self._body is None:
            return
        self._body = None
        assert self._waits_for_body is not None
        self._waits_for_body.cancel()
        self._ends_arriving()
        self._give_back()

    def _ends_arriving(self) -> None:
        if self._arrival is not None:
            self._arrival.end()
            self._arrival = None

    # ── memory ────────────────────────────────────────────────────────────

    def _takes_room(self, length: int) -> bool:
        self._holds_room = self._door.hooks.room_for(length).take(length)
        return self._holds_room

    async def _wait_for_room(self, length: int, came: int) -> None:
        """Wait; what has come of the body still counts as arriving."""
        hooks = self._door.hooks
        self._arrival = hooks.arrivals.begin(self._crowded_out)
        self._arrival.more(came)
        try:
            await hooks.room_for(length).wait(length, hooks.limits.patience)
        finally:
            self._ends_arriving()
        self._holds_room = True

    def _wait_no_more(self) -> None:
        if self._arrival is not None and self.waiting is not None:
            self.waiting.cancel()
            self.waiting, self.keeping = None, False

    async def _wait_outside(self, head: Head, envelope: Envelope) -> None:
        """Read a large body only once there is memory for all of it."""
        trace.follow(envelope.id)
        try:
            await self._wait_for_room(head.length, len(self._ahead))
        except Unreachable as error:
            self.waiting = None
            if not self._transport.is_closing():
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
        """Keep a small body with a callback, because a task costs as much as a signature."""
        assert self._head is not None
        head, envelope = self._head
        try:
            delivery, done = self._door.hooks.put(head.host, envelope, body)
        except Exception as error:  # noqa: BLE001 - the handler logs any error
            if isinstance(error, ManySecrets) or self._door.hooks.may_be_new(error):
                self.waiting = self._door.loop.create_task(self._kept(body))
            else:
                self._is_not_kept(error)
        else:
            self.waiting = done
            done.add_done_callback(partial(self._is_put, delivery))

    def _is_put(self, delivery: str, done: asyncio.Future[Kept]) -> None:
        if error := done.exception():
            self._is_not_kept(error)
        else:
            self._is_kept(receipt(delivery, done.result()))

    async def _kept(self, body: Body) -> None:
        """Keep a large body, or one that found no memory."""
        assert self._head is not None
        head, envelope = self._head
        trace.follow(envelope.id)
        try:
            if not self._holds_room and not self._takes_room(head.length):
                await self._wait_for_room(head.length, len(body))
            receipt = await self._door.hooks.take(head.host, envelope, body, head.headers)
        except Exception as error:  # noqa: BLE001 - the handler logs any error
            self._is_not_kept(error)
        else:
            self._is_kept(receipt)

    def _is_not_kept(self, error: BaseException) -> None:
        assert self._head is not None
        head, envelope = self._head
        self._ends_keeping()
        with trace.about(envelope.id):
            if isinstance(error, BridgeError):
                self._refuse(head, envelope.event, error)
                return
            # A bug; without a response the sender would wait for its time-out.
            log.error("a webhook could not be kept", exc_info=error)
            self._answer(500, error_body(FAILED_INSIDE), closes=True)

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

    def _refuse_now(self, error: Exception) -> None:
        assert self._head is not None
        head, envelope = self._head
        self._refuse(head, envelope.event, error)

    def _refuse(self, head: Head, event: str, error: Exception) -> None:
        peer = self._transport.get_extra_info("peername")
        address = peer[0] if peer else ""
        status, why = self._door.hooks.refused(head.host, event, error, head.headers, address)
        busy = status == HTTPStatus.SERVICE_UNAVAILABLE
        more = f"Retry-After: {RETRY_AFTER_SECONDS}\r\n".encode() if busy else b""
        self._answer(status, error_body(why), closes=True, more=more)
