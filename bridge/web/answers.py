"""Responses in one format, and access to internals."""

import hmac
import json
import re
from http import HTTPStatus
from ipaddress import ip_address

from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from bridge.core.errors import BadSignature, BridgeError, NotFound, Rejected, Unreachable
from bridge.listening.arriving import Crowded

STATUS: dict[type[BridgeError], HTTPStatus] = {
    BadSignature: HTTPStatus.UNAUTHORIZED,
    NotFound: HTTPStatus.NOT_FOUND,
    Rejected: HTTPStatus.BAD_REQUEST,
    Unreachable: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""The status of each error; the first matching class decides."""

RETRY_AFTER_SECONDS = "5"

CROWDED = "too much is arriving at once"


def answer(status: int, /, **fields: object) -> web.Response:
    """Return a JSON response on one line."""
    body = json.dumps(fields, ensure_ascii=False, default=str).encode()
    return web.Response(status=status, body=body, content_type="application/json")


def error_body(why: str) -> bytes:
    """Return the body of an error response, on one line."""
    return json.dumps({"error": why}, ensure_ascii=False).encode()


def refusal(status: int, why: str) -> web.Response:
    """Return an error response, one line of JSON; close the connection, body read or not."""
    response = web.Response(status=status, body=error_body(why), content_type="application/json")
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = RETRY_AFTER_SECONDS
    response.force_close()
    return response


def status_of(error: BridgeError) -> HTTPStatus:
    """Return the status of an error, by the table."""
    kinds = (status for kind, status in STATUS.items() if isinstance(error, kind))
    return next(kinds, HTTPStatus.BAD_GATEWAY)


class Refusal(Exception):
    """A request is rejected for an HTTP reason."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


WRONG = (
    *(BridgeError, Refusal, TimeoutError, ConnectionError),
    *(HttpProcessingError, web.HTTPException),
)
"""What may be wrong with a request whose body is read."""


def status_and_why(error: Exception, late: str) -> tuple[int, str]:
    """Return the status of what is wrong with a request, and why; `late`: why it took too long."""
    if isinstance(error, Crowded):
        error = Unreachable("the bridge", CROWDED)
    if isinstance(error, BridgeError):
        return int(status_of(error)), str(error)
    if isinstance(error, Refusal):
        return error.status, str(error)
    if isinstance(error, TimeoutError):
        return HTTPStatus.REQUEST_TIMEOUT.value, late
    return 400, f"the body could not be read ({type(error).__name__})"


def length_of(headers_length: int | None, most: int, kind: str = "") -> int:
    """Return the announced length of a body; raise Refusal without any, or beyond the most."""
    if headers_length is None:
        raise Refusal(HTTPStatus.LENGTH_REQUIRED, f"Content-Length is missing{kind}")
    if headers_length > most:
        why = f"the body has {headers_length} bytes; at most {most} are taken"
        raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, why)
    return headers_length


_FORWARDED = re.compile(
    r".*forwarded.*|via|(?:cf|cdn|x-envoy|x-original)[-_].*|.*[-_][a-z]*(?:ip|addr|address)",
    re.IGNORECASE,
).fullmatch
"""Names of headers that proxies add. Behind a proxy on this machine, every request seems to come
from here. The headers' values are not trusted; their presence reveals a proxy."""


class Insiders:
    """Decides who may see internals: this machine, and holders of the token, if there is one."""

    def __init__(self, token: str | None = None) -> None:
        self._token = token.encode(errors="surrogatepass") if token else None

    def __call__(self, request: web.Request) -> bool:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if self._token is not None and scheme.lower() == "bearer":
            token = given.strip().encode(errors="surrogatepass")
            if hmac.compare_digest(token, self._token):
                return True
        # By default nginx adds no header, but speaks HTTP/1.0.
        if request.version < HttpVersion11 or any(map(_FORWARDED, request.headers)):
            return False
        return _is_loopback(request.remote or "") and _names_this_machine(request.host)


def _names_this_machine(host: str) -> bool:
    """Return whether a Host header names this machine itself.

    Otherwise, a page whose own name points here (DNS rebinding) could read whatever a browser on
    this machine can.
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
