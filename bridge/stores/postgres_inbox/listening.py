"""Being told by other processes that something was kept."""

import asyncio
import contextlib
from collections.abc import Callable

from bridge.core.database import connect_arguments

CHANNEL = "bridge_inbox"
"""Where it is said that something was kept."""

LISTEN_PAUSE = 1.0
"""Seconds between two tries to listen."""


async def listen(url: str, woken: Callable[[], None]) -> None:
    """Be woken by other processes; what comes while nobody listens is found by looking."""
    import psycopg

    arguments = connect_arguments("inbox listener")
    while True:
        with contextlib.suppress(psycopg.Error):
            async with await psycopg.AsyncConnection.connect(
                url, autocommit=True, **arguments
            ) as db:
                await db.execute(f"LISTEN {CHANNEL}")
                woken()
                async for _ in db.notifies():
                    woken()
        await asyncio.sleep(LISTEN_PAUSE)
