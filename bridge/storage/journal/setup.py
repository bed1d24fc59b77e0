"""Settings that were made by set-up, one-time links and signed-in browsers."""

from collections.abc import Mapping

import sqlalchemy as sa

from bridge.ports.outcomes import Audited
from bridge.storage import tables
from bridge.storage.engines import now
from bridge.storage.journal.audit import add_audit
from bridge.storage.journal.rows import add_new
from bridge.storage.journal.transactions import Transactions


class StoredSettings(Transactions):
    """Sealed settings, by their paths."""

    async def stored_settings(self) -> dict[str, str]:
        t = tables.stored_settings
        rows = await self._all(sa.select(t.c.path, t.c.sealed).order_by(t.c.path))
        return {row["path"]: row["sealed"] for row in rows}

    async def store_settings(self, sealed: Mapping[str, str | None], note: Audited) -> None:
        at = self._clock()

        def store(db: sa.Connection) -> None:
            _store(db, sealed, at)
            add_audit(db, note, note.at)

        await self._change(store)


def _store(db: sa.Connection, sealed: Mapping[str, str | None], at: float) -> None:
    """Replace some settings; None removes one."""
    t = tables.stored_settings
    db.execute(sa.delete(t).where(t.c.path.in_(sealed)))
    rows = [{"path": p, "sealed": s, "at": at} for p, s in sealed.items() if s is not None]
    if rows:
        db.execute(sa.insert(t), rows)


class Sessions(Transactions):
    """One-time links and signed-in browsers, by the hash of their secret."""

    async def admit(
        self, kind: str, hashed: str, seconds: float, *, about: str = "", whose: str = ""
    ) -> None:
        clock = self._clock()
        new = {"hash": hashed, "kind": kind, "about": about, "whose": whose}
        await self._write(lambda db: _admit(db, new, clock, seconds))

    async def admitted(self, kind: str, hashed: str) -> str | None:
        clock = self._clock()
        return await self._read(lambda db: db.scalar(_valid(db, kind, hashed, clock)))

    async def redeem(self, kind: str, hashed: str) -> str | None:
        clock = self._clock()
        return await self._write(lambda db: _redeem(db, kind, hashed, clock))

    async def expel(
        self, kind: str, *, whose: str | None = None, hashed: str | None = None
    ) -> None:
        t = tables.sessions
        which = t.c.kind == kind
        if whose is not None:
            which &= t.c.whose == whose
        if hashed is not None:
            which &= t.c.hash == hashed
        await self._write(lambda db: db.execute(sa.delete(t).where(which)))


def _admit(db: sa.Connection, new: Mapping[str, str], clock: float, seconds: float) -> None:
    """Add one, and delete those that have expired."""
    t = tables.sessions
    at = now(db, clock)
    db.execute(sa.delete(t).where(t.c.until <= at))
    add_new(db, t, [{**new, "until": at + seconds}])


def _valid(db: sa.Connection, kind: str, hashed: str, clock: float) -> "sa.Select[str]":
    t = tables.sessions
    mine = (t.c.hash == hashed) & (t.c.kind == kind) & (t.c.until > now(db, clock))
    return sa.select(t.c.about).where(mine)


def _redeem(db: sa.Connection, kind: str, hashed: str, clock: float) -> str | None:
    """Delete one; of several requests at once only one finds it."""
    t = tables.sessions
    mine = (t.c.hash == hashed) & (t.c.kind == kind) & (t.c.until > now(db, clock))
    return db.scalar(sa.delete(t).where(mine).returning(t.c.about))
