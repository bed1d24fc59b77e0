"""The workflow engine: DBOS Transact, configured for this project and kept behind `Flows`.

There is one queue, since each costs a poll; it is partitioned by flow and key, so that
flows of one key run one at a time and in the order of their ids. The sharp edges named
here are those of durability.md, which measured them.
"""

import asyncio
import functools
import logging
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, SetEnqueueOptions, SetWorkflowID, WorkflowSerializationFormat
from dbos._error import DBOSAwaitedWorkflowCancelledError
from dbos._serialization import DefaultSerializer
from dbos._sys_db import SystemDatabase
from sqlalchemy import event

from bridge.core.database import connect_arguments
from bridge.core.errors import Unreachable
from bridge.durable import strays
from bridge.durable.strays import Need
from bridge.ports.flows import Steps

if TYPE_CHECKING:
    from bridge.durable.peers import Peers

log = logging.getLogger(__name__)
T = TypeVar("T")

VERSION = "1"
"""Pinned: by default it is a hash of the source, and a new release would strand what
waits (sharp edge 3). Raise it only with flows that can't replay what older ones recorded."""

NAME = "dokploy-bridge"
"""Ours among other applications in the same tables."""

QUEUE = "flows"

_OVER = ("SUCCESS", "ERROR", "CANCELLED")
"""The engine's words for flows that have ended."""

MANY = 500
"""Names in one question."""

MOST_SUCCESSORS = 3
"""How often another flow takes up the work of one that has ended too early."""

Body = Callable[[Steps, str], Awaitable[None]]
"""A flow's body: its steps, and the id it was started with."""

Flow = Callable[[str], Awaitable[None]]


def sqlite_engine(path: Path) -> sa.Engine:
    """An engine for the workflows' own SQLite file.

    DBOS's default journal mode is five times slower (sharp edge 5); BEGIN IMMEDIATE and
    foreign keys are as DBOS sets them on engines that it makes itself.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = sa.create_engine(
        f"sqlite:///{path}", connect_args={"timeout": 30}, hide_parameters=True
    )

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

    @event.listens_for(engine, "handle_error")
    def comes_again(context: Any) -> None:
        """DBOS waits for a lock, and gives up a flow for anything else: a full disk passes, too."""
        error = context.original_exception
        if isinstance(error, sqlite3.OperationalError) and any(w in str(error) for w in _PASSES):
            waits = sqlite3.OperationalError(f"database is locked: {error}")
            raise sa.exc.OperationalError(context.statement, None, waits) from error

    return engine


_PASSES = ("disk is full", "disk I/O error")
"""What SQLite says while nothing can be written, on Postgres among what DBOS waits for."""


def postgres_engine(url: str, *, connections: int = 5) -> sa.Engine:
    """An engine on a Postgres, with few connections (sharp edge 12)."""
    import psycopg

    return sa.create_engine(
        "postgresql+psycopg:///creator-knows",  # DBOS wants a name to be there
        creator=lambda: psycopg.connect(url, **connect_arguments("workflows")),
        pool_size=connections,
        max_overflow=0,
        hide_parameters=True,
    )


def migrate(engine: sa.Engine) -> None:
    """Bring the engine's own tables up to date, as a launch does; safe from all at once."""
    _system_database(engine).run_migrations()


def _system_database(engine: sa.Engine) -> SystemDatabase:
    """The engine's tables without the engine: it has no public way to them."""
    return SystemDatabase.create(
        system_database_url=str(engine.url),
        engine_kwargs={},
        engine=engine,
        schema="dbos",
        serializer=DefaultSerializer(),
        executor_id=None,
        app_name=NAME,
        use_listen_notify=False,
        retry_connection_errors=False,
    )


_AWAY = (
    sa.exc.OperationalError,
    sa.exc.InterfaceError,
    sa.exc.InternalError,  # e.g. a server that only reads, as after a failover
    sa.exc.TimeoutError,
)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except _AWAY as error:
        raise Unreachable("the workflow engine", str(getattr(error, "orig", error))) from error


class _Words(logging.Filter):
    """What DBOS says, in our log: one line, without statements and their values.

    Leaves out what it says of a flow that was dropped just as it began: we dropped it.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info and record.exc_info[1]
        if isinstance(error, DBOSAwaitedWorkflowCancelledError):
            return False
        message = record.getMessage()
        if isinstance(error, sa.exc.SQLAlchemyError):
            message, record.exc_info = f"{message} {error}", None
        record.msg, record.args = " ".join(message.partition("[SQL")[0].split()), ()
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

    DBOS is one per process, so this is too. Two processes under one executor id would repeat
    each other's effects (sharp edge 2): on SQLite the caller holds a lock on the data
    directory, on Postgres each process has an id of its own, and `peers`.
    """

    def __init__(
        self,
        engine: sa.Engine,
        *,
        executor_id: str,
        concurrency: int = 64,
        poll_seconds: float = 0.05,
        threads: int = 16,
        peers: "Peers | None" = None,
    ) -> None:
        self._engine = engine
        self._peers = peers
        self._executor_id = executor_id
        self._concurrency = concurrency
        self._poll_seconds = poll_seconds
        self._threads = threads
        self._bodies: dict[str, Body] = {}
        self._words = _Words()
        self._running: dict[str, asyncio.Task[Any]] = {}
        self._strays: set[str] = set()
        self._flows: dict[str, Flow] = {}

    def register(self, flow: str, body: Body) -> None:
        """Say what a flow does; before `launch`, and under a name that never changes."""
        self._bodies[flow] = body

    async def launch(self) -> None:
        """Start the engine; flows that a dead process left behind go on by themselves."""
        if self._peers is not None:
            await self._peers.join()  # before the first flow is ours
        DBOS(config=self._config())
        self._take_log()
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

    def _take_log(self) -> None:
        """DBOS writes to the console by itself, in a form of its own."""
        logger = logging.getLogger("dbos")
        logger.addFilter(self._words)
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
        logger.propagate = True

    async def start(self, flow: str, id_: str, *, key: str) -> None:
        """Start a flow unless its id was started before; flows of one key run one at a time.

        Raises:
            Unreachable: its database can't be written.
        """
        with _translated():
            await self._enqueue(flow, id_, key, f"{flow}.{id_}")

    async def drop(self, flow: str, ids: Sequence[str]) -> None:
        """Take waiting flows out of the queue, where others would wait behind them.

        One of them that has just begun is cut off at its next step.

        Raises:
            Unreachable: the database can't be written.
        """
        if ids:
            with _translated():
                await DBOS.cancel_workflows_async([f"{flow}.{id_}" for id_ in ids])

    async def ensure(self, flow: str, wanted: Mapping[str, str]) -> None:
        """See to it that flows of these ids, by id their keys, are under way.

        One that has ended too early, as after a fault of the engine's, gets a successor that
        does its work anew. One that stands still here goes on, if it did so the last time, too.

        Raises:
            Unreachable: the database can't be read or written.
        """
        names = {f"{flow}.{id_}": id_ for id_ in wanted}
        with _translated():
            known = await self._known(strays.names_to_ask(names, MOST_SUCCESSORS))
            standing: set[str] = set()
            for first, id_ in names.items():
                name = strays.newest(first, known)
                status, executor = known.get(name, (None, None))
                runs = name in self._running
                need = strays.need_of(status, executor, here=self._executor_id, runs=runs)
                if need is Need.DISPATCH:
                    standing.add(name)
                elif need is Need.START:
                    await self._enqueue(flow, id_, wanted[id_], name)
                elif need is Need.ANOTHER:
                    log.warning("a flow ended too early", extra={"flow": name, "as": status})
                    await self._enqueue(flow, id_, wanted[id_], strays.after(first, name))
            await asyncio.to_thread(self._dispatch, standing & self._strays)
        self._strays = standing

    async def _known(self, names: Sequence[str]) -> dict[str, tuple[str, str | None]]:
        """Status and executor of flows by their name."""
        found: dict[str, tuple[str, str | None]] = {}
        for start in range(0, len(names), MANY):
            listed = await DBOS.list_workflows_async(
                workflow_ids=list(names[start : start + MANY]), load_input=False, load_output=False
            )
            found |= {one.workflow_id: (one.status, one.executor_id) for one in listed}
        return found

    def _dispatch(self, names: Iterable[str]) -> None:
        system = _system_database(self._engine)
        for name in names:
            log.warning("a flow stood still", extra={"flow": name})
            system.reenqueue_for_recovery(name, [self._executor_id], QUEUE)

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

    async def watch_peers(self) -> None:
        """Take over what dead processes leave (sharp edge 1), as long as this one lives."""
        assert self._peers is not None
        await self._peers.watch(self._busy, self._take_over)

    async def _busy(self) -> set[str]:
        with _translated():
            pending = await DBOS.list_workflows_async(
                status="PENDING", load_input=False, load_output=False
            )
        return {flow.executor_id for flow in pending if flow.executor_id is not None}

    async def _take_over(self, executor_id: str) -> None:
        """Its pending flows back into the queue, before those of their keys that wait there."""
        log.warning("flows of a process that is gone go on", extra={"executor": executor_id})
        with _translated():
            await asyncio.to_thread(DBOS._recover_pending_workflows, [executor_id])  # noqa: SLF001 - the only way that keeps their queue and key

    async def _enqueue(self, flow: str, id_: str, key: str, name: str) -> None:
        # Ids are ordered by time: SQLite stamps whole seconds, so FIFO rests on them (edge 4).
        with SetWorkflowID(name), SetEnqueueOptions(queue_partition_key=f"{flow}.{key}"):
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
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        logging.getLogger("dbos").removeFilter(self._words)
        if self._peers is not None:
            await asyncio.to_thread(self._give_back)  # as nothing of ours runs any more
            await self._peers.leave()
        self._engine.dispose()

    def _give_back(self) -> None:
        """Put our own flows back into the queue, so that nobody waits whether we come back."""
        system = _system_database(self._engine)
        try:
            for flow in system.get_pending_workflows(self._executor_id, VERSION):
                system.reenqueue_for_recovery(flow.workflow_id, [self._executor_id], QUEUE)
        except _AWAY as error:  # then a peer takes them over, once it misses us
            log.warning("flows can't be given back", extra={"why": type(error).__name__})

    async def _run(self, body: Body, id_: str) -> None:
        task = asyncio.current_task()
        assert task is not None
        name = DBOS.workflow_id or id_
        self._running[name] = task
        try:
            await body(_DbosSteps(), id_)
        finally:
            if self._running.get(name) is task:
                del self._running[name]

    def _config(self) -> DBOSConfig:
        return {
            "name": NAME,
            "system_database_url": str(self._engine.url),
            "system_database_engine": self._engine,
            "executor_id": self._executor_id,
            "application_version": VERSION,
            # It replaces the loop's default executor by an unbounded one otherwise (edge 11).
            "max_executor_threads": self._threads,
            "log_level": "WARNING",
            "console_log_level": "WARNING",
            "enable_otlp": False,
            # We send no notifications: without listeners there is a connection less.
            "use_listen_notify": False,
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
