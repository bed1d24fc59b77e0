"""How much may be asked of others for our own curiosity."""

import asyncio
from collections.abc import Awaitable, Callable

from bridge.ports.clock import Clock

Sleep = Callable[[float], Awaitable[object]]


class Budget:
    """So many requests an hour, the first ones at once: a token bucket.

    It keeps what nobody waits for from using up a rate limit that feedback needs as well.
    """

    def __init__(
        self, clock: Clock, *, hourly: float, burst: float, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._clock = clock
        self._rate = hourly / 3600
        self._burst = burst
        self._left = burst
        self._at = clock()
        self._sleep = sleep

    async def spend(self) -> None:
        """Take one request, waiting until there is one."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        self._left -= 1
        if self._left < 0:
            await self._sleep(-self._left / self._rate)
