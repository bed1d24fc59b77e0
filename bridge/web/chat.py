"""`POST /slack/events`: the door for what a chat sends. It is answered when it is handled."""

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from bridge.core.errors import BridgeError
from bridge.listening.sparing import Sparing
from bridge.ports.chats import ChatDoor
from bridge.web.answers import refusal, status_of
from bridge.web.arrivals import Arrivals, arrived

_sparing = Sparing(logging.getLogger(__name__))

MAX_BODY = 2 * 2**20
"""Bytes: a dialog has at most 250 KB, and comes back with what was filled in."""

MOST_ARRIVING = 32 * 2**20
"""Bytes of all bodies that are on their way."""

BODY_TIMEOUT = 5.0
"""Seconds; a chat waits no longer for its answer anyway."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def chat_route(name: str, door: ChatDoor) -> Handler:
    """The handler of a chat's address; it refuses what it can before the body is read."""
    arrivals = Arrivals(MOST_ARRIVING)

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await _receive(name, door, request, arrivals)
        except BridgeError as error:
            return _refused(name, status_of(error), str(error))
        except TimeoutError:
            return _refused(name, HTTPStatus.REQUEST_TIMEOUT, "the body did not arrive in time")
        except (ConnectionError, HttpProcessingError, web.HTTPException) as error:
            why = f"the body could not be read ({type(error).__name__})"
            return _refused(name, HTTPStatus.BAD_REQUEST, why)

    return handle


async def _receive(
    name: str, door: ChatDoor, request: web.Request, arrivals: Arrivals
) -> web.StreamResponse:
    if request.method != "POST":
        return _refused(name, HTTPStatus.METHOD_NOT_ALLOWED, "it is sent with POST")
    opened = door.open(request.headers)
    if (length := request.content_length) is None:
        return _refused(name, HTTPStatus.LENGTH_REQUIRED, "Content-Length is missing")
    if length > MAX_BODY:
        why = f"the body has {length} bytes; at most {MAX_BODY} are taken"
        return _refused(name, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, why)
    body = await arrived(request, arrivals, BODY_TIMEOUT)
    answer = await door.take(opened, request.headers, body)
    return web.Response(
        status=answer.status, text=answer.body, content_type=answer.content_type, charset="utf-8"
    )


def _refused(name: str, status: int, why: str) -> web.Response:
    _sparing.info("request refused", chat=name, status=int(status), why=why)
    return refusal(status, why)
