"""The workflow engine: DBOS Transact, configured for this project and kept behind `Flows`.

There is one queue, since each costs a poll; it is partitioned by flow and key, so that
flows of one key run one at a time and in the order of their ids. The sharp edges named
here are those of durability.md, which measured them.
"""

import asyncio
import functools
import logging
import threading
from collections.abc import Awaitable, Callable, Collection, Container, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, SetEnqueueOptions, SetWorkflowID, WorkflowSerializationFormat

from bridge.core.errors import BridgeError
from bridge.durable.system import (
    NAME,
    PORTABLE,
    QUEUE,
    VERSION,
    dispatch,
    give_back,
    give_log_back,
    refuse_pickles,
    take_log,
    translated,
)
from bridge.ports.flows import Steps

if TYPE_CHECKING:
    from bridge.durable.peers import Peers


ENDED = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
"""The engine's words for what never goes on."""


class Need(Enum):
    """What a flow needs that should be under way."""

    NOTHING = "nothing"
    START = "start"
    ANOTHER = "another"  # it has ended too early, so another has to finish its work


def need_of(status: str | None) -> Need:
    """Return what a flow needs of which the engine says this; None where it knows none."""
    if status is None:
        return Need.START
    return Need.ANOTHER if status in ENDED else Need.NOTHING


class Twice:
    """Names that were found at two looks in a row.

    Between two steps of the engine a flow may look astray for a moment.
    """

    def __init__(self) -> None:
        self._before: set[str] = set()

    def again(self, found: Collection[str]) -> list[str]:
        """Return those of these that were found the last time as well."""
        again = sorted(self._before.intersection(found))
        self._before = set(found)
        return again


def newest(name: str, statuses: Container[str]) -> str:
    """The name of the newest flow that has taken up this work: the first, or one after it."""
    number = 0
    while successor(name, number + 1) in statuses:
        number += 1
    return successor(name, number)


def successor(name: str, number: int) -> str:
    """The name of the flow that takes up the work for that time; the first is number 0."""
    return f"{name}~{number}" if number else name


def after(name: str, newest_name: str) -> str:
    """The name of the next one after the newest."""
    number = int(newest_name.removeprefix(name).removeprefix("~") or 0)
    return successor(name, number + 1)


def names_to_ask(names: Mapping[str, str], most: int) -> list[str]:
    """Every name that may have taken up the work of these, each up to so many times."""
    return [successor(name, number) for name in names for number in range(most + 1)]


# ── The bodies of flows, as the workflow engine runs them on our loop ───────────────────────────

T = TypeVar("T")

Body = Callable[[Steps, str], Awaitable[None]]
"""A flow's body: its steps, and the id it was started with."""

Flow = Callable[[str], Awaitable[None]]


class _DbosSteps:
    async def run(self, name: str, action: Callable[[], Awaitable[T]]) -> T:
        async def step() -> T:
            return await action()

        return await DBOS.run_step_async({"name": name}, step)


class Bodies:
    """Bodies by their flow's name, and the flows that run here."""

    def __init__(self) -> None:
        self._bodies: dict[str, Body] = {}
        self._running: dict[str, asyncio.Task[Any]] = {}

    def add(self, flow: str, body: Body) -> None:
        """Say what a flow does."""
        self._bodies[flow] = body

    def flows(self) -> dict[str, Flow]:
        """What the engine is given to run, by flow; made once it is there."""
        return {
            flow: _workflow(flow, functools.partial(self._run, body))
            for flow, body in self._bodies.items()
        }

    def runs(self, name: str) -> bool:
        """Whether a flow runs here."""
        return name in self._running

    def running(self) -> list[str]:
        """Return the names of the flows that run here."""
        return list(self._running)

    async def cut_off(self, names: Iterable[str] | None = None) -> None:
        """End these flows, or all that run here, wherever they are; nothing is written down."""
        some = self.running() if names is None else names
        tasks = [self._running[name] for name in some if name in self._running]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, body: Body, id_: str) -> None:
        task = asyncio.current_task()
        assert task is not None
        name = DBOS.workflow_id or id_
        # The engine runs a flow a second time where its database has lost that it runs: the
        # newer run is the one that it knows, and each looks first at what is so already.
        await self.cut_off([name])
        self._running[name] = task
        try:
            await body(_DbosSteps(), id_)
        finally:
            if self._running.get(name) is task:
                del self._running[name]


def _workflow(flow: str, work: Flow) -> Flow:
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


# ── The workflow engine: DBOS Transact, configured for this project and kept behind `Flows` ─────

log = logging.getLogger(__name__)

_OVER = ("SUCCESS", "ERROR", "CANCELLED")
"""The engine's words for flows that have ended."""

MANY = 500
"""Names in one question."""

LOOK = 10.0
"""Seconds between two looks at what the database has under this process."""

MOST_SUCCESSORS = 3
"""How often another flow takes up the work of one that has ended too early."""


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
        self._bodies = Bodies()
        self._standing, self._taken = Twice(), Twice()
        self._flows: dict[str, Flow] = {}

    def register(self, flow: str, body: Body) -> None:
        """Say what a flow does; before `launch`, and under a name that never changes."""
        self._bodies.add(flow, body)

    async def launch(self) -> None:
        """Start the engine; flows that a dead process left behind go on by themselves."""
        if self._peers is not None:
            await self._peers.join()  # before the first flow is ours
        refuse_pickles()
        DBOS(config=self._config())
        take_log()
        self._flows = self._bodies.flows()
        # On this loop's own thread, so that flows run on this loop, beside all the rest.
        DBOS.launch()
        await self._register_queue()

    async def _register_queue(self) -> None:
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
        with translated():
            await self._enqueue(flow, id_, key, f"{flow}.{id_}")

    async def drop(self, flow: str, ids: Sequence[str]) -> None:
        """Take waiting flows out of the queue, where others would wait behind them.

        One of them that has just begun is cut off at its next step.

        Raises:
            Unreachable: the database can't be written.
        """
        if ids:
            with translated():
                await DBOS.cancel_workflows_async([f"{flow}.{id_}" for id_ in ids])

    async def ensure(self, flow: str, wanted: Mapping[str, str]) -> list[str]:
        """See to it that flows of these ids, by id their keys, are under way.

        One that has ended too early, as after a fault of the engine's, gets a successor that
        does its work anew.

        Returns:
            The ids of those whose last successor has ended too early as well.

        Raises:
            Unreachable: the database can't be read or written.
        """
        names = {f"{flow}.{id_}": id_ for id_ in wanted}
        with translated():
            known = await self._known(names_to_ask(names, MOST_SUCCESSORS))
            given_up: list[str] = []
            for first, id_ in names.items():
                name = newest(first, known)
                need = need_of(known.get(name))
                if need is Need.START:
                    await self._enqueue(flow, id_, wanted[id_], name)
                elif need is Need.ANOTHER and name == successor(first, MOST_SUCCESSORS):
                    given_up.append(id_)
                elif need is Need.ANOTHER:
                    log.warning("a flow ended too early", extra={"flow": name, "as": known[name]})
                    await self._enqueue(flow, id_, wanted[id_], after(first, name))
        return given_up

    async def watch(self) -> None:
        """Look after the flows that the database has under this process, as long as it lives."""
        while True:
            await asyncio.sleep(LOOK)
            try:
                await self.look()
            except BridgeError as error:
                log.warning("flows can't be looked after", extra={"why": str(error)})
            except Exception:  # the engine's own: what it can't do now it may do the next time
                log.exception("flows can't be looked after")

    async def look(self) -> None:
        """Have what runs here and what the database says of it agree; the database is right.

        The database may be another than before, e.g. a replica that lagged. A flow that it has
        under this process, and that does not run here, would keep all others of its key waiting;
        one that runs here and that it has under another process would run twice. A lost queue
        would leave all of them where they are.

        Raises:
            Unreachable: the database can't be read or written.
        """
        with translated():
            if await DBOS.retrieve_queue_async(QUEUE) is None:  # nobody would take anything from it
                log.warning("the queue of flows was lost; it is made anew")
                await self._register_queue()
            pending = await DBOS.list_workflows_async(
                status="PENDING", load_input=False, load_output=False
            )
            of = {flow.workflow_id: flow.executor_id for flow in pending}
            running = self._bodies.running()
            here = [name for name, executor in of.items() if executor == self._executor_id]
            standing = self._standing.again([name for name in here if name not in running])
            await asyncio.to_thread(dispatch, self._engine, self._executor_id, standing)
            away = [
                name for name in running if of.get(name, self._executor_id) != self._executor_id
            ]
            await self._bodies.cut_off(self._taken.again(away))

    async def _known(self, names: Sequence[str]) -> dict[str, str]:
        """The status of flows by their name."""
        found: dict[str, str] = {}
        for start in range(0, len(names), MANY):
            listed = await DBOS.list_workflows_async(
                workflow_ids=list(names[start : start + MANY]), load_input=False, load_output=False
            )
            found |= {one.workflow_id: one.status for one in listed}
        return found

    async def forget(self, before: float, limit: int) -> int:
        """Forget some flows that ended before then (sharp edge 10); how many.

        Raises:
            Unreachable: the database can't be written.
        """
        with translated():
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
        with translated():
            pending = await DBOS.list_workflows_async(
                status="PENDING", load_input=False, load_output=False
            )
        return {flow.executor_id for flow in pending if flow.executor_id is not None}

    async def _take_over(self, executor_id: str) -> None:
        """Its pending flows back into the queue, before those of their keys that wait there."""
        log.warning("flows of a process that is gone go on", extra={"executor": executor_id})
        with translated():
            await asyncio.to_thread(DBOS._recover_pending_workflows, [executor_id])  # noqa: SLF001 - the only way that keeps their queue and key

    async def _enqueue(self, flow: str, id_: str, key: str, name: str) -> None:
        # Ids are ordered by time: SQLite stamps whole seconds, so FIFO rests on them (edge 4).
        with SetWorkflowID(name), SetEnqueueOptions(queue_partition_key=f"{flow}.{key}"):
            await DBOS.enqueue_workflow_async(QUEUE, self._flows[flow], id_)  # type: ignore[arg-type]  # DBOS wants a Coroutine, we promise no more than an Awaitable

    async def ready(self) -> None:
        """Raises Unreachable when its database can't be read."""
        with translated():
            await DBOS.list_workflows_async(limit=1, load_input=False, load_output=False)

    async def stop(self) -> None:
        """Stop the engine; what runs is cut off here and goes on at the next launch."""
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        logging.getLogger("dbos").setLevel(logging.CRITICAL)  # it would tell of each cut below

        def destroy() -> None:
            try:
                DBOS.destroy(workflow_completion_timeout_sec=0, destroy_registry=True)
            except Exception:  # whatever it is, the process must not wait for it for ever
                log.exception("the workflow engine could not be stopped")
            finally:
                loop.call_soon_threadsafe(done.set_result, None)

        # In a thread of its own, since it joins threads; and before the running bodies are
        # cut off, so that nothing can write down the cut as their end.
        threading.Thread(target=destroy, name="flows-stop").start()
        await done
        # It made its own executor, closed by now, the loop's default one (sharp edge 11).
        loop.set_default_executor(ThreadPoolExecutor(self._threads))
        await self._bodies.cut_off()
        give_log_back()
        if self._peers is not None:
            await asyncio.to_thread(
                give_back, self._engine, self._executor_id
            )  # as nothing of ours runs any more
            await self._peers.leave()
        self._engine.dispose()

    def _config(self) -> DBOSConfig:
        return {
            "name": NAME,
            "system_database_url": str(self._engine.url),
            "system_database_engine": self._engine,
            "executor_id": self._executor_id,
            "application_version": VERSION,
            "serializer": PORTABLE,
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
