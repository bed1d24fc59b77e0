"""`POST /hooks/<host>`: accept webhooks, from the fast path and from aiohttp.

Everything that can be rejected without the body is rejected before it is read: by its headers, then
by its size. The hot path has no middleware and parses no JSON. Plain requests take the fast path,
all others come through aiohttp; both use this module.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from bridge.core import trace
from bridge.core.errors import BadSignature, NotFound, Rejected, Unreachable
from bridge.core.events import kind_of
from bridge.core.refused import (
    OTHERS,
    WRONG_PATH,
    Senders,
    first_of,
    imitators,
    path_of,
    sender_of,
)
from bridge.listening.arriving import Arrivals, body_of, unread_of
from bridge.listening.listener import forget_frames
from bridge.listening.log import RateLimitedLog
from bridge.pipeline.deciding.ingest import Ingest, Keeping, Receipt
from bridge.ports.githosts import Body, Envelope
from bridge.web.answers import WRONG, Refusal, length_of, refusal, status_and_why
from bridge.web.browsers import READS, refusal_to

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

Count = Callable[[str, str, str], None]
"""Called for each webhook, with its host, its event ("" if unknown), and its outcome."""

OUTCOMES: dict[int, str] = {
    202: "accepted",
    200: "duplicate",
    400: "malformed",
    401: "unauthorized",
    404: "not_served",
    405: "wrong_method",
    408: "too_slow",
    411: "no_length",
    413: "too_large",
    503: "not_kept",
}
"""The name of a response's status in the metrics."""

SMALL = 256 * 1024
"""The size of a small body in bytes; nearly all are small. Small ones take memory as they arrive;
for larger ones it is reserved when they are announced."""


Note = Callable[[str, str, str, Mapping[str, str], str], None]
"""Called for each refused webhook, with outcome, reason, path, headers, and sender's address."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Bytes and seconds that bodies may take.

    Attributes:
        max_body: bytes of one body; more gets 413.
        max_in_flight: bytes of all bodies at a time; further bodies wait unread.
        timeout: seconds for a body to arrive.
        patience: seconds that a body waits unread; then it gets 503.
    """

    max_body: int = 26 * 2**20
    max_in_flight: int = 96 * 2**20
    timeout: float = 10.0
    patience: float = 4.0


class Room:
    """The memory for bodies; requests that find none wait in order of arrival."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._used = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def take(self, length: int) -> bool:
        """Reserve memory at once, or return False. A body larger than the total gets all."""
        if self._waiting or (self._used and self._used + length > self._size):
            return False
        self._used += length
        return True

    async def wait(self, length: int, patience: float) -> None:
        """Reserve memory once available; raise Unreachable after `patience` seconds."""
        free: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((length, free))
        try:
            async with asyncio.timeout(patience):
                await free
        except BaseException as error:  # usually a cancel: granted memory must be returned
            if free.done() and not free.cancelled():
                self.give(length)  # it was granted at this very moment
            else:
                if (length, free) in self._waiting:  # otherwise it was granted at this very moment
                    self._waiting.remove((length, free))
                self.give(0)  # the next in line may need less
            if isinstance(error, TimeoutError):
                why = "too many large webhooks are arriving at once"
                raise Unreachable("the bridge", why) from None
            raise

    def give(self, length: int) -> None:
        self._used -= length
        while self._waiting:
            wanted, free = self._waiting[0]
            if self._used and self._used + wanted > self._size:
                return
            self._waiting.popleft()
            if not free.done():
                self._used += wanted
                free.set_result(None)


class Hooks:
    """Handles webhooks of all hosts; their bodies share the memory."""

    def __init__(
        self,
        ingest: Ingest,
        senders: Senders,
        limits: BodyLimits,
        count: Count = lambda *_: None,
        note: Note = lambda *_: None,
    ) -> None:
        """Take the parts; `senders` are all Git hosts, including those without a secret."""
        self._ingest = ingest
        self.senders = senders
        self._imitators = {host: imitators(one, senders) for host, one in senders.items()}
        self.limits = limits
        whole = limits.max_in_flight
        self.arrivals = Arrivals(whole // 8)
        self._small = Room(whole // 4)
        self._large = Room(whole - whole // 4 - whole // 8)
        self._count = count
        self._note = note
        self._log = RateLimitedLog(log)

    def admit(self, host: str, headers: Mapping[str, str], length: int | None) -> Envelope:
        """Check a webhook's headers, before its body.

        Raises:
            BridgeError, Refusal: it is rejected, whatever its body.
        """
        if (odd := first_of(headers, self._imitators[host])) is not None:
            title = self.senders[host].title
            why = f"{odd} is not a header of {title}'s, whose webhooks alone are taken here"
            raise Rejected(f"{why}; {self._right_path(headers)}")
        envelope = self._ingest.open(host, headers)
        length_of(length, self.limits.max_body, "; webhooks are sent with it")
        return envelope

    def room_for(self, length: int) -> "Room":
        """Return the memory for a body. Small ones have their own: large ones can't starve them."""
        return self._small if length <= SMALL else self._large

    def put(self, host: str, envelope: Envelope, body: Body) -> Keeping:
        return self._ingest.put(host, envelope, body)

    async def take(
        self, host: str, envelope: Envelope, body: Body, headers: Mapping[str, str]
    ) -> Receipt:
        """See `Ingest.take`; try a secret that may be new once more."""
        try:
            return await self._ingest.take(host, envelope, body)
        except BadSignature as error:
            envelope = await self._ingest.open_again(host, headers, error)
        return await self._ingest.take(host, envelope, body)

    def may_be_new(self, error: Exception) -> bool:
        return self._ingest.may_be_new(error)

    def answer(self, host: str, event: str, receipt: Receipt) -> tuple[int, bytes]:
        """Count a kept webhook; return the status and the JSON for its sender."""
        status = 200 if receipt.duplicate else 202
        self._count(host, event, OUTCOMES[status])
        # Ids are printable ASCII (checked in `open`); only these two would need escaping.
        id_ = receipt.delivery.replace("\\", "\\\\").replace('"', '\\"')
        return status, f'{{"delivery": "{id_}", "status": "{OUTCOMES[status]}"}}'.encode()

    def refused(
        self, host: str, event: str, error: Exception, headers: Mapping[str, str], peer: str
    ) -> tuple[int, str]:
        """Return the status of a refusal, and the reason for the sender.

        Log, count and record it, for people who miss the webhook.
        """
        forget_frames(error)
        late = f"the body did not arrive within {self.limits.timeout:g} s"
        status, why = status_and_why(error, late)
        if isinstance(error, BadSignature | NotFound):
            sender = sender_of(headers, self.senders)
            several = sum(kind_of(one) == sender for one in self.senders) > 1
            if sender is not None and (several or sender != kind_of(host)):
                why += f"; {self._right_path(headers)}"
        outcome = OUTCOMES.get(status, "failed")
        self._log.info("webhook refused", host=host, status=status, why=why)
        self._count(host, event, outcome)
        self._note(outcome, why, path_of(host), headers, peer)
        return status, why

    def astray(self, path: str, headers: Mapping[str, str], peer: str) -> str:
        """Refuse a webhook at a path that accepts none; log and record it."""
        path = shown_path(path, self.senders)
        why = f"there is nothing at {path}; {self._right_path(headers)}"
        self._log.info("webhook on a wrong path", path=path, why=why)
        self._note(WRONG_PATH, why, path, headers, peer)
        return why

    def _right_path(self, headers: Mapping[str, str]) -> str:
        return right_path(headers, self.senders, self._ingest.served)

    # ── through aiohttp ───────────────────────────────────────────────────

    def handler(self, host: str) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            trace.follow(None)  # the connection may have delivered another one before
            if request.method in READS and sender_of(request.headers, self.senders) is None:
                return self._explained(host, request)
            try:
                status, body = await self._receive(host, request)
            except WRONG as error:
                event = request.headers.get(self.senders[host].event_header, "")
                peer = request.remote or ""
                response = refusal(*self.refused(host, event, error, request.headers, peer))
                if response.status == HTTPStatus.METHOD_NOT_ALLOWED:
                    response.headers["Allow"] = "POST"
                return response
            return web.Response(status=status, body=body, content_type="application/json")

        return handle

    def _explained(self, host: str, request: web.Request) -> web.Response:
        """Tell somebody who looks at the address of webhooks what it is; nothing was refused."""
        title = self.senders[host].title
        why = (
            f"{title} sends its webhooks to this address, with POST: enter it at {title}, with the"
            " secret that the bridge has for it"
        )
        status = HTTPStatus.METHOD_NOT_ALLOWED
        response = refusal_to(request, status, why, f"Webhooks of {title}")
        response.headers["Allow"] = "POST"
        return response

    async def _receive(self, host: str, request: web.Request) -> tuple[int, bytes]:
        if request.method != "POST":
            raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "webhooks are sent with POST")
        envelope = await self._admitted(host, request)
        trace.follow(envelope.id)
        length, unread = request.content_length or 0, unread_of(request)
        body = await self._read(request, length) if length <= SMALL else None
        room = self.room_for(length)
        if not room.take(length):
            await unread.wait_for(room.wait(length, self.limits.patience))
        try:
            unread.taken()
            if body is None:
                body = await self._read(request, length)
            receipt = await self.take(host, envelope, body, request.headers)
            return self.answer(host, envelope.event, receipt)
        finally:
            room.give(length)

    async def _admitted(self, host: str, request: web.Request) -> Envelope:
        """Check the headers; try a secret that may be new once more."""
        try:
            return self.admit(host, request.headers, request.content_length)
        except (BadSignature, NotFound) as error:
            await self._ingest.open_again(host, request.headers, error)
        return self.admit(host, request.headers, request.content_length)

    async def _read(self, request: web.Request, length: int) -> Body:
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0  # as in aiohttp: the response itself has not begun
        return await body_of(request, self.limits.timeout, length, waits=True)


async def expect_later(_request: web.Request) -> None:
    """Send nothing yet: `Hooks` sends "100 Continue" once it has checked the headers."""


# ── Where webhooks belong ─────────────────────────────────────────────────────────────────────────

MOST_PARTS = 8
"""The most parts of a path to show."""

KNOWN_PARTS = frozenset(
    {
        *("", "api", "event", "events", "git", "hook", "hooks", "payload", "v1", "v2"),
        *("webhook", "webhooks"),
    }
)
"""Parts of paths that are not secret; the Git hosts' keys are added to them."""


def shown_path(path: str, hosts: Iterable[str]) -> str:
    """Return the known first parts of a path; the rest may be a secret that somebody put there.

    Args:
        hosts: the keys of all Git hosts.
    """
    known = KNOWN_PARTS.union(hosts)
    kept: list[str] = []
    for part in path.split("/"):
        if part.lower() not in known or len(kept) == MOST_PARTS:
            return "/".join([*kept, OTHERS])
        kept.append(part)
    return "/".join(kept)


def right_path(headers: Mapping[str, str], hosts: Senders, served: Collection[str] = ()) -> str:
    """Return where a webhook belongs, as the end of a sentence.

    Of several servers of a host all paths are named, but those that are not served only if none is.
    """
    host = sender_of(headers, hosts)
    kinds = dict.fromkeys(map(kind_of, hosts if host is None else [host]))
    return "; ".join(
        f"{hosts[kind].title}'s webhooks go to {' or '.join(_paths_of(kind, hosts, served))}"
        for kind in kinds
    )


def _paths_of(kind: str, hosts: Senders, served: Collection[str]) -> list[str]:
    those = [one for one in hosts if kind_of(one) == kind]
    return [path_of(one) for one in those if one in served] or [path_of(one) for one in those]


def means_a_webhook(method: str, path: str, headers: Mapping[str, str], hosts: Senders) -> bool:
    """Return whether a request to an unknown path looks like a webhook."""
    if sender_of(headers, hosts) is not None:
        return True
    return method == "POST" and any(word in path.lower() for word in ("hook", *hosts))
