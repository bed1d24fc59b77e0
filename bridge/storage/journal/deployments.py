"""Deployments, and every change of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from bridge.core.decision import Reason
from bridge.core.events import Action
from bridge.core.lifecycle import (
    FINAL,
    LOSABLE,
    Cancel,
    Change,
    Deployment,
    State,
    makes_moot,
    may_move,
)
from bridge.ports.outcomes import ABOUT_ANYTHING, about_delivery, about_deployment
from bridge.storage import tables
from bridge.storage.journal.outbox import changed
from bridge.storage.journal.transactions import Transactions

WAITING = (tables.deployments.c.state == State.WAITING) & (tables.deployments.c.intent_at.is_(None))
"""The condition for a deployment that was not requested and is not about to be."""

NEVER_ASKED = "cancelled before the backend was asked"
NOT_ASKED_AGAIN = "cancelled before the backend was asked again"
MAYBE_ASKED = (
    "cancelled; the backend may have been asked for it before, and has shown no sign of it"
)

BROUGHT_UP = frozenset({State.DONE, State.UNKNOWN})
"""States of deployments that have succeeded or may have."""

LAST_LINES = 5
"""The last lines of a deployment's history; a note that is among them is not repeated."""


def _as_json(ids: Sequence[str]) -> str:
    """Return ids as the text of a column."""
    return json.dumps(list(ids))


def deployment_row(deployment: Deployment) -> dict[str, Any]:
    """Return a deployment as a row of `deployments`."""
    row = {name: getattr(deployment, name) for name in Deployment.__dataclass_fields__}
    return row | {"known_before": _as_json(deployment.known_before)}


def read_deployment(row: Mapping[str, Any]) -> Deployment:
    """Return a deployment from a row of `deployments`."""
    return Deployment(
        **dict(row)
        | {
            "action": Action(row["action"]),
            "state": State(row["state"]),
            "known_before": tuple(json.loads(row["known_before"])),
            "cancel": row["cancel"] and Cancel(row["cancel"]),
        }
    )


def add_deployment(db: sa.Connection, new: Deployment, now: float) -> None:
    """Add a deployment; it supersedes older waiting ones of the same app.

    One that waits behind a newer tag's deployment supersedes none.
    """
    t = tables.deployments
    of_app = sa.select(t).where((t.c.app_id == new.app_id) & (t.c.id != new.id))
    if _cancelled_since(db, new):
        new = replace(new, state=State.CANCELLED, finished_at=now, note=NEVER_ASKED)
    elif (newest := _newer(db, new)) is not None:
        new = replace(new, state=State.SUPERSEDED, finished_at=now, **_superseded(newest))
    db.execute(sa.insert(t), [deployment_row(new)])
    _note(db, new.id, new.seq, now, new.state, new.note)
    if new.state is State.CANCELLED or new.behind is not None:
        return
    older = of_app.where((t.c.seq < new.seq) & WAITING).order_by(t.c.id).with_for_update()
    for row in db.execute(older).mappings().all():
        old = read_deployment(dict(row))
        if makes_moot(new.action, old.action):
            _supersede(db, old.id, _superseded(new.id), now)


def _cancelled_since(db: sa.Connection, new: Deployment) -> bool:
    """Return whether another process has already decided a later cancel."""
    d = tables.decisions
    of_app = (d.c.app_id == new.app_id) & (d.c.seq > new.seq)
    later = sa.select(d.c.seq).where(of_app & (d.c.reason == Reason.CANCEL_ASKED))
    return db.scalar(later.limit(1)) is not None


def _newer(db: sa.Connection, old: Deployment) -> str | None:
    """Return the newest deployment of the same app that builds everything `old` would."""
    t = tables.deployments
    newer = (t.c.app_id == old.app_id) & (t.c.seq > old.seq) & (t.c.state != State.CANCELLED)
    newer &= t.c.behind.is_(None)
    found = db.execute(sa.select(t.c.id, t.c.action).where(newer).order_by(t.c.seq.desc()))
    return next((row.id for row in found if makes_moot(Action(row.action), old.action)), None)


def _superseded(by: str, why: str = "is newer and builds the same branch's head") -> dict[str, Any]:
    number, _, _ = by.partition(".")  # the lists show this number
    shown = f"#{int(number)}" if number.isdecimal() else by
    return {"superseded_by": by, "note": f"deployment {shown} {why}"}


def _supersede(db: sa.Connection, id_: str, facts: dict[str, Any], now: float) -> Deployment | None:
    return move(db, id_, State.SUPERSEDED, facts["note"], facts, now)


def in_place_of(db: sa.Connection, deployment: Deployment) -> Deployment:
    """Return the deployment that replaced a superseded one; for others, the deployment itself."""
    t = tables.deployments
    while deployment.superseded_by is not None:
        query = sa.select(t).where(t.c.id == deployment.superseded_by)
        if (row := db.execute(query).mappings().first()) is None:
            break  # it has been deleted
        deployment = read_deployment(dict(row))
    return deployment


def _went_ahead(db: sa.Connection, id_: str) -> dict[str, Any] | None:
    """Return how the deployment of a newer tag supersedes one behind it; None if it does not."""
    t = tables.deployments
    row = db.execute(sa.select(t).where(t.c.id == id_)).mappings().first()
    if row is None:
        return None
    ahead = in_place_of(db, read_deployment(dict(row)))
    if ahead.state not in BROUGHT_UP:
        return None
    may = "" if ahead.state is State.DONE else "may have "
    return _superseded(ahead.id, f"{may}brought up a newer tag")


def move(
    db: sa.Connection, id_: str, to: State, note: str, facts: dict[str, Any], at: float
) -> Deployment | None:
    """Change a deployment's state, with a line in its history; return None if not allowed."""
    t = tables.deployments
    row = db.execute(sa.select(t).where(t.c.id == id_).with_for_update()).mappings().first()
    if row is None or not may_move(State(row["state"]), to):
        return None
    ended = {"finished_at": at} if to in FINAL else {}
    moved = change(db, id_, sa.true(), ended | facts | {"state": to, "note": note})
    _note(db, id_, row["seq"], at, to, note)
    return moved


def intend(db: sa.Connection, id_: str, facts: dict[str, Any], at: float) -> Deployment | None:
    """Record that the backend is about to be called, unless that is no longer necessary.

    A cancelled or superseded deployment ends here. Return None if it does not wait.
    """
    waiting = _locked(db, id_, WAITING)
    if waiting is None or _needless(db, waiting, at, _cancelled_here(waiting)) is not None:
        return None
    return change(db, id_, WAITING, facts)


def withdraw(db: sa.Connection, id_: str, at: float, *, maybe_asked: bool) -> Deployment | None:
    """Withdraw an intent, and end the deployment if it is no longer needed."""
    facts = {"intent_at": None} | ({"maybe_asked": True} if maybe_asked else {})
    waiting = change(db, id_, tables.deployments.c.state == State.WAITING, facts)
    if waiting is None:
        return None
    return _needless(db, waiting, at, _cancelled_here(waiting)) or waiting


def _cancelled_here(waiting: Deployment) -> str:
    """Return the note for the cancel of a waiting deployment, by what is known of its requests."""
    if waiting.maybe_asked:
        return MAYBE_ASKED
    return NOT_ASKED_AGAIN if waiting.asked_again else NEVER_ASKED


def take_back(
    db: sa.Connection, id_: str, token: str, why: str, at: float, *, interrupted: bool = False
) -> Deployment | None:
    """Return a deployment that the backend has lost to waiting, or end it if not needed.

    Return it as it is now, or None if the backend can't have lost it.
    """
    lost = _locked(db, id_, tables.deployments.c.state.in_(LOSABLE))
    if lost is None:
        return None
    if (ended := _needless(db, lost, at, f"{why}; it had been cancelled")) is not None:
        return ended
    note = f"{why}; it waits here again"
    facts = {
        "state": State.WAITING,
        "note": note,
        "token": token,
        "known_before": _as_json(()),
        "backend_id": None,
        "intent_at": None,
        "asked_at": None,
        "started_at": None,
        "asked_again": lost.asked_again + 1,
        "interrupted": lost.interrupted + interrupted,
        "maybe_asked": False,
    }
    waiting = change(db, id_, sa.true(), facts)
    _note(db, id_, lost.seq, at, State.WAITING, note)
    return waiting


def _locked(db: sa.Connection, id_: str, only: sa.ColumnElement[bool]) -> Deployment | None:
    t = tables.deployments
    query = sa.select(t).where((t.c.id == id_) & only).with_for_update()
    row = db.execute(query).mappings().first()
    return None if row is None else read_deployment(dict(row))


def _needless(db: sa.Connection, asking: Deployment, at: float, note: str) -> Deployment | None:
    """End a deployment that must not be requested: cancelled, or superseded by a newer one."""
    if asking.cancel is not None:
        return move(db, asking.id, State.CANCELLED, note, {}, at)
    if (newest := _newer(db, asking)) is not None:
        return _supersede(db, asking.id, _superseded(newest), at)
    ahead = None if asking.behind is None else _went_ahead(db, asking.behind)
    return None if ahead is None else _supersede(db, asking.id, ahead, at)


def change(
    db: sa.Connection, id_: str, only: sa.ColumnElement[bool], facts: dict[str, Any]
) -> Deployment | None:
    """Change a deployment if `only` holds for it; return None if it does not."""
    t = tables.deployments
    query = sa.update(t).where((t.c.id == id_) & only).values(facts).returning(t)
    row = db.execute(query).mappings().first()
    return None if row is None else read_deployment(dict(row))


def say(db: sa.Connection, id_: str, note: str, at: float) -> None:
    """Set the note of a deployment, and add it to the history if it is new.

    A backend that fails in alternating ways would write a line at every attempt, so a note among
    the last few lines is not repeated.
    """
    t = tables.deployments
    row = db.execute(sa.select(t).where(t.c.id == id_).with_for_update()).mappings().first()
    if row is None or row["note"] == note or State(row["state"]) in FINAL:
        return  # a final deployment keeps its last note
    db.execute(sa.update(t).where(t.c.id == id_).values(note=note))
    if (row["state"], note) in _last_lines(db, id_):
        _show(db, id_, row["seq"], at)
    else:
        _note(db, id_, row["seq"], at, State(row["state"]), note)


def _last_lines(db: sa.Connection, id_: str) -> set[tuple[str, str]]:
    """Return the newest states with their notes."""
    t = tables.changes
    of_it = sa.select(t.c.state, t.c.note).where(t.c.deployment == id_)
    last = of_it.order_by(t.c.number.desc()).limit(LAST_LINES)
    return {(row.state, row.note) for row in db.execute(last)}


def cancel(
    db: sa.Connection, app_id: str, seq: int, at: float, only: str | None = None
) -> list[Deployment]:
    """Cancel an app's waiting deployments from before `seq`, or only `only`.

    Mark deployments that the backend may have, so they are never requested again. Return the
    cancelled ones.
    """
    t = tables.deployments
    meant = (t.c.app_id == app_id) & (t.c.seq < seq) & t.c.state.not_in(FINAL)
    if only is not None:
        meant &= t.c.id == only
    query = sa.select(t).where(meant & WAITING).order_by(t.c.id).with_for_update()
    waiting = [read_deployment(dict(row)) for row in db.execute(query).mappings().all()]
    moved = [move(db, one.id, State.CANCELLED, _cancelled_here(one), {}, at) for one in waiting]
    mark = sa.update(t).where(meant & t.c.cancel.is_(None)).values(cancel=Cancel.REQUESTED)
    db.execute(mark)
    return [deployment for deployment in moved if deployment is not None]


def _note(db: sa.Connection, id_: str, seq: int, at: float, state: State, note: str) -> None:
    """Add a line to a deployment's history and mark its subscriptions as pending."""
    line = {"deployment": id_, "at": at, "state": state, "note": note}
    db.execute(sa.insert(tables.changes), [line])
    _show(db, id_, seq, at)


def _show(db: sa.Connection, id_: str, seq: int, at: float) -> None:
    """Mark all subscriptions of a deployment as pending."""
    changed(db, (about_deployment(id_), about_delivery(seq), ABOUT_ANYTHING), at)


MOST_PINNED = 50
"""Deployments of an app whose backend ids are returned; a backend lists about ten."""


class Deployments(Transactions):
    """The state of each deployment, and its history."""

    async def deployment(self, id_: str) -> Deployment | None:
        t = tables.deployments
        found = await self._all(sa.select(t).where(t.c.id == id_))
        return read_deployment(found[0]) if found else None

    async def deployments(
        self, *, limit: int, app_id: str | None = None, seq: int | None = None
    ) -> list[Deployment]:
        t = tables.deployments
        query = sa.select(t).order_by(t.c.seq.desc(), t.c.app).limit(limit)
        if app_id is not None:
            query = query.where(t.c.app_id == app_id)
        if seq is not None:
            query = query.where(t.c.seq == seq)
        return [read_deployment(dict(row)) for row in await self._all(query)]

    async def last_deployments(self) -> dict[str, Deployment]:
        t = tables.deployments
        newest = sa.select(t.c.app_id, sa.func.max(t.c.seq).label("seq")).group_by(t.c.app_id)
        last = newest.subquery()
        query = sa.select(t).join(last, (t.c.app_id == last.c.app_id) & (t.c.seq == last.c.seq))
        found = [read_deployment(dict(row)) for row in await self._all(query)]
        return {deployment.app_id: deployment for deployment in found}

    async def open_deployments(self) -> list[Deployment]:
        t = tables.deployments
        going = [state for state in State if state not in FINAL]
        query = sa.select(t).where(t.c.state.in_(going)).order_by(t.c.seq)
        return [read_deployment(dict(row)) for row in await self._all(query)]

    async def changes(self, id_: str, *, after: int = 0) -> list[Change]:
        t = tables.changes
        query = sa.select(t).where(t.c.deployment == id_).order_by(t.c.number).offset(after)
        return [Change(r["at"], State(r["state"]), r["note"]) for r in await self._all(query)]

    async def intend(self, id_: str, known_before: Sequence[str]) -> Deployment | None:
        at = self._clock()
        facts = {"intent_at": at, "known_before": _as_json(known_before)}
        return await self._change(lambda db: intend(db, id_, facts, at))

    async def take_back(
        self, id_: str, token: str, why: str, *, interrupted: bool = False
    ) -> Deployment | None:
        at = self._clock()
        return await self._change(
            lambda db: take_back(db, id_, token, why, at, interrupted=interrupted)
        )

    async def withdraw(self, id_: str, *, maybe_asked: bool = False) -> None:
        at = self._clock()
        await self._change(lambda db: withdraw(db, id_, at, maybe_asked=maybe_asked))

    async def move(self, id_: str, to: State, note: str = "", **facts: Any) -> Deployment | None:
        at = self._clock()
        return await self._change(lambda db: move(db, id_, to, note, facts, at))

    async def say(self, id_: str, note: str) -> None:
        """Set a deployment's note, and add it to the history if it is new."""
        at = self._clock()
        await self._change(lambda db: say(db, id_, note, at))

    async def cancel(self, app_id: str, seq: int, only: str | None = None) -> list[Deployment]:
        at = self._clock()
        return await self._change(lambda db: cancel(db, app_id, seq, at, only))

    async def mark_cancel(self, id_: str, cancel: Cancel) -> None:
        await self._write(lambda db: change(db, id_, sa.true(), {"cancel": cancel}))

    async def pinned(self, app_id: str) -> frozenset[str]:
        t = tables.deployments
        pinned = (t.c.app_id == app_id) & t.c.backend_id.is_not(None)
        query = sa.select(t.c.backend_id).where(pinned).order_by(t.c.seq.desc()).limit(MOST_PINNED)
        return frozenset(row["backend_id"] for row in await self._all(query))
