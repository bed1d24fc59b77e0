"""aiohttp's protocol, whose own refusals have the form of the listener's other ones.

aiohttp answers what no handler sees (what is no HTTP, addresses without a route, what a handler
fails at) in plain text of its own, quotes the request in it, and names its release.
"""

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import (
    BadHttpMethod,
    BadStatusLine,
    InvalidHeader,
    InvalidURLError,
    LineTooLong,
    PayloadEncodingError,
)
from aiohttp.web_protocol import RequestHandler

SERVER = "dokploy-bridge"
"""Without a release: aiohttp would name its own and Python's."""

FAILED_INSIDE = "the bridge failed inside; its log says more"

Say = Callable[[int, str], web.Response]
"""Makes a refusal of a status and its words."""

NO_HTTP: Mapping[type[BaseException], str] = {
    LineTooLong: "a line of the request is too long",
    InvalidURLError: "the request's address can't be one",
    InvalidHeader: "a header of the request can't be one",
    BadHttpMethod: "the request's method can't be one; this port speaks HTTP, not HTTPS",
    BadStatusLine: "the request's first line can't be one of HTTP/1.1",
    PayloadEncodingError: "the request's body is not encoded as its headers say",
}
"""What is said of a request that is none."""

UNREADABLE = "what came can't be read as a request of HTTP/1.1; send Host, and one length"

_WORDS = {
    HTTPStatus.NOT_FOUND: "there is nothing at that address",
    HTTPStatus.METHOD_NOT_ALLOWED: "that method does not go there; Allow names those that do",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "the body is too large",
    HTTPStatus.EXPECTATION_FAILED: "only `Expect: 100-continue` is known",
    HTTPStatus.INTERNAL_SERVER_ERROR: FAILED_INSIDE,
}


class _Handler(RequestHandler):
    def __init__(self, server: web.Server, say: Say, **settings: Any) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **settings)
        self._say = say

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what can't be read, or failed; no signal of the application is sent for it."""
        super().handle_error(request, status, exc, message)  # for what it logs, and raises
        kinds = (words for kind, words in NO_HTTP.items() if isinstance(exc, kind))
        answer = self._say(status, next(kinds, UNREADABLE) if status < 500 else FAILED_INSIDE)
        answer.headers["Server"] = SERVER
        answer.force_close()
        return answer

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer; a refusal of aiohttp's own is put in our words before."""
        if isinstance(resp, web.HTTPException) and resp.status >= HTTPStatus.BAD_REQUEST:
            words = _WORDS.get(HTTPStatus(resp.status), HTTPStatus(resp.status).phrase)
            answer = self._say(resp.status, words)
            if "Allow" in resp.headers:
                answer.headers["Allow"] = resp.headers["Allow"]
            resp = answer
        return await super().finish_response(request, resp, start_time)


class Refusing:
    """Makes a protocol for each connection.

    Args:
        server: of aiohttp's runner, which ends the connections.
        settings: of its protocols.
    """

    def __init__(self, server: web.Server, say: Say, settings: Mapping[str, Any]) -> None:
        self._server = server
        self._say = say
        self._settings = settings

    def __call__(self) -> asyncio.Protocol:
        """Make the protocol of one more."""
        return _Handler(self._server, self._say, **self._settings)

    @property
    def connections(self) -> list[RequestHandler]:
        """Those that are open."""
        return self._server.connections
