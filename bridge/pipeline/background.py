"""Work in the background: rounds that are repeated, their lanes, and the one process that leads.

A round begins when it is woken, when its time has come, and after a pause on errors. What it does
at several services it does in lanes: a service that hangs holds up its own lane.

The leader does what is periodic, e.g. reading, catching up, expiry. It holds a lease that it renews
and that outlasts it by seconds. So even work that takes an hour, or is due once an hour, does not
depend on one process: when the leader is gone, the next one takes over at once.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Generic, TypeVar

from bridge.core.backoff import Backoff
from bridge.core.errors import BridgeError
from bridge.ports.clock import Clock, Sleep
from bridge.ports.journal import Notes

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


async def all_ended(*works: Awaitable[object]) -> None:
    """Wait for all of these, then raise the first error, if there is one."""
    for result in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


async def cancelled(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    """Cancel tasks, and wait until they have ended."""
    going = [*tasks]
    for task in going:
        task.cancel()
    await asyncio.gather(*going, return_exceptions=True)


@dataclass(eq=False)
class Rounds:
    """Runs rounds as long as the process lives.

    Attributes:
        what: the work, for the log, e.g. "checks can't be read".
        retry: pauses after a service could not be reached, or after a bug.
    """

    what: str
    do: Round
    retry: Backoff
    _woken: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def wake(self) -> None:
        """Begin the next round at once."""
        self._woken.set()

    async def run(self) -> None:
        failures = 0
        while True:
            self._woken.clear()  # before the round: a wake during it leads to another one
            try:
                pause = await self.do()
                failures = 0
            except BridgeError as error:
                failures += 1
                log.warning(self.what, extra={"why": str(error)})
                pause = self.retry.after(failures, error)
            except Exception:  # a bug, which must not end the process, which also deploys
                failures += 1
                log.exception(self.what)
                pause = self.retry.pause(failures)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._woken.wait()


@dataclass(eq=False)
class Lanes(Generic[L]):
    """Rounds whose work is done in lanes; one that fails or hangs delays no other.

    Attributes:
        retry: pauses of the rounds, and of a lane whose work has failed.
        patience: seconds that a round waits for lanes.
    """

    what: str
    do: Round
    clock: Clock
    retry: Backoff
    patience: float = PATIENCE
    _rounds: Rounds = field(init=False)
    _tasks: dict[L, "asyncio.Task[None]"] = field(default_factory=dict, init=False)
    _failed: dict[L, tuple[int, float]] = field(default_factory=dict, init=False)
    """How often in a row, and until when it waits."""

    def __post_init__(self) -> None:
        self._rounds = Rounds(self.what, self.do, self.retry)

    async def run(self) -> None:
        try:
            await self._rounds.run()
        finally:
            await self.end()

    def wake(self) -> None:
        self._rounds.wake()

    def __len__(self) -> int:
        """Return how many lanes are at work, or wait after a failure."""
        return len(self._tasks.keys() | self._failed.keys())

    def goes_on(self, lane: L) -> bool:
        """Return whether a lane is at work, or waits after a failure."""
        _, until = self._failed.get(lane, (0, 0.0))
        return lane in self._tasks or self.clock() < until

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
            if not (due := [lane for lane, at in free.items() if at <= self.clock()]):
                return min([poll, *(at - self.clock() for at in free.values())])
            late = not await self.begin({lane: do(lane) for lane in due}, hurry=late) or late

    async def begin(
        self, works: Mapping[L, Coroutine[Any, Any, None]], *, hurry: bool = False
    ) -> bool:
        """Begin work in lanes that are free, and wait; return whether all has ended in time.

        Args:
            hurry: wait hardly at all, as there was a wait for others just before.
        """
        if not works:
            return True
        begun = [self._task(lane, work) for lane, work in works.items()]
        patience = self.patience / HURRY if hurry else self.patience
        _, late = await asyncio.wait(begun, timeout=patience)
        for task in late:  # nobody waits for it any more
            task.add_done_callback(lambda _task: self.wake())
        return not late

    async def end(self) -> None:
        await cancelled(self._tasks.values())

    def _task(self, lane: L, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = self._tasks[lane] = asyncio.create_task(self._do(lane, work), name=f"lane {lane}")
        task.add_done_callback(lambda _task: self._tasks.pop(lane))
        return task

    async def _do(self, lane: L, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except BridgeError as error:
            log.warning(self.what, extra={"why": str(error)})
            self._pause(lane, error)
        except Exception as error:  # a bug, which must not hold up the other lanes
            log.exception(self.what)
            self._pause(lane, error)
        else:
            self._failed.pop(lane, None)

    def _pause(self, lane: L, error: Exception) -> None:
        now, failures = self.clock(), self._failed.get(lane, (0, 0.0))[0] + 1
        lately = {one: kept for one, kept in self._failed.items() if kept[1] > now - REMEMBERED}
        self._failed = lately | {lane: (failures, now + self.retry.after(failures, error))}


# ── the leader ───────────────────────────────────────────────────────────────────────────────────

LEASE = "lead"

SECONDS = 8.0
"""Seconds by which the lease outlasts a dead process."""

PAUSE = 2.0
"""Seconds between two attempts to take or renew it."""

Turn = Callable[[], Awaitable[object]]
"""Returns once it is this process's turn."""


async def at_once() -> None:
    """Return at once: there is one process."""


@dataclass(eq=False)
class Lead:
    """This process's view of the lead; `owner` names it among others."""

    journal: Notes
    owner: str
    _: KW_ONLY
    seconds: float = SECONDS
    sleep: Sleep = asyncio.sleep
    _ours: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _end: asyncio.TimerHandle | None = field(default=None, init=False)

    async def run(self) -> None:
        while True:
            await self.sleep(PAUSE)
            await self.ask()

    async def ask(self) -> None:
        """Take the lease if nobody has it, or renew it."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self.seconds  # counted from before the request: never too late
        try:
            held = await self.journal.hold(LEASE, self.owner, self.seconds)
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
        return self._ours.is_set()

    async def turn(self) -> None:
        await self._ours.wait()
