"""Compute slow results in the background, and cache them for a while."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

FRESH = 300.0
"""Seconds for which a result is fresh."""

PATIENCE = 0.03
"""Seconds to wait for a quick result; a slow one is shown on a later request."""

MOST_KEPT = 50
"""Results in memory."""


class Workshop:
    """Caches the newest results; concurrent requests share one computation."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._done: dict[Hashable, tuple[float, Any]] = {}
        self._working: dict[Hashable, asyncio.Task[Any]] = {}

    async def result(self, key: Hashable, work: Callable[[], Awaitable[Any]]) -> Any:
        """Return a result; None while the first one is being computed.

        A stale result is returned as well, while the next one is being computed.
        """
        done = self._done.get(key)
        if done is not None and self._clock() - done[0] < FRESH:
            return done[1]
        if key not in self._working:
            self._working[key] = task = asyncio.create_task(_awaited(work), name="console work")
            task.add_done_callback(lambda task: self._keep(key, task))
        if done is not None:
            return done[1]
        await asyncio.wait({self._working[key]}, timeout=PATIENCE)
        found = self._done.get(key)
        return None if found is None else found[1]

    def _keep(self, key: Hashable, task: "asyncio.Task[Any]") -> None:
        del self._working[key]
        if task.cancelled() or task.exception() is not None:
            return
        self._done[key] = self._clock(), task.result()
        while len(self._done) > MOST_KEPT:
            del self._done[next(iter(self._done))]


async def _awaited(work: Callable[[], Awaitable[Any]]) -> Any:
    return await work()
