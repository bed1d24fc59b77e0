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

HURRY = 20
"""The part of that which a round waits for more lanes once some have taken too long."""

REMEMBERED = 600.0
"""Seconds after its pause for which a failure counts."""

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
    """Rounds whose work is done in lanes; one that fails or hangs delays no other."""

    def __init__(
        self, what: str, do: Round, clock: Clock, retry: Backoff, patience: float = PATIENCE
    ) -> None:
        """Take the parts.

        Args:
            what: the work, for the log, as of the rounds.
            do: a round, which begins the lanes.
            retry: pauses of the rounds, and of a lane whose work has failed.
            patience: seconds that a round waits for lanes.
        """
        self._what = what
        self._rounds = Rounds(what, do, retry)
        self._clock = clock
        self._retry = retry
        self._patience = patience
        self._tasks: dict[L, asyncio.Task[None]] = {}
        self._failed: dict[L, tuple[int, float]] = {}  # how often in a row, and until when it waits

    async def run(self) -> None:
        """Run rounds as long as the process lives."""
        try:
            await self._rounds.run()
        finally:
            await self.end()

    def wake(self) -> None:
        """Begin the next round at once."""
        self._rounds.wake()

    def __len__(self) -> int:
        """Return how many lanes are at work, or wait after a failure."""
        return len(self._tasks.keys() | self._failed.keys())

    def goes_on(self, lane: L) -> bool:
        """Return whether a lane is at work, or waits after a failure."""
        _, until = self._failed.get(lane, (0, 0.0))
        return lane in self._tasks or self._clock() < until

    async def keep_up(
        self,
        next_at: Callable[[], Awaitable[Mapping[L, float]]],
        do: Callable[[L], Coroutine[Any, Any, None]],
        poll: float,
    ) -> float:
        """Do everything that is due; return the seconds until the next look, `poll` at most.

        Args:
            next_at: returns when something is due next in each lane.
            do: does some of what is due in a lane; what it has done must not be due any more.
        """
        late = False
        while True:
            times = await next_at()
            free = {lane: at for lane, at in times.items() if not self.goes_on(lane)}
            if not (due := [lane for lane, at in free.items() if at <= self._clock()]):
                return min([poll, *(at - self._clock() for at in free.values())])
            late = not await self.begin({lane: do(lane) for lane in due}, hurry=late) or late

    async def begin(
        self, works: Mapping[L, Coroutine[Any, Any, None]], *, hurry: bool = False
    ) -> bool:
        """Begin work in lanes that are free, and wait; return whether all has ended in time.

        Args:
            hurry: wait hardly at all, as there was a wait for others just before.
        """
        begun = [self._task(lane, work) for lane, work in works.items()]
        patience = self._patience / HURRY if hurry else self._patience
        _, late = await asyncio.wait(begun, timeout=patience)
        for task in late:  # nobody waits for it any more
            task.add_done_callback(lambda _task: self.wake())
        return not late

    async def end(self) -> None:
        """End everything."""
        tasks = [*self._tasks.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _task(self, lane: L, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = self._tasks[lane] = asyncio.create_task(self._do(lane, work), name=f"lane {lane}")
        task.add_done_callback(lambda _task: self._tasks.pop(lane))
        return task

    async def _do(self, lane: L, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except BridgeError as error:
            log.warning(self._what, extra={"why": str(error)})
            self._pause(lane, error)
        except Exception as error:  # a bug, which must not hold up the other lanes
            log.exception(self._what)
            self._pause(lane, error)
        else:
            self._failed.pop(lane, None)

    def _pause(self, lane: L, error: Exception) -> None:
        """Have a lane wait after a failure."""
        now, failures = self._clock(), self._failed.get(lane, (0, 0.0))[0] + 1
        lately = {one: kept for one, kept in self._failed.items() if kept[1] > now - REMEMBERED}
        self._failed = lately | {lane: (failures, now + self._retry.after(failures, error))}
