"""A listener for an aiohttp application, with connections limited from the first byte on."""

import asyncio
import logging
import os
import resource
import socket
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any

from aiohttp import HttpVersion10, HttpVersion11, web
from aiohttp.http_exceptions import (
    BadHttpMethod,
    BadStatusLine,
    HttpProcessingError,
    InvalidHeader,
    InvalidURLError,
    LineTooLong,
    PayloadEncodingError,
)
from aiohttp.http_parser import RawRequestMessage
from aiohttp.web_protocol import RequestHandler

from bridge.listening.arriving import (
    MOST_MESSAGES,
    MOST_OF_ALL,
    MOST_UNREAD,
    READ_AHEAD,
    Arrivals,
    HeadLimit,
    HeadTooLarge,
    Unread,
)
from bridge.listening.connections import ConnectionLimits, Crowd
from bridge.listening.log import RateLimitedLog

ACCEPTING = 3
"""Rounds of the event loop until a connection that was just accepted has its protocol."""

_sparing = RateLimitedLog(logging.getLogger(__name__))


def quiet_logger(name: str) -> logging.Logger:
    """Return a logger for aiohttp that logs malformed HTTP briefly, since the sender is at fault.

    Aiohttp's own message quotes the malformed line, which may contain a secret.
    """
    logger = logging.getLogger(name)
    logger.addFilter(_is_ours)
    return logger


def _is_ours(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        _sparing.info("the request is not valid HTTP", status=error.code)
        return False
    return True


async def nameless(_: web.Request, response: web.StreamResponse) -> None:
    """Set the Server header, without any release."""
    response.headers.pop("Server", None)


def forget_frames(error: BaseException | None) -> None:
    """Forget where an error was raised.

    Where a frame holds the error that it has raised, the two live on together, and with them what
    all frames have read of the request, until a garbage collection; an idle process makes none.
    """
    if error is not None:
        error.__traceback__ = None


# ── aiohttp's own error responses, in the listener's format ──────────────────────────────────────

SERVER = "dokploy-bridge"
"""Without a version: aiohttp would name its own and Python's."""

FAILED_INSIDE = "the bridge had an internal error; its log says more"

Say = Callable[[int, str], web.Response]
"""Returns an error response, given its status and text."""

NO_HTTP: Mapping[type[BaseException], str] = {
    HeadTooLarge: HeadTooLarge.message,
    LineTooLong: "a line of the request is too long",
    InvalidURLError: "the request's address is invalid",
    InvalidHeader: "a header of the request is invalid",
    BadHttpMethod: "the request's method is invalid; this port speaks HTTP, not HTTPS",
    BadStatusLine: "the request's first line is not valid HTTP/1.1",
    PayloadEncodingError: "the request's body is not encoded as its headers say",
}
"""The texts for malformed requests."""

UNREADABLE = "this can't be read as an HTTP/1.1 request; send Host, and one length"

NOTHING_THERE = "there is nothing at that address"
"""It never repeats the address: somebody may have put a secret into it."""

_WORDS = {
    HTTPStatus.NOT_FOUND: NOTHING_THERE,
    HTTPStatus.METHOD_NOT_ALLOWED: "that method does not go there; Allow names those that do",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "the body is too large",
    HTTPStatus.EXPECTATION_FAILED: "only `Expect: 100-continue` is known",
    HTTPStatus.INTERNAL_SERVER_ERROR: FAILED_INSIDE,
}


class _Handler(RequestHandler):
    """Aiohttp's protocol of a connection; `unread`: what has come and waits."""

    __slots__ = ("_say", "unread")

    def __init__(
        self, server: web.Server, say: Say, heads: Arrivals, unread: Arrivals, **settings: Any
    ) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(server, loop=loop, read_bufsize=READ_AHEAD, **settings)
        self._say = say
        self.unread = Unread(unread, self._abort)
        self._parser: Any = HeadLimit(self._parser, heads, self._abort)
        self._max_msg_queue_size, self._msg_queue_resume_size = MOST_MESSAGES, 0

    def _abort(self) -> None:
        """Close it: of too much that is not complete, it has sent the oldest."""
        _sparing.info("too much is arriving at once; the oldest connection is closed")
        if self.transport is not None:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take what has come, and count what waits of it."""
        super().data_received(data)
        self.unread.now(self._held)

    @property
    def _held(self) -> int:
        return self._parser.held + len(self._message_tail) if self._parser else 0

    def connection_lost(self, exc: BaseException | None) -> None:
        """Note that it is gone, with whatever it has sent."""
        if self._parser is not None:
            self._parser.end()
        super().connection_lost(exc)
        self.unread.gone()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer malformed or failed requests, without sending the application's signals."""
        super().handle_error(request, status, exc, message)  # it logs, and raises
        forget_frames(exc)
        if isinstance(exc, HeadTooLarge):
            status = exc.code
        kinds = (words for kind, words in NO_HTTP.items() if isinstance(exc, kind))
        answer = self._say(status, next(kinds, UNREADABLE) if status < 500 else FAILED_INSIDE)
        answer.headers["Server"] = SERVER
        answer.force_close()
        return answer

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send a response; replace the text of aiohttp's own errors with ours."""
        if isinstance(resp, web.HTTPException):
            forget_frames(resp)
            if resp.status >= HTTPStatus.BAD_REQUEST:
                words = _WORDS.get(HTTPStatus(resp.status), HTTPStatus(resp.status).phrase)
                answer = self._say(resp.status, words)
                if "Allow" in resp.headers:
                    answer.headers["Allow"] = resp.headers["Allow"]
                resp = answer
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            if not request.content.at_eof():  # the request lives on until the next one comes
                request.content._buffer.clear()  # noqa: SLF001 - to read it would resume the parser
            if self._parser is not None:
                self._parser.answered()
            self.unread.answered(self._held)


def _of_our_versions(make: Callable[..., web.BaseRequest]) -> Callable[..., web.BaseRequest]:
    """Limit requests to our HTTP versions, so no response claims another one, e.g. HTTP/2.0."""

    def made(message: RawRequestMessage, *others: Any) -> web.BaseRequest:
        newest = HttpVersion11 if message.version >= HttpVersion11 else HttpVersion10
        return make(message._replace(version=newest), *others)

    return made


class Refusing:
    """Creates a protocol for each connection; aiohttp's server closes the connections."""

    def __init__(
        self, server: web.Server, say: Say, settings: Mapping[str, Any], unread: Arrivals
    ) -> None:
        self._server = server
        self._say = say
        self._settings = settings
        self._heads, self._unread = Arrivals(MOST_OF_ALL), unread
        server.request_factory = _of_our_versions(server.request_factory)

    def __call__(self) -> asyncio.Protocol:
        return _Handler(self._server, self._say, self._heads, self._unread, **self._settings)

    @property
    def connections(self) -> list[RequestHandler]:
        return self._server.connections


# ── the listener ─────────────────────────────────────────────────────────────────────────────────

KEEPALIVE_SECONDS = 15.0
"""Seconds a connection may idle, take for its headers (aiohttp: an hour), or not read."""

STOP_SECONDS = 5.0
"""Seconds for running requests when the listener stops."""


class Listener:
    """Serves an application on one address.

    Args:
        name: of the listener's log, e.g. "bridge.listening.sites".
        most: connections at a time; one client gets at most half.
        say: creates error responses in the application's format.
        inherited: sockets that listen already; without any it binds host and port.
        settings: further settings of `aiohttp.web.AppRunner`.
    """

    def __init__(
        self,
        app: web.Application,
        host: str,
        port: int,
        *,
        name: str,
        most: int,
        say: Say,
        inherited: Sequence[socket.socket] = (),
        backlog: int = 128,
        **settings: Any,
    ) -> None:
        self._host, self._port = host, port
        self._most = most
        self._keepalive = KEEPALIVE_SECONDS
        app.on_response_prepare.append(nameless)
        self._say = say
        self.settings: dict[str, Any] = {
            "access_log": None,  # a quarter of the throughput
            "logger": quiet_logger(name),
            "keepalive_timeout": self._keepalive,
            "lingering_time": 0,
        }
        self._runner = web.AppRunner(
            app, handle_signals=False, shutdown_timeout=STOP_SECONDS, **self.settings, **settings
        )
        self._crowd = Crowd(logging.getLogger(name))
        self._inherited = inherited
        self._backlog = backlog
        self._listeners: list[asyncio.Server] = []

    @property
    def url(self) -> str:
        """Return its URL on this machine, e.g. "http://127.0.0.1:41807", with the port it got."""
        return local_url(self._host, self._port)

    async def start(self) -> None:
        """Bind and serve; raise OSError if the address is not available."""
        await self._runner.setup()
        assert self._runner.server is not None
        protocol = self.protocols(self._runner.server)
        loop = asyncio.get_running_loop()
        listen = partial(loop.create_server, protocol, backlog=self._backlog)
        try:
            self._listeners += [await listen(sock=one) for one in self._inherited]
            if not self._listeners:
                self._listeners.append(await listen(self._host, self._port))
        except BaseException:
            await self.stop()
            raise
        self._port = self._listeners[0].sockets[0].getsockname()[1]

    def protocols(self, server: web.Server) -> Callable[[], asyncio.Protocol]:
        """Return what creates the protocol of each connection."""
        aiohttp = Refusing(server, self._say, self.settings, Arrivals(MOST_UNREAD))
        each = max(1, self._most // 2)
        limits = ConnectionLimits(self._most, self._keepalive, each=each, crowd=self._crowd)
        return lambda: limits.expect(aiohttp())

    def sockets(self) -> list[socket.socket]:
        """Return copies of the listening sockets, which stay open after `stop`."""
        there = (one for listener in self._listeners for one in listener.sockets)
        return [socket.socket(fileno=os.dup(one.fileno())) for one in there]  # uvloop lacks `dup`

    async def stop(self) -> None:
        """Answer what has arrived, then close everything."""
        await close_all(self._listeners)
        self._listeners.clear()
        await self.end()
        await self._runner.cleanup()

    async def end(self) -> None:
        """End what `protocols` has begun."""
        self._crowd.end()


async def close_all(listeners: Sequence[asyncio.Server]) -> None:
    """Accept no more connections, and close once each that was accepted has its protocol.

    asyncio forgets a connection whose listener was closed before: nobody would answer or close it.
    """
    loop = asyncio.get_running_loop()
    for listener in listeners:
        for one in listener.sockets:
            loop.remove_reader(one.fileno())  # uvloop has none, and forgets nothing
    for _ in range(ACCEPTING):
        await asyncio.sleep(0)
    for listener in listeners:
        listener.close()


def local_url(host: str, port: int) -> str:
    """Return the URL on this machine of a listener on an address."""
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def share_of_files(part: int, most: int, *, others: int = 0) -> int:
    """Return a listener's connection limit: one in `part` of the files that others leave."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return most
    return max(16, min(most, (files - others) // part))


# ── Sockets that a process inherits: from systemd, or from itself before a restart ────────────────

FIRST = 3
"""The descriptor of the first one; the others follow."""

FDS, PID, NAMES = "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"


def inherited(environment: MutableMapping[str, str]) -> list[socket.socket]:
    """Return the sockets that were handed to this process; take them out of the environment.

    Child processes must not take them for theirs.
    """
    count, pid = environment.pop(FDS, ""), environment.pop(PID, "")
    environment.pop(NAMES, None)
    if not count.isdecimal() or pid != str(os.getpid()):
        return []
    sockets = [socket.socket(fileno=FIRST + n) for n in range(int(count))]
    for one in sockets:
        one.set_inheritable(False)
    return sockets


def hand_over(sockets: Sequence[socket.socket], environment: MutableMapping[str, str]) -> None:
    """Prepare these sockets for the program that replaces this one by `os.exec`.

    It overwrites descriptors that may be in use: call it last.
    """
    # Copies above the targets, so that none is overwritten before it was copied itself.
    high = [os.dup(one.fileno()) for one in sockets]
    while high and min(high) < FIRST + len(high):
        high = [os.dup(one) for one in high]
    for n, descriptor in enumerate(high):
        os.dup2(descriptor, FIRST + n, inheritable=True)
    environment[FDS], environment[PID] = str(len(high)), str(os.getpid())
