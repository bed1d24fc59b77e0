"""What runs in this process: the dispatcher, which starts waiting flows, and their bodies.

The engine has a thread for each queue that asks the database, at an interval, which flows may run.
An interval that is short enough for a quick start costs some percent of a core at rest, and half
of it still passes before a flow begins. So the dispatcher runs the engine's own loop with a bell:
it looks at once when this process has changed the queue, and otherwise only every few seconds.

The queue stays the only truth. A look is one transaction of the engine's that claims what the
queue gives. One ring too many costs a look; one too few delays a flow by some seconds.
docs/notes/0029-starting-flows-at-once.md lists the races.
"""

import asyncio
import functools
import random
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import dbos._dbos as launching
from dbos import DBOS, WorkflowSerializationFormat
from dbos._queue import Queue, queue_worker_thread

from bridge.ports.flows import Steps

THREAD = "flows-dispatcher"

STOP_SECONDS = 10.0
"""How long a look that is under way may take until the process ends without it."""

LOOKS_A_SECOND, LOOKS_AT_ONCE = 20.0, 10.0
"""Looks that a bell causes at most, in the long run and in one go: each takes milliseconds, and
however much there is to start, they must not take the processor from all the rest."""


class Bell(threading.Event):
    """A stop event for the engine's loop, whose `wait` also ends when it rings.

    A ring is kept until the next `wait` returns. What was committed before it rang is seen by
    the look that follows, also when it rings during another look.
    """

    def __init__(self, seconds: float) -> None:
        """Have `wait` end after about so many seconds when nobody rings."""
        super().__init__()
        self._seconds = seconds
        self._rung = threading.Event()
        self._allowed = LOOKS_AT_ONCE
        self._counted_at = time.monotonic()

    def ring(self) -> None:
        """Have the loop look at once; from any thread."""
        self._rung.set()

    def set(self) -> None:
        """Stop the loop."""
        super().set()
        self._rung.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for a ring, the time to look anyway, or the stop; return whether to stop.

        The engine's `timeout` comes from a row that processes of other releases share, which
        have no bell; how often this process looks is not their business.
        """
        del timeout
        if not self.is_set():
            self._rung.wait(self._seconds * random.uniform(0.8, 1.2))  # noqa: S311 - so that processes take turns
            super().wait(self._pause())
            self._rung.clear()
        return self.is_set()

    def _pause(self) -> float:
        """Return the seconds by which there were too many looks of late, and count one more."""
        now = time.monotonic()
        earned = (now - self._counted_at) * LOOKS_A_SECOND
        self._allowed = min(self._allowed + earned, LOOKS_AT_ONCE) - 1
        self._counted_at = now
        return max(0.0, -self._allowed / LOOKS_A_SECOND)


class Dispatcher:
    """Runs the engine's loop over a queue, in a thread of its own."""

    def __init__(self, seconds: float) -> None:
        """Have it look every so many seconds by itself."""
        self._seconds = seconds
        self._bell = Bell(seconds)
        self._thread: threading.Thread | None = None

    @property
    def runs(self) -> bool:
        """Whether flows are started; the engine's loop ends when its queue is gone."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, engine: DBOS, queue: Queue) -> None:
        """Start what waits in this queue, from now on."""
        self._bell = Bell(self._seconds)
        self._bell.ring()  # something may wait since before this process was there
        arguments = (self._bell, engine, queue)
        self._thread = threading.Thread(
            target=queue_worker_thread, args=arguments, name=THREAD, daemon=True
        )
        self._thread.start()

    def wake(self) -> None:
        """Look at once: something was committed that may let a flow begin."""
        self._bell.ring()

    def stop(self) -> None:
        """Start nothing any more; blocks while a look is under way."""
        self._bell.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)


@contextmanager
def only_needed_threads() -> Iterator[None]:
    """Have the engine launch without two threads that would ask the database all the time.

    One looks for queues and runs a loop for each, also for one of its own that we leave empty.
    The other looks for flows that are delayed or have a time limit, which ours never are; on
    Postgres it would keep a connection for that. There is no setting for either.
    """
    replaced: dict[str, Any] = {
        name: getattr(launching, name) for name in ("queue_thread", "background_jobs_thread")
    }
    try:
        for name in replaced:
            setattr(launching, name, _nothing)
        yield
    finally:
        for name, thread in replaced.items():
            setattr(launching, name, thread)


def _nothing(*_: object) -> None:
    """End at once."""


# ── The bodies of flows, which the engine runs on our event loop ────────────────────────────────

T = TypeVar("T")

Body = Callable[[Steps, str], Awaitable[None]]
"""A flow's body: takes its steps, and the id it was started with."""

Flow = Callable[[str], Awaitable[None]]


class _DbosSteps:
    async def run(self, name: str, action: Callable[[], Awaitable[T]]) -> T:
        async def step() -> T:
            return await action()

        return await DBOS.run_step_async({"name": name}, step)


class Bodies:
    """The bodies by their flow's name, and the flows that run in this process."""

    def __init__(self, ended: Callable[[], None]) -> None:
        """Take what to call when the end of a flow is written down."""
        self._ended = ended
        self._bodies: dict[str, Body] = {}
        self._running: dict[str, asyncio.Task[Any]] = {}

    def add(self, flow: str, body: Body) -> None:
        """Register a flow's body."""
        self._bodies[flow] = body

    def flows(self) -> dict[str, Flow]:
        """Register all flows with the engine, and return them by name."""
        return {
            flow: _workflow(flow, functools.partial(self._run, body))
            for flow, body in self._bodies.items()
        }

    def runs(self, name: str) -> bool:
        """Return whether a flow runs here."""
        return name in self._running

    def running(self) -> list[str]:
        """Return the names of the flows that run here."""
        return list(self._running)

    async def cut_off(self, names: Iterable[str] | None = None) -> None:
        """Cancel these flows, by default all that run here; their outcome stays open."""
        some = self.running() if names is None else names
        tasks = [self._running[name] for name in some if name in self._running]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, body: Body, id_: str) -> None:
        task = asyncio.current_task()
        assert task is not None
        # The engine writes down the outcome in this same task, after the body has returned.
        task.add_done_callback(lambda _: self._ended())
        name = DBOS.workflow_id or id_
        # The engine runs a flow a second time if its database has lost that it runs. It knows
        # only the newer run, so the older one ends; a body looks first at what is done already.
        await self.cut_off([name])
        self._running[name] = task
        try:
            await body(_DbosSteps(), id_)
        finally:
            if self._running.get(name) is task:
                del self._running[name]


def _workflow(flow: str, work: Flow) -> Flow:
    # JSON that any release reads, not pickle (edge 9). A flow may be recovered without end: the
    # machine may die often, and the deployment must still come to its end.
    @DBOS.workflow(
        name=flow,
        serialization_type=WorkflowSerializationFormat.PORTABLE,
        max_recovery_attempts=None,
    )
    async def run(id_: str) -> None:
        await work(id_)

    return run
