"""What shows the versions that an app has served last: it changes with what is served now."""

import sqlalchemy as sa

from bridge.core.events import Action
from bridge.core.gates.locks import app_in
from bridge.core.lifecycle import State
from bridge.ports.outcomes import about_delivery, about_deployment
from bridge.storage import tables
from bridge.storage.journal.outbox import changed

LAST_LIVE = 3
"""The last versions of an app whose cards may change once another one is live."""


def last_shown(db: sa.Connection, app_id: str, coming: Action | None = None) -> list[str]:
    """Return the keys of what shows an app's last versions, and those that were gone back to.

    What shows whole deliveries, such as comments, says of a version only that it was deployed. That
    stays true, unless it was unhealthy or rolled back: only then is it among them.

    Args:
        coming: what brings another version now; None if none of ours does.
    """
    t = tables.deployments
    facts = (t.c.id, t.c.seq, t.c.action, t.c.state, t.c.target)
    lived = sa.select(*facts).where((t.c.app_id == app_id) & (t.c.live_at > 0))
    last = db.execute(lived.order_by(t.c.live_at.desc(), t.c.id.desc()).limit(LAST_LIVE)).all()
    there = sa.select(*facts).where(t.c.id.in_([one.target for one in last if one.target]))
    found = [*last, *db.execute(there.where(t.c.app_id == app_id))]
    keys = [about_deployment(one.id) for one in found]
    back = [coming, *(one.action for one in last)]
    if Action.ROLLBACK in back or any(one.state == State.UNHEALTHY for one in last):
        keys += [about_delivery(one.seq) for one in found]
    return list(dict.fromkeys(keys))


def mark_last(db: sa.Connection, app_id: str, at: float) -> None:
    """Mark what shows an app's last versions as pending."""
    changed(db, last_shown(db, app_id), at)


def mark_locked(db: sa.Connection, scope: str, at: float) -> None:
    """Mark the same of an app that was locked or unlocked by itself; a rollback's card says so."""
    if (app_id := app_in(scope)) is not None:
        mark_last(db, app_id, at)
