"""Deployments and every change of them."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from bridge.core.lifecycle import FINAL, Cancel, Change, Deployment, State
from bridge.stores import tables
from bridge.stores.journal import moves, rows
from bridge.stores.journal.transactions import Transactions

MOST_PINNED = 50
"""Deployments of an app whose ids at the backend are told; it lists about ten."""


class Deployments(Transactions):
    """One deployment after the other: where each stands, and how it came there."""

    async def deployment(self, id_: str) -> Deployment | None:
        """One deployment by its id."""
        t = tables.deployments
        found = await self._all(sa.select(t).where(t.c.id == id_))
        return rows.read_deployment(found[0]) if found else None

    async def deployments(
        self, *, limit: int, app_id: str | None = None, seq: int | None = None
    ) -> list[Deployment]:
        """The newest deployments, newest first; of one app or one delivery where given."""
        t = tables.deployments
        query = sa.select(t).order_by(t.c.seq.desc(), t.c.app).limit(limit)
        if app_id is not None:
            query = query.where(t.c.app_id == app_id)
        if seq is not None:
            query = query.where(t.c.seq == seq)
        return [rows.read_deployment(dict(row)) for row in await self._all(query)]

    async def last_deployments(self) -> dict[str, Deployment]:
        """The newest deployment of every app that has one, by the app's id."""
        t = tables.deployments
        newest = sa.select(t.c.app_id, sa.func.max(t.c.seq).label("seq")).group_by(t.c.app_id)
        last = newest.subquery()
        query = sa.select(t).join(last, (t.c.app_id == last.c.app_id) & (t.c.seq == last.c.seq))
        found = [rows.read_deployment(dict(row)) for row in await self._all(query)]
        return {deployment.app_id: deployment for deployment in found}

    async def open_deployments(self) -> list[Deployment]:
        """All that have not ended, oldest first."""
        t = tables.deployments
        going = [state for state in State if state not in FINAL]
        query = sa.select(t).where(t.c.state.in_(going)).order_by(t.c.seq)
        return [rows.read_deployment(dict(row)) for row in await self._all(query)]

    async def changes(self, id_: str, *, after: int = 0) -> list[Change]:
        """A deployment's history, oldest first, without its first `after` lines."""
        t = tables.changes
        query = sa.select(t).where(t.c.deployment == id_).order_by(t.c.number).offset(after)
        return [Change(r["at"], State(r["state"]), r["note"]) for r in await self._all(query)]

    async def intend(self, id_: str, known_before: Sequence[str]) -> Deployment | None:
        """Say that the backend is about to be asked; None when there is no need any more.

        From here on nothing supersedes it. `known_before` are the backend's deployment
        ids of the app; what comes on top of them may be ours. A deployment that was cancelled,
        or that a newer one makes moot, ends instead.
        """
        at = self._clock()
        facts = {"intent_at": at, "known_before": rows.as_json(known_before)}
        return await self._change(lambda db: moves.intend(db, id_, facts, at))

    async def take_back(self, id_: str, token: str, why: str) -> Deployment | None:
        """Have a deployment that the backend has lost wait again, under a new token.

        It ends instead where it was cancelled, or where a newer one makes it moot. Returns
        it as it is now; None where it is not with the backend.
        """
        at = self._clock()
        return await self._change(lambda db: moves.take_back(db, id_, token, why, at))

    async def withdraw(self, id_: str) -> None:
        """Take the intent back: nothing was asked, so a newer one may supersede it again."""
        waiting = tables.deployments.c.state == State.WAITING
        await self._write(lambda db: moves.change(db, id_, waiting, {"intent_at": None}))

    async def move(self, id_: str, to: State, note: str = "", **facts: Any) -> Deployment | None:
        """Move a deployment on, with what is known now; None when `to` may not follow."""
        at = self._clock()
        return await self._change(lambda db: moves.move(db, id_, to, note, facts, at))

    async def say(self, id_: str, note: str) -> None:
        """Note how a deployment stands, as a line of its history where it is news."""
        at = self._clock()
        await self._change(lambda db: moves.say(db, id_, note, at))

    async def cancel(self, app_id: str, seq: int, only: str | None = None) -> list[Deployment]:
        """Cancel what waits with us for an app and came before `seq`, or `only` that one.

        What the backend may have is marked as `Cancel.REQUESTED`. Returns what is cancelled.
        """
        at = self._clock()
        return await self._change(lambda db: moves.cancel(db, app_id, seq, at, only))

    async def mark_cancel(self, id_: str, cancel: Cancel) -> None:
        """Write down how far the cancel of a deployment has come."""
        await self._write(lambda db: moves.change(db, id_, sa.true(), {"cancel": cancel}))

    async def pinned(self, app_id: str) -> frozenset[str]:
        """Return the backend's deployment ids that an app's newest deployments are known by."""
        t = tables.deployments
        pinned = (t.c.app_id == app_id) & t.c.backend_id.is_not(None)
        query = sa.select(t.c.backend_id).where(pinned).order_by(t.c.seq.desc()).limit(MOST_PINNED)
        return frozenset(row["backend_id"] for row in await self._all(query))
