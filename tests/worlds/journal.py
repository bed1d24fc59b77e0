"""The journal on each of its databases, and records for tests."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

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
from bridge.storage.engines import postgres_engine, sqlite_engine
from bridge.storage.journal import SqlJournal
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


def pushed(before: str = A, after: str = B, ref: str = "github 1 refs/heads/main") -> PushSeen:
    return PushSeen(ref, before, after)


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
