"""Who has changed how an app is configured, in the journal's tables.

Plain functions of an open connection, as in `transactions`.
"""

import sqlalchemy as sa

from bridge.ports.outcomes import Audited
from bridge.ports.targets import ABOUT_ANYTHING, about_change, about_delivery
from bridge.stores import feedback, rows, tables

DRAFTS_LAST = 7 * 86400.0
"""Seconds; one that was agreed to waits no longer for its backend than that."""


def audit(db: sa.Connection, new: Audited, at: float) -> int:
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


def settle(db: sa.Connection, number: int, outcome: str, at: float) -> None:
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
    feedback.changed(db, keys, at)


def keep_draft(db: sa.Connection, id_: str, sealed: str, at: float) -> None:
    """Keep a change that is shown to somebody, in place of an older one under that id."""
    t = tables.drafts
    db.execute(sa.delete(t).where((t.c.id == id_) | (t.c.at < at - DRAFTS_LAST)))
    db.execute(sa.insert(t).values(id=id_, sealed=sealed, at=at))
