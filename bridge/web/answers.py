"""Answers in one form, and the one table of errors and their status."""

import asyncio
import hmac
import json
from collections.abc import Callable
from http import HTTPStatus
from ipaddress import ip_address

from aiohttp import HttpVersion11, web
from yarl import URL

from bridge.core.errors import BadSignature, BridgeError, NotFound, Rejected, Unreachable

STATUS: dict[type[BridgeError], HTTPStatus] = {
    BadSignature: HTTPStatus.UNAUTHORIZED,
    NotFound: HTTPStatus.NOT_FOUND,
    Rejected: HTTPStatus.BAD_REQUEST,
    Unreachable: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""What an error is answered with; the first class that fits decides."""

RETRY_AFTER_SECONDS = "5"


def answer(status: int, /, **fields: object) -> web.Response:
    """A JSON answer on one line."""
    body = json.dumps(fields, ensure_ascii=False, default=str).encode()
    return web.Response(status=status, body=body, content_type="application/json")


def error_body(why: str) -> bytes:
    """What a refusal says, on one line."""
    return json.dumps({"error": why}, ensure_ascii=False).encode()


def refusal(status: int, why: str) -> web.Response:
    """A refusal: one line of JSON, and the connection ends, read or not."""
    response = web.Response(status=status, body=error_body(why), content_type="application/json")
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = RETRY_AFTER_SECONDS
    response.force_close()
    return response


def status_of(error: BridgeError) -> HTTPStatus:
    """The status for an error, by the table."""
    for kind, status in STATUS.items():
        if isinstance(error, kind):
            return status
    return HTTPStatus.BAD_GATEWAY


# ── Who may see how the bridge is: this machine's own, and who has the token ────────────────────

FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")
"""Headers of proxies: behind one on the same machine everybody seems to come from it."""


class Insiders:
    """Tells them from strangers; `token`: lets in from elsewhere, None lets nobody."""

    def __init__(self, token: str | None = None) -> None:
        self._token = token.encode(errors="surrogatepass") if token else None

    def __call__(self, request: web.Request) -> bool:
        """Whether the sender of a request is one."""
        return self._has_token(request) or _from_this_machine(request)

    def _has_token(self, request: web.Request) -> bool:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if self._token is None or scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(given.strip().encode(errors="surrogatepass"), self._token)


def _from_this_machine(request: web.Request) -> bool:
    """Directly: nginx, as it is set by default, says nothing but speaks HTTP/1.0."""
    if request.version < HttpVersion11 or any(name in request.headers for name in FORWARDED):
        return False
    return _is_loopback(request.remote or "") and _names_this_machine(request.host)


def _names_this_machine(host: str) -> bool:
    """Whether a Host header is of this machine itself.

    A page of a stranger's name that has come to lead here (DNS rebinding) could read what a
    browser on this machine may.
    """
    try:
        name = URL.build(scheme="http", authority=host).host or ""
    except ValueError:
        return False
    return name.lower() == "localhost" or _is_loopback(name)


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


# ── Small bodies that are on their way: what has come of them is bounded, what is announced is free

CROWDED = "too much is arriving at once"


class Arrival:
    """One body on its way."""

    __slots__ = ("_all", "_drop", "dropped", "got")

    def __init__(self, all_: "Arrivals", drop: Callable[[], None]) -> None:
        self._all = all_
        self._drop = drop
        self.got = 0
        self.dropped = False

    def more(self, count: int) -> None:
        """So many more bytes of it have come; it may have to go itself for them."""
        if not self.dropped:
            self.got += count
            self._all.grown(count)

    def end(self) -> None:
        """It has come wholly, or never will."""
        self._all.left(self)

    def drop(self) -> None:
        """Others have come later and are quicker."""
        self.dropped = True
        self.end()
        self._drop()


class Arrivals:
    """All of them, the one that began first in front; `size`: bytes that they may have in all."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._used = 0
        self._all: dict[Arrival, None] = {}

    def __len__(self) -> int:
        return len(self._all)

    def begin(self, drop: Callable[[], None]) -> Arrival:
        """One more; `drop` is called where it has to go."""
        new = Arrival(self, drop)
        self._all[new] = None
        return new

    def grown(self, count: int) -> None:
        """Somebody's got more; make room for it."""
        self._used += count
        while self._used > self._size and len(self._all) > 1:
            next(iter(self._all)).drop()

    def left(self, one: Arrival) -> None:
        """It takes nothing any more; once is enough."""
        if one in self._all:
            del self._all[one]
            self._used -= one.got


async def arrived(request: web.Request, arrivals: Arrivals, timeout: float) -> bytes:  # noqa: ASYNC109 - it has to end sooner where others need its room
    """A request's body, once it is there.

    Raises:
        TimeoutError: it did not come within `timeout` seconds.
        Unreachable: it had to go for others.
    """
    body = bytearray()
    loop = asyncio.get_running_loop()
    until = asyncio.timeout(timeout)

    def drop() -> None:
        if not until.expired():  # it may end in this very moment anyway
            until.reschedule(loop.time())

    arrival = arrivals.begin(drop)
    try:
        async with until:
            async for some in request.content.iter_any():
                arrival.more(len(some))
                body += some
    except TimeoutError:
        if arrival.dropped:
            raise Unreachable("the bridge", CROWDED) from None
        raise
    finally:
        arrival.end()
    return bytes(body)
