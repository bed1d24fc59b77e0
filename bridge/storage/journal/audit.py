"""What people change: the audit log, drafts, and the settings made by set-up."""

from collections.abc import Mapping
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
from bridge.storage.journal.outbox import changed, forget_feedback
from bridge.storage.journal.transactions import Transactions

_A, _D, _S = tables.audit, tables.drafts, tables.stored_settings

T = TypeVar("T")


DRAFTS_LAST = 7 * 86400.0
"""Seconds that a draft is kept; a confirmed one waits no longer for its backend."""


class Audit(Transactions):
    """The audit log, drafts and stored settings."""

    async def audit(self, new: Audited) -> int:
        at = self._clock()
        return await self._write(lambda db: add_audit(db, new, at))

    async def settle(self, number: int, result: Result) -> None:
        at = self._clock()
        await self._change(lambda db: _settle(db, number, result, at))

    async def audited(
        self, *, limit: int, app_id: str | None = None, before: int | None = None
    ) -> list[Audited]:
        query = sa.select(_A).order_by(_A.c.number.desc()).limit(limit)
        if app_id is not None:
            query = query.where(_A.c.app_id == app_id)
        if before is not None:
            query = query.where(_A.c.number < before)
        return [rows.read_audited(row) for row in await self._all(query)]

    async def change(self, number: int) -> Audited | None:
        found = await self._all(sa.select(_A).where(_A.c.number == number))
        return rows.read_audited(found[0]) if found else None

    async def change_of(self, seq: int) -> Audited | None:
        found = await self._all(sa.select(_A).where(_A.c.seq == seq))
        return rows.read_audited(found[0]) if found else None

    async def forget_audit(self, before: float, limit: int) -> int:
        return await self._write(lambda db: _forget_audit(db, before, limit))

    async def keep_draft(self, id_: str, sealed: str) -> None:
        at = self._clock()

        def keep(db: sa.Connection) -> None:
            db.execute(sa.delete(_D).where((_D.c.id == id_) | (_D.c.at < at - DRAFTS_LAST)))
            db.execute(sa.insert(_D).values(id=id_, sealed=sealed, at=at))

        await self._write(keep)

    async def draft(self, id_: str) -> str | None:
        found = await self._all(sa.select(_D.c.sealed).where(_D.c.id == id_))
        return str(found[0]["sealed"]) if found else None

    async def drop_draft(self, id_: str) -> None:
        await self._write(lambda db: db.execute(sa.delete(_D).where(_D.c.id == id_)))

    async def forget_drafts(self, before: float, limit: int) -> int:
        old = sa.select(_D.c.id).where(_D.c.at < before).order_by(_D.c.at).limit(limit)
        return await self._write(
            lambda db: db.execute(sa.delete(_D).where(_D.c.id.in_(old))).rowcount
        )

    async def stored_settings(self) -> dict[str, str]:
        found = await self._all(sa.select(_S.c.path, _S.c.sealed).order_by(_S.c.path))
        return {row["path"]: row["sealed"] for row in found}

    async def store_settings(self, sealed: Mapping[str, str | None], note: Audited) -> None:
        at = self._clock()
        new = [{"path": p, "sealed": s, "at": at} for p, s in sealed.items() if s is not None]

        def store(db: sa.Connection) -> None:
            db.execute(sa.delete(_S).where(_S.c.path.in_(sealed)))
            if new:
                db.execute(sa.insert(_S), new)
            add_audit(db, note, note.at)

        await self._change(store)


def audited(db: sa.Connection, done: T, audit: Audits[T] | None) -> T:
    """Return an outcome, after writing what the audit log is to say of it."""
    if audit is not None and (new := audit(done)) is not None:
        add_audit(db, new, new.at)
    return done


def add_audit(db: sa.Connection, new: Audited, at: float) -> int:
    """Add a change, or replace the one of the same delivery; mark its subscriptions as pending."""
    row = rows.audit_row(new)
    known = None
    if new.seq is not None:
        known = db.scalar(sa.select(_A.c.number).where(_A.c.seq == new.seq))
    if known is None:
        number = db.execute(sa.insert(_A).values(row).returning(_A.c.number)).scalar_one()
    else:
        number = known
        db.execute(sa.update(_A).where(_A.c.number == known).values(row))
    _raise(db, int(number), at)
    return int(number)


def _forget_audit(db: sa.Connection, before: float, limit: int) -> int:
    numbers = sa.select(_A.c.number).where(_A.c.at < before).order_by(_A.c.number).limit(limit)
    old = list(db.scalars(numbers))
    db.execute(sa.delete(_A).where(_A.c.number.in_(old)))
    forget_feedback(db, [about_change(number) for number in old])
    return len(old)


def _settle(db: sa.Connection, number: int, result: Result, at: float) -> None:
    """Record the result of a change and mark its subscriptions as pending."""
    db.execute(sa.update(_A).where(_A.c.number == number).values(rows.result_row(result)))
    _raise(db, number, at)


def _raise(db: sa.Connection, number: int, at: float) -> None:
    row = db.execute(sa.select(_A.c.seq, _A.c.undoes).where(_A.c.number == number)).one()
    keys = [about_change(number), ABOUT_ANYTHING]
    keys += [] if row.seq is None else [about_delivery(row.seq)]
    keys += [] if row.undoes is None else [about_change(row.undoes)]
    changed(db, keys, at)
