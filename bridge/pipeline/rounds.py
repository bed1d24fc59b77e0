"""Repeat a round of work: when it is woken, when its time has come, and after a pause on errors.

What a round does at several services it does in lanes: a service that hangs holds up its own lane.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping
from typing import Any, Generic, TypeVar

from bridge.core.backoff import Backoff
from bridge.core.errors import BridgeError
from bridge.ports.clock import Clock

Round = Callable[[], Awaitable[float]]
"""Does everything that is due; returns the seconds until the next round."""

PATIENCE = 1.0
"""Seconds that a round waits for its lanes; what takes longer goes on beside the next rounds."""

L = TypeVar("L", bound=Hashable)

log = logging.getLogger(__name__)


class Rounds:
    """Runs rounds as long as the process lives."""

    def __init__(self, what: str, do: Round, retry: Backoff) -> None:
        """Take the parts.

        Args:
            what: the work, for the log, e.g. "checks can't be read".
            retry: pauses after a service could not be reached, or after a bug.
        """
        self._what = what
        self._do = do
        self._retry = retry
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Begin the next round at once."""
        self._woken.set()

    async def run(self) -> None:
        """Run rounds for ever."""
        failures = 0
        while True:
            self._woken.clear()  # before the round: a wake during it leads to another one
            try:
                pause = await self._do()
                failures = 0
            except BridgeError as error:
                failures += 1
                log.warning(self._what, extra={"why": str(error)})
                pause = self._retry.after(failures, error)
            except Exception:  # a bug, which must not end the process, which also deploys
                failures += 1
                log.exception(self._what)
                pause = self._retry.pause(failures)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._woken.wait()


async def all_ended(*works: Awaitable[object]) -> None:
    """Wait for all of these, then raise the first error, if there is one."""
    for result in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


class Lanes(Generic[L]):
    """Work of which each lane has some at a time."""

    def __init__(self, what: str, wake: Callable[[], None], patience: float = PATIENCE) -> None:
        """Take the parts.

        Args:
            what: the work, for the log, as of the rounds.
            wake: begins the next round, once a lane has ended that nobody waits for any more.
            patience: seconds to wait for lanes.
        """
        self._what = what
        self._wake = wake
        self._patience = patience
        self._tasks: dict[L, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        """Return how many lanes have work that goes on."""
        return len(self._tasks)

    def goes_on(self, lane: L) -> bool:
        """Return whether the work of a lane goes on."""
        return lane in self._tasks

    async def keep_up(
        self,
        next_at: Callable[[], Awaitable[Mapping[L, float]]],
        do: Callable[[L], Coroutine[Any, Any, None]],
        clock: Clock,
        poll: float,
    ) -> float:
        """Do everything that is due; return the seconds until the next look, `poll` at most.

        Each lane has its turns for itself, so one that hangs holds up no other.

        Args:
            next_at: returns when something is due next in each lane.
            do: does some of what is due in a lane, so that it is due no more.
        """
        while True:
            times = await next_at()
            free = {lane: at for lane, at in times.items() if not self.goes_on(lane)}
            if not (due := [lane for lane, at in free.items() if at <= clock()]):
                return min([poll, *(at - clock() for at in free.values())])
            await self.begin({lane: do(lane) for lane in due})

    async def begin(self, works: Mapping[L, Coroutine[Any, Any, None]]) -> None:
        """Begin work in lanes that are free; return once it has ended, or it takes too long.

        Raises:
            Exception: the first error, of those that have ended in time.
        """
        begun = [self._task(lane, work) for lane, work in works.items()]
        ended, late = await asyncio.wait(begun, timeout=self._patience)
        for task in late:
            task.add_done_callback(self._tell)
        await all_ended(*ended)

    async def end(self) -> None:
        """End everything."""
        tasks = [*self._tasks.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _task(self, lane: L, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = self._tasks[lane] = asyncio.create_task(work, name=f"lane {lane}")
        task.add_done_callback(lambda _task: self._tasks.pop(lane))
        return task

    def _tell(self, task: "asyncio.Task[None]") -> None:
        """Log why late work has failed, and have the rest of its lane done."""
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning(self._what, extra={"why": str(error)}, exc_info=error)
        self._wake()
