"""The workflow engine: DBOS Transact, configured for this project and kept behind `Flows`.

There is one queue, partitioned by flow and key: flows of one key run one at a time, in the order of
their ids. It has no other limit: however many flows are waiting for something that is away, the
next one begins at once (docs/notes/0031). The dispatcher is woken whenever this process has changed
the queue: a flow was enqueued, has ended, was dropped or was requeued. Its sharp edges: docs/notes,
0008, 0017, 0029 and 0031.
"""

import asyncio
import logging
import threading
from collections.abc import Collection, Container, Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, SetEnqueueOptions, SetWorkflowID

from bridge.core.errors import BridgeError
from bridge.durable.running import (
    Bodies,
    Body,
    Claims,
    Dispatcher,
    Flow,
    keep_to,
    only_needed_threads,
    own_threads,
)
from bridge.durable.system import (
    NAME,
    PORTABLE,
    QUEUE,
    VERSION,
    give_back,
    give_log_back,
    refuse_pickles,
    requeue,
    retire,
    take_log,
    take_up,
    translated,
)

if TYPE_CHECKING:
    from bridge.durable.peers import Peers

log = logging.getLogger(__name__)

# ── The states of flows in the engine's tables ──────────────────────────────────────────────────

ENDED = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
"""The final states of flows."""

FORGETTABLE = ("SUCCESS", "ERROR", "CANCELLED")
"""The states of flows that are deleted after a while."""

MOST_SUCCESSORS = 3
"""How often another flow resumes the work of one that ended too early."""


def successor(name: str, number: int) -> str:
    """Return the name of a flow's successor by number; number 0 is the flow itself."""
    return f"{name}~{number}" if number else name


def newest(name: str, statuses: Container[str]) -> int:
    """Return the number of the last flow that has worked on this."""
    number = 0
    while successor(name, number + 1) in statuses:
        number += 1
    return number


class SeenTwice:
    """Names found by two consecutive searches.

    Between two writes of the engine a flow may look orphaned for a moment.
    """

    def __init__(self) -> None:
        self._before: set[str] = set()

    def of(self, found: Collection[str]) -> list[str]:
        """Return the names that the last search had found as well."""
        again = sorted(self._before.intersection(found))
        self._before = set(found)
        return again


# ── The engine ──────────────────────────────────────────────────────────────────────────────────

MANY = 500
"""Names in one query."""

LOOK = 10.0
"""Seconds between two searches for orphaned workflows."""

POLL = 5.0
"""Seconds between two unrequested polls of the queue: they find work after a crash, and work that
another process could not announce."""


class DurableFlows:
    """Flows that survive the process, in the database behind `engine`.

    There is one DBOS per process, so there is one of these. Two processes with the same executor id
    would repeat each other's effects (sharp edge 2). So on SQLite the caller holds a lock on the
    data directory, and on Postgres each process has its own id, and `peers`.
    """

    def __init__(
        self,
        engine: sa.Engine,
        *,
        executor_id: str,
        poll_seconds: float = POLL,
        threads: int = 16,
        peers: "Peers | None" = None,
    ) -> None:
        self._engine = engine
        self._peers = peers
        self._executor_id = executor_id
        self._threads = threads
        self._dispatcher = Dispatcher(poll_seconds)
        self._bodies = Bodies(ended=self._dispatcher.wake)
        self._orphaned, self._taken = SeenTwice(), SeenTwice()
        self._flows: dict[str, Flow] = {}
        self._dbos: DBOS | None = None
        self._claims: Claims | None = None

    def register(self, flow: str, body: Body) -> None:
        """Register a flow's body, before `launch` and under a name that never changes."""
        self._bodies.add(flow, body)

    async def launch(self) -> None:
        """Start the engine; flows of a dead process resume by themselves.

        Raises:
            Unreachable: the database went away.
        """
        with translated():
            if self._peers is not None:
                await self._peers.join()  # before the first flow is ours
            refuse_pickles()
            if self._peers is None:  # else nobody has had this process's id before
                await asyncio.to_thread(take_up, self._engine, self._executor_id)
            self._dbos = DBOS(config=self._config())
            take_log()
            self._flows = self._bodies.flows()
            # On this loop's own thread, so flows run on this loop.
            with only_needed_threads():
                DBOS.launch()
            keep_to(asyncio.get_running_loop(), self._dbos)
            await self._dispatch()

    async def _dispatch(self) -> None:
        """Register the queue and start taking flows from it."""
        assert self._dbos is not None
        queue = await DBOS.register_queue_async(
            QUEUE,
            partition_concurrency=1,
            # A poll claims the first flow of every key (sharp edge 8): see the top of this file.
            worker_concurrency=None,
            # Only processes of older releases poll at this interval; they share the queue.
            polling_interval_sec=0.1,
            on_conflict="always_update",
        )
        self._claims = None if self._peers else Claims(self._dbos, self._executor_id)
        self._dispatcher.start(self._dbos, queue)

    async def start(self, flow: str, id_: str, *, key: str) -> None:
        """Start a flow unless its id was started before; flows of one key run one at a time.

        Raises:
            Unreachable: the database can't be written.
        """
        with translated():
            await self._enqueue(flow, id_, key, f"{flow}.{id_}")

    async def drop(self, flow: str, ids: Sequence[str]) -> None:
        """Remove waiting flows from the queue, where others would wait behind them.

        One that has just begun is interrupted at its next step.

        Raises:
            Unreachable: the database can't be written.
        """
        if ids:
            with translated():
                await DBOS.cancel_workflows_async([f"{flow}.{id_}" for id_ in ids])
            self._dispatcher.wake()

    async def ensure(self, flow: str, wanted: Mapping[str, str]) -> list[str]:
        """Make sure that the flows with these ids are active; `wanted` has their keys by id.

        One that ended too early, e.g. after a fault of the engine, gets a successor that repeats
        its work.

        Returns:
            The ids of those whose last successor ended too early as well.

        Raises:
            Unreachable: the database can't be read or written.
        """
        names = {f"{flow}.{id_}": id_ for id_ in wanted}
        with translated():
            numbers = range(MOST_SUCCESSORS + 1)
            known = await self._known([successor(one, n) for one in names for n in numbers])
            given_up: list[str] = []
            for first, id_ in names.items():
                number = newest(first, known)
                name = successor(first, number)
                if name not in known:
                    await self._enqueue(flow, id_, wanted[id_], name)
                elif known[name] in ENDED and number == MOST_SUCCESSORS:
                    given_up.append(id_)
                elif known[name] in ENDED:
                    log.warning("a flow ended too early", extra={"flow": name, "as": known[name]})
                    await self._enqueue(flow, id_, wanted[id_], successor(first, number + 1))
        return given_up

    async def _enqueue(self, flow: str, id_: str, key: str, name: str) -> None:
        # Ids are ordered by time: SQLite stamps whole seconds, so FIFO rests on them (edge 4).
        with SetWorkflowID(name), SetEnqueueOptions(queue_partition_key=f"{flow}.{key}"):
            await DBOS.enqueue_workflow_async(QUEUE, self._flows[flow], id_)  # type: ignore[arg-type]  # DBOS wants a Coroutine, we promise no more than an Awaitable
        begun = False
        try:
            if self._claims is not None and self._claims.lone():
                begun = await asyncio.to_thread(self._claims.begin, name, f"{flow}.{key}")
        finally:  # also if whoever has asked for it does not wait
            if not begun:
                self._dispatcher.wake()

    # ── orphaned workflows ────────────────────────────────────────────────

    async def watch(self) -> None:
        """Search for orphaned workflows as long as the process lives."""
        while True:
            await asyncio.sleep(LOOK)
            try:
                await self.look()
            except BridgeError as error:
                log.warning("orphaned workflows can't be found", extra={"why": str(error)})
            except Exception:  # the engine's own fault: the next search may succeed
                log.exception("orphaned workflows can't be found")

    async def look(self) -> None:
        """Find orphaned workflows: the running flows must agree with the database.

        The database may have changed under us, e.g. to a lagging replica, and it is authoritative.
        A flow that it assigns to this process, but that does not run here, would block its key,
        so it is requeued. A flow that runs here, but is assigned to another process, would run
        twice, so it ends here. If the queue's row is missing, it is registered again.

        Raises:
            Unreachable: the database can't be read or written.
        """
        with translated():
            lost = await DBOS.retrieve_queue_async(QUEUE) is None
            if lost:
                log.warning("the queue of flows was lost and is registered again")
            if lost or not self._dispatcher.runs:
                await asyncio.to_thread(self._dispatcher.stop)
                await self._dispatch()
            pending = await self._pending()
            running = self._bodies.running()
            here = [name for name, executor in pending.items() if executor == self._executor_id]
            orphaned = self._orphaned.of([name for name in here if name not in running])
            if orphaned:
                log.warning("orphaned workflows are requeued", extra={"flows": orphaned})
                await asyncio.to_thread(requeue, self._engine, self._executor_id, orphaned)
                self._dispatcher.wake()
            taken = [
                name
                for name in running
                if pending.get(name, self._executor_id) != self._executor_id
            ]
            await self._bodies.cut_off(self._taken.of(taken))

    async def _pending(self) -> dict[str, str | None]:
        """Return all active flows, with the ids of the processes that run them."""
        pending = await DBOS.list_workflows_async(
            status="PENDING", load_input=False, load_output=False
        )
        return {flow.workflow_id: flow.executor_id for flow in pending}

    async def _known(self, names: Sequence[str]) -> dict[str, str]:
        """Return the states of these flows, as far as the engine knows them."""
        found: dict[str, str] = {}
        for start in range(0, len(names), MANY):
            listed = await DBOS.list_workflows_async(
                workflow_ids=list(names[start : start + MANY]), load_input=False, load_output=False
            )
            found |= {one.workflow_id: one.status for one in listed}
        return found

    async def forget(self, before: float, limit: int) -> int:
        """Delete some flows that ended before then (sharp edge 10); return how many.

        Raises:
            Unreachable: the database can't be written.
        """
        with translated():
            over = await DBOS.list_workflows_async(
                status=list(FORGETTABLE),
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

    # ── other processes ───────────────────────────────────────────────────

    async def watch_peers(self) -> None:
        """Take over dead processes' flows (sharp edge 1), as long as this process lives."""
        assert self._peers is not None
        await self._peers.watch(self._busy, self._take_over, self._dispatcher.wake)

    async def _busy(self) -> set[str]:
        with translated():
            pending = await self._pending()
        return {executor for executor in pending.values() if executor is not None}

    async def _take_over(self, executor_id: str) -> None:
        """Requeue a dead process's flows, ahead of those that wait for them."""
        log.warning("flows of a stopped process are taken over", extra={"executor": executor_id})
        with translated():
            await asyncio.to_thread(DBOS._recover_pending_workflows, [executor_id])  # noqa: SLF001 - the only way that keeps their queue and key
        self._dispatcher.wake()

    # ── health and the end ────────────────────────────────────────────────

    async def ready(self) -> None:
        with translated():
            await DBOS.list_workflows_async(limit=1, load_input=False, load_output=False)

    async def stop(self) -> None:
        """Stop the engine; running flows are interrupted and resume at the next launch."""
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        logging.getLogger("dbos").setLevel(logging.CRITICAL)  # it would tell of each cut below

        def destroy() -> None:
            try:
                self._dispatcher.stop()
                DBOS.destroy(workflow_completion_timeout_sec=0, destroy_registry=True)
            except Exception:  # any error: the process must not wait for ever
                log.exception("the workflow engine could not be stopped")
            finally:
                loop.call_soon_threadsafe(done.set_result, None)

        self._bodies.stopping = True
        # In a separate thread, because it joins threads; and before the running bodies are
        # interrupted, so nothing can record the interruption as their end.
        thread = threading.Thread(target=destroy, name="flows-stop")
        with own_threads(loop, self._dbos, self._threads) if self._dbos else nullcontext():
            thread.start()
            await done
            thread.join()  # it is at its end
        self._dbos = None
        await self._bodies.cut_off()
        give_log_back()
        if self._peers is not None:
            from bridge.durable.peers import call

            # None of our flows runs here any more, so others may have them.
            await asyncio.to_thread(give_back, self._engine, self._executor_id)
            await asyncio.to_thread(call, self._engine)
            await self._peers.leave()
        retire(self._engine)

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
            # We send no notifications: without listeners there is one connection less.
            "use_listen_notify": False,
        }
