"""Processes that share an inbox on Postgres announce what they keep, so the others look at once."""

import asyncio
import logging
from collections.abc import Callable

from bridge.core.database import connect_arguments

log = logging.getLogger(__name__)

CHANNEL = "bridge_inbox"
"""The channel on which processes announce kept deliveries."""

LISTEN_PAUSE = 1.0
"""Seconds between two attempts to listen."""

BUG_PAUSE = 30.0
"""Seconds after a bug of our own: each is logged, and polling covers it."""


async def listen(url: str, woken: Callable[[], None]) -> None:
    """Wake this process for other processes' deliveries; polling finds those that it misses."""
    import psycopg

    while True:
        pause = LISTEN_PAUSE
        try:
            await _listen_once(url, woken)
        except psycopg.Error as error:
            log.debug("can't listen to other processes", extra={"why": type(error).__name__})
        except Exception:  # a bug; to end here would go unnoticed, since polling covers it
            log.exception("listening to other processes failed unexpectedly; restarting")
            pause = BUG_PAUSE
        await asyncio.sleep(pause)


async def _listen_once(url: str, woken: Callable[[], None]) -> None:
    """Listen until the connection ends."""
    import psycopg

    arguments = connect_arguments("inbox listener")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True, **arguments) as db:
        await db.execute(f"LISTEN {CHANNEL}")
        woken()
        while True:
            await _readable(db.fileno())
            async for _ in db.notifies(timeout=0):
                woken()


async def _readable(fileno: int) -> None:
    """Wait until a connection is readable; psycopg's own wait wakes ten times a second."""
    loop, said = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(fileno, said.set)
    try:
        await said.wait()
    finally:
        loop.remove_reader(fileno)
