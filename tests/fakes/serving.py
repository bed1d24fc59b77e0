"""Serve an application on loopback, and leave no connection behind."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from bridge.listening.listener import close_all

PATIENCE = 0.1
"""Seconds that running requests have to end."""


@asynccontextmanager
async def served(
    app: web.Application, *, cancels: bool = False, context: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Serve an application on a free port; give its address, without a path.

    A `TCPSite` leaves a connection open that comes as it stops.

    Args:
        cancels: a client that goes away cancels its request.
        context: of TLS; None serves HTTP.
    """
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=PATIENCE, handler_cancellation=cancels
    )
    await runner.setup()
    assert runner.server is not None
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(runner.server, "127.0.0.1", 0, ssl=context)
    port = listener.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}" if context is None else f"https://localhost:{port}"
    finally:
        await close_all([listener])
        await runner.cleanup()
