"""`POST /hooks/<host>`: the door for webhooks.

Everything that can be refused without the body is refused before it is read: what the
headers say, then the size. The hot path has no middleware and parses no JSON.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from bridge.core import trace
from bridge.core.errors import BridgeError, Unreachable
from bridge.journey.ingest import Ingest
from bridge.web.answers import refusal, status_of

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

Count = Callable[[str, str, str], None]
"""Is told of each webhook: its host, its event ("" where unknown), and how it was answered."""

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
"""What the status of an answer is called in the metrics."""

EVENT_HEADERS = {"github": "X-GitHub-Event", "gitlab": "X-Gitlab-Event"}


def count_nothing(_host: str, _event: str, _outcome: str) -> None:
    """For those who don't count."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Bytes and seconds that bodies may take.

    Attributes:
        max_body: bytes of one body; more is 413.
        max_in_flight: bytes of all bodies at a time; more is 503.
        timeout: seconds for a body to arrive.
    """

    max_body: int = 26 * 2**20
    max_in_flight: int = 256 * 2**20
    timeout: float = 10.0


class Hooks:
    """The handlers of all hosts; they share one budget of bytes in flight."""

    def __init__(self, ingest: Ingest, limits: BodyLimits, count: Count = count_nothing) -> None:
        self._ingest = ingest
        self._limits = limits
        self._count = count
        self._in_flight = 0

    def handler(self, host: str) -> Handler:
        """The handler of one host's address."""

        async def handle(request: web.Request) -> web.Response:
            trace.follow(None)  # the connection may have brought another before
            response = await answered(request)
            event = request.headers.get(EVENT_HEADERS[host], "")
            self._count(host, event, OUTCOMES.get(response.status, "failed"))
            return response

        async def answered(request: web.Request) -> web.Response:
            try:
                return await self._receive(host, request)
            except BridgeError as error:
                return _refused(host, status_of(error), str(error))
            except TimeoutError:
                why = f"the body did not arrive within {self._limits.timeout:g} s"
                return _refused(host, HTTPStatus.REQUEST_TIMEOUT, why)
            except (ConnectionError, HttpProcessingError, web.HTTPException) as error:
                why = f"the body could not be read ({type(error).__name__})"
                return _refused(host, HTTPStatus.BAD_REQUEST, why)

        return handle

    async def _receive(self, host: str, request: web.Request) -> web.Response:
        if request.method != "POST":
            why = "webhooks are sent with POST"
            return _refused(host, HTTPStatus.METHOD_NOT_ALLOWED, why, Allow="POST")
        envelope = self._ingest.open(host, request.headers)
        length = request.content_length
        if length is None:
            why = "Content-Length is missing; webhooks are sent with it"
            return _refused(host, HTTPStatus.LENGTH_REQUIRED, why)
        if length > self._limits.max_body:
            why = f"the body has {length} bytes; at most {self._limits.max_body} are taken"
            return _refused(host, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, why)
        trace.follow(envelope.id)
        with self._room_for(length):
            receipt = await self._ingest.take(host, envelope, await self._read(request))
        if receipt.duplicate:
            return _receipt(HTTPStatus.OK, receipt.delivery, "duplicate")
        return _receipt(HTTPStatus.ACCEPTED, receipt.delivery, "accepted")

    @contextmanager
    def _room_for(self, length: int) -> Iterator[None]:
        """Count a body from before it is read until it is kept: so long it is in memory."""
        if self._in_flight + length > self._limits.max_in_flight:
            raise Unreachable("the bridge", "too many large webhooks are arriving at once")
        self._in_flight += length
        try:
            yield
        finally:
            self._in_flight -= length

    async def _read(self, request: web.Request) -> bytes:
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0  # as aiohttp does it: the answer itself has not begun
        async with asyncio.timeout(self._limits.timeout):
            return await request.read()


async def expect_later(_request: web.Request) -> None:
    """Ask nobody for a body before the headers were looked at; `Hooks` does it then."""


def _receipt(status: int, delivery: str, word: str) -> web.Response:
    # Ids are printable ASCII (checked in `open`); only these two would need escaping.
    id_ = delivery.replace("\\", "\\\\").replace('"', '\\"')
    body = f'{{"delivery": "{id_}", "status": "{word}"}}'.encode()
    return web.Response(status=status, body=body, content_type="application/json")


def _refused(host: str, status: int, why: str, **headers: str) -> web.Response:
    log.info("webhook refused", extra={"host": host, "status": int(status), "why": why})
    response = refusal(status, why)
    response.headers.update(headers)
    return response
