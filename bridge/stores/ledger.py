"""Our own rules for single apps in the journal's tables."""

import sqlalchemy as sa

from bridge.core.watch import Rules
from bridge.stores import rows, tables

APPS = sa.select(tables.apps, tables.rules.c.data.label("rules")).select_from(
    tables.apps.outerjoin(tables.rules, tables.rules.c.app_id == tables.apps.c.id)
)
"""Apps, each with the rules that were set for it."""


def save_rules(db: sa.Connection, app_id: str, rules: Rules, by: str, at: float) -> None:
    """Set an app's rules; where they say nothing, there are none."""
    t = tables.rules
    db.execute(sa.delete(t).where(t.c.app_id == app_id))
    if rules != Rules():
        row = {"app_id": app_id, "data": rows.rules_text(rules), "by": by, "at": at}
        db.execute(sa.insert(t).values(row))
