"""Having places shown from now on, and no more."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from bridge.ports.targets import Target, named
from bridge.stores import tables
from bridge.stores.dialects import on_postgres
from bridge.stores.inserts import add_new, batched
from bridge.stores.journal import rows
from bridge.stores.journal.raising import raise_targets


def want(db: sa.Connection, targets: Sequence[Target], at: float) -> None:
    """Have targets shown; one that is wanted already only follows what is new."""
    t, f = tables.feedback, tables.follows
    wanted = {one.id: one for one in targets}
    _hold_still(db, [key for one in wanted.values() for key in one.follows])
    known: set[str] = set()
    held: set[tuple[str, str]] = set()
    for some in batched(list(wanted)):
        known |= set(db.scalars(sa.select(t.c.id).where(t.c.id.in_(some))))
        of_some = sa.select(f.c.key, f.c.target).where(f.c.target.in_(some))
        held |= {(key, target) for key, target in db.execute(of_some)}
    unknown = sorted(wanted.keys() - known)
    fresh = {id_ for (id_,) in add_new(db, t, [_row(wanted[id_], at) for id_ in unknown])}
    pairs = {(key, one.id) for one in wanted.values() for key in one.follows}
    rows_ = [{"key": key, "target": target} for key, target in sorted(pairs - held)]
    new = add_new(db, f, rows_)
    raise_targets(db, sorted({target for _, target in new} - fresh), at)


def unwant(db: sa.Connection, target_id: str) -> None:
    """Show it no more."""
    t, f = tables.feedback, tables.follows
    db.execute(sa.delete(f).where(f.c.target == target_id))
    db.execute(sa.delete(t).where(t.c.id == target_id))


def _hold_still(db: sa.Connection, keys: Sequence[str]) -> None:
    """Wait for changes of these that are not committed yet: they can't know who follows them."""
    if keys and on_postgres(db):
        t = tables.deployments
        seqs = [int(seq) for seq in named(keys, "delivery")]
        concerned = t.c.id.in_(named(keys, "deployment")) | t.c.seq.in_(seqs)
        db.execute(sa.select(t.c.id).where(concerned).order_by(t.c.id).with_for_update(read=True))


def _row(target: Target, at: float) -> dict[str, Any]:
    return {
        "id": target.id,
        "kind": target.kind,
        "lane": target.lane,
        "rank": target.rank,
        "place": rows.place_text(target.place),
        "memory": "{}",
        "wanted": 1,
        "shown": 0,
        "at": at,
        "due_at": at,
        "attempts": 0,
        "failing_since": None,
        "error": None,
        "parked": False,
    }
