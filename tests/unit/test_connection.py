"""Why a connection failed, whichever library says so."""

import socket
import ssl
from collections.abc import Callable

import aiohttp
import httpx
import requests

from bridge.core.errors.connection import why_not_connected
from tests.worlds.rows import each_row

REFUSED = "nothing listens at its address (connection refused)"


def raised_by_httpx(cause: BaseException) -> Exception:
    error = httpx.ConnectError("All connection attempts failed")
    inner = OSError("All connection attempts failed")
    inner.__cause__ = BaseExceptionGroup("multiple connection attempts failed", [cause, cause])
    error.__cause__ = inner
    return error


def raised_by_requests(cause: BaseException) -> Exception:
    from urllib3 import HTTPConnectionPool
    from urllib3.exceptions import MaxRetryError, ProtocolError

    wrapped = MaxRetryError(HTTPConnectionPool("x"), "/", ProtocolError("Aborted.", cause))
    return requests.ConnectionError(wrapped)


def raised_by_aiohttp(cause: BaseException) -> Exception:
    assert isinstance(cause, OSError)
    key = aiohttp.client_reqrep.ConnectionKey("x", 80, False, True, None, None, None)
    return aiohttp.ClientConnectorError(key, cause)


LIBRARIES = [raised_by_httpx, raised_by_requests, raised_by_aiohttp]
UNTRUSTED = ssl.SSLCertVerificationError(1, "self-signed")
UNTRUSTED.verify_message = "self-signed certificate"


@each_row("wrapped", LIBRARIES)
@each_row(
    ("cause", "words"),
    [
        (ConnectionRefusedError(111, "Connection refused"), REFUSED),
        (socket.gaierror(-2, "Name or service not known"), "can't be resolved (DNS)"),
        (OSError(113, "No route to host"), "no route"),
        (UNTRUSTED, "its certificate is not trusted: self-signed certificate"),
        (ssl.SSLError(1, "WRONG_VERSION_NUMBER"), "is https right in its address?"),
        (ConnectionResetError(104, "reset"), "closed the connection before its answer"),
    ],
)
def test_the_cause_is_found_and_said(
    wrapped: Callable[[BaseException], Exception], cause: BaseException, words: str
) -> None:
    said = why_not_connected(wrapped(cause))

    assert said is not None
    assert words in said


@each_row(
    ("error", "words"),
    [
        (httpx.ConnectTimeout(""), "did not take the connection in time"),
        (httpx.PoolTimeout(""), "all connections to it were busy"),
        (aiohttp.ServerDisconnectedError(), "closed the connection"),
        (requests.ReadTimeout("read timeout=3"), "did not answer in time"),
    ],
)
def test_what_has_no_system_error_is_known_by_its_name(error: Exception, words: str) -> None:
    assert words in (why_not_connected(error) or "")


def test_other_errors_are_left_to_who_knows_them_and_circles_of_causes_end() -> None:
    one, two = ValueError("1"), ValueError("2")
    one.__cause__, two.__cause__ = two, one

    assert why_not_connected(one) is None
    assert why_not_connected(httpx.ConnectError("refused")) is None
