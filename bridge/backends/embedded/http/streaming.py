"""`/listen-deployment`: a deployment's log over a WebSocket: what is there, then what comes."""

import asyncio
import contextlib
from pathlib import Path

from aiohttp import WSCloseCode, web

from bridge.backends.embedded.http.api import Authorised
from bridge.backends.embedded.parts import Parts
from bridge.backends.embedded.undivided import put_away

_NO_PATH = 4000  # the real server's code for it
_HEARTBEAT_SECONDS = 30.0


class Streaming:
    """Follows logs; does not close when a build ends, as the real server does not either."""

    def __init__(self, parts: Parts, authorised: Authorised) -> None:
        self._parts = parts
        self._authorised = authorised
        self._open: set[web.WebSocketResponse] = set()

    def routes(self) -> list[web.RouteDef]:
        """The one route."""
        return [web.get("/listen-deployment", self._listen)]

    async def close(self) -> None:
        """Say good-bye to all who listen."""
        for socket in list(self._open):
            await socket.close(code=WSCloseCode.GOING_AWAY, message=b"server shutdown")

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(heartbeat=_HEARTBEAT_SECONDS)
        if not socket.can_prepare(request).ok:
            return web.json_response({"message": "WebSocket expected"}, status=426)
        await socket.prepare(request)
        if not self._authorised(request):
            await socket.close()
            return socket
        log_path = request.query.get("logPath")
        if not log_path:
            await socket.close(code=_NO_PATH, message=b"logPath no provided")
            return socket
        # Only logs that a deployment owns are read, so no path leads to other files.
        if await self._parts.history.by_log(log_path) is None:
            await socket.close(code=_NO_PATH, message=b"no deployment has this log")
            return socket
        self._open.add(socket)
        try:
            await self._follow(socket, Path(log_path))
        finally:
            self._open.discard(socket)
        return socket

    async def _follow(self, socket: web.WebSocketResponse, path: Path) -> None:
        sender = asyncio.create_task(self._send(socket, path))
        try:
            async for _ in socket:  # what listeners say means nothing; their leaving does
                pass
        finally:
            await put_away(sender)

    async def _send(self, socket: web.WebSocketResponse, path: Path) -> None:
        async with contextlib.aclosing(self._parts.growth.follow(path)) as chunks:
            async for chunk in chunks:
                try:
                    await socket.send_str(chunk)
                except ConnectionError:
                    return
