"""Held deployments that have to be judged again.

A change of a fact marks the held deployments that it concerns as due, in the same transaction. On
Postgres a change excludes every judgement meanwhile, so nothing passes a gate that has just closed.
"""

import json
from collections.abc import Sequence

import sqlalchemy as sa

from bridge.core.holds import Gate
from bridge.core.lifecycle import State
from bridge.storage import tables
from bridge.storage.engines import lock_key, on_postgres
from bridge.storage.journal.rows import batched

GATES = "gates"
"""The lock between judgements and changes of facts."""


def judging(db: sa.Connection) -> None:
    """Keep facts from changing until the end of this transaction; others may judge meanwhile."""
    if on_postgres(db):
        db.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(lock_key(GATES))))


def changing(db: sa.Connection) -> None:
    """Keep others from judging until the end of this transaction."""
    if on_postgres(db):
        db.execute(sa.select(sa.func.pg_advisory_xact_lock(lock_key(GATES))))


def mark_due(db: sa.Connection, only: sa.ColumnElement[bool], at: float) -> None:
    """Mark held deployments, so they are judged again."""
    t = tables.deployments
    held = (t.c.state == State.HELD) & only
    db.execute(sa.update(t).where(held).values(look_at=at))


def mark_apps_due(db: sa.Connection, app_ids: Sequence[str] | None, at: float) -> None:
    """Mark the held deployments of these apps; of all, if None."""
    if app_ids is None:
        mark_due(db, sa.true(), at)
        return
    for some in batched(app_ids):
        mark_due(db, tables.deployments.c.app_id.in_(some), at)


def mark_followers_due(db: sa.Connection, app_id: str, at: float, moved: str = "") -> None:
    """Mark those that are held until an app serves something, or its deployment `moved`."""
    a, holds = tables.apps, tables.deployments.c.holds
    label = db.scalar(sa.select(a.c.label).where(a.c.id == app_id))
    keys = [f"{Gate.ORDER}:{label}:"] if label is not None else []
    keys += [f"{Gate.ORDER}:{moved}"] if moved else []
    texts = [json.dumps(key)[1:-1] for key in keys]  # as in the column
    mark_due(db, sa.or_(*(holds.contains(text, autoescape=True) for text in texts)), at)


def held_by(db: sa.Connection) -> dict[Gate, int]:
    """Return how many deployments each gate holds; the others hold none."""
    t = tables.deployments
    names = {gate: f'"gate": "{gate}"' for gate in Gate}
    sums = [sa.func.sum(sa.case((t.c.holds.contains(name), 1), else_=0)) for name in names.values()]
    found = db.execute(sa.select(*sums).where(t.c.state == State.HELD)).one()
    return {gate: count for gate, count in zip(names, found, strict=True) if count}


def mark_commit_due(db: sa.Connection, commit: str, at: float) -> None:
    """Mark those that wait for the checks of a commit."""
    t = tables.deployments
    mark_due(db, sa.func.coalesce(t.c.head, t.c.commit) == commit, at)
