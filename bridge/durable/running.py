"""What runs in this process: the dispatcher, which starts waiting flows, and their bodies.

The engine has one thread per queue that polls the database for flows that may run. An interval
short enough for a quick start costs some percent of a core at rest, and flows still wait half of it
on average. So the dispatcher runs the engine's own loop with a bell: it polls at once when this
process has changed the queue, and otherwise only every few seconds.

The queue remains the only source of truth. A poll is one transaction of the engine's that claims
what the queue offers. One ring too many costs a poll; one too few delays a flow by some seconds.
docs/notes/0029-starting-flows-at-once.md lists the races.
"""

import asyncio
import functools
import logging
import random
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

import dbos._dbos as launching
import sqlalchemy as sa
from dbos import DBOS, WorkflowSerializationFormat
from dbos._core import execute_dequeued_workflow
from dbos._queue import Queue, queue_worker_thread
from dbos._sys_db import SystemDatabase

from bridge.durable.system import NAME, QUEUE, VERSION
from bridge.ports.flows import Steps

STOP_SECONDS = 10.0
"""How long a running poll may take before the process ends without it."""

LOOKS_A_SECOND, LOOKS_AT_ONCE = 20.0, 10.0
"""The most polls that a bell causes, in the long run and in a burst: each takes milliseconds, and
they must not take the processor from everything else, however much there is to start."""


class Bell(threading.Event):
    """A stop event for the engine's loop, whose `wait` also ends when it rings.

    A ring is kept until the next `wait` returns. The poll that follows sees everything committed
    before the ring, even if it rang during another poll.
    """

    def __init__(self, seconds: float) -> None:
        """Make `wait` end after about so many seconds if nobody rings."""
        super().__init__()
        self._seconds = seconds
        self._rung = threading.Event()
        self._allowed = LOOKS_AT_ONCE
        self._counted_at = time.monotonic()

    def ring(self) -> None:
        """Make the loop poll at once; may be called from any thread."""
        self._rung.set()

    def set(self) -> None:
        super().set()
        self._rung.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for a ring, the next regular poll, or the stop; return whether to stop.

        Ignore the engine's `timeout`: it comes from a row shared with processes of other releases,
        which have no bell.
        """
        del timeout
        if not self.is_set():
            self._rung.wait(self._seconds * random.uniform(0.8, 1.2))  # noqa: S311 - so that processes take turns
            super().wait(self._pause())
            self._rung.clear()
        return self.is_set()

    def _pause(self) -> float:
        """Return the seconds to pause after too many recent polls, and count one more."""
        now = time.monotonic()
        earned = (now - self._counted_at) * LOOKS_A_SECOND
        self._allowed = min(self._allowed + earned, LOOKS_AT_ONCE) - 1
        self._counted_at = now
        return max(0.0, -self._allowed / LOOKS_A_SECOND)


class Dispatcher:
    """Runs the engine's loop over a queue, in a separate thread."""

    def __init__(self, seconds: float) -> None:
        """Poll every so many seconds without a ring."""
        self._seconds = seconds
        self._bell = Bell(seconds)
        self._thread: threading.Thread | None = None

    @property
    def runs(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self, engine: DBOS, queue: Queue) -> None:
        self._bell = Bell(self._seconds)
        self._bell.ring()  # flows may have been waiting since before this process started
        arguments = (self._bell, engine, queue)
        self._thread = threading.Thread(
            target=queue_worker_thread, args=arguments, name="flows-dispatcher", daemon=True
        )
        self._thread.start()

    def wake(self) -> None:
        """Poll at once: a commit may let a flow begin."""
        self._bell.ring()

    def stop(self) -> None:
        """Start no more flows; block while a poll is running."""
        self._bell.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)


@contextmanager
def only_needed_threads() -> Iterator[None]:
    """Launch the engine without four threads that would constantly poll.

    One finds queues and runs a loop for each, including one of its own that we leave empty. One
    finds delayed flows and those with a time limit, of which we have none; on Postgres it would
    keep a connection open. One polls for schedules, which we don't use. One polls for the engine's
    own notifications, which we don't use either; a stop would wait for its next poll. There is no
    setting for them.
    """
    places: tuple[tuple[Any, str], ...] = (
        (launching, "queue_thread"),
        (launching, "background_jobs_thread"),
        (launching, "dynamic_scheduler_loop"),
        (SystemDatabase, "run_notification_listener"),
    )
    replaced = [getattr(where, name) for where, name in places]
    try:
        for where, name in places:
            setattr(where, name, lambda *_: None)
        yield
    finally:
        for (where, name), thread in zip(places, replaced, strict=True):
            setattr(where, name, thread)


def keep_to(loop: asyncio.AbstractEventLoop, dbos: DBOS) -> None:
    """Have flows run on this loop alone.

    While it pauses, as between the phases of a test, the engine would start them on a loop of its
    own, which the bridge's connections don't belong to.
    """
    dbos._background_event_loop.target_loop = lambda: loop  # type: ignore[method-assign]  # noqa: SLF001 - there is no setting for it


class _LoopThreads(ThreadPoolExecutor):
    """The loop's threads; the engine believes that they are its own."""

    def __init__(self, threads: int, dbos: DBOS) -> None:
        super().__init__(threads, thread_name_prefix="asyncio")
        self.executor = dbos._executor_field  # noqa: SLF001 - by which the engine knows its own


@contextmanager
def own_threads(loop: asyncio.AbstractEventLoop, dbos: DBOS, threads: int) -> Iterator[None]:
    """Give the loop threads of its own, while the engine stops and from then on.

    At almost every call the engine makes its own the loop's (sharp edge 11), and they end with it,
    together with the work that still waits for one.
    """
    own = _LoopThreads(threads, dbos)
    dbos._shared_executor_field = own  # type: ignore[assignment]  # noqa: SLF001 - there is no setting for it
    loop.set_default_executor(own)
    try:
        yield
    finally:
        dbos._shared_executor_field = None  # noqa: SLF001 - it would keep the threads alive


# ── The bodies of flows, which the engine runs on our event loop ──────────────────────────────────

T = TypeVar("T")

Body = Callable[[Steps, str], Awaitable[None]]
"""A flow's body: takes its steps, and the id it was started with."""

Flow = Callable[[str], Awaitable[None]]


class Bodies:
    """The bodies by their flow's name, and the flows that run in this process.

    Attributes:
        stopping: the engine stops, so any error may be due to that.
    """

    def __init__(self, ended: Callable[[], None]) -> None:
        """Take the callback for each recorded end of a flow."""
        self.stopping = False
        self._ended = ended
        self._bodies: dict[str, Body] = {}
        self._running: dict[str, asyncio.Task[Any]] = {}

    def add(self, flow: str, body: Body) -> None:
        self._bodies[flow] = body

    def flows(self) -> dict[str, Flow]:
        """Register all flows with the engine, and return them by name."""
        return {
            flow: _workflow(flow, functools.partial(self._run, body))
            for flow, body in self._bodies.items()
        }

    def running(self) -> list[str]:
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
        # The engine records the outcome in this same task, after the body has returned.
        task.add_done_callback(lambda _: self._ended())
        name = DBOS.workflow_id or id_
        # The engine runs a flow a second time if its database has lost the first run. It knows only
        # the newer run, so the older one ends; a body first checks what is already done.
        await self.cut_off([name])
        self._running[name] = task
        try:
            with self._cut_off_by_a_stop():
                await body(_DbosSteps(self._cut_off_by_a_stop), id_)
        finally:
            if self._running.get(name) is task:
                del self._running[name]

    @contextmanager
    def _cut_off_by_a_stop(self) -> Iterator[None]:
        """Cancel a flow instead of an error while the engine stops: that is no end of the flow."""
        try:
            yield
        except Exception as error:
            if self.stopping:
                raise asyncio.CancelledError from error
            raise


class _DbosSteps:
    def __init__(self, cut_off: Callable[[], AbstractContextManager[None]]) -> None:
        self._cut_off = cut_off

    async def run(self, name: str, action: Callable[[], Awaitable[T]]) -> T:
        async def step() -> T:
            return await action()

        with self._cut_off():  # here, so that no body takes the error for a bug of its own
            return await DBOS.run_step_async({"name": name}, step)


def _workflow(flow: str, work: Flow) -> Flow:
    # JSON that any release can read, not pickle (edge 9). Recovery is unlimited: the machine may
    # die often, and the deployment must still come to its end.
    @DBOS.workflow(
        name=flow,
        serialization_type=WorkflowSerializationFormat.PORTABLE,
        max_recovery_attempts=None,
    )
    async def run(id_: str) -> None:
        await work(id_)

    return run


# ── Begin at once ─────────────────────────────────────────────────────────────────────────────────

log = logging.getLogger(__name__)

LONE = 0.05
"""A flow that is enqueued within this many seconds of the last one is left to the poll.

Flows of a burst share the engine's polls, which costs less.
"""

_IN_FLIGHT = [sa.literal_column(f"'{one}'", sa.Text) for one in ("ENQUEUED", "PENDING")]
"""Literals, since SQLite uses the partial index only if its condition is repeated."""


class Claims:
    """Claims flows for this process."""

    def __init__(self, engine: DBOS, executor_id: str) -> None:
        """Build the statement."""
        self._engine = engine
        self._system = engine._sys_db  # noqa: SLF001 - its public ways only enqueue
        self._last = -LONE
        self._claim = self._statement(executor_id)

    def lone(self) -> bool:
        """Return whether no other flow was enqueued just before, and note that this one was."""
        before, self._last = self._last, time.monotonic()
        return self._last - before >= LONE

    def begin(self, name: str, key: str) -> bool:
        """Begin a flow if it is the only one of its key; return whether it has begun.

        Call it in a thread: it waits for the database.
        """
        token = str(uuid.uuid4())
        try:
            with self._system.engine.begin() as db:
                claimed = db.execute(self._claim, {"its_name": name, "its_key": key, "its": token})
            if claimed.rowcount == 0:
                return False
            (status,) = self._system.get_workflow_statuses([name])
            execute_dequeued_workflow(self._engine, status, token)
        except Exception:  # whatever failed, the row is in the queue or is found as orphaned
            log.exception("a flow does not begin at once", extra={"flow": name})
            return False
        return True

    def _statement(self, executor_id: str) -> sa.Update:
        """Return the engine's own change of a row, for a flow that is alone."""
        t = self._system.tables.workflow_status
        name, key = sa.bindparam("its_name", type_=sa.Text), sa.bindparam("its_key", type_=sa.Text)
        other = t.alias("other")
        before = (
            sa.select(other.c.workflow_uuid)
            .where((other.c.queue_name == QUEUE) & (other.c.queue_partition_key == key))
            .where(other.c.status.in_(_IN_FLIGHT) & (other.c.workflow_uuid != name))
        )
        now = self._system._now_ms_sql()  # noqa: SLF001 - the clock that its rows are compared by
        return (
            sa.update(t)
            .where((t.c.workflow_uuid == name) & (t.c.status == "ENQUEUED"))
            .where((t.c.queue_name == QUEUE) & ~before.exists())
            .values(
                status="PENDING",
                owner_xid=sa.bindparam("its", type_=sa.Text),
                executor_id=executor_id,
                application_version=VERSION,
                application_name=NAME,
                started_at_epoch_ms=now,
                updated_at=now,
                rate_limited=False,
                recovery_attempts=t.c.recovery_attempts + 1,
            )
        )
