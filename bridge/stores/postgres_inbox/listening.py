"""Being told by other processes that something was kept."""

import asyncio
import logging
from collections.abc import Callable

from bridge.core.database import connect_arguments

log = logging.getLogger(__name__)

CHANNEL = "bridge_inbox"
"""Where it is said that something was kept."""

LISTEN_PAUSE = 1.0
"""Seconds between two tries to listen."""

BUG_PAUSE = 30.0
"""Seconds until the next try after a fault of our own: each is logged, and looking covers it."""


async def listen(url: str, woken: Callable[[], None]) -> None:
    """Be woken by other processes; what comes while nobody listens is found by looking."""
    import psycopg

    while True:
        pause = LISTEN_PAUSE
        try:
            await _listen_once(url, woken)
        except psycopg.Error as error:
            log.debug("nobody listens to other processes", extra={"why": type(error).__name__})
        except Exception:  # a bug; to end here would go unseen, as what comes is found later
            log.exception("listening to other processes failed inside; it is begun anew")
            pause = BUG_PAUSE
        await asyncio.sleep(pause)


async def _listen_once(url: str, woken: Callable[[], None]) -> None:
    """Listen until the connection ends."""
    import psycopg

    arguments = connect_arguments("inbox listener")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True, **arguments) as db:
        await db.execute(f"LISTEN {CHANNEL}")
        woken()
        async for _ in db.notifies():
            woken()
