"""Locks, freezes and approvals, and what they hold."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import sqlalchemy as sa

from bridge.core.gates.approvals import Approval
from bridge.core.gates.freezes import Allowed, Freeze
from bridge.core.gates.gates import Facts
from bridge.core.gates.locks import Lock, PullRef, Scope, scopes_of
from bridge.core.holds import Gate
from bridge.core.lifecycle import State
from bridge.ports.gates import DueLock, Judging, Taken, TellsRelease
from bridge.ports.outcomes import Audited, Audits, Subscription, about_lock
from bridge.storage import tables
from bridge.storage.journal import outbox
from bridge.storage.journal.audit import add_audit, audited
from bridge.storage.journal.ci import read_ci
from bridge.storage.journal.deployment_rows import changing, mark_apps_due
from bridge.storage.journal.outbox import forget_feedback
from bridge.storage.journal.shown import mark_locked
from bridge.storage.journal.transactions import Transactions

_A, _F, _L = tables.approvals, tables.freezes, tables.locks


def facts_of(db: sa.Connection, by: Judging) -> Facts:
    """Return what is known that may hold a deployment of an app, but for other deployments."""
    scopes = scopes_of(by.app)
    return Facts(
        locks=locks_where(db, _L.c.scope.in_(scopes)),
        freezes=[*by.freezes, *_freezes(db, _F.c.scope.in_(scopes))],
        approvals=_approvals(db, by.app.id) if by.app.rules.approvals else (),
        identities=by.identities,
        ci=read_ci(db, by.head) if by.head is not None and by.app.rules.checks else None,
        compared=by.compared,
        proposal=by.proposal,
        unknown_head=by.unknown_head,
        again_at=by.again_at,
    )


class Gates(Transactions):
    """Locks, freezes and approvals, and what happens to locks by time and by pull requests."""

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
        return await self._change(
            lambda db: audited(db, _take_lock(db, lock, concerns, steal=steal), audit)
        )

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
        return await self._read(lambda db: locks_where(db, _holds_at(_L, at)))

    async def freeze(
        self, freeze: Freeze, concerns: Sequence[str] | None, audit: Audits[None] | None = None
    ) -> None:
        def declare(db: sa.Connection) -> None:
            changing(db)
            db.execute(sa.insert(_F), [_freeze_row(freeze)])
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
            of_scope = _F.c.scope == scope.key
            ended = _freezes(db, of_scope & _holds_at(_F, at))
            db.execute(sa.delete(_F).where(of_scope))
            mark_apps_due(db, concerns, at)
            return audited(db, ended, audit)

        return await self._change(end)

    async def freezes(self) -> list[Freeze]:
        at = self._clock()
        return await self._read(lambda db: _freezes(db, _holds_at(_F, at)))

    async def approve(self, approval: Approval, audit: Audits[bool] | None = None) -> bool:
        return await self._change(lambda db: audited(db, _approve(db, approval), audit))

    async def approvals(self, app_id: str, commit: str | None = None) -> list[Approval]:
        return await self._read(lambda db: _approvals(db, app_id, commit))

    async def forget_gates(self, before: float, limit: int) -> int:
        return await self._write(lambda db: _forget(db, before, limit))

    async def next_lock_at(self) -> Mapping[str, float]:
        now = self._clock()
        ends = sa.select(sa.func.min(_L.c.until).label("at"))
        (end,) = [row["at"] for row in await self._all(ends)]
        times = {} if end is None else {"": float(end)}
        query = sa.select(_L.c.merge, _L.c.remind_at, _L.c.look_at).where(_holds_at(_L, now))
        for row in await self._all(query):
            merge = _read_merge(row["merge"])
            if merge is None and row["merge"]:
                continue  # no host could be asked, so it would be due for ever
            host = "" if merge is None else merge.host
            for at in (row["remind_at"], row["look_at"]):
                if at is not None:
                    times[host] = min(at, times.get(host, at))
        return times

    async def end_locks(self) -> None:
        at = self._clock()
        await self._change(lambda db: _end_locks(db, at))

    async def due_locks(self, now: float, limit: int, host: str) -> list[DueLock]:
        return await self._read(lambda db: _due(db, now, limit, host))

    async def remind(
        self, lock: Lock, again_at: float | None, those: Sequence[Subscription]
    ) -> bool:
        at = self._clock()
        return await self._change(lambda db: _remind(db, lock, again_at, those, at))

    async def keep_lock(
        self, lock: Lock, again_at: float | None, audit: Audits[bool] | None = None
    ) -> bool:
        query = sa.update(_L).where(_same(lock)).values(remind_at=again_at)
        return await self._change(lambda db: audited(db, bool(db.execute(query).rowcount), audit))

    async def look_later(self, lock: Lock, at: float) -> None:
        query = sa.update(_L).where(_same(lock)).values(look_at=at, looks=_L.c.looks + 1)
        await self._write(lambda db: db.execute(query))

    async def report_pull(self, host: str, names: Sequence[str], number: int) -> bool:
        texts = [_merge_text(PullRef(host, name, number, sign)) for name in names for sign in "#!"]
        those = sa.func.lower(_L.c.merge).in_([text.lower() for text in texts])
        query = sa.update(_L).where(those).values(look_at=self._clock(), looks=0)
        return await self._write(lambda db: bool(db.execute(query).rowcount))

    async def release_merged(
        self, lock: Lock, concerns: Sequence[str] | None, note: Audited, tell: TellsRelease
    ) -> bool:
        return await self._change(lambda db: _release_merged(db, lock, concerns, note, tell))


# ── locks ───────────────────────────────────────────────────────────────────────────────────────


def _take_lock(
    db: sa.Connection, lock: Lock, concerns: Sequence[str] | None, *, steal: bool
) -> Taken:
    """Take a lock, unless another person has locked the same scope; `steal`: even then."""
    changing(db)
    before = _lock_of(db, lock.scope)
    if before is not None and before.expired(lock.at):
        before = None
    if before is not None and before.owner != lock.owner and not steal:
        return Taken(before, taken=False)
    _put_lock(db, lock)
    mark_apps_due(db, concerns, lock.at)  # a held one has one reason more, or another
    return Taken(lock, taken=True, before=before)


def keep_lock(db: sa.Connection, lock: Lock, concerns: Sequence[str]) -> None:
    """Take a lock, unless somebody has locked the same scope."""
    before = _lock_of(db, lock.scope)
    if before is None or before.expired(lock.at):
        _take_lock(db, lock, concerns, steal=True)


def _release_lock(
    db: sa.Connection, scope: str, concerns: Sequence[str] | None, at: float
) -> Lock | None:
    changing(db)
    before = _lock_of(db, scope)
    if before is not None:
        _drop_lock(db, scope)
        mark_locked(db, scope, at)
        mark_apps_due(db, concerns, at)
    return None if before is None or before.expired(at) else before


def _put_lock(db: sa.Connection, lock: Lock) -> None:
    """Store a lock in place of the one that its scope has."""
    _drop_lock(db, lock.scope)
    merge = None if lock.merge is None else _merge_text(lock.merge)
    look_at = None if lock.merge is None else lock.at
    db.execute(sa.insert(_L), [asdict(lock) | {"merge": merge, "look_at": look_at}])
    mark_locked(db, lock.scope, lock.at)


def _drop_lock(db: sa.Connection, scope: str) -> None:
    """Delete a scope's lock, and what its owner is still to be told of it."""
    db.execute(sa.delete(_L).where(_L.c.scope == scope))
    forget_feedback(db, [about_lock(scope)])


def _end_locks(db: sa.Connection, at: float) -> None:
    """Delete the locks that have ended by themselves; what shows them says so no longer."""
    for scope in list(db.scalars(sa.select(_L.c.scope).where(_L.c.until <= at))):
        _drop_lock(db, scope)
        mark_locked(db, scope, at)


def _due(db: sa.Connection, now: float, limit: int, host: str) -> list[DueLock]:
    of_host = _L.c.merge.startswith(f"{host} ", autoescape=True) if host else _L.c.merge.is_(None)
    due = sa.or_(_L.c.remind_at <= now, _L.c.look_at <= now) & _holds_at(_L, now) & of_host
    query = sa.select(_L).where(due).order_by(_L.c.scope).limit(limit)
    found = []
    for row in db.execute(query).mappings():
        looks = row["looks"] if row["look_at"] is not None and row["look_at"] <= now else None
        lock = _read_lock(row)
        found.append(DueLock(lock, _held_by(db, lock), looks))
    return found


def _held_by(db: sa.Connection, lock: Lock) -> int:
    """Return how many deployments a lock holds."""
    t = tables.deployments
    key = json.dumps(f"{Gate.LOCK}:{lock.key}")  # as in the column
    held = (t.c.state == State.HELD) & t.c.holds.contains(key, autoescape=True)
    return db.scalar(sa.select(sa.func.count()).where(held)) or 0


def _remind(
    db: sa.Connection,
    lock: Lock,
    again_at: float | None,
    those: Sequence[Subscription],
    at: float,
) -> bool:
    due = _same(lock) & (_L.c.remind_at == lock.remind_at)
    if not db.execute(sa.update(_L).where(due).values(remind_at=again_at)).rowcount:
        return False
    outbox.subscribe(db, those, at)
    return True


def _release_merged(
    db: sa.Connection,
    lock: Lock,
    concerns: Sequence[str] | None,
    note: Audited,
    tell: TellsRelease,
) -> bool:
    changing(db)
    if not locks_where(db, _same(lock)):
        return False
    _drop_lock(db, lock.scope)
    mark_locked(db, lock.scope, note.at)
    mark_apps_due(db, concerns, note.at)
    number = add_audit(db, note, note.at)
    outbox.subscribe(db, tell(replace(note, number=number)), note.at)
    return True


# ── freezes, approvals and rows ─────────────────────────────────────────────────────────────────


def _approve(db: sa.Connection, approval: Approval) -> bool:
    changing(db)
    known = _approvals(db, approval.app_id, approval.commit)
    if any(one.person == approval.person and one.at >= approval.at for one in known):
        return False
    of_commit = (_A.c.app_id == approval.app_id) & (_A.c.commit == approval.commit)
    db.execute(sa.delete(_A).where(of_commit & (_A.c.person == approval.person)))
    row = asdict(approval) | {"accounts": json.dumps(approval.accounts)}
    del row["judged"]
    db.execute(sa.insert(_A), [row])
    mark_apps_due(db, [approval.app_id], approval.at)
    return True


def _forget(db: sa.Connection, before: float, limit: int) -> int:
    ci = tables.ci
    scopes = list(db.scalars(sa.select(_L.c.scope).where(_L.c.until < before).limit(limit)))
    for scope in scopes:
        _drop_lock(db, scope)
    total = len(scopes)
    old: tuple[tuple[sa.Table, sa.ColumnElement[bool]], ...] = (
        (_A, _A.c.at < before),
        (ci, ci.c.due_at.is_(None) & (ci.c.since < before)),
        (_F, _F.c.until < before),
    )
    for table, expired in old:
        key = sa.tuple_(*table.primary_key.columns)
        some = sa.select(*table.primary_key.columns).where(expired).limit(limit - total)
        total += db.execute(sa.delete(table).where(key.in_(some))).rowcount
    return total


def _holds_at(t: sa.Table, at: float) -> sa.ColumnElement[bool]:
    return sa.or_(t.c.until.is_(None), t.c.until > at)


def _same(lock: Lock) -> sa.ColumnElement[bool]:
    """Return whether it is this lock, and not a later one of its scope."""
    return (_L.c.scope == lock.scope) & (_L.c.at == lock.at)


_MERGE = re.compile(r"(\S+) (.+)([#!])(\d+)")


def locks_where(db: sa.Connection, only: sa.ColumnElement[bool]) -> list[Lock]:
    """Return the locks that fit, by scope; expired ones as well."""
    query = sa.select(_L).where(only).order_by(_L.c.scope)
    return [_read_lock(row) for row in db.execute(query).mappings()]


def _lock_of(db: sa.Connection, scope: str) -> Lock | None:
    return next(iter(locks_where(db, _L.c.scope == scope)), None)


def _read_lock(row: Mapping[Any, Any]) -> Lock:
    facts = dict(row)
    del facts["look_at"], facts["looks"]
    return Lock(**facts | {"merge": _read_merge(facts["merge"])})


def _read_merge(text: str | None) -> PullRef | None:
    found = _MERGE.fullmatch(text or "")
    return None if found is None else PullRef(found[1], found[2], int(found[4]), found[3])


def _merge_text(merge: PullRef) -> str:
    return f"{merge.host} {merge}"


def _freezes(db: sa.Connection, only: sa.ColumnElement[bool]) -> list[Freeze]:
    query = sa.select(_F).where(only).order_by(_F.c.at)
    return [_read_freeze(row) for row in db.execute(query).mappings()]


def _read_freeze(row: Mapping[Any, Any]) -> Freeze:
    allow = frozenset(Allowed(one) for one in json.loads(row["allow"]))
    return Freeze(**dict(row) | {"allow": allow, "apps": ()})


def _freeze_row(freeze: Freeze) -> dict[str, Any]:
    row = {column.name: getattr(freeze, column.name) for column in _F.columns}
    return row | {"allow": json.dumps(sorted(freeze.allow))}


def _approvals(db: sa.Connection, app_id: str, commit: str | None = None) -> list[Approval]:
    query = sa.select(_A).where(_A.c.app_id == app_id).order_by(_A.c.at)
    if commit is not None:
        query = query.where(_A.c.commit == commit)
    return [_read_approval(row) for row in db.execute(query).mappings()]


def _read_approval(row: Mapping[Any, Any]) -> Approval:
    accounts = row["accounts"]
    known = {"accounts": tuple(json.loads(accounts or "[]")), "judged": accounts is not None}
    return Approval(**dict(row) | known)
