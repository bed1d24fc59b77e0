"""Stores counts of refused webhooks in the background.

The HTTP side only adds to counts in memory. They are written every few seconds in one transaction
of the journal, so a flood of refused webhooks neither slows others nor fills the disk.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from bridge.core.errors import BridgeError
from bridge.core.refused import RefusedCounts, refused_webhook
from bridge.ports.clock import Clock
from bridge.ports.lookups import Refusals

log = logging.getLogger(__name__)

EVERY = 2.0
"""Seconds between two writes."""

Sleep = Callable[[float], Awaitable[object]]


class RefusalLog:
    """Counts refused webhooks and stores the counts."""

    def __init__(self, journal: Refusals, clock: Clock, sleep: Sleep = asyncio.sleep) -> None:
        self._journal = journal
        self._clock = clock
        self._sleep = sleep
        self._counts = RefusedCounts()
        self._some = asyncio.Event()
        self._told = False

    def note(self, reason: str, why: str, path: str, headers: Mapping[str, str], peer: str) -> None:
        """Count a refused webhook; never waits."""
        self._counts.add(refused_webhook(reason, why, path, headers, peer, self._clock()))
        self._some.set()

    async def run(self) -> None:
        """Store counts as long as the process lives."""
        while True:
            await self._some.wait()
            await self._sleep(EVERY)
            await self.flush()

    async def flush(self) -> None:
        """Store the counts; those that can't be stored are tried again with the next."""
        self._some.clear()
        if not self._counts:
            return
        taken = self._counts.take()
        try:
            await self._journal.keep_refused(taken)
        except BridgeError as error:
            self._counts.give_back(taken)
            self._some.set()
            if not self._told:
                log.warning("counts of refused webhooks can't be stored", extra={"why": str(error)})
            self._told = True
        else:
            self._told = False
