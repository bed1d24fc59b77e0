"""The journal on each of its databases, and records for tests."""

import asyncio
import sqlite3
from asyncio import Future
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from bridge.core.decision import Decision, Reason
from bridge.core.lifecycle import Deployment
from bridge.ports.feedback import Pending
from bridge.ports.outcomes import (
    Outcome,
    PushSeen,
    Recorded,
    Subscription,
    about_deployment,
)
from bridge.storage.engines import sqlite_engine
from bridge.storage.journal import SqlJournal
from bridge.storage.postgres import postgres_engine
from bridge.storage.tables import metadata
from tests.fakes.journey import ManualClock, deployment

WINDOW = 600.0
A, B = "a" * 40, "b" * 40

Opened = Callable[[], Awaitable[Any]]


async def open_sqlite(folder: Path, clock: ManualClock) -> SqlJournal:
    journal = SqlJournal(sqlite_engine(folder / "journal.sqlite"), clock=clock)
    await journal.start()
    return journal


async def open_postgres(url: str, clock: ManualClock) -> SqlJournal:
    journal = SqlJournal(postgres_engine(url), clock=clock)
    await journal.start()
    return journal


IMPLEMENTATIONS: dict[str, Any] = {"sqlite": open_sqlite, "postgres": open_postgres}


def decision(app_id: str = "app-web", reason: Reason = Reason.NO_WATCH_PATHS) -> Decision:
    return Decision(app_id, f"shop/{app_id.removeprefix('app-')}", reason, "because")


def outcome(seq: int, *deployments: Deployment, **others: Any) -> Outcome:
    """Return a delivery's outcome: one decision for each of its deployments."""
    decisions = tuple(decision(one.app_id) for one in deployments) or (decision(),)
    return replace(Outcome(seq, f"delivery-{seq}", decisions, deployments), **others)


def pushed(
    before: str = A, after: str = B, ref: str = "github 1 refs/heads/main", moment: str = ""
) -> PushSeen:
    return PushSeen(ref, before, after, moment=moment)


async def record(journal: Any, *outcomes: Outcome) -> Recorded:
    found: Recorded = await journal.record(outcomes, window=WINDOW)
    return found


async def push(journal: Any, seq: int, before: str, after: str, **others: Any) -> str:
    """Record a delivery with a push; return the reason of its only decision."""
    await record(journal, outcome(seq, deployment(seq), push=pushed(before, after), **others))
    (found,) = (await journal.decisions([seq]))[seq]
    return str(found.reason)


async def states(journal: Any, app_id: str = "app-web") -> dict[int, str]:
    found = await journal.deployments(limit=100, app_id=app_id)
    return {one.seq: str(one.state) for one in found}


def card(
    seq: int = 1, *, lane: str = "C1", name: str = "", app_id: str = "app-web"
) -> Subscription:
    """Return a subscription for a deployment's card."""
    id_ = deployment(seq, app_id).id
    name = name or f"card {seq}"
    return Subscription(name, "card", lane, (about_deployment(id_),), {"channel": lane})


async def due(journal: Any, clock: ManualClock, **others: Any) -> list[Pending]:
    found: list[Pending] = await journal.pending(clock.now, 100, **others)
    return found


async def ids(journal: Any, clock: ManualClock, **others: Any) -> list[str]:
    return [one.subscription.id for one in await due(journal, clock, **others)]


async def one_of(journal: Any, subscription_id: str) -> Pending:
    (found,) = [
        one for one in await journal.feedback(limit=100) if one.subscription.id == subscription_id
    ]
    return found  # type: ignore[no-any-return]


# ── in memory ────────────────────────────────────────────────────────────────


def journal_in_memory(clock: Callable[[], float]) -> SqlJournal:
    """The real journal on an in-memory database; it needs no start."""
    return _JournalInMemory(clock)


class _JournalInMemory(SqlJournal):
    def __init__(self, clock: Callable[[], float]) -> None:
        engine, self._connection = _engine_in_memory()
        super().__init__(engine, clock=clock, threads=1)
        self._pool = _AtOnce()  # type: ignore[assignment]  # no thread: nothing here waits for a disk

    async def stop(self) -> None:
        await super().stop()
        self._connection.close()  # the pool knows it only after its first use


class _AtOnce(Executor):
    """Runs in the loop's own thread, so it need not wake the loop to pass on the result."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        future: Future[Any] = asyncio.get_running_loop().create_future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - raised in the caller
            future.set_exception(error)
        return future


def _engine_in_memory() -> tuple[sa.Engine, sqlite3.Connection]:
    """Return a copy of one template; statements are also compiled only once."""
    first, made = _first_engine()
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    made.backup(connection)
    engine = sa.create_engine("sqlite://", poolclass=StaticPool, creator=lambda: connection)
    engine.dialect, engine._compiled_cache = first.dialect, first._compiled_cache
    return engine, connection


@lru_cache(1)
def _first_engine() -> tuple[sa.Engine, sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    engine = sa.create_engine("sqlite://", poolclass=StaticPool, creator=lambda: connection)
    metadata.create_all(engine)
    return engine, connection
