"""How deployments come, move on and make others moot: functions of an open connection.

A caller commits all that one of them has written, or nothing.
"""

from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from bridge.core.decision import Reason
from bridge.core.lifecycle import FINAL, LOSABLE, Deployment, State, makes_moot, may_move
from bridge.ports.targets import ABOUT_ANYTHING, about_delivery, about_deployment
from bridge.stores import tables
from bridge.stores.journal import rows
from bridge.stores.journal.raising import changed

WAITING = (tables.deployments.c.state == State.WAITING) & (tables.deployments.c.intent_at.is_(None))
"""Still with us for sure: not asked, and nobody is about to."""

LAST_LINES = 5
"""Of a deployment's history among which what is said is not said again."""


def add_deployment(db: sa.Connection, new: Deployment, now: float) -> None:
    """Add one; of those of the same app that still wait only the newest stays."""
    t = tables.deployments
    of_app = sa.select(t).where((t.c.app_id == new.app_id) & (t.c.id != new.id))
    if _cancelled_since(db, new):
        note = "cancelled before the backend was asked"
        new = replace(new, state=State.CANCELLED, finished_at=now, note=note)
    newer = of_app.where((t.c.seq > new.seq) & (t.c.state != State.CANCELLED))
    for row in db.execute(newer.order_by(t.c.seq)).mappings():  # so that the newest stays
        moot = rows.read_deployment(dict(row))
        if makes_moot(moot.action, new.action):
            new = replace(new, **_superseded(moot.id, now))
    db.execute(sa.insert(t), [rows.deployment_row(new)])
    _note(db, new.id, new.seq, now, new.state, new.note)
    if new.state is State.CANCELLED:
        return
    older = of_app.where((t.c.seq < new.seq) & WAITING).order_by(t.c.id).with_for_update()
    for row in db.execute(older).mappings().all():
        old = rows.read_deployment(dict(row))
        if makes_moot(new.action, old.action):
            facts = _superseded(new.id, now)
            move(db, old.id, State.SUPERSEDED, facts["note"], facts, now)


def _cancelled_since(db: sa.Connection, new: Deployment) -> bool:
    """Whether a person's cancel came after it, but was decided before: by another process."""
    d = tables.decisions
    of_app = (d.c.app_id == new.app_id) & (d.c.seq > new.seq)
    later = sa.select(d.c.seq).where(of_app & (d.c.reason == Reason.CANCEL_ASKED))
    return db.scalar(later.limit(1)) is not None


def _superseded(by: str, now: float) -> dict[str, Any]:
    return {
        "state": State.SUPERSEDED,
        "superseded_by": by,
        "finished_at": now,
        "note": f"deployment {by} is newer and builds the same branch's head",
    }


def move(
    db: sa.Connection, id_: str, to: State, note: str, facts: dict[str, Any], at: float
) -> Deployment | None:
    """Move a deployment on and add a line to its history; None when that may not be."""
    t = tables.deployments
    row = db.execute(sa.select(t).where(t.c.id == id_).with_for_update()).mappings().first()
    if row is None or not may_move(State(row["state"]), to):
        return None
    ended = {"finished_at": at} if to in FINAL else {}
    moved = change(db, id_, sa.true(), ended | facts | {"state": to, "note": note})
    _note(db, id_, row["seq"], at, to, note)
    return moved


def ask_again(db: sa.Connection, id_: str, facts: dict[str, Any]) -> Deployment | None:
    """Back to ASKED, where the backend can have lost it."""
    losable = tables.deployments.c.state.in_(LOSABLE)
    asked = change(db, id_, losable, facts)
    if asked is not None:
        _note(db, id_, asked.seq, facts["asked_at"], State.ASKED, facts["note"])
    return asked


def change(
    db: sa.Connection, id_: str, only: sa.ColumnElement[bool], facts: dict[str, Any]
) -> Deployment | None:
    """Change a deployment where `only` holds of it; None when it does not."""
    t = tables.deployments
    query = sa.update(t).where((t.c.id == id_) & only).values(facts).returning(t)
    row = db.execute(query).mappings().first()
    return None if row is None else rows.read_deployment(dict(row))


def say(db: sa.Connection, id_: str, note: str, at: float) -> None:
    """Note how it stands, and add that to its history where it is news.

    A backend that fails now in one way and now in another would write a line at every try: what
    stands among the last few is only what holds again.
    """
    t = tables.deployments
    row = db.execute(sa.select(t).where(t.c.id == id_).with_for_update()).mappings().first()
    if row is None or row["note"] == note:
        return
    db.execute(sa.update(t).where(t.c.id == id_).values(note=note))
    if (row["state"], note) in _last_lines(db, id_):
        _show(db, id_, row["seq"], at)
    else:
        _note(db, id_, row["seq"], at, State(row["state"]), note)


def _last_lines(db: sa.Connection, id_: str) -> set[tuple[str, str]]:
    """The state and the note of each."""
    t = tables.changes
    of_it = sa.select(t.c.state, t.c.note).where(t.c.deployment == id_)
    last = of_it.order_by(t.c.number.desc()).limit(LAST_LINES)
    return {(row.state, row.note) for row in db.execute(last)}


def cancel_waiting(
    db: sa.Connection, app_id: str, seq: int, note: str, at: float, only: str | None = None
) -> list[Deployment]:
    """Cancel what waits with us for an app and came before `seq`, or `only` that one of it."""
    t = tables.deployments
    waiting = (t.c.app_id == app_id) & (t.c.seq < seq) & WAITING
    if only is not None:
        waiting &= t.c.id == only
    query = sa.select(t.c.id).where(waiting).order_by(t.c.id).with_for_update()
    ids = list(db.scalars(query))
    facts = {"finished_at": at}
    moved = [move(db, id_, State.CANCELLED, note, facts, at) for id_ in ids]
    return [deployment for deployment in moved if deployment is not None]


def _note(db: sa.Connection, id_: str, seq: int, at: float, state: State, note: str) -> None:
    """Add a line to a deployment's history, and raise all that shows it."""
    line = {"deployment": id_, "at": at, "state": state, "note": note}
    db.execute(sa.insert(tables.changes), [line])
    _show(db, id_, seq, at)


def _show(db: sa.Connection, id_: str, seq: int, at: float) -> None:
    """Raise all that shows a deployment."""
    changed(db, (about_deployment(id_), about_delivery(seq), ABOUT_ANYTHING), at)
