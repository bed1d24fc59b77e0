"""Backends that a running bridge can't read just now, told beside what a command shows."""

import asyncio
import time
from typing import TYPE_CHECKING

from bridge.cli.cleaning import clean
from bridge.cli.show import ago, clock, hint

if TYPE_CHECKING:
    from bridge.app.storage import Stores
    from bridge.core.troubles import Trouble
    from bridge.settings import Settings

PATIENCE = "what is asked for meanwhile waits, and nothing is lost"


async def warn_of_troubles(settings: "Settings", stores: "Stores") -> None:
    """Say on stderr which backends refuse the key or are away, and since when."""
    from bridge.app.presence import is_running
    from bridge.core.troubles import NOTED, read_troubles

    troubles = read_troubles(await stores.journal.recall(NOTED))
    if not troubles:
        return
    running = await asyncio.to_thread(is_running, settings)
    for trouble in troubles.values():
        hint(clean(trouble_line(trouble, time.time(), running=running)))


def trouble_line(trouble: "Trouble", now: float, *, running: bool) -> str:
    """E.g. `warning: dokploy can't be reached: … (since 12:00:01, 3 min ago); …`.

    Args:
        running: a bridge runs, so that this is how it is now.
    """
    when = f"since {clock(trouble.since)}, {ago(trouble.since, now)}"
    if not running:
        return f"warning: {trouble.why} ({when}, when the bridge last ran)"
    return f"warning: {trouble.why} ({when}); {PATIENCE}"
