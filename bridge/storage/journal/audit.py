"""The audit log: who changed what, when, and the outcome."""

from typing import TypeVar

import sqlalchemy as sa

from bridge.ports.outcomes import (
    ABOUT_ANYTHING,
    Audited,
    Audits,
    Result,
    about_change,
    about_delivery,
)
from bridge.storage import tables
from bridge.storage.journal import rows
from bridge.storage.journal.outbox import changed
from bridge.storage.journal.transactions import Transactions

T = TypeVar("T")


class Audit(Transactions):
    """The audit log: who changed what, when, and the outcome."""

    async def audit(self, new: Audited) -> int:
        at = self._clock()
        return await self._write(lambda db: add_audit(db, new, at))

    async def settle(self, number: int, result: Result) -> None:
        at = self._clock()
        await self._change(lambda db: _settle(db, number, result, at))

    async def audited(
        self, *, limit: int, app_id: str | None = None, before: int | None = None
    ) -> list[Audited]:
        t = tables.audit
        query = sa.select(t).order_by(t.c.number.desc()).limit(limit)
        if app_id is not None:
            query = query.where(t.c.app_id == app_id)
        if before is not None:
            query = query.where(t.c.number < before)
        return [rows.read_audited(row) for row in await self._all(query)]

    async def change(self, number: int) -> Audited | None:
        t = tables.audit
        found = await self._all(sa.select(t).where(t.c.number == number))
        return rows.read_audited(found[0]) if found else None

    async def change_of(self, seq: int) -> Audited | None:
        t = tables.audit
        found = await self._all(sa.select(t).where(t.c.seq == seq))
        return rows.read_audited(found[0]) if found else None


def audited(db: sa.Connection, done: T, audit: Audits[T] | None) -> T:
    """Return an outcome, after writing what the audit log is to say of it."""
    if audit is not None and (new := audit(done)) is not None:
        add_audit(db, new, new.at)
    return done


def add_audit(db: sa.Connection, new: Audited, at: float) -> int:
    """Add a change, or replace the one of the same delivery; mark its subscriptions as pending."""
    t = tables.audit
    row = rows.audit_row(new)
    known = None
    if new.seq is not None:
        known = db.scalar(sa.select(t.c.number).where(t.c.seq == new.seq))
    if known is None:
        number = db.execute(sa.insert(t).values(row).returning(t.c.number)).scalar_one()
    else:
        number = known
        db.execute(sa.update(t).where(t.c.number == known).values(row))
    _raise(db, int(number), at)
    return int(number)


def _settle(db: sa.Connection, number: int, result: Result, at: float) -> None:
    """Record the result of a change and mark its subscriptions as pending."""
    t = tables.audit
    db.execute(sa.update(t).where(t.c.number == number).values(rows.result_row(result)))
    _raise(db, number, at)


def _raise(db: sa.Connection, number: int, at: float) -> None:
    t = tables.audit
    row = db.execute(sa.select(t.c.seq, t.c.undoes).where(t.c.number == number)).one()
    keys = [about_change(number), ABOUT_ANYTHING]
    keys += [] if row.seq is None else [about_delivery(row.seq)]
    keys += [] if row.undoes is None else [about_change(row.undoes)]
    changed(db, keys, at)
