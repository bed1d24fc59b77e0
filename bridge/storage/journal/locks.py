"""Locks: their rows, the reminders of their owners, and the pull requests that release them."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import sqlalchemy as sa

from bridge.core.gates.locks import Lock, PullRef
from bridge.core.holds import Gate
from bridge.core.lifecycle import State
from bridge.ports.gates import DueLock, TellsRelease
from bridge.ports.outcomes import Audited, Audits, Subscription, about_lock
from bridge.storage import tables
from bridge.storage.journal import outbox
from bridge.storage.journal.audit import add_audit, audited
from bridge.storage.journal.due import changing, mark_apps_due
from bridge.storage.journal.maintenance import forget_feedback
from bridge.storage.journal.shown import mark_locked
from bridge.storage.journal.transactions import Transactions

_T = tables.locks
_MERGE = re.compile(r"(\S+) (.+)([#!])(\d+)")


def locks_where(db: sa.Connection, only: sa.ColumnElement[bool]) -> list[Lock]:
    """Return the locks that fit, by scope; expired ones as well."""
    query = sa.select(_T).where(only).order_by(_T.c.scope)
    return [_read(dict(row)) for row in db.execute(query).mappings()]


def put_lock(db: sa.Connection, lock: Lock) -> None:
    """Store a lock in place of the one that its scope has."""
    drop_lock(db, lock.scope)
    merge = None if lock.merge is None else _merge_text(lock.merge)
    look_at = None if lock.merge is None else lock.at
    db.execute(sa.insert(_T), [asdict(lock) | {"merge": merge, "look_at": look_at}])
    mark_locked(db, lock.scope, lock.at)


def drop_lock(db: sa.Connection, scope: str) -> None:
    """Delete a scope's lock, and what its owner is still to be told of it."""
    db.execute(sa.delete(_T).where(_T.c.scope == scope))
    forget_feedback(db, [about_lock(scope)])


def _end_expired(db: sa.Connection, at: float) -> None:
    """Delete the locks that have ended by themselves; what shows them says so no longer."""
    for scope in list(db.scalars(sa.select(_T.c.scope).where(_T.c.until <= at))):
        drop_lock(db, scope)
        mark_locked(db, scope, at)


def _read(row: dict[str, Any]) -> Lock:
    del row["look_at"], row["looks"]
    return Lock(**row | {"merge": _read_merge(row["merge"])})


def _read_merge(text: str | None) -> PullRef | None:
    found = _MERGE.fullmatch(text or "")
    return None if found is None else PullRef(found[1], found[2], int(found[4]), found[3])


def _merge_text(merge: PullRef) -> str:
    return f"{merge.host} {merge}"


def _same(lock: Lock) -> sa.ColumnElement[bool]:
    """Return whether it is this lock, and not a later one of its scope."""
    return (_T.c.scope == lock.scope) & (_T.c.at == lock.at)


class Locks(Transactions):
    """What happens to locks by time, and by their pull requests."""

    async def next_lock_at(self) -> Mapping[str, float]:
        now = self._clock()
        ends = sa.select(sa.func.min(_T.c.until).label("at"))
        (end,) = [row["at"] for row in await self._all(ends)]
        times = {} if end is None else {"": float(end)}
        query = sa.select(_T.c.merge, _T.c.remind_at, _T.c.look_at).where(_holds(now))
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
        await self._change(lambda db: _end_expired(db, at))

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
        query = sa.update(_T).where(_same(lock)).values(remind_at=again_at)
        return await self._change(lambda db: audited(db, bool(db.execute(query).rowcount), audit))

    async def look_later(self, lock: Lock, at: float) -> None:
        query = sa.update(_T).where(_same(lock)).values(look_at=at, looks=_T.c.looks + 1)
        await self._write(lambda db: db.execute(query))

    async def report_pull(self, host: str, names: Sequence[str], number: int) -> bool:
        texts = [_merge_text(PullRef(host, name, number, sign)) for name in names for sign in "#!"]
        those = sa.func.lower(_T.c.merge).in_([text.lower() for text in texts])
        query = sa.update(_T).where(those).values(look_at=self._clock(), looks=0)
        return await self._write(lambda db: bool(db.execute(query).rowcount))

    async def release_merged(
        self, lock: Lock, concerns: Sequence[str] | None, note: Audited, tell: TellsRelease
    ) -> bool:
        return await self._change(lambda db: _release_merged(db, lock, concerns, note, tell))


def _holds(at: float) -> sa.ColumnElement[bool]:
    return sa.or_(_T.c.until.is_(None), _T.c.until > at)


def _due(db: sa.Connection, now: float, limit: int, host: str) -> list[DueLock]:
    of_host = _T.c.merge.startswith(f"{host} ", autoescape=True) if host else _T.c.merge.is_(None)
    due = sa.or_(_T.c.remind_at <= now, _T.c.look_at <= now) & _holds(now) & of_host
    query = sa.select(_T).where(due).order_by(_T.c.scope).limit(limit)
    found = []
    for row in db.execute(query).mappings():
        looks = row["looks"] if row["look_at"] is not None and row["look_at"] <= now else None
        lock = _read(dict(row))
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
    due = _same(lock) & (_T.c.remind_at == lock.remind_at)
    if not db.execute(sa.update(_T).where(due).values(remind_at=again_at)).rowcount:
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
    drop_lock(db, lock.scope)
    mark_locked(db, lock.scope, note.at)
    mark_apps_due(db, concerns, note.at)
    number = add_audit(db, note, note.at)
    outbox.subscribe(db, tell(replace(note, number=number)), note.at)
    return True
