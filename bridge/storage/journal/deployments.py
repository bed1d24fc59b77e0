"""The state of each deployment, and its history."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from bridge.core.gates.locks import Lock
from bridge.core.gates.order import Earlier
from bridge.core.holds import Lift
from bridge.core.lifecycle import (
    FINAL,
    SERVED,
    Brief,
    Cancel,
    Change,
    Deployment,
    Evidence,
    NoteKind,
    State,
)
from bridge.ports.gates import Judging
from bridge.ports.outcomes import Audits
from bridge.storage import tables
from bridge.storage.journal.audit import audited
from bridge.storage.journal.deployment_rows import (
    all_of,
    change,
    ids_text,
    locked,
    read,
    read_change,
)
from bridge.storage.journal.due import changing
from bridge.storage.journal.gates import keep_lock
from bridge.storage.journal.held import earlier_apps, intend, judge, lift
from bridge.storage.journal.rows import batched
from bridge.storage.journal.statements import DUE_HOLDS, LOCKED
from bridge.storage.journal.transactions import Transactions
from bridge.storage.journal.transitions import (
    add_line,
    cancel,
    move,
    say,
    take_back,
    withdraw,
)

MOST_PINNED = 50
"""Deployments of an app whose backend ids are returned; a backend lists about ten."""


def _newest_of(app_ids: Sequence[str], each: int) -> "sa.Select[Any]":
    """Return the query for the newest deployments of each app; it reads only those."""
    a, t, one = tables.apps, tables.deployments, tables.deployments.alias()
    first = (
        sa.select(one.c.seq)
        .where(one.c.app_id == a.c.id)
        .order_by(one.c.seq.desc())
        .limit(1)
        .offset(each - 1)
        .scalar_subquery()
    )
    of_app = (t.c.app_id == a.c.id) & (t.c.seq >= sa.func.coalesce(first, 0))
    columns = (t.c.app_id, t.c.id, t.c.state, t.c.started_at, t.c.finished_at)
    query = sa.select(*columns).select_from(a.join(t, of_app)).where(a.c.id.in_(app_ids))
    return query.order_by(t.c.seq.desc())


def _decided(db: sa.Connection, id_: str, note: str, way_back: str, at: float) -> None:
    """Record that an unhealthy deployment announces no rollback any more, and say why."""
    one = locked(db, id_, LOCKED)
    if one is not None:
        said = {"note": note, "way_back": way_back} if note else {}
        changed = change(db, id_, {"back_to": None} | said)
        if changed is not None and changed.note != one.note:
            add_line(db, changed, at)


class Deployments(Transactions):
    """The state of each deployment, and its history."""

    async def deployment(self, id_: str) -> Deployment | None:
        return await self._read(lambda db: read(db, id_))

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
        t = tables.deployments
        query = sa.select(t).order_by(t.c.seq.desc(), t.c.app, t.c.id).limit(limit)
        if app_id is not None:
            query = query.where(t.c.app_id == app_id)
        if seq is not None:
            query = query.where(t.c.seq == seq)
        if state is not None:
            query = query.where(t.c.state == state)
        if lived:
            query = query.where(t.c.state.in_(SERVED))
        if after is not None:
            later_app = (t.c.app > after.app) | ((t.c.app == after.app) & (t.c.id > after.id))
            query = query.where(t.c.seq <= after.seq, (t.c.seq < after.seq) | later_app)
        return await self._read(lambda db: all_of(db, query))

    async def briefly(self, app_ids: Sequence[str], each: int) -> dict[str, list[Brief]]:
        found: dict[str, list[Brief]] = {id_: [] for id_ in app_ids}
        for some in batched(app_ids):
            for row in await self._all(_newest_of(some, each)):
                facts = row | {"state": State(row["state"])}
                found[facts.pop("app_id")].append(Brief(**facts))
        return found

    async def deployed_lately(self, limit: int) -> list[str]:
        t = tables.deployments
        rows = await self._all(sa.select(t.c.app_id).order_by(t.c.seq.desc()).limit(limit))
        return list(dict.fromkeys(row["app_id"] for row in rows))

    async def last_deployments(self) -> dict[str, Deployment]:
        t = tables.deployments
        newest = sa.select(t.c.app_id, sa.func.max(t.c.seq).label("seq")).group_by(t.c.app_id)
        last = newest.subquery()
        query = sa.select(t).join(last, (t.c.app_id == last.c.app_id) & (t.c.seq == last.c.seq))
        found = await self._read(lambda db: all_of(db, query))
        return {deployment.app_id: deployment for deployment in found}

    async def open_deployments(
        self, *, held: bool = True, app_id: str | None = None
    ) -> list[Deployment]:
        t = tables.deployments
        going = [one for one in State if one not in FINAL and (held or one is not State.HELD)]
        query = sa.select(t).where(t.c.state.in_(going)).order_by(t.c.seq)
        if app_id is not None:
            query = query.where(t.c.app_id == app_id)
        return await self._read(lambda db: all_of(db, query))

    async def watched(
        self, announced: float, unproven: float, kept: float | None
    ) -> list[Deployment]:
        t = tables.deployments
        late = (t.c.state == State.UNHEALTHY) & (t.c.finished_at >= announced)
        those = (t.c.state == State.VERIFYING) | (late & t.c.back_to.is_not(None))
        done = t.c.state == State.DONE
        those |= done & (t.c.finished_at >= unproven) & t.c.images.is_(None)
        if kept is not None:
            those |= done & (t.c.finished_at >= kept)
        query = sa.select(t).where(those).order_by(t.c.seq)
        return await self._read(lambda db: all_of(db, query))

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
        """Set a deployment's note, and add it to the history if it is new."""
        at = self._clock()
        await self._change(lambda db: say(db, id_, note, kind, at))

    async def cancel(self, app_id: str, seq: int, only: str | None = None) -> list[Deployment]:
        at = self._clock()
        return await self._change(lambda db: cancel(db, app_id, seq, at, only))

    async def mark_cancel(self, id_: str, cancel: Cancel) -> None:
        await self._write(lambda db: change(db, id_, {"cancel": cancel}))

    async def pinned(self, app_id: str) -> dict[str, str]:
        t = tables.deployments
        pinned = (t.c.app_id == app_id) & t.c.backend_id.is_not(None)
        query = sa.select(t.c.backend_id, t.c.id).where(pinned).order_by(t.c.seq.desc())
        rows = await self._all(query.limit(MOST_PINNED))
        return {row["backend_id"]: row["id"] for row in rows}
