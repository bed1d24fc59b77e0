"""The webhooks that the bridge has made, with their sealed secrets."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from bridge.core.hooks import Scope, ScopeKind
from bridge.ports.hooks import LASTS, MadeHook
from bridge.storage import tables
from bridge.storage.journal.rows import add_new
from bridge.storage.journal.transactions import Transactions

T = tables.hooks


class Hooks(Transactions):
    """The webhooks that the bridge has made."""

    async def made_hooks(self) -> list[MadeHook]:
        return [_read(row) for row in await self._all(sa.select(T).order_by(T.c.key))]

    async def plan_hook(self, new: MadeHook) -> MadeHook:
        at = self._clock()
        return await self._write(lambda db: _plan(db, new, at))

    async def hook_made(self, key: str, hook: str, *, signs: bool, name: str) -> None:
        values = {"hook": hook, "signs": signs, "name": name}
        await self._write(lambda db: db.execute(_update(key).values(values)))

    async def rotate_hook(self, key: str, sealed_next: str) -> MadeHook | None:
        at = self._clock()
        return await self._write(lambda db: _rotate(db, key, sealed_next, at))

    async def end_rotation(self, key: str, sealed_next: str) -> bool:
        at = self._clock()
        return await self._write(lambda db: _end(db, key, sealed_next, at))

    async def drop_hook(self, key: str) -> None:
        await self._write(lambda db: db.execute(sa.delete(T).where(T.c.key == key)))


def _update(key: str) -> sa.Update:
    return sa.update(T).where(T.c.key == key)


def _forget(db: sa.Connection, at: float) -> None:
    """Forget the secrets that were replaced and are refused by now."""
    over = (T.c.sealed_last.is_not(None)) & (T.c.made_at < at - LASTS)
    db.execute(sa.update(T).where(over).values(sealed_last=None))


def _plan(db: sa.Connection, new: MadeHook, at: float) -> MadeHook:
    _forget(db, at)
    add_new(db, T, [_row(new)])
    return _read(db.execute(sa.select(T).where(T.c.key == new.key)).mappings().one())


def _rotate(db: sa.Connection, key: str, sealed_next: str, at: float) -> MadeHook | None:
    _forget(db, at)
    begin = _update(key).where(T.c.sealed_next.is_(None), T.c.hook.is_not(None))
    db.execute(begin.values(sealed_next=sealed_next))
    found = db.execute(sa.select(T).where(T.c.key == key)).mappings().one_or_none()
    return None if found is None else _read(found)


def _end(db: sa.Connection, key: str, sealed_next: str, at: float) -> bool:
    ended = _update(key).where(T.c.sealed_next == sealed_next)
    values = {"sealed": sealed_next, "sealed_next": None, "sealed_last": T.c.sealed, "made_at": at}
    done = db.execute(ended.values(values))
    return bool(done.rowcount)


def _row(one: MadeHook) -> dict[str, Any]:
    return {
        "key": one.key,
        "host": one.host,
        "kind": str(one.scope.kind),
        "scope": one.scope.id,
        "name": one.scope.name,
        "sealed": one.sealed,
        "sealed_next": one.sealed_next,
        "sealed_last": one.sealed_last,
        "hook": one.hook,
        "signs": one.signs,
        "made_at": one.made_at,
    }


def _read(row: Mapping[Any, Any]) -> MadeHook:
    return MadeHook(
        host=row["host"],
        scope=Scope(ScopeKind(row["kind"]), row["name"], row["scope"]),
        sealed=row["sealed"],
        made_at=row["made_at"],
        hook=row["hook"],
        signs=row["signs"],
        sealed_next=row["sealed_next"],
        sealed_last=row["sealed_last"],
    )
