"""Answers in one form, and the one table of errors and their status."""

import json
from http import HTTPStatus

from aiohttp import web

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
