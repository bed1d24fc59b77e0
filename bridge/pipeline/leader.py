"""The leader: the one process that does periodic work, e.g. reading, catching up, expiry.

It holds a lease that it renews and that outlasts it by seconds. So even work that takes an hour, or
is due once an hour, does not depend on one process: when the leader is gone, the next one takes
over at once.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from bridge.core.errors import BridgeError
from bridge.ports.clock import Sleep
from bridge.ports.journal import Leases

log = logging.getLogger(__name__)

LEASE = "lead"

SECONDS = 8.0
"""Seconds by which the lease outlasts a dead process."""

PAUSE = 2.0
"""Seconds between two attempts to take or renew it."""

Turn = Callable[[], Awaitable[object]]
"""Returns once it is this process's turn."""


async def at_once() -> None:
    """Return at once: there is one process."""


class Lead:
    """This process's view of the lead."""

    def __init__(
        self, journal: Leases, owner: str, *, seconds: float = SECONDS, sleep: Sleep = asyncio.sleep
    ) -> None:
        """Take the parts; `owner` names this process among others."""
        self._journal = journal
        self._owner = owner
        self._seconds = seconds
        self._sleep = sleep
        self._ours = asyncio.Event()
        self._end: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Take the lead, and keep it, as long as the process lives."""
        while True:
            await self._sleep(PAUSE)
            await self.ask()

    async def ask(self) -> None:
        """Take the lease if nobody has it, or renew it."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._seconds  # counted from before the request: never too late
        try:
            held = await self._journal.hold(LEASE, self._owner, self._seconds)
        except BridgeError as error:  # the lease expires by itself
            log.warning("leadership can't be requested", extra={"why": str(error)})
            return
        if self._end is not None:
            self._end.cancel()
        if not held:
            self._ours.clear()
            return
        if not self._ours.is_set():
            log.info("this process leads: it reads the apps, catches up and deletes old data")
            self._ours.set()
        self._end = loop.call_at(until, self._ours.clear)

    async def ours(self) -> bool:
        """Return whether it is this process's turn."""
        return self._ours.is_set()

    async def turn(self) -> None:
        """Return once it is this process's turn."""
        await self._ours.wait()
