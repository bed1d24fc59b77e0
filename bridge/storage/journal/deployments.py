"""The state of each deployment, its history, and what became of it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from bridge.core.events import Action
from bridge.core.gates.locks import Lock
from bridge.core.gates.order import Earlier
from bridge.core.health.fate import Course, Fate, Step, course_of, fate_of
from bridge.core.health.serving import Serving
from bridge.core.holds import Lift
from bridge.core.lifecycle import (
    FINAL,
    LIVE,
    SERVED,
    Brief,
    Cancel,
    Change,
    Deployment,
    Evidence,
    NoteKind,
    State,
    carries,
)
from bridge.core.people import Cause
from bridge.core.report import EndedDeployment, HeldSpan
from bridge.ports.gates import Judging
from bridge.ports.outcomes import Audits
from bridge.storage import tables
from bridge.storage.journal.audit import audited
from bridge.storage.journal.deployment_rows import (
    DUE_HOLDS,
    GOING,
    LOCKED,
    ORIGIN,
    all_of,
    change,
    changing,
    ids_text,
    locked,
    read,
    read_all,
    read_change,
    split_origin,
)
from bridge.storage.journal.gates import keep_lock
from bridge.storage.journal.held import earlier_apps, intend, judge, lift
from bridge.storage.journal.rows import batched
from bridge.storage.journal.serving import served
from bridge.storage.journal.transactions import Transactions
from bridge.storage.journal.transitions import (
    add_line,
    cancel,
    move,
    say,
    take_back,
    withdraw,
)

_T = tables.deployments

MOST_PINNED = 50
"""Deployments of an app whose backend ids are returned; a backend lists about ten."""


def _newest_of(app_ids: Sequence[str], each: int) -> "sa.Select[Any]":
    """Return the query for the newest deployments of each app; it reads only those."""
    a, one = tables.apps, _T.alias()
    first = (
        sa.select(one.c.seq)
        .where(one.c.app_id == a.c.id)
        .order_by(one.c.seq.desc())
        .limit(1)
        .offset(each - 1)
        .scalar_subquery()
    )
    of_app = (_T.c.app_id == a.c.id) & (_T.c.seq >= sa.func.coalesce(first, 0))
    columns = (_T.c.app_id, _T.c.id, _T.c.state, _T.c.started_at, _T.c.finished_at)
    query = sa.select(*columns).select_from(a.join(_T, of_app)).where(a.c.id.in_(app_ids))
    return query.order_by(_T.c.seq.desc())


def _decided(db: sa.Connection, id_: str, note: str, way_back: str, at: float) -> None:
    """Record that an unhealthy deployment announces no rollback any more, and say why."""
    one = locked(db, id_, LOCKED)
    if one is not None:
        said = {"note": note, "way_back": way_back} if note else {}
        changed = change(db, id_, {"back_to": None} | said)
        if changed is not None and changed.note != one.note:
            add_line(db, changed, at)


class Deployments(Transactions):
    """The state of each deployment, its history, and the judgement of the held ones."""

    async def deployment(self, id_: str) -> Deployment | None:
        return await self._once(lambda db: read(db, id_))

    async def deployments_with(self, ids: Sequence[str]) -> dict[str, Deployment]:
        return await self._read(lambda db: read_all(db, ids))

    async def deployments(
        self,
        *,
        limit: int,
        app_id: str | None = None,
        seq: int | None = None,
        state: State | None = None,
        lived: bool = False,
        after: Deployment | None = None,
    ) -> list[Deployment]:
        query = sa.select(_T).order_by(_T.c.seq.desc(), _T.c.app, _T.c.id).limit(limit)
        if app_id is not None:
            query = query.where(_T.c.app_id == app_id)
        if seq is not None:
            query = query.where(_T.c.seq == seq)
        if state is not None:
            query = query.where(_T.c.state == state)
        if lived:
            query = query.where(_T.c.state.in_(SERVED))
        if after is not None:
            later_app = (_T.c.app > after.app) | ((_T.c.app == after.app) & (_T.c.id > after.id))
            query = query.where(_T.c.seq <= after.seq, (_T.c.seq < after.seq) | later_app)
        return await self._once(lambda db: all_of(db, query))

    async def briefly(self, app_ids: Sequence[str], each: int) -> dict[str, list[Brief]]:
        found: dict[str, list[Brief]] = {id_: [] for id_ in app_ids}
        for some in batched(app_ids):
            for row in await self._all(_newest_of(some, each)):
                facts = row | {"state": State(row["state"])}
                found[facts.pop("app_id")].append(Brief(**facts))
        return found

    async def deployed_lately(self, limit: int) -> list[str]:
        rows = await self._all(sa.select(_T.c.app_id).order_by(_T.c.seq.desc()).limit(limit))
        return list(dict.fromkeys(row["app_id"] for row in rows))

    async def last_deployments(self) -> dict[str, Deployment]:
        newest = sa.select(_T.c.app_id, sa.func.max(_T.c.seq).label("seq")).group_by(_T.c.app_id)
        last = newest.subquery()
        query = sa.select(_T).join(last, (_T.c.app_id == last.c.app_id) & (_T.c.seq == last.c.seq))
        found = await self._once(lambda db: all_of(db, query))
        return {deployment.app_id: deployment for deployment in found}

    async def open_deployments(
        self, *, held: bool = True, app_id: str | None = None
    ) -> list[Deployment]:
        going = GOING if held else GOING & (_T.c.state != State.HELD)
        query = sa.select(_T).where(going).order_by(_T.c.seq)
        if app_id is not None:
            query = query.where(_T.c.app_id == app_id)
        return await self._once(lambda db: all_of(db, query))

    async def watched(
        self, announced: float, unproven: float, kept: float | None
    ) -> list[Deployment]:
        late = (_T.c.state == State.UNHEALTHY) & (_T.c.finished_at >= announced)
        those = (_T.c.state == State.VERIFYING) | (late & _T.c.back_to.is_not(None))
        done = _T.c.state == State.DONE
        those |= done & (_T.c.finished_at >= unproven) & _T.c.images.is_(None)
        if kept is not None:
            those |= done & (_T.c.finished_at >= kept)
        query = sa.select(_T).where(those).order_by(_T.c.seq)
        return await self._once(lambda db: all_of(db, query))

    async def prove(
        self, id_: str, images: Sequence[str], evidence: Evidence | None = None
    ) -> None:
        facts: dict[str, Any] = {"images": ids_text(images)}
        facts |= {} if evidence is None else {"evidence": evidence}
        await self._write(lambda db: change(db, id_, facts))

    async def settle_rollback(self, id_: str, note: str = "", way_back: str = "") -> None:
        at = self._clock()
        await self._change(lambda db: _decided(db, id_, note, way_back, at))

    async def changes(self, id_: str, *, after: int = 0) -> list[Change]:
        t = tables.changes
        query = sa.select(t).where(t.c.deployment == id_).order_by(t.c.number).offset(after)
        return [read_change(row) for row in await self._all(query)]

    async def fates(self, deployments: Sequence[Deployment]) -> dict[str, Fate]:
        return await self._read(lambda db: fates(db, deployments))

    async def ended_since(self, since: float, app_id: str | None = None) -> list[EndedDeployment]:
        query = sa.select(
            *(_T.c.id, _T.c.seq, _T.c.app_id, _T.c.app, _T.c.action, *ORIGIN, _T.c.state),
            *(_T.c.created_at, _T.c.live_at, _T.c.finished_at, _T.c.superseded_by, _T.c.target),
            _T.c.deployed_commit,
        ).where(_T.c.finished_at >= since)
        if app_id is not None:
            query = query.where(_T.c.app_id == app_id)
        query = query.order_by(_T.c.finished_at, _T.c.id)  # as in an index
        return [_read_ended(row) for row in await self._all(query)]

    async def held_since(self, since: float) -> list[HeldSpan]:
        return [_read_span(row) for row in await self._all(_spans(since))]

    async def oldest_deployment(self) -> float | None:
        query = sa.select(_T.c.created_at).order_by(_T.c.seq).limit(1)
        return await self._read(lambda db: db.scalar(query))

    async def earlier(self, ids: Mapping[str, str]) -> dict[str, Earlier]:
        return await self._read(lambda db: earlier_apps(db, ids))

    async def due_holds(self, now: float, limit: int) -> list[Deployment]:
        due = {"its_now": now, "its_most": limit}
        return await self._read(lambda db: all_of(db, DUE_HOLDS, due))

    async def judge(self, id_: str, by: Judging, *, seen: float | None = None) -> Deployment | None:
        at = self._clock()
        return await self._change(lambda db: judge(db, id_, by, at, seen=seen))

    async def lift(
        self, id_: str, lift_: Lift, audit: Audits[Deployment | None] | None = None
    ) -> Deployment | None:
        at = self._clock()
        return await self._change(lambda db: audited(db, lift(db, id_, lift_, at), audit))

    async def intend(
        self, id_: str, known_before: Sequence[str], by: Judging, **facts: Any
    ) -> Deployment | None:
        at = self._clock()
        facts |= {"intent_at": at, "known_before": ids_text(known_before)}
        return await self._change(lambda db: intend(db, id_, facts, by, at))

    async def take_back(
        self, id_: str, token: str, why: str, *, interrupted: bool = False
    ) -> Deployment | None:
        at = self._clock()
        return await self._change(
            lambda db: take_back(db, id_, token, why, at, interrupted=interrupted)
        )

    async def withdraw(self, id_: str, *, maybe_asked: bool = False, note: str = "") -> None:
        at = self._clock()
        await self._change(lambda db: withdraw(db, id_, at, maybe_asked=maybe_asked, more=note))

    async def move(self, id_: str, to: State, note: str = "", **facts: Any) -> Deployment | None:
        at = self._clock()

        def work(db: sa.Connection) -> Deployment | None:
            if to in (*SERVED, State.UNKNOWN):  # what waits for it to be served is judged by it
                changing(db)
            return move(db, id_, to, note, facts, at)

        return await self._change(work)

    async def move_and_lock(
        self, lock: Lock, id_: str, to: State, note: str = "", /, **facts: Any
    ) -> Deployment | None:
        at = self._clock()

        def work(db: sa.Connection) -> Deployment | None:
            changing(db)  # before any row, as every judgement does
            moved = move(db, id_, to, note, facts, at)
            if moved is not None:
                keep_lock(db, lock, [moved.app_id])
            return moved

        return await self._change(work)

    async def say(self, id_: str, note: str, kind: NoteKind | None = None) -> None:
        at = self._clock()
        await self._change(lambda db: say(db, id_, note, kind, at))

    async def cancel(self, app_id: str, seq: int, only: str | None = None) -> list[Deployment]:
        at = self._clock()
        return await self._change(lambda db: cancel(db, app_id, seq, at, only))

    async def mark_cancel(self, id_: str, cancel: Cancel) -> None:
        await self._write(lambda db: change(db, id_, {"cancel": cancel}))

    async def pinned(self, app_id: str) -> dict[str, str]:
        pinned = (_T.c.app_id == app_id) & _T.c.backend_id.is_not(None)
        query = sa.select(_T.c.backend_id, _T.c.id).where(pinned).order_by(_T.c.seq.desc())
        rows = await self._all(query.limit(MOST_PINNED))
        return {row["backend_id"]: row["id"] for row in rows}


def _read_ended(row: dict[str, Any]) -> EndedDeployment:
    facts, origin = split_origin(row)
    known = {"action": Action(row["action"]), "state": State(row["state"])}
    return EndedDeployment(**facts | known, pushed=origin.cause is not Cause.ASKED)


def _spans(since: float) -> "sa.Select[Any]":
    """Return the query for the lines of histories that held, each with when the next one came."""
    c = tables.changes
    after = sa.func.lead(c.c.at).over(partition_by=c.c.deployment, order_by=c.c.number)
    lines = (
        sa.select(
            *(c.c.deployment, _T.c.app_id, _T.c.app, c.c.state, c.c.gates, c.c.at),
            sa.func.coalesce(after, _T.c.finished_at).label("until"),
        )
        .join(_T, _T.c.id == c.c.deployment)
        .where((_T.c.finished_at >= since) & _T.c.held_at.is_not(None))
        .subquery()
    )
    return sa.select(lines).where(lines.c.state == State.HELD)


def _read_span(row: Mapping[str, Any]) -> HeldSpan:
    of = row["deployment"], row["app_id"], row["app"]
    return HeldSpan(*of, tuple(row["gates"].split()), row["at"], row["until"])


def fates(db: sa.Connection, deployments: Iterable[Deployment]) -> dict[str, Fate]:
    """Return what has become of the versions of those that went live, by id."""
    lived = [one for one in deployments if one.state in LIVE]
    serving = served(db, sorted({one.app_id for one in lived}))
    courses = _courses(db, [one for one in lived if not _is_newest(one, serving)])
    named = {id_ for one in courses.values() for id_ in (one.last, one.after, one.back) if id_}
    known = read_all(db, named)
    given_up = _given_up(db, [one.id for one in lived if one.state is State.UNHEALTHY])
    found: dict[str, Fate] = {}
    for one in lived:
        fate = fate_of(one, serving.get(one.app_id), courses.get(one.id), known)
        if fate is not None:
            found[one.id] = replace(fate, given_up=given_up.get(one.id))
    return found


def _is_newest(one: Deployment, serving: Mapping[str, Serving]) -> bool:
    newest = serving[one.app_id].newest if one.app_id in serving else None
    return newest is not None and newest.id == one.id


def _courses(db: sa.Connection, past: Sequence[Deployment]) -> dict[str, Course]:
    """Return what has come after each of them; of an app, all that it has served since is read."""
    since: dict[str, tuple[float, str]] = {}
    for one in past:
        began = (one.live_at or 0.0, one.id)
        since[one.app_id] = min(began, since.get(one.app_id, began))
    steps = {app_id: _steps(db, app_id, begins) for app_id, begins in since.items()}
    return {one.id: course_of(one.id, steps[one.app_id]) for one in past}


def _steps(db: sa.Connection, app_id: str, since: tuple[float, str]) -> list[Step]:
    later = sa.tuple_(_T.c.live_at, _T.c.id) >= sa.tuple_(*map(sa.literal, since))
    facts = (
        _T.c.id,
        _T.c.action,
        _T.c.state,
        _T.c.target,
        _T.c.deployed_commit,
        _T.c.image,
        _T.c.images,
    )
    query = sa.select(*facts).where((_T.c.app_id == app_id) & later)
    rows = db.execute(query.order_by(_T.c.live_at, _T.c.id))
    return [Step(*row[:-1], images=tuple(json.loads(row.images or "[]"))) for row in rows]


def _given_up(db: sa.Connection, ids: Sequence[str]) -> dict[str, Deployment]:
    """Return the rollbacks that were to go back from deployments and ended without that."""
    found: dict[str, Deployment] = {}
    for some in batched(ids):
        ended = _T.c.state.in_([*(FINAL - set(LIVE))]) & _T.c.back_from.in_(some)
        apps = _T.c.app_id.in_(sorted({id_.partition(".")[2] for id_ in some}))
        those = all_of(db, sa.select(_T).where(apps & ended).order_by(_T.c.seq))
        found |= {one.back_from: one for one in those if one.back_from is not None}
    return found


def instead_of(db: sa.Connection, deployments: Iterable[Deployment]) -> dict[str, Deployment]:
    """Return what has brought the commits of superseded deployments in the end, by their ids."""
    old = {one.id: one for one in deployments if one.superseded_by}
    next_ = {id_: one.superseded_by or "" for id_, one in old.items()}
    for some in batched(sorted(set(next_.values()))):
        next_ |= {row.id: row.superseded_by for row in db.execute(_CHAIN, {"ids": some})}
    last = {id_: _end(next_, id_) for id_ in old}
    known = read_all(db, set(last.values()))
    found = {id_: known[by] for id_, by in last.items() if by in known}
    return {id_: new for id_, new in found.items() if carries(new, old[id_])}


def _chain() -> sa.Select[Any]:
    """Return the query for some superseded deployments and each in their place, to the last."""
    columns = (_T.c.id, _T.c.superseded_by)
    those = sa.select(*columns).where(_T.c.id.in_(sa.bindparam("ids", expanding=True)))
    found = those.cte("found", recursive=True)
    found = found.union(sa.select(*columns).where(_T.c.id == found.c.superseded_by))
    return sa.select(found).where(found.c.superseded_by.is_not(None))


_CHAIN = _chain()


def _end(next_: Mapping[str, str], id_: str) -> str:
    while id_ in next_:
        id_ = next_[id_]
    return id_
