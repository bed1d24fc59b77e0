"""What the journal forgets, a few rows a call.

Small bites, since whoever writes waits for them on SQLite; what is old is looked for before.
"""

from collections.abc import Sequence
from functools import partial

import sqlalchemy as sa

from bridge.core.lifecycle import FINAL, State
from bridge.ports.targets import about_change, about_delivery, about_deployment
from bridge.stores import tables
from bridge.stores.inserts import batched
from bridge.stores.journal.transactions import Transactions

AT_ONCE = 20
"""Deliveries of one transaction: each may have been decided for hundreds of apps."""


class Forgetting(Transactions):
    """What is old enough goes; what has not ended stays."""

    async def forget(self, before: float, limit: int) -> int:
        """Forget what some deliveries from before then led to, if all of it has ended.

        An app's newest deployment stays. Returns how many deliveries.
        """
        seqs = await self._read(lambda db: _over(db, before, limit))
        for start in range(0, len(seqs), AT_ONCE):
            await self._write(partial(_forget, seqs=seqs[start : start + AT_ONCE]))
        return len(seqs)

    async def forget_audit(self, before: float, limit: int) -> int:
        """Forget some of who changed what before then; how many."""
        return await self._write(lambda db: _forget_audit(db, before, limit))

    async def forget_drafts(self, before: float, limit: int) -> int:
        """Forget some changes that were shown before then and never agreed to; how many."""
        return await self._write(lambda db: _forget_drafts(db, before, limit))


def _forget(db: sa.Connection, seqs: Sequence[int]) -> None:
    """Forget what deliveries led to."""
    t, c = tables.deployments, tables.changes
    ids: list[str] = []
    for some in batched(seqs):
        ids += db.scalars(sa.select(t.c.id).where(t.c.seq.in_(some)))
    for deployments in batched(ids):  # a push may have deployed hundreds of apps
        db.execute(sa.delete(c).where(c.c.deployment.in_(deployments)))
    for some in batched(seqs):
        for table in (tables.deployments, tables.decisions, tables.pushes):
            db.execute(sa.delete(table).where(table.c.seq.in_(some)))
    _forget_feedback(db, [*map(about_deployment, ids), *map(about_delivery, seqs)])


def _forget_audit(db: sa.Connection, before: float, limit: int) -> int:
    """Forget the oldest of who changed what; how many."""
    t = tables.audit
    numbers = sa.select(t.c.number).where(t.c.at < before).order_by(t.c.number).limit(limit)
    old = list(db.scalars(numbers))
    db.execute(sa.delete(t).where(t.c.number.in_(old)))
    _forget_feedback(db, [about_change(number) for number in old])
    return len(old)


def _forget_drafts(db: sa.Connection, before: float, limit: int) -> int:
    """Forget the oldest changes that nobody agreed to: secrets are in them; how many."""
    t = tables.drafts
    old = list(db.scalars(sa.select(t.c.id).where(t.c.at < before).order_by(t.c.at).limit(limit)))
    db.execute(sa.delete(t).where(t.c.id.in_(old)))
    return len(old)


def _over(db: sa.Connection, before: float, limit: int) -> list[int]:
    """Old deliveries of which nothing goes on, and nothing is the last that an app has.

    One index search for each of the oldest, and no more than that: there may be millions of
    decisions, of which next to none are old.
    """
    kept = _kept(db)
    found: list[int] = []
    seq = young = 0
    while len(found) < limit and young < limit:
        row = db.execute(_NEXT, {"after": seq}).first()
        if row is None:
            break
        seq = row.seq
        if row.at >= before:  # it may be one that was decided late, among older ones
            young += 1
        elif seq not in kept:
            found.append(seq)
    return found


_D = tables.decisions
_NEXT = (
    sa.select(_D.c.seq, _D.c.at).where(_D.c.seq > sa.bindparam("after")).order_by(_D.c.seq).limit(1)
)


def _kept(db: sa.Connection) -> set[int]:
    """The deliveries that led to an app's newest deployment, or to one that goes on."""
    t = tables.deployments
    newest = sa.select(sa.func.max(t.c.seq)).group_by(t.c.app_id)
    going = sa.select(t.c.seq).where(t.c.state.in_([s for s in State if s not in FINAL]))
    return {*db.scalars(newest), *db.scalars(going)}


def _forget_feedback(db: sa.Connection, keys: Sequence[str]) -> None:
    """Places that show nothing any more; one that follows something younger stays."""
    t, f = tables.feedback, tables.follows
    concerned: set[str] = set()
    for some in batched(keys):
        concerned |= set(db.scalars(sa.select(f.c.target).where(f.c.key.in_(some))))
        db.execute(sa.delete(f).where(f.c.key.in_(some)))
    for targets in batched(sorted(concerned)):
        still = sa.select(f.c.target).where(f.c.target.in_(targets))
        db.execute(sa.delete(t).where(t.c.id.in_(targets), t.c.id.not_in(still)))
