"""Who has changed how an app is configured."""

import sqlalchemy as sa

from bridge.ports.outcomes import Audited
from bridge.ports.targets import ABOUT_ANYTHING, about_change, about_delivery
from bridge.stores import tables
from bridge.stores.journal import rows
from bridge.stores.journal.raising import changed
from bridge.stores.journal.transactions import Transactions


class Audit(Transactions):
    """Who changed what, when, and what became of it."""

    async def audit(self, new: Audited) -> int:
        """Note that somebody changes something; returns its number."""
        at = self._clock()
        return await self._write(lambda db: _audit(db, new, at))

    async def settle(self, number: int, outcome: str) -> None:
        """Note what became of it."""
        at = self._clock()
        await self._change(lambda db: _settle(db, number, outcome, at))

    async def audited(self, *, limit: int, app_id: str | None = None) -> list[Audited]:
        """The newest changes, newest first; of one app where given."""
        t = tables.audit
        query = sa.select(t).order_by(t.c.number.desc()).limit(limit)
        if app_id is not None:
            query = query.where(t.c.app_id == app_id)
        return [rows.read_audited(row) for row in await self._all(query)]

    async def change(self, number: int) -> Audited | None:
        """One change by its number."""
        t = tables.audit
        found = await self._all(sa.select(t).where(t.c.number == number))
        return rows.read_audited(found[0]) if found else None

    async def change_of(self, seq: int) -> Audited | None:
        """The change that a delivery asked for, once it is noted."""
        t = tables.audit
        found = await self._all(sa.select(t).where(t.c.seq == seq))
        return rows.read_audited(found[0]) if found else None


def _audit(db: sa.Connection, new: Audited, at: float) -> int:
    """Note a change, and raise what shows it; a note of the same delivery is written anew."""
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


def _settle(db: sa.Connection, number: int, outcome: str, at: float) -> None:
    """Note what became of a change, and raise what shows it."""
    t = tables.audit
    db.execute(sa.update(t).where(t.c.number == number).values(outcome=outcome))
    _raise(db, number, at)


def _raise(db: sa.Connection, number: int, at: float) -> None:
    t = tables.audit
    row = db.execute(sa.select(t.c.seq, t.c.undoes).where(t.c.number == number)).one()
    keys = [about_change(number), ABOUT_ANYTHING]
    keys += [] if row.seq is None else [about_delivery(row.seq)]
    keys += [] if row.undoes is None else [about_change(row.undoes)]
    changed(db, keys, at)
