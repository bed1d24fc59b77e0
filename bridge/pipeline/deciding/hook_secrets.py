"""Keep the secrets of the bridge's own webhooks in memory, as the store has them.

A command in another process may have made a webhook a moment ago, so a webhook that no known secret
has signed waits for the next reading. There is at most one a second, however many wait.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence

from bridge.core.errors import BridgeError
from bridge.ports.clock import Sleep
from bridge.ports.hooks import MadeHook, MadeHooks

log = logging.getLogger(__name__)

PAUSE = 1.0
"""Seconds between two readings, at least."""

EVERY = 10.0
"""Seconds between two readings if nobody waits: so long is a dropped secret still accepted."""

MOST_WAITING = 32
"""Webhooks that may wait for a reading; more are refused at once, as they hold memory."""

Use = Callable[[Sequence[MadeHook]], None]
"""Called with the webhooks after each reading."""


class HookSecrets:
    """Reads the webhooks at the start, when asked to, and now and then."""

    def __init__(self, store: MadeHooks, use: Use, sleep: Sleep = asyncio.sleep) -> None:
        self._store = store
        self._use = use
        self._sleep = sleep
        self._asked = asyncio.Event()
        self._waiting: list[asyncio.Future[bool]] = []

    async def read(self) -> None:
        """Read and use them; some secrets are accepted only for a while."""
        self._use(await self._store.made_hooks())

    @property
    def full(self) -> bool:
        """Return whether so many webhooks wait for a reading that no other may."""
        return len(self._waiting) >= MOST_WAITING

    async def renew(self) -> bool:
        """Wait for the next reading; return False if there was none."""
        if self.full:
            return False
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self._asked.set()
        return await done

    async def run(self) -> None:
        """Read as long as the process lives."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    await self._asked.wait()
            self._asked.clear()
            waiting, self._waiting = self._waiting, []
            done = await self._read_or_tell()
            for one in waiting:
                if not one.done():
                    one.set_result(done)
            await self._sleep(PAUSE)

    async def _read_or_tell(self) -> bool:
        try:
            await self.read()
        except BridgeError as error:
            log.warning("secrets of webhooks can't be read", extra={"why": str(error)})
            return False
        return True
