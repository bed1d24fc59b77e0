"""aiohttp's protocol, which does not tell what serves here where it refuses what is no HTTP."""

import asyncio
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

SERVER = "dokploy-bridge"
"""Without a release: aiohttp would name its own and Python's."""


class _Handler(RequestHandler):
    def handle_error(self, *args: Any, **kwargs: Any) -> web.StreamResponse:
        """Answer what can't be read; no signal of the application is sent for it."""
        answer = super().handle_error(*args, **kwargs)
        answer.headers["Server"] = SERVER
        return answer


class Nameless:
    """Makes a protocol for each connection that is left to aiohttp."""

    def __init__(self, server: web.Server, settings: Mapping[str, Any]) -> None:
        self._server = server
        self._settings = settings

    def __call__(self) -> asyncio.Protocol:
        """Make the protocol of one more."""
        return _Handler(self._server, loop=asyncio.get_running_loop(), **self._settings)

    @property
    def connections(self) -> list[RequestHandler]:
        """Those that are open."""
        return self._server.connections
