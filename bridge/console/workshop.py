"""Work out beside the pages what takes seconds, and keep it for a while."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

FRESH = 300.0
"""Seconds for which a result is shown again."""

PATIENCE = 0.03
"""Seconds to wait for a small one; a large one comes with the next look."""

MOST_KEPT = 50
"""Results in memory."""


class Workshop:
    """Keeps the newest results; each is worked out once for all who ask meanwhile."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._done: dict[Hashable, tuple[float, Any]] = {}
        self._working: dict[Hashable, asyncio.Task[Any]] = {}

    async def result(self, key: Hashable, work: Callable[[], Awaitable[Any]]) -> Any:
        """Return a result, at most some minutes old; None while the first is worked out.

        A result that is older is returned as well, while the next one is worked out.
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
