"""The journal's expiry and figures."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import sqlalchemy as sa

from bridge.core.holds import Gate
from bridge.core.lifecycle import FINAL, State
from bridge.core.previews.preview import OVER, PreviewState
from bridge.ports.figures import Ended, JournalFigures
from bridge.ports.outcomes import about_delivery, about_deployment, about_merge
from bridge.storage import tables
from bridge.storage.journal.deployment_rows import GOING, PLACES, served_places
from bridge.storage.journal.outbox import forget_feedback
from bridge.storage.journal.rows import batched
from bridge.storage.journal.transactions import Transactions
from bridge.storage.migrations import refuse_newer

_C, _D, _T = tables.changes, tables.decisions, tables.deployments

AT_ONCE = 20
"""Deliveries per transaction: each may have been decided for hundreds of apps."""


class Forgetting(Transactions):
    """Expiry, a few rows per call, because on SQLite every writer waits for it."""

    async def forget(self, before: float, limit: int) -> int:
        seqs = await self._read(lambda db: _over(db, before, limit))
        for start in range(0, len(seqs), AT_ONCE):
            await self._write(partial(_forget, seqs=seqs[start : start + AT_ONCE]))
        return len(seqs)


def _forget(db: sa.Connection, seqs: Sequence[int]) -> None:
    """Delete the outcomes of deliveries."""
    ids: list[str] = []
    for some in batched(seqs):
        ids += db.scalars(sa.select(_T.c.id).where(_T.c.seq.in_(some)))
    for deployments in batched(ids):  # a push may have deployed hundreds of apps
        db.execute(sa.delete(_C).where(_C.c.deployment.in_(deployments)))
    for some in batched(seqs):
        for table in (_T, _D, tables.pushes):
            db.execute(sa.delete(table).where(table.c.seq.in_(some)))
    keys = [*map(about_delivery, seqs), *map(about_merge, seqs)]
    forget_feedback(db, [*map(about_deployment, ids), *keys])


def _over(db: sa.Connection, before: float, limit: int) -> list[int]:
    """Return expired deliveries with no open deployments and no app's newest deployment.

    It costs one index search for each of the oldest: of possibly millions of decisions, hardly any
    have expired.
    """
    kept = _kept(db)
    found: list[int] = []
    seq = young = 0
    while len(found) < limit and young < limit:
        row = db.execute(_NEXT, {"after": seq}).first()
        if row is None:
            break
        seq = row.seq
        if row.at >= before:  # it may have been decided late, between older ones
            young += 1
        elif seq not in kept:
            found.append(seq)
    return found


_NEXT = (
    sa.select(_D.c.seq, _D.c.at).where(_D.c.seq > sa.bindparam("after")).order_by(_D.c.seq).limit(1)
)


def _kept(db: sa.Connection) -> set[int]:
    """Return the deliveries that led to an open deployment, an app's newest, or what it serves."""
    newest = sa.select(sa.func.max(_T.c.seq)).group_by(_T.c.app_id)
    going = sa.select(_T.c.seq).where(GOING)
    looked = sa.select(_T.c.seq).where(_T.c.id.in_(sa.select(tables.looks.c.deployment)))
    kept = {*db.scalars(newest), *db.scalars(going), *db.scalars(looked)}
    for apps in batched(list(db.scalars(sa.select(tables.apps.c.id)))):
        served = (row[one] for row in db.execute(served_places(apps)).mappings() for one in PLACES)
        for some in batched([id_ for id_ in served if id_ is not None]):
            kept |= {*db.scalars(sa.select(_T.c.seq).where(_T.c.id.in_(some)))}
    return kept


class Figures(Transactions):
    """Figures: open work, ended deployments, and whether the database answers."""

    async def figures(self) -> JournalFigures:
        return await self._read(_figures)

    async def newest_change(self) -> int:
        newest = sa.select(sa.func.max(_C.c.number))
        return await self._read(lambda db: db.scalar(newest) or 0)

    async def ended(self, after: int) -> list[Ended]:
        return [_read_ended(row) for row in await self._all(_ended(after))]

    async def ready(self) -> None:
        """Check that the journal can be used.

        Raises:
            Unreachable: the database can't be read.
            Rejected: a newer release has migrated its tables.
        """
        await self._read(refuse_newer)


def _figures(db: sa.Connection) -> JournalFigures:
    """Return how much work is open now; those of deployments and feedback are in an index."""
    f, p = tables.feedback, tables.previews
    count = sa.func.count()
    by_state = sa.select(_T.c.state, count).where(GOING).group_by(_T.c.state)
    waiting = sa.select(count, sa.func.min(f.c.due_at)).where(f.c.due_at.is_not(None))
    pending, overdue = db.execute(waiting).one()
    parked = db.scalar(sa.select(count).where(f.c.parked))
    counted = {State(state): number for state, number in db.execute(by_state)}
    there = sa.select(p.c.state, count).where(p.c.state.not_in(OVER)).group_by(p.c.state)
    previews = {PreviewState(state): number for state, number in db.execute(there)}
    return JournalFigures(counted, pending, parked or 0, overdue, _held_by_gate(db), previews)


def _held_by_gate(db: sa.Connection) -> dict[Gate, int]:
    """Return how many deployments each gate holds; the others hold none."""
    names = {gate: f'"gate": "{gate}"' for gate in Gate}
    sums = [
        sa.func.sum(sa.case((_T.c.holds.contains(name), 1), else_=0)) for name in names.values()
    ]
    found = db.execute(sa.select(*sums).where(_T.c.state == State.HELD)).one()
    return {gate: count for gate, count in zip(names, found, strict=True) if count}


def _ended(after: int) -> sa.Select[Any]:
    """Return the query for deployments ended since; a note after the end does not count again.

    What was done and has broken since counts again, as unhealthy, and without a duration.
    """
    earlier = _C.alias()
    before = (earlier.c.deployment == _C.c.deployment) & (earlier.c.number < _C.c.number)
    again = sa.exists().where(before & (earlier.c.state == _C.c.state))
    late = sa.exists().where(before & earlier.c.state.in_(FINAL))
    return (
        sa.select(
            *(_C.c.number, _C.c.at, _T.c.app, _C.c.state, _T.c.started_at, _T.c.finished_at),
            late.label("late"),
        )
        .join(_T, _T.c.id == _C.c.deployment)
        .where(_C.c.number > after, _C.c.state.in_(FINAL), ~again)
        .order_by(_C.c.number)
    )


def _read_ended(row: dict[str, Any]) -> Ended:
    """Return a row of `_ended`."""
    began, finished = row["started_at"], row["finished_at"]
    untold = began is None or finished is None or row["late"]
    # If it has broken since, `finished_at` tells when.
    seconds = None if untold else max(0.0, min(finished, row["at"]) - began)
    return Ended(row["number"], row["app"], State(row["state"]), seconds)
