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
            t = tables.feedback
            in_order = sa.select(t.c.id).where(t.c.id.in_(some)).order_by(t.c.id)
            db.execute(in_order.with_for_update())
        db.execute(_RAISE, {"ids": some, "raised_at": at})


def hurry(db: sa.Connection, key: str) -> None:
    """Raise the rank of what follows a deployment that has ended badly."""
    t, f = tables.feedback, tables.follows
    following = sa.select(f.c.target).where(f.c.key == key)
    late = t.c.id.in_(following) & (t.c.rank > Rank.BAD)
    db.execute(sa.update(t).where(late).values(rank=Rank.BAD.value))


def _first_due(
    busy: Sequence[str] = (), favoured: Mapping[str, int] = MappingProxyType({})
) -> sa.Select[Any]:
    """Return the query for due subscriptions: the first of each lane."""
    t = tables.feedback
    # One that will be due soon delays no other.
    not_yet = sa.case((t.c.due_at <= sa.bindparam("ready"), 0), else_=1)
    first_rank = sa.case(dict(favoured), value=t.c.lane, else_=0) if favoured else sa.literal(0)
    passed_over = sa.case((t.c.rank < first_rank, 1), else_=0)
    order = (not_yet, passed_over, t.c.rank, t.c.due_at, t.c.id)
    turn = sa.func.row_number().over(partition_by=t.c.lane, order_by=order)
    due = sa.select(t, turn.label("turn")).where(t.c.due_at <= sa.bindparam("until"))
    first = (due.where(t.c.lane.not_in(list(busy))) if busy else due).subquery()
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
    """Return the first due subscription of each lane."""
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
    """Store a place's cursor; a new link makes subscriptions that may show it pending."""
    t = tables.feedback
    if holding is not None and not held(db, *holding):
        return False
    before = db.scalar(sa.select(t.c.memory).where(t.c.id == subscription_id))
    db.execute(sa.update(t).where(t.c.id == subscription_id).values(memory=rows.place_text(cursor)))
    if before is not None and rows.read_place(before).get(LINK) != cursor.get(LINK):
        changed(db, _linking(db, subscription_id), at, but=subscription_id)
    return True


def _linking(db: sa.Connection, subscription_id: str) -> list[str]:
    """Return the keys of subscriptions that may link to this one; see `ports.LINK`."""
    t, f = tables.deployments, tables.follows
    followed = db.scalars(sa.select(f.c.key).where(f.c.target == subscription_id))
    ids = named(followed, "deployment")
    query = sa.select(t.c.id, t.c.seq).where(t.c.id.in_(ids) | t.c.superseded_by.in_(ids))
    found = db.execute(query).all()
    return [key for id_, seq in found for key in (about_deployment(id_), about_delivery(seq))]


def mark_published(db: sa.Connection, subscription_id: str, wanted: int, at: float) -> None:
    """Mark it as published up to version `wanted`; it is due again if more has changed."""
    t = tables.feedback
    values = {
        "shown": wanted,
        "due_at": sa.case((t.c.wanted > wanted, at), else_=sa.null()),
        "attempts": 0,
        "failing_since": None,
        "error": None,
        "parked": False,
    }
    db.execute(sa.update(t).where(t.c.id == subscription_id).values(values))


def mark_failed(
    db: sa.Connection, failed: tuple[str, int], error: str, at: float, due_at: float | None
) -> None:
    """Record that publishing failed; without `due_at` park the subscription.

    A change during the attempt makes it pending again, even if it is parked.
    """
    t = tables.feedback
    subscription_id, wanted = failed
    parks = t.c.wanted <= wanted if due_at is None else sa.false()
    values = {
        "attempts": t.c.attempts + 1,
        "failing_since": sa.func.coalesce(t.c.failing_since, at),
        "error": error,
        "due_at": sa.case((parks, sa.null()), else_=at if due_at is None else due_at),
        "parked": parks,
    }
    db.execute(sa.update(t).where(t.c.id == subscription_id).values(values))


def postpone(db: sa.Connection, subscription_id: str, due_at: float) -> None:
    """Publish it at `due_at`; keep its failures unchanged."""
    t = tables.feedback
    db.execute(sa.update(t).where(t.c.id == subscription_id).values(due_at=due_at))


def retry_feedback(db: sa.Connection, subscription_id: str | None, at: float) -> int:
    """Retry one failing or parked subscription at once, or all of them."""
    t = tables.feedback
    which = t.c.error.is_not(None) if subscription_id is None else t.c.id == subscription_id
    again = {"due_at": at, "attempts": 0, "failing_since": None, "parked": False}
    return db.execute(sa.update(t).where(which & t.c.error.is_not(None)).values(again)).rowcount


def read(db: sa.Connection, found: Iterable[sa.RowMapping]) -> list[Pending]:
    """Return rows as subscriptions, with the keys they follow."""
    listed = list(found)
    f = tables.follows
    keys: dict[str, list[str]] = {row["id"]: [] for row in listed}
    for some in batched(list(keys)):
        query = sa.select(f).where(f.c.target.in_(some)).order_by(f.c.key)
        for row in db.execute(query).mappings():
            keys[row["target"]].append(row["key"])
    return [rows.read_raised(dict(row), tuple(keys[row["id"]])) for row in listed]


def subscribe(
    db: sa.Connection,
    subscriptions: Sequence[Subscription],
    at: float,
    cursor: Cursor | None = None,
) -> None:
    """Add subscriptions; an existing one only gets the new keys, and the cursor if given."""
    t, f = tables.feedback, tables.follows
    wanted = {one.id: one for one in subscriptions}
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
    mark_pending(db, sorted({target for _, target in new} - fresh), at)
    if cursor is not None:
        for id_ in wanted:
            save_cursor(db, id_, cursor, at)


def unsubscribe(db: sa.Connection, subscription_id: str, cursor: Cursor) -> None:
    """Remove a subscription, unless its cursor is another one by now."""
    t, f = tables.feedback, tables.follows
    same = (t.c.id == subscription_id) & (t.c.memory == rows.place_text(cursor))
    if db.execute(sa.delete(t).where(same)).rowcount:
        db.execute(sa.delete(f).where(f.c.target == subscription_id))


def forget_feedback(db: sa.Connection, keys: Sequence[str]) -> None:
    """Remove subscriptions to expired deliveries only; one that follows a newer one stays."""
    t, f = tables.feedback, tables.follows
    concerned: set[str] = set()
    for some in batched(keys):
        concerned |= set(db.scalars(sa.select(f.c.target).where(f.c.key.in_(some))))
        db.execute(sa.delete(f).where(f.c.key.in_(some)))
    for targets in batched(sorted(concerned)):
        still = sa.select(f.c.target).where(f.c.target.in_(targets))
        db.execute(sa.delete(t).where(t.c.id.in_(targets), t.c.id.not_in(still)))


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
