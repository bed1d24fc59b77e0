"""Small facts by key, what is known of the journal itself, leases, and sessions."""

import secrets
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from bridge.core.previews.preview import PreviewState
from bridge.storage import tables
from bridge.storage.engines import now
from bridge.storage.journal.rows import add_new, write_note
from bridge.storage.journal.transactions import Transactions

_L, _M, _S = tables.leases, tables.meta, tables.sessions


class Notes(Transactions):
    """Notes, secrets and leases."""

    async def note(self, key: str, value: str) -> None:
        await self._write(lambda db: write_note(db, key, value))

    async def recall(self, key: str) -> str | None:
        found = await self._all(sa.select(_M.c.value).where(_M.c.key == key))
        return str(found[0]["value"]) if found else None

    async def instance(self) -> str:
        return await self._write(lambda db: _generated(db, "instance", 8))

    async def secret(self, purpose: str) -> str:
        return await self._write(lambda db: _generated(db, f"secret {purpose}", 32))

    async def version(self) -> str:
        d, a, c, r = tables.decisions, tables.audit, tables.changes, tables.refused
        newest = [
            sa.select(sa.func.max(col)).scalar_subquery()
            for col in (c.c.number, a.c.number, d.c.seq, r.c.last)
        ]
        parts: list[Any] = []
        for columns in (newest, _of_previews(), _of_native_previews()):
            query = sa.select(*(one.label(f"n{n}") for n, one in enumerate(columns)))
            (row,) = await self._all(query)
            parts += row.values()
        return ".".join(str(one or 0) for one in parts)

    async def hold(self, name: str, owner: str, seconds: float) -> bool:
        clock = self._clock()
        return await self._write(lambda db: _hold(db, name, owner, clock, seconds))

    async def release(self, name: str, owner: str) -> None:
        mine = (_L.c.name == name) & (_L.c.owner == owner)
        await self._write(lambda db: db.execute(sa.delete(_L).where(mine)))

    async def leave(self, owner: str) -> None:
        await self._write(lambda db: db.execute(sa.delete(_L).where(_L.c.owner == owner)))


def _generated(db: sa.Connection, key: str, count: int) -> str:
    """Return a random note of so many bytes; generate it at the first call."""
    add_new(db, _M, [{"key": key, "value": secrets.token_hex(count)}])
    return str(db.scalar(sa.select(_M.c.value).where(_M.c.key == key)))


def _of_previews() -> list[sa.ColumnElement[Any]]:
    """Return sums that differ after every change of a preview that people see."""
    p = tables.previews
    states = (
        sa.case((p.c.state == state, place), else_=0) for place, state in enumerate(PreviewState)
    )
    summed = map(sa.func.sum, (p.c.version, p.c.failures, *states))
    return [*summed, *map(sa.func.count, (p.c.id, p.c.made, p.c.asked, p.c.url))]


def _of_native_previews() -> list[sa.ColumnElement[Any]]:
    """Return sums that differ after a change of a preview that a backend makes by itself.

    Its time changes with each build, and its state when a build ends; the length of the record
    tells states apart.
    """
    n = tables.native_previews
    length = sa.func.sum(sa.func.length(n.c.data))
    return [sa.func.count(n.c.id), sa.func.sum(n.c.active_at), length]


def _hold(db: sa.Connection, name: str, owner: str, clock: float, seconds: float) -> bool:
    """Take a lease that has expired, or renew one's own."""
    at = now(db, clock)
    mine_or_over = (_L.c.name == name) & ((_L.c.owner == owner) | (_L.c.until < at))
    taken = db.execute(sa.update(_L).where(mine_or_over).values(owner=owner, until=at + seconds))
    if taken.rowcount:
        return True
    return bool(add_new(db, _L, [{"name": name, "owner": owner, "until": at + seconds}]))


def held(db: sa.Connection, name: str, owner: str) -> bool:
    """Return whether a lease is still held, without a lock: a silent holder must not keep it."""
    mine = sa.select(_L.c.name).where((_L.c.name == name) & (_L.c.owner == owner))
    return db.scalar(mine) is not None


class Sessions(Transactions):
    """One-time links and signed-in browsers, by the hash of their secret."""

    async def admit(
        self, kind: str, hashed: str, seconds: float, *, about: str = "", whose: str = ""
    ) -> None:
        clock = self._clock()
        new = {"hash": hashed, "kind": kind, "about": about, "whose": whose}
        await self._write(lambda db: _admit(db, new, clock, seconds))

    async def admitted(self, kind: str, hashed: str) -> str | None:
        clock, about = self._clock(), _S.c.about
        return await self._read(
            lambda db: db.scalar(sa.select(about).where(_valid(db, kind, hashed, clock)))
        )

    async def redeem(self, kind: str, hashed: str) -> str | None:
        clock = self._clock()
        # Of several requests at once only one finds it.
        return await self._write(
            lambda db: db.scalar(
                sa.delete(_S).where(_valid(db, kind, hashed, clock)).returning(_S.c.about)
            )
        )

    async def expel(
        self, kind: str, *, whose: str | None = None, hashed: str | None = None
    ) -> None:
        which = _S.c.kind == kind
        if whose is not None:
            which &= _S.c.whose == whose
        if hashed is not None:
            which &= _S.c.hash == hashed
        await self._write(lambda db: db.execute(sa.delete(_S).where(which)))


def _admit(db: sa.Connection, new: Mapping[str, str], clock: float, seconds: float) -> None:
    """Add one, and delete those that have expired."""
    at = now(db, clock)
    db.execute(sa.delete(_S).where(_S.c.until <= at))
    add_new(db, _S, [{**new, "until": at + seconds}])


def _valid(db: sa.Connection, kind: str, hashed: str, clock: float) -> sa.ColumnElement[bool]:
    return (_S.c.hash == hashed) & (_S.c.kind == kind) & (_S.c.until > now(db, clock))
