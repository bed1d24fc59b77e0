"""The outbox of feedback: pending subscriptions, and the results of publishing them."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from bridge.ports.feedback import Pending
from bridge.ports.outcomes import (
    LINK,
    Cursor,
    Rank,
    Subscription,
    about_delivery,
    about_deployment,
    named,
)
from bridge.storage import tables
from bridge.storage.engines import on_postgres
from bridge.storage.journal import rows
from bridge.storage.journal.notes import held
from bridge.storage.journal.rows import add_new, batched

_F, _T = tables.follows, tables.feedback

_FOLLOWERS = sa.select(_F.c.target).where(_F.c.key.in_(sa.bindparam("keys", expanding=True)))
_RAISE = (
    sa.update(_T)
    .where(_T.c.id.in_(sa.bindparam("ids", expanding=True)))
    .values(
        wanted=_T.c.wanted + 1,
        due_at=sa.func.coalesce(_T.c.due_at, sa.bindparam("raised_at")),
        attempts=sa.case((_T.c.parked, 0), else_=_T.c.attempts),
        failing_since=sa.case((_T.c.parked, sa.null()), else_=_T.c.failing_since),
        parked=False,
    )
)
# Both are built once: every change of a deployment runs the first, usually without a match.


def changed(db: sa.Connection, keys: Iterable[str], at: float, *, but: str = "") -> None:
    """Mark all subscriptions of these keys as pending, except for one."""
    found = set(db.scalars(_FOLLOWERS, {"keys": list(keys)}))
    mark_pending(db, sorted(found - {but}), at)


def mark_pending(db: sa.Connection, ids: Sequence[str], at: float) -> None:
    """Mark subscriptions as pending.

    An already pending one keeps its time, so a burst of changes can't postpone it. A failed one
    keeps its pause, so changes don't hammer a host that is away. A parked one is retried.
    """
    for some in batched(ids):
        if on_postgres(db):  # in a fixed order, so two transactions can't deadlock
            in_order = sa.select(_T.c.id).where(_T.c.id.in_(some)).order_by(_T.c.id)
            db.execute(in_order.with_for_update())
        db.execute(_RAISE, {"ids": some, "raised_at": at})


def hurry(db: sa.Connection, key: str) -> None:
    """Raise the rank of what follows a deployment that has ended badly."""
    following = sa.select(_F.c.target).where(_F.c.key == key)
    late = _T.c.id.in_(following) & (_T.c.rank > Rank.BAD)
    db.execute(sa.update(_T).where(late).values(rank=Rank.BAD.value))


def _first_due(
    busy: Sequence[str] = (), favoured: Mapping[str, int] = MappingProxyType({})
) -> sa.Select[Any]:
    """Return the query for due subscriptions: the first of each lane."""
    # One that will be due soon delays no other.
    not_yet = sa.case((_T.c.due_at <= sa.bindparam("ready"), 0), else_=1)
    first_rank = sa.case(dict(favoured), value=_T.c.lane, else_=0) if favoured else sa.literal(0)
    passed_over = sa.case((_T.c.rank < first_rank, 1), else_=0)
    order = (not_yet, passed_over, _T.c.rank, _T.c.due_at, _T.c.id)
    turn = sa.func.row_number().over(partition_by=_T.c.lane, order_by=order)
    due = sa.select(_T, turn.label("turn")).where(_T.c.due_at <= sa.bindparam("until"))
    first = (due.where(_T.c.lane.not_in(list(busy))) if busy else due).subquery()
    ordered = sa.select(first).where(first.c.turn == 1).order_by(first.c.due_at)
    return ordered.limit(sa.bindparam("most"))


_FIRST_DUE = _first_due()
"""Built once: every change, and each second at rest, runs it."""


def pending(
    db: sa.Connection,
    limit: int,
    until: float,
    ready: float,
    busy: Sequence[str],
    favoured: Mapping[str, int],
) -> list[Pending]:
    """See `Subscriptions.pending`."""
    query = _first_due(busy, favoured) if busy or favoured else _FIRST_DUE
    those = db.execute(query, {"until": until, "ready": ready, "most": limit})
    return read(db, those.mappings())


def save_cursor(
    db: sa.Connection,
    subscription_id: str,
    cursor: Cursor,
    at: float,
    *,
    holding: tuple[str, str] | None = None,
) -> bool:
    """See `Subscriptions.save_cursor`."""
    if holding is not None and not held(db, *holding):
        return False
    before = db.scalar(sa.select(_T.c.memory).where(_T.c.id == subscription_id))
    db.execute(
        sa.update(_T).where(_T.c.id == subscription_id).values(memory=rows.place_text(cursor))
    )
    if before is not None and rows.read_place(before).get(LINK) != cursor.get(LINK):
        changed(db, _linking(db, subscription_id), at, but=subscription_id)
    return True


def _linking(db: sa.Connection, subscription_id: str) -> list[str]:
    """Return the keys of subscriptions that may link to this one; see `ports.LINK`."""
    t = tables.deployments
    followed = db.scalars(sa.select(_F.c.key).where(_F.c.target == subscription_id))
    ids = named(followed, "deployment")
    query = sa.select(t.c.id, t.c.seq).where(t.c.id.in_(ids) | t.c.superseded_by.in_(ids))
    found = db.execute(query).all()
    return [key for id_, seq in found for key in (about_deployment(id_), about_delivery(seq))]


def read(db: sa.Connection, found: Iterable[sa.RowMapping]) -> list[Pending]:
    """Return rows as subscriptions, with the keys they follow."""
    listed = list(found)
    keys: dict[str, list[str]] = {row["id"]: [] for row in listed}
    for some in batched(list(keys)):
        query = sa.select(_F).where(_F.c.target.in_(some)).order_by(_F.c.key)
        for row in db.execute(query).mappings():
            keys[row["target"]].append(row["key"])
    return [rows.read_raised(dict(row), tuple(keys[row["id"]])) for row in listed]


def subscribe(
    db: sa.Connection,
    subscriptions: Sequence[Subscription],
    at: float,
    cursor: Cursor | None = None,
) -> None:
    """See `Subscriptions.subscribe`."""
    wanted = {one.id: one for one in subscriptions}
    _hold_still(db, [key for one in wanted.values() for key in one.follows])
    known: set[str] = set()
    held: set[tuple[str, str]] = set()
    for some in batched(list(wanted)):
        known |= set(db.scalars(sa.select(_T.c.id).where(_T.c.id.in_(some))))
        of_some = sa.select(_F.c.key, _F.c.target).where(_F.c.target.in_(some))
        held |= {(key, target) for key, target in db.execute(of_some)}
    unknown = sorted(wanted.keys() - known)
    fresh = {id_ for (id_,) in add_new(db, _T, [_row(wanted[id_], at) for id_ in unknown])}
    pairs = {(key, one.id) for one in wanted.values() for key in one.follows}
    rows_ = [{"key": key, "target": target} for key, target in sorted(pairs - held)]
    new = add_new(db, _F, rows_)
    mark_pending(db, sorted({target for _, target in new} - fresh), at)
    if cursor is not None:
        for id_ in wanted:
            save_cursor(db, id_, cursor, at)


def forget_feedback(db: sa.Connection, keys: Sequence[str]) -> None:
    """Remove subscriptions to expired deliveries only; one that follows a newer one stays."""
    concerned: set[str] = set()
    for some in batched(keys):
        concerned |= set(db.scalars(sa.select(_F.c.target).where(_F.c.key.in_(some))))
        db.execute(sa.delete(_F).where(_F.c.key.in_(some)))
    for targets in batched(sorted(concerned)):
        still = sa.select(_F.c.target).where(_F.c.target.in_(targets))
        db.execute(sa.delete(_T).where(_T.c.id.in_(targets), _T.c.id.not_in(still)))


def _hold_still(db: sa.Connection, keys: Sequence[str]) -> None:
    """Wait for uncommitted changes of these deployments: they can't know their new subscribers."""
    if keys and on_postgres(db):
        t = tables.deployments
        seqs = [int(seq) for seq in named(keys, "delivery")]
        concerned = t.c.id.in_(named(keys, "deployment")) | t.c.seq.in_(seqs)
        db.execute(sa.select(t.c.id).where(concerned).order_by(t.c.id).with_for_update(read=True))


def _row(subscription: Subscription, at: float) -> dict[str, Any]:
    return {
        "id": subscription.id,
        "kind": subscription.kind,
        "lane": subscription.lane,
        "rank": int(subscription.rank),
        "place": rows.place_text(subscription.place),
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
