"""Locks, freezes and approvals, and what they hold."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from bridge.core.access import Right
from bridge.core.gates.approvals import Approval
from bridge.core.gates.freezes import Allowed, Freeze
from bridge.core.gates.gates import Facts
from bridge.core.gates.locks import Lock, Scope, scopes_of
from bridge.core.holds import Gate, Hold, Lift, Proposal
from bridge.ports.gates import Judging, Taken
from bridge.ports.outcomes import Audits
from bridge.storage import tables
from bridge.storage.journal.audit import audited
from bridge.storage.journal.ci import read_ci
from bridge.storage.journal.due import changing, mark_apps_due
from bridge.storage.journal.locks import drop_lock, locks_where, put_lock
from bridge.storage.journal.shown import mark_locked
from bridge.storage.journal.transactions import Transactions


def facts_of(db: sa.Connection, by: Judging) -> Facts:
    """Return what is known that may hold a deployment of an app, but for other deployments."""
    scopes = scopes_of(by.app)
    return Facts(
        locks=locks_where(db, tables.locks.c.scope.in_(scopes)),
        freezes=[*by.freezes, *_freezes(db, tables.freezes.c.scope.in_(scopes))],
        approvals=_approvals(db, by.app.id) if by.app.rules.approvals else (),
        identities=by.identities,
        ci=read_ci(db, by.head) if by.head is not None and by.app.rules.checks else None,
        compared=by.compared,
        proposal=by.proposal,
        unknown_head=by.unknown_head,
        again_at=by.again_at,
    )


# ── columns ─────────────────────────────────────────────────────────────────────────────────────


def holds_text(holds: Sequence[Hold]) -> str:
    """Return holds as the text of a column."""
    return json.dumps([asdict(one) for one in holds])


def read_holds(text: str) -> tuple[Hold, ...]:
    """Return holds from a column."""
    return tuple(_read_hold(said) for said in json.loads(text))


def _read_hold(said: Mapping[str, Any]) -> Hold:
    """Return a hold; one that an earlier version has written lacks some facts."""
    proposal = said.get("proposal")
    if proposal is not None:
        several = {one: tuple(proposal.get(one, ())) for one in ("files", "same", "authors", "by")}
        proposal = Proposal(**proposal | several)
    typed = {"gate": Gate(said["gate"]), "may_lift": Right(said["may_lift"])}
    return Hold(**{**said, **typed, "proposal": proposal})


def lifts_text(lifts: Sequence[Lift]) -> str:
    """Return lifts as the text of a column."""
    return json.dumps([asdict(one) for one in lifts])


def read_lifts(text: str) -> tuple[Lift, ...]:
    """Return lifts from a column."""
    return tuple(Lift(**said | {"keys": tuple(said["keys"])}) for said in json.loads(text))


def _freeze_row(freeze: Freeze) -> dict[str, Any]:
    return {
        "name": freeze.name,
        "scope": freeze.scope,
        "label": freeze.label,
        "by": freeze.by,
        "reason": freeze.reason,
        "allow": json.dumps(sorted(freeze.allow)),
        "at": freeze.at,
        "until": freeze.until,
    }


def _read_freeze(row: Mapping[str, Any]) -> Freeze:
    allow = frozenset(Allowed(one) for one in json.loads(row["allow"]))
    return Freeze(**dict(row) | {"allow": allow, "apps": ()})


def _freezes(db: sa.Connection, only: sa.ColumnElement[bool]) -> list[Freeze]:
    t = tables.freezes
    query = sa.select(t).where(only).order_by(t.c.at)
    return [_read_freeze(dict(row)) for row in db.execute(query).mappings()]


def _approvals(db: sa.Connection, app_id: str, commit: str | None = None) -> list[Approval]:
    t = tables.approvals
    query = sa.select(t).where(t.c.app_id == app_id).order_by(t.c.at)
    if commit is not None:
        query = query.where(t.c.commit == commit)
    rows = db.execute(query).mappings()
    return [_read_approval(dict(row)) for row in rows]


def _read_approval(row: dict[str, Any]) -> Approval:
    accounts = row["accounts"]
    known = {"accounts": tuple(json.loads(accounts or "[]")), "judged": accounts is not None}
    return Approval(**row | known)


class Gates(Transactions):
    """Locks, freezes and approvals."""

    async def next_hold_at(self, now: float) -> float | None:
        t = tables.deployments
        query = sa.select(sa.func.min(t.c.look_at)).where(t.c.look_at > now)
        return await self._read(lambda db: db.scalar(query))

    async def look_again(self, app_ids: Sequence[str] | None) -> None:
        at = self._clock()
        await self._write(lambda db: mark_apps_due(db, app_ids, at))

    async def take_lock(
        self,
        lock: Lock,
        concerns: Sequence[str] | None,
        *,
        steal: bool,
        audit: Audits[Taken] | None = None,
    ) -> Taken:
        def take(db: sa.Connection) -> Taken:
            return audited(db, take_lock(db, lock, concerns, steal=steal), audit)

        return await self._change(take)

    async def release_lock(
        self,
        scope: str,
        concerns: Sequence[str] | None,
        audit: Audits[Lock | None] | None = None,
    ) -> Lock | None:
        at = self._clock()
        return await self._change(
            lambda db: audited(db, _release_lock(db, scope, concerns, at), audit)
        )

    async def locks(self) -> list[Lock]:
        at = self._clock()
        return await self._read(lambda db: locks_where(db, _holds_at(tables.locks, at)))

    async def freeze(
        self, freeze: Freeze, concerns: Sequence[str] | None, audit: Audits[None] | None = None
    ) -> None:
        def declare(db: sa.Connection) -> None:
            changing(db)
            db.execute(sa.insert(tables.freezes), [_freeze_row(freeze)])
            mark_apps_due(db, concerns, freeze.at)
            audited(db, None, audit)

        await self._change(declare)

    async def unfreeze(
        self,
        scope: Scope,
        concerns: Sequence[str] | None,
        audit: Audits[list[Freeze]] | None = None,
    ) -> list[Freeze]:
        at = self._clock()

        def end(db: sa.Connection) -> list[Freeze]:
            changing(db)
            t = tables.freezes
            ended = _freezes(db, (t.c.scope == scope.key) & _holds_at(t, at))
            db.execute(sa.delete(t).where(t.c.scope == scope.key))
            mark_apps_due(db, concerns, at)
            return audited(db, ended, audit)

        return await self._change(end)

    async def freezes(self) -> list[Freeze]:
        at = self._clock()
        return await self._read(lambda db: _freezes(db, _holds_at(tables.freezes, at)))

    async def approve(self, approval: Approval, audit: Audits[bool] | None = None) -> bool:
        def record(db: sa.Connection) -> bool:
            changing(db)
            t = tables.approvals
            known = _approvals(db, approval.app_id, approval.commit)
            if any(one.person == approval.person and one.at >= approval.at for one in known):
                return False
            of_commit = (t.c.app_id == approval.app_id) & (t.c.commit == approval.commit)
            db.execute(sa.delete(t).where(of_commit & (t.c.person == approval.person)))
            row = asdict(approval) | {"accounts": json.dumps(approval.accounts)}
            del row["judged"]
            db.execute(sa.insert(tables.approvals), [row])
            mark_apps_due(db, [approval.app_id], approval.at)
            return True

        return await self._change(lambda db: audited(db, record(db), audit))

    async def approvals(self, app_id: str, commit: str | None = None) -> list[Approval]:
        return await self._read(lambda db: _approvals(db, app_id, commit))

    async def forget_gates(self, before: float, limit: int) -> int:
        return await self._write(lambda db: _forget(db, before, limit))


def _forget(db: sa.Connection, before: float, limit: int) -> int:
    approvals, ci = tables.approvals, tables.ci
    old: tuple[tuple[sa.Table, sa.ColumnElement[bool]], ...] = (
        (approvals, approvals.c.at < before),
        (ci, ci.c.due_at.is_(None) & (ci.c.since < before)),
        (tables.freezes, tables.freezes.c.until < before),
    )
    gone = sa.select(tables.locks.c.scope).where(tables.locks.c.until < before).limit(limit)
    scopes = list(db.scalars(gone))
    for scope in scopes:
        drop_lock(db, scope)
    total = len(scopes)
    for table, expired in old:
        key = sa.tuple_(*table.primary_key.columns)
        some = sa.select(*table.primary_key.columns).where(expired).limit(limit - total)
        total += db.execute(sa.delete(table).where(key.in_(some))).rowcount
    return total


def _holds_at(t: sa.Table, at: float) -> sa.ColumnElement[bool]:
    return sa.or_(t.c.until.is_(None), t.c.until > at)


def take_lock(
    db: sa.Connection, lock: Lock, concerns: Sequence[str] | None, *, steal: bool
) -> Taken:
    """Take a lock, unless another person has locked the same scope; `steal`: even then."""
    changing(db)
    before = next(iter(locks_where(db, tables.locks.c.scope == lock.scope)), None)
    if before is not None and before.expired(lock.at):
        before = None
    if before is not None and before.owner != lock.owner and not steal:
        return Taken(before, taken=False)
    put_lock(db, lock)
    mark_apps_due(db, concerns, lock.at)  # a held one has one reason more, or another
    return Taken(lock, taken=True, before=before)


def keep_lock(db: sa.Connection, lock: Lock, concerns: Sequence[str]) -> None:
    """Take a lock, unless somebody has locked the same scope."""
    found = locks_where(db, tables.locks.c.scope == lock.scope)
    if all(one.expired(lock.at) for one in found):
        take_lock(db, lock, concerns, steal=True)


def _release_lock(
    db: sa.Connection, scope: str, concerns: Sequence[str] | None, at: float
) -> Lock | None:
    changing(db)
    before = next(iter(locks_where(db, tables.locks.c.scope == scope)), None)
    if before is not None:
        drop_lock(db, scope)
        mark_locked(db, scope, at)
        mark_apps_due(db, concerns, at)
    return None if before is None or before.expired(at) else before
