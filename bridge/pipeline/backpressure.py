"""Backpressure: throttle decisions while ingest is under load, if one process does both.

A sender waits for its answer, a decision waits for nobody. While very many webhooks arrive, ingest
gets most of the time. What is put off is on disk and is decided later; some of the time goes to
decisions in any case.
"""

import asyncio
import time
from collections.abc import Callable

from bridge.pipeline.polling import Sleep

MANY = 300.0
"""Webhooks a second from which on decisions are throttled; ten busy organisations send fewer."""

SHARE = 4.0
"""The pause after a batch, as a multiple of the time it took."""

FEW = 16
"""Deliveries of one batch under load: a longer one blocks the interpreter while senders wait."""

LONGEST = 0.5
"""Seconds of one pause at most."""


class Backpressure:
    """Smaller batches with pauses after them, while many webhooks are being kept.

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
        self._crowded = False

    def batch(self, most: int) -> int:
        """Return how many deliveries to decide together."""
        return min(most, FEW) if self._crowded else most

    async def give(self, took: float) -> None:
        """Pause after a batch that took so many seconds, if many were kept meanwhile."""
        now, count = self._clock(), self._kept()
        new, passed = count - self._count, now - self._at
        self._at, self._count = now, count
        self._crowded = passed > 0 and new / passed > MANY
        if self._crowded:
            await self._sleep(min(took * SHARE, LONGEST))
