"""Our own rules for single apps in the journal's tables, and how often the apps have changed."""

import sqlalchemy as sa

from bridge.core.watch import Rules
from bridge.stores import rows, tables
from bridge.stores.dialects import lock
from bridge.stores.inserts import add_new

APPS = sa.select(tables.apps, tables.rules.c.data.label("rules")).select_from(
    tables.apps.outerjoin(tables.rules, tables.rules.c.app_id == tables.apps.c.id)
)
"""Apps, each with the rules that were set for it."""


def save_rules(db: sa.Connection, app_id: str, rules: Rules, by: str, at: float) -> None:
    """Set an app's rules; where they say nothing, there are none."""
    t = tables.rules
    lock(db, "apps")
    db.execute(sa.delete(t).where(t.c.app_id == app_id))
    if rules != Rules():
        row = {"app_id": app_id, "data": rows.rules_text(rules), "by": by, "at": at}
        db.execute(sa.insert(t).values(row))
    apps_changed(db)


_VERSION = "apps version"


def apps_changed(db: sa.Connection) -> None:
    """Let every process know that it has to read the apps again; under the lock of the apps."""
    t = tables.meta
    if not add_new(db, t, [{"key": _VERSION, "value": "1"}]):
        version = apps_version(db) + 1
        db.execute(sa.update(t).where(t.c.key == _VERSION).values(value=str(version)))


def apps_version(db: sa.Connection) -> int:
    """Counts up with every change of the apps or of the rules that were set for them."""
    found = db.scalar(sa.select(tables.meta.c.value).where(tables.meta.c.key == _VERSION))
    return int(found or 0)


def note(db: sa.Connection, key: str, value: str) -> None:
    """Keep a small fact, in place of the one before."""
    t = tables.meta
    if not add_new(db, t, [{"key": key, "value": value}]):
        db.execute(sa.update(t).where(t.c.key == key).values(value=value))
