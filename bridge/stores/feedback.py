"""What the journal keeps of feedback: which places there are, and which of them show something old.

Plain functions of an open connection, as in `transactions`. A target is raised in the
transaction that changes what it follows, so no change can be forgotten.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from bridge.core.lifecycle import Change, Deployment, State
from bridge.ports import Memory, Raised, Story, Target, about_deployment
from bridge.stores import ledger, queries, rows, tables

DEBOUNCE = 0.3
"""Seconds from a change until it is shown: what else changes in between is shown with it."""


def want(db: sa.Connection, targets: Sequence[Target], at: float) -> None:
    """Have targets shown; one that is wanted already only follows what is new."""
    t, f = tables.feedback, tables.follows
    for target in {one.id: one for one in targets}.values():
        known = db.scalar(sa.select(t.c.id).where(t.c.id == target.id))
        if known is None:
            db.execute(sa.insert(t).values(_row(target, at)))
        held = set(db.scalars(sa.select(f.c.key).where(f.c.target == target.id)))
        new = [key for key in dict.fromkeys(target.follows) if key not in held]
        if new:
            db.execute(sa.insert(f), [{"key": key, "target": target.id} for key in new])
        if known is not None and new:
            _raise(db, t.c.id == target.id, at)


def changed(db: sa.Connection, keys: Iterable[str], at: float) -> None:
    """Raise all that follows one of these."""
    f = tables.follows
    targets = sa.select(f.c.target).where(f.c.key.in_(list(keys)))
    _raise(db, tables.feedback.c.id.in_(targets), at)


def _raise(db: sa.Connection, which: sa.ColumnElement[bool], at: float) -> None:
    """One that waits for its turn already keeps it: a burst of changes can't put it off."""
    t = tables.feedback
    # One that failed keeps its pause, so that changes do not hammer a host that is away.
    again = sa.case((t.c.parked | t.c.due_at.is_(None), at + DEBOUNCE), else_=t.c.due_at)
    db.execute(sa.update(t).where(which).values(wanted=t.c.wanted + 1, due_at=again, parked=False))


def raised(limit: int, now: float, busy: Sequence[str]) -> sa.Select[Any]:
    """The query for targets whose turn has come: of each lane the one that waits longest."""
    t = tables.feedback
    due = sa.select(
        t,
        sa.func.row_number().over(partition_by=t.c.lane, order_by=(t.c.due_at, t.c.id)).label("n"),
    ).where(t.c.due_at <= now, ~t.c.parked, t.c.lane.not_in(list(busy)))
    one = due.subquery()
    return sa.select(one).where(one.c.n == 1).order_by(one.c.due_at).limit(limit)


def remember(db: sa.Connection, target_id: str, memory: Memory) -> None:
    """Keep what a place remembers of itself."""
    t = tables.feedback
    db.execute(sa.update(t).where(t.c.id == target_id).values(memory=rows.place_text(memory)))


def showed(db: sa.Connection, target_id: str, wanted: int, at: float) -> None:
    """It is up to `wanted`; if more has changed by now, it is due again."""
    t = tables.feedback
    still = sa.case((t.c.wanted > wanted, at + DEBOUNCE), else_=sa.null())
    db.execute(
        sa.update(t)
        .where(t.c.id == target_id)
        .values(shown=wanted, due_at=still, attempts=0, failing_since=None, error=None)
    )


def not_shown(
    db: sa.Connection, target_id: str, error: str, at: float, due_at: float, *, parked: bool
) -> None:
    """It could not be shown."""
    t = tables.feedback
    db.execute(
        sa.update(t)
        .where(t.c.id == target_id)
        .values(
            attempts=t.c.attempts + 1,
            failing_since=sa.func.coalesce(t.c.failing_since, at),
            error=error,
            due_at=due_at,
            parked=parked,
        )
    )


def read(db: sa.Connection, found: Iterable[sa.RowMapping]) -> list[Raised]:
    """Rows as targets, with what they follow."""
    listed = list(found)
    f = tables.follows
    keys: dict[str, list[str]] = {row["id"]: [] for row in listed}
    query = sa.select(f).where(f.c.target.in_(list(keys))).order_by(f.c.key)
    for row in db.execute(query).mappings():
        keys[row["target"]].append(row["key"])
    return [rows.read_raised(dict(row), tuple(keys[row["id"]])) for row in listed]


def story(db: sa.Connection, target: Target) -> Story:
    """What there is to show of what a target follows, in one moment."""
    words = [key.split(" ", 1) for key in target.follows]
    ids = [word[1] for word in words if word[0] == "deployment"]
    seqs = [int(word[1]) for word in words if word[0] == "delivery"]
    deployments = _deployments(db, ids, seqs)
    query = queries.explained_of(seqs)
    explained = tuple(rows.read_explained(dict(row)) for row in db.execute(query).mappings())
    app_ids = {one.app_id for one in deployments} | {one.decision.app_id for one in explained}
    apps = db.execute(ledger.APPS.where(tables.apps.c.id.in_(app_ids))).mappings()
    newer = [one.superseded_by for one in deployments if one.superseded_by]
    return Story(
        explained=explained,
        deployments=deployments,
        history={id_: _history(db, id_) for id_ in ids},
        apps={row["id"]: rows.read_app(dict(row)) for row in apps},
        beside=_beside(db, target.id, [*(one.id for one in deployments), *newer]),
    )


def _deployments(
    db: sa.Connection, ids: Sequence[str], seqs: Sequence[int]
) -> tuple[Deployment, ...]:
    t = tables.deployments
    query = sa.select(t).where(t.c.id.in_(ids) | t.c.seq.in_(seqs))
    found = db.execute(query.order_by(t.c.seq.desc(), t.c.app)).mappings()
    return tuple(rows.read_deployment(dict(row)) for row in found)


def _history(db: sa.Connection, id_: str) -> tuple[Change, ...]:
    t = tables.changes
    query = sa.select(t).where(t.c.deployment == id_).order_by(t.c.number)
    found = db.execute(query).mappings()
    return tuple(Change(row["at"], State(row["state"]), row["note"]) for row in found)


def _beside(db: sa.Connection, target_id: str, ids: Sequence[str]) -> dict[str, Memory]:
    t, f = tables.feedback, tables.follows
    keys = [about_deployment(id_) for id_ in ids]
    others = sa.select(f.c.target).where(f.c.key.in_(keys) & (f.c.target != target_id))
    query = sa.select(t.c.id, t.c.memory).where(t.c.id.in_(others))
    return {id_: rows.read_place(memory) for id_, memory in db.execute(query)}


def hold(db: sa.Connection, name: str, owner: str, now: float, seconds: float) -> bool:
    """Take a lease that nobody holds any more, or renew one's own."""
    t = tables.leases
    mine_or_over = (t.c.name == name) & ((t.c.owner == owner) | (t.c.until < now))
    taken = db.execute(sa.update(t).where(mine_or_over).values(owner=owner, until=now + seconds))
    if taken.rowcount:
        return True
    if db.scalar(sa.select(t.c.name).where(t.c.name == name)):
        return False
    db.execute(sa.insert(t).values(name=name, owner=owner, until=now + seconds))
    return True


def release(db: sa.Connection, name: str, owner: str) -> None:
    """Give a lease back."""
    t = tables.leases
    db.execute(sa.delete(t).where((t.c.name == name) & (t.c.owner == owner)))


def _row(target: Target, at: float) -> dict[str, Any]:
    return {
        "id": target.id,
        "kind": target.kind,
        "lane": target.lane,
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
