"""Which apps there are, and our own rules that were set for single ones."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from bridge.core.watch import App, Rules
from bridge.stores import tables
from bridge.stores.dialects import lock
from bridge.stores.inserts import add_new
from bridge.stores.journal import rows
from bridge.stores.journal.transactions import Transactions

APPS = sa.select(tables.apps, tables.rules.c.data.label("rules")).select_from(
    tables.apps.outerjoin(tables.rules, tables.rules.c.app_id == tables.apps.c.id)
)
"""Apps, each with the rules that were set for it."""

_VERSION = "apps version"


class Apps(Transactions):
    """The apps that backends have, with our rules for them."""

    async def save_apps(
        self, backend: str, found: Sequence[App], *, kept: Collection[str] = ()
    ) -> None:
        """Replace what is known of a backend's apps; those not found any more are gone.

        Args:
            kept: ids of those that are still there and were not read anew.
        """
        there = {app.id for app in found}.union(kept)
        await self._write(
            lambda db: _save_apps(
                db, found, lambda row: row["backend"] == backend and row["id"] not in there
            )
        )

    async def renew_apps(self, found: Sequence[App], *, gone: Collection[str] = ()) -> None:
        """Keep single apps as they were just read; all others stay as they are known.

        Args:
            gone: ids of those that were asked for and not found.
        """
        await self._write(lambda db: _save_apps(db, found, lambda row: row["id"] in gone))

    async def apps(self) -> list[App]:
        """The apps that there are, by label, each with the rules that were set for it."""
        t = tables.apps
        query = APPS.where(~t.c.gone).order_by(t.c.label, t.c.id)
        return [rows.read_app(row) for row in await self._all(query)]

    async def gone_apps(self) -> list[App]:
        """Return the apps that were deleted at their backends, by label; their history stays."""
        t = tables.apps
        query = APPS.where(t.c.gone).order_by(t.c.label, t.c.id)
        return [rows.read_app(row) for row in await self._all(query)]

    async def apps_version(self) -> int:
        """Counts up whenever `apps` would say something new."""
        return await self._read(_apps_version)

    async def app(self, app_id: str) -> App | None:
        """One app, also when it is gone by now."""
        found = await self._all(APPS.where(tables.apps.c.id == app_id))
        return rows.read_app(found[0]) if found else None

    async def rules(self, app_id: str) -> Rules:
        """Our own rules that were set for an app."""
        t = tables.rules
        found = await self._all(sa.select(t.c.data).where(t.c.app_id == app_id))
        return rows.read_rules(found[0]["data"] if found else None)

    async def save_rules(self, app_id: str, rules: Rules, *, by: str) -> None:
        """Set them, in place of those before."""
        at = self._clock()
        await self._write(lambda db: _save_rules(db, app_id, rules, by, at))


def _save_apps(
    db: sa.Connection, found: Sequence[App], is_gone: Callable[[Mapping[str, Any]], bool]
) -> None:
    """Keep apps as they were read, and those gone that `is_gone`; writes only what has changed."""
    t = tables.apps
    lock(db, "apps")
    known = {row["id"]: dict(row) for row in db.execute(sa.select(t)).mappings()}
    rows_now = {app.id: rows.app_row(app) for app in found}
    gone = [id_ for id_, row in known.items() if not row["gone"] and is_gone(row)]
    changed = [row for id_, row in rows_now.items() if id_ in known and row != known[id_]]
    new = [row for id_, row in rows_now.items() if id_ not in known]
    for id_ in gone:
        db.execute(sa.update(t).where(t.c.id == id_).values(gone=True))
    for row in changed:
        db.execute(sa.update(t).where(t.c.id == row["id"]).values(row))
    if new:
        db.execute(sa.insert(t), new)
    if gone or changed or new:
        _apps_changed(db)


def _save_rules(db: sa.Connection, app_id: str, rules: Rules, by: str, at: float) -> None:
    """Set an app's rules; where they say nothing, there are none."""
    t = tables.rules
    lock(db, "apps")
    db.execute(sa.delete(t).where(t.c.app_id == app_id))
    if rules != Rules():
        row = {"app_id": app_id, "data": rows.rules_text(rules), "by": by, "at": at}
        db.execute(sa.insert(t).values(row))
    _apps_changed(db)


def _apps_changed(db: sa.Connection) -> None:
    """Let every process know that it has to read the apps again; under the lock of the apps."""
    t = tables.meta
    if not add_new(db, t, [{"key": _VERSION, "value": "1"}]):
        version = _apps_version(db) + 1
        db.execute(sa.update(t).where(t.c.key == _VERSION).values(value=str(version)))


def _apps_version(db: sa.Connection) -> int:
    """Counts up with every change of the apps or of the rules that were set for them."""
    found = db.scalar(sa.select(tables.meta.c.value).where(tables.meta.c.key == _VERSION))
    return int(found or 0)
