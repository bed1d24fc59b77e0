"""How much may be asked of others for our own curiosity."""

import asyncio
from collections.abc import Awaitable, Callable

from bridge.core.errors import BridgeError, Unreachable
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


class Resting:
    """The owners of repositories whose limit is used up, for one round.

    Each installation of a GitHub App has a limit of its own, and is one owner's.
    """

    def __init__(self) -> None:
        self._owners: set[tuple[str, str]] = set()

    def has(self, host: str, repository: str) -> bool:
        """Return whether nothing of this repository needs to be asked now."""
        return (host, _owner(repository)) in self._owners

    def note(self, host: str, repository: str, error: BridgeError) -> None:
        """Leave an owner alone where its host has asked us to wait."""
        if isinstance(error, Unreachable) and error.retry_after is not None:
            self._owners.add((host, _owner(repository)))


def _owner(repository: str) -> str:
    return repository.rpartition("/")[0].lower()
