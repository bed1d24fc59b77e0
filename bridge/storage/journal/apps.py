"""Apps, and the bridge's own rules for them."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from bridge.core.apps import App, Rules
from bridge.storage import tables
from bridge.storage.engines import lock
from bridge.storage.journal import rows
from bridge.storage.journal.deployment_rows import mark_apps_due
from bridge.storage.journal.previews import have_made_again
from bridge.storage.journal.rows import add_new, write_note
from bridge.storage.journal.shown import mark_last
from bridge.storage.journal.transactions import Transactions

_A, _M, _R = tables.apps, tables.meta, tables.rules

APPS = sa.select(_A, _R.c.data.label("rules")).select_from(_A.outerjoin(_R, _R.c.app_id == _A.c.id))
"""The query for apps, each with its stored rules."""

# Built once: each flow, and each look at a deployment, runs the first; each batch the other.
_APP = APPS.where(_A.c.id == sa.bindparam("id"))
_META = sa.select(_M.c.value).where(_M.c.key == sa.bindparam("key"))

_VERSION = "apps version"

_REMOVED = "apps removed"
"""The key of the note when apps were removed, by id."""

LATELY = 7 * 86400.0
"""Seconds for which a removed app counts as removed lately."""


class Apps(Transactions):
    """The backends' apps, with the bridge's own rules for them."""

    async def save_apps(
        self, backend: str, found: Sequence[App], *, kept: Collection[str] = ()
    ) -> None:
        there = {app.id for app in found}.union(kept)
        at = self._clock()
        await self._write(
            lambda db: _save_apps(
                db, found, lambda row: row["backend"] == backend and row["id"] not in there, at
            )
        )

    async def renew_apps(self, found: Sequence[App], *, gone: Collection[str] = ()) -> None:
        at = self._clock()
        await self._write(lambda db: _save_apps(db, found, lambda row: row["id"] in gone, at))

    async def apps(self) -> list[App]:
        query = APPS.where(~_A.c.gone).order_by(_A.c.label, _A.c.id)
        return [rows.read_app(row) for row in await self._all(query)]

    async def gone_apps(self) -> list[App]:
        query = APPS.where(_A.c.gone).order_by(_A.c.label, _A.c.id)
        return [rows.read_app(row) for row in await self._all(query)]

    async def removed_lately(self) -> list[App]:
        at = self._clock()
        removed = await self._read(lambda db: _removed(db, at))
        return [app for app in await self.gone_apps() if app.id in removed]

    async def apps_version(self) -> int:
        return await self._read(_apps_version)

    async def app(self, app_id: str) -> App | None:
        def read(db: sa.Connection) -> App | None:
            row = db.execute(_APP, {"id": app_id}).mappings().first()
            return None if row is None else rows.read_app(dict(row))

        return await self._read(read)

    async def rules(self, app_id: str) -> Rules:
        found = await self._all(sa.select(_R.c.data).where(_R.c.app_id == app_id))
        return rows.read_rules(found[0]["data"] if found else None)

    async def save_rules(self, app_id: str, rules: Rules, *, by: str) -> None:
        at = self._clock()
        await self._write(lambda db: _save_rules(db, app_id, rules, by, at))


def _save_apps(
    db: sa.Connection,
    found: Sequence[App],
    is_gone: Callable[[Mapping[str, Any]], bool],
    at: float,
) -> None:
    """Store apps as read, and mark missing ones as gone; write only what has changed."""
    lock(db, "apps")
    known = {row["id"]: dict(row) for row in db.execute(sa.select(_A)).mappings()}
    rows_now = {app.id: rows.app_row(app) for app in found}
    gone = [id_ for id_, row in known.items() if not row["gone"] and is_gone(row)]
    changed = [row for id_, row in rows_now.items() if id_ in known and row != known[id_]]
    new = [row for id_, row in rows_now.items() if id_ not in known]
    for id_ in gone:
        db.execute(sa.update(_A).where(_A.c.id == id_).values(gone=True))
    if gone:
        write_note(db, _REMOVED, json.dumps(_removed(db, at) | dict.fromkeys(gone, at)))
    mark_apps_due(db, gone, at)
    have_made_again(db, gone, at)
    for row in changed:
        db.execute(sa.update(_A).where(_A.c.id == row["id"]).values(row))
    for id_ in (*gone, *(row["id"] for row in changed if known[row["id"]]["gone"])):
        mark_last(db, id_, at)
    if new:
        db.execute(sa.insert(_A), new)
    if gone or changed or new:
        _apps_changed(db)


def _removed(db: sa.Connection, now: float) -> dict[str, float]:
    """Return when apps were removed lately, by id; some may have come back."""
    noted = json.loads(db.scalar(_META, {"key": _REMOVED}) or "{}")
    return {id_: at for id_, at in noted.items() if now - at < LATELY}


def _save_rules(db: sa.Connection, app_id: str, rules: Rules, by: str, at: float) -> None:
    """Set an app's rules; delete the row if they are empty."""
    lock(db, "apps")
    db.execute(sa.delete(_R).where(_R.c.app_id == app_id))
    if rules != Rules():
        row = {"app_id": app_id, "data": rows.rules_text(rules), "by": by, "at": at}
        db.execute(sa.insert(_R).values(row))
    _apps_changed(db)


def _apps_changed(db: sa.Connection) -> None:
    """Tell every process to read the apps again; call it under the lock of the apps."""
    if not add_new(db, _M, [{"key": _VERSION, "value": "1"}]):
        version = _apps_version(db) + 1
        db.execute(sa.update(_M).where(_M.c.key == _VERSION).values(value=str(version)))


def _apps_version(db: sa.Connection) -> int:
    """Return a number that increases with every change of apps or rules."""
    found = db.scalar(_META, {"key": _VERSION})
    return int(found or 0)
