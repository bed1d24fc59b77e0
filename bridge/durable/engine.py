"""The workflow engine: DBOS Transact, configured for this project and kept behind `Flows`.

There is one queue, since each costs a poll; it is partitioned by flow and key, so that
flows of one key run one at a time and in the order of their ids. The sharp edges named
here are those of durability.md, which measured them.
"""

import asyncio
import functools
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, SetEnqueueOptions, SetWorkflowID, WorkflowSerializationFormat
from dbos._error import DBOSAwaitedWorkflowCancelledError
from sqlalchemy import event

from bridge.core.errors import Unreachable
from bridge.ports import Steps

log = logging.getLogger(__name__)
T = TypeVar("T")

VERSION = "1"
"""Pinned: by default it is a hash of the source, and a new release would strand what
waits (sharp edge 3). Raise it only with flows that can't replay what older ones recorded."""

QUEUE = "flows"

_OVER = ("SUCCESS", "ERROR", "CANCELLED")
"""The engine's words for flows that have ended."""

Body = Callable[[Steps, str], Awaitable[None]]
"""A flow's body: its steps, and the id it was started with."""

Flow = Callable[[str], Awaitable[None]]


def sqlite_engine(path: Path) -> sa.Engine:
    """An engine for the workflows' own SQLite file.

    DBOS's default journal mode is five times slower (sharp edge 5); BEGIN IMMEDIATE and
    foreign keys are as DBOS sets them on engines that it makes itself.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        connection.isolation_level = "IMMEDIATE"
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "busy_timeout=30000",
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    return engine


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError) as error:
        raise Unreachable("the workflow engine", str(getattr(error, "orig", error))) from error


class _Dropped(logging.Filter):
    """Leaves out what DBOS says of a flow that was dropped just as it began: we dropped it."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info and record.exc_info[1]
        if isinstance(error, DBOSAwaitedWorkflowCancelledError):
            return False
        message = record.getMessage()
        return not (
            "was cancelled during execution" in message
            or "is no longer owned by this execution" in message
        )


class _DbosSteps:
    async def run(self, name: str, action: Callable[[], Awaitable[T]]) -> T:
        async def step() -> T:
            return await action()

        return await DBOS.run_step_async({"name": name}, step)


class DurableFlows:
    """Flows that survive the process, in the database behind `engine`.

    DBOS is one per process, so this is too. On SQLite the caller holds a lock on the data
    directory: two processes under one executor id would repeat each other's effects (sharp
    edge 2).
    """

    def __init__(
        self,
        engine: sa.Engine,
        *,
        executor_id: str,
        concurrency: int = 64,
        poll_seconds: float = 0.05,
        threads: int = 16,
    ) -> None:
        self._engine = engine
        self._executor_id = executor_id
        self._concurrency = concurrency
        self._poll_seconds = poll_seconds
        self._threads = threads
        self._bodies: dict[str, Body] = {}
        self._dropped = _Dropped()
        self._running: set[asyncio.Task[Any]] = set()
        self._flows: dict[str, Flow] = {}

    def register(self, flow: str, body: Body) -> None:
        """Say what a flow does; before `launch`, and under a name that never changes."""
        self._bodies[flow] = body

    async def launch(self) -> None:
        """Start the engine; flows that a dead process left behind go on by themselves."""
        DBOS(config=self._config())
        logging.getLogger("dbos").addFilter(self._dropped)
        for flow, body in self._bodies.items():
            self._flows[flow] = _workflow(flow, functools.partial(self._run, body))
        # On this loop's own thread, so that flows run on this loop, beside all the rest.
        DBOS.launch()
        await DBOS.register_queue_async(
            QUEUE,
            partition_concurrency=1,
            # Without it the first poll would claim everything (sharp edge 8).
            worker_concurrency=self._concurrency,
            polling_interval_sec=self._poll_seconds,
            on_conflict="always_update",
        )

    async def start(self, flow: str, id_: str, *, key: str) -> None:
        """Start a flow unless its id was started before; flows of one key run one at a time.

        Raises:
            Unreachable: its database can't be written.
        """
        with _translated():
            await self._enqueue(flow, id_, key)

    async def drop(self, flow: str, ids: Sequence[str]) -> None:
        """Take waiting flows out of the queue, where others would wait behind them.

        One of them that has just begun is cut off at its next step.

        Raises:
            Unreachable: the database can't be written.
        """
        if ids:
            with _translated():
                await DBOS.cancel_workflows_async([f"{flow}.{id_}" for id_ in ids])

    async def forget(self, before: float, limit: int) -> int:
        """Forget some flows that ended before then (sharp edge 10); how many.

        Raises:
            Unreachable: the database can't be written.
        """
        with _translated():
            over = await DBOS.list_workflows_async(
                status=list(_OVER),
                end_time=datetime.fromtimestamp(before, UTC).isoformat(),
                completed_before=datetime.fromtimestamp(before, UTC).isoformat(),
                limit=limit,
                load_input=False,
                load_output=False,
            )
            ids = [flow.workflow_id for flow in over]
            if ids:
                await DBOS.delete_workflows_async(ids)
        return len(ids)

    async def _enqueue(self, flow: str, id_: str, key: str) -> None:
        # Ids are ordered by time: SQLite stamps whole seconds, so FIFO rests on them (edge 4).
        with SetWorkflowID(f"{flow}.{id_}"), SetEnqueueOptions(queue_partition_key=f"{flow}.{key}"):
            await DBOS.enqueue_workflow_async(QUEUE, self._flows[flow], id_)  # type: ignore[arg-type]  # DBOS wants a Coroutine, we promise no more than an Awaitable

    async def ready(self) -> None:
        """Raises Unreachable when its database can't be read."""
        with _translated():
            await DBOS.list_workflows_async(limit=1, load_input=False, load_output=False)

    async def stop(self) -> None:
        """Stop the engine; what runs is cut off here and goes on at the next launch."""
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        logging.getLogger("dbos").setLevel(logging.CRITICAL)  # it would tell of each cut below

        def destroy() -> None:
            DBOS.destroy(workflow_completion_timeout_sec=0, destroy_registry=True)
            loop.call_soon_threadsafe(done.set_result, None)

        # In a thread of its own, since it joins threads; and before the running bodies are
        # cut off, so that nothing can write down the cut as their end.
        threading.Thread(target=destroy, name="flows-stop").start()
        await done
        # It made its own executor, closed by now, the loop's default one (sharp edge 11).
        loop.set_default_executor(ThreadPoolExecutor(self._threads))
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        logging.getLogger("dbos").removeFilter(self._dropped)
        self._engine.dispose()

    async def _run(self, body: Body, id_: str) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            await body(_DbosSteps(), id_)
        finally:
            self._running.discard(task)

    def _config(self) -> DBOSConfig:
        return {
            "name": "dokploy-bridge",
            "system_database_url": self._engine.url.render_as_string(hide_password=False),
            "system_database_engine": self._engine,
            "executor_id": self._executor_id,
            "application_version": VERSION,
            # It replaces the loop's default executor by an unbounded one otherwise (edge 11).
            "max_executor_threads": self._threads,
            "log_level": "WARNING",
            "console_log_level": "WARNING",
            "enable_otlp": False,
            # Its listener looks once in this time whether it should end; we send it nothing.
            "notification_listener_polling_interval_sec": 0.25,
        }


def _workflow(
    flow: str, work: Callable[[str], Awaitable[None]]
) -> Callable[[str], Awaitable[None]]:
    # JSON that any release reads, not pickle (edge 9); a flow may be recovered without end,
    # since the machine may die often and the deployment must still come to its end.
    @DBOS.workflow(
        name=flow,
        serialization_type=WorkflowSerializationFormat.PORTABLE,
        max_recovery_attempts=None,
    )
    async def run(id_: str) -> None:
        await work(id_)

    return run
