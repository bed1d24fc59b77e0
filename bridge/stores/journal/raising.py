"""Raising what shows something that has changed, in the transaction that changes it.

So no change can be forgotten.
"""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from bridge.stores import tables
from bridge.stores.dialects import on_postgres
from bridge.stores.inserts import batched

_FOLLOWERS = sa.select(tables.follows.c.target).where(
    tables.follows.c.key.in_(sa.bindparam("keys", expanding=True))
)
_RAISE = (
    sa.update(tables.feedback)
    .where(tables.feedback.c.id.in_(sa.bindparam("ids", expanding=True)))
    .values(
        wanted=tables.feedback.c.wanted + 1,
        due_at=sa.func.coalesce(tables.feedback.c.due_at, sa.bindparam("raised_at")),
        attempts=sa.case((tables.feedback.c.parked, 0), else_=tables.feedback.c.attempts),
        failing_since=sa.case(
            (tables.feedback.c.parked, sa.null()), else_=tables.feedback.c.failing_since
        ),
        parked=False,
    )
)
# Both are made once: every change of a deployment runs the first, mostly in vain.


def changed(db: sa.Connection, keys: Iterable[str], at: float, *, but: str = "") -> None:
    """Raise all that follows one of these, except for one."""
    found = set(db.scalars(_FOLLOWERS, {"keys": list(keys)}))
    raise_targets(db, sorted(found - {but}), at)


def raise_targets(db: sa.Connection, ids: Sequence[str], at: float) -> None:
    """Have places shown anew.

    One that waits for its turn already keeps it: a burst of changes can't put it off.

    One that failed keeps its pause, so that changes do not hammer a host that is away; one that
    is parked begins anew.
    """
    for some in batched(ids):
        if on_postgres(db):  # in their order, so that two transactions never wait crosswise
            t = tables.feedback
            in_order = sa.select(t.c.id).where(t.c.id.in_(some)).order_by(t.c.id)
            db.execute(in_order.with_for_update())
        db.execute(_RAISE, {"ids": some, "raised_at": at})
