"""The rate limiter: write to each lane as fast as its service allows, and no faster."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bridge.core.errors import TooEarly
from bridge.ports.clock import Clock, Limit, Sleep
from bridge.ports.feedback import Turn, next_turn, shared

LONG = 5.0
"""The longest that a write waits for its turn, in seconds; later, it would be outdated."""

NO_WAIT = 0.0
"""Give the lane back instead: something else may be more urgent by then."""


class RateLimiter:
    """Counts the writes of every lane, in memory; after a restart the service itself enforces it.

    All writers to a service share one, so their writes are counted together.
    """

    def __init__(self, clock: Clock, *, sleep: Sleep = asyncio.sleep) -> None:
        self.clock = clock
        self._sleep = sleep
        self._written: dict[str, deque[float]] = {}
        self._limits: dict[str, tuple[Limit, ...]] = {}
        self._order: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._waiting: set[asyncio.Task[object] | None] = set()
        self._closed = False

    def open(self) -> None:
        """Give turns again, after `close`."""
        self._closed = False

    def close(self) -> None:
        """Let no further write begin: cancel callers that wait for a turn, now or later.

        Writes that have had their turn continue, so their results can still be recorded.
        """
        self._closed = True
        for task in self._waiting:
            if task is not None:
                task.cancel()

    def within(self, limits: Sequence[Limit], *, share: float = 1.0, longest: float = LONG) -> Turn:
        """Return the `Turn` of a service with these limits per lane.

        Args:
            share: of each limit; beyond it these writes wait, which leaves room for others.
            longest: seconds that a write waits; TooEarly instead of a longer wait.
        """
        own = shared(limits, share)

        async def turn(lane: str) -> None:
            self._limits[lane] = tuple(limits)
            with self._waits():
                async with self._order[lane]:
                    await self._take(lane, own, longest)

        return turn

    def free_at(self, lane: str) -> float:
        """Return when a lane may be written to again; not in the future if it is free."""
        return next_turn(self._limits.get(lane, ()), self._written.get(lane, ()), 0.0)

    @contextmanager
    def _waits(self) -> Iterator[None]:
        if self._closed:
            raise asyncio.CancelledError
        task = asyncio.current_task()
        self._waiting.add(task)
        try:
            yield
        finally:
            self._waiting.discard(task)

    async def _take(self, lane: str, limits: Sequence[Limit], longest: float) -> None:
        most = max((limit.writes for limit in self._limits[lane]), default=1)
        written = self._written.setdefault(lane, deque(maxlen=most))
        now = self.clock()
        if (wait := next_turn(limits, written, now) - now) > longest:
            why = f"written as often as it allows, so the next may go in {wait:.0f} s"
            raise TooEarly(lane, why, retry_after=wait)
        if wait > 0:
            await self._sleep(wait)
        written.append(self.clock())
