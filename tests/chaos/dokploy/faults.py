"""Faults of one request to the small Dokploy, in place of an answer."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Fault = Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]
"""A fault of one request; it may still carry out the request."""


def resets(*, arrives: bool) -> Fault:
    """The connection is reset after the request was sent."""

    async def fault(request: web.Request, handler: Handler) -> web.StreamResponse:
        if arrives:
            await handler(request)
        return cut_off(request)

    return fault


def cut_off(request: web.Request) -> web.Response:
    """Reset its connection."""
    if request.transport is not None:
        wire = request.transport.get_extra_info("socket")
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        request.transport.abort()
    return web.Response()


def says_nothing(*, arrives: bool) -> Fault:
    """No answer ever comes."""

    async def fault(request: web.Request, handler: Handler) -> web.StreamResponse:
        if arrives:
            await handler(request)
        await asyncio.Event().wait()
        raise AssertionError

    return fault


def answers_late(seconds: float) -> Fault:
    """The request is carried out at once, but the answer is slow."""

    async def fault(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await handler(request)
        await asyncio.sleep(seconds)
        return answer

    return fault


def cuts_json(*, arrives: bool) -> Fault:
    """The answer ends in the middle of its JSON."""

    async def fault(request: web.Request, handler: Handler) -> web.StreamResponse:
        if arrives:
            await handler(request)
        return web.Response(body=b'[{"success":tr', content_type="application/json")

    return fault


def says(status: int, *, after: str | None = None, arrives: bool = False) -> Fault:
    """Another status; `after`: with that Retry-After."""

    async def fault(request: web.Request, handler: Handler) -> web.StreamResponse:
        if arrives:
            await handler(request)
        return web.Response(status=status, headers={"Retry-After": after} if after else {})

    return fault
