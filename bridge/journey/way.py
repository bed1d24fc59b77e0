"""Who decides gives way to who keeps, where one process does both and webhooks come in masses.

A sender waits for its answer, a decision waits for nobody: so while very many webhooks arrive,
most of the time is theirs. What is put off is on disk, and is decided when they grow fewer; a
part of the time goes to deciding in any case.
"""

import asyncio
import time
from collections.abc import Callable

from bridge.journey.watching import Sleep

MANY = 300.0
"""Webhooks a second from which on the others have to wait; ten busy organisations send fewer."""

SHARE = 4.0
"""Times as long as a batch took, for those who keep."""

LONGEST = 0.5
"""Seconds of one pause at most."""


class Way:
    """Pauses after batches, as long as much is being kept.

    Args:
        kept: how many webhooks this process has kept since its start.
    """

    def __init__(
        self,
        kept: Callable[[], int],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._kept = kept
        self._clock = clock
        self._sleep = sleep
        self._at = clock()
        self._count = kept()

    async def give(self, took: float) -> None:
        """Pause after a batch that took so many seconds, if many have been kept meanwhile."""
        now, count = self._clock(), self._kept()
        new, passed = count - self._count, now - self._at
        self._at, self._count = now, count
        if passed > 0 and new / passed > MANY:
            await self._sleep(min(took * SHARE, LONGEST))
