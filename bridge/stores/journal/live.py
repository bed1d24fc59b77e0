"""What apps run."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from bridge.core.change_sets import Live
from bridge.core.lifecycle import FINAL, State
from bridge.stores import tables
from bridge.stores.inserts import batched


def live(db: sa.Connection, app_ids: Sequence[str]) -> dict[str, Live]:
    """What apps run: see `Journal.live`."""
    found: dict[str, Live] = {}
    for some in batched(app_ids):
        rows = db.execute(_since_done(some)).all()
        by_app: dict[str, list[sa.Row[Any]]] = {}
        for row in rows:
            by_app.setdefault(row.app_id, []).append(row)
        found |= {app_id: _live(those) for app_id, those in by_app.items()}
    return found


def _since_done(app_ids: Sequence[str]) -> sa.Select[Any]:
    """Of each app the newest deployment that is done and all after it, oldest first.

    One index search for each app, however long its history is.
    """
    t, apps = tables.deployments, tables.apps
    of_app = tables.deployments.alias("of_app")
    newest = (
        sa.select(of_app.c.seq)
        .where(of_app.c.app_id == apps.c.id, of_app.c.state == State.DONE)
        .order_by(of_app.c.seq.desc())
        .limit(1)
        .scalar_subquery()
    )
    begins = sa.select(apps.c.id, newest.label("seq")).where(apps.c.id.in_(app_ids)).subquery()
    return (
        sa.select(t.c.app_id, t.c.seq, t.c.state, t.c.deployed_commit)
        .join(begins, (t.c.app_id == begins.c.id) & (t.c.seq >= begins.c.seq))
        .order_by(t.c.app_id, t.c.seq)
    )


def _live(rows: Sequence[sa.Row[Any]]) -> Live:
    """From the deployment that is done, first, and those after it."""
    after = [State(row.state) for row in rows[1:]]
    ended = [state for state in after if state in (State.FAILED, State.UNKNOWN)]
    return Live(
        rows[0].deployed_commit,
        certain=all(state in FINAL and state is not State.UNKNOWN for state in after),
        failed=bool(ended) and ended[-1] is State.FAILED,
        seq=rows[0].seq,
    )
