"""What apps run."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from bridge.core.change_sets import Live
from bridge.core.lifecycle import FINAL, State
from bridge.stores import tables
from bridge.stores.inserts import batched

NEWEST = 2**63 - 1
"""A position after all others."""


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


def newest_done(app_ids: Sequence[str]) -> sa.Select[Any]:
    """The query for the newest deployment of each app that is done."""
    done, begins = _done(app_ids)
    return sa.select(done).select_from(begins)


def _done(app_ids: Sequence[str]) -> tuple[Any, sa.Join]:
    """Deployments, and where of each app the newest is joined that is done.

    One index search for each app, however long its history is.
    """
    apps, done = tables.apps, tables.deployments.alias("done")
    newest = _newest_done(apps.c.id).scalar_subquery()
    begins = sa.select(apps.c.id, newest.label("first")).where(apps.c.id.in_(app_ids)).subquery()
    # What stands before the first place in the index is another's, or has not ended well.
    is_it = (done.c.id == begins.c.first) & (done.c.app_id == begins.c.id)
    return done, sa.join(begins, done, is_it & (done.c.state == State.DONE))


def _since_done(app_ids: Sequence[str]) -> sa.Select[Any]:
    """Of each app the newest deployment that is done and all after it, oldest first."""
    t = tables.deployments
    done, begins = _done(app_ids)
    return (
        sa.select(t.c.app_id, t.c.seq, t.c.state, t.c.deployed_commit)
        .select_from(begins)
        .join(t, (t.c.app_id == done.c.app_id) & (t.c.seq >= done.c.seq))
        .order_by(t.c.app_id, t.c.seq)
    )


def _newest_done(app_id: sa.ColumnElement[str]) -> sa.Select[Any]:
    """The id of the deployment at an app's newest place in `deployments_by_app_state`, or before.

    Asked for by order and not by equality: with that, Postgres would rather read all deployments
    from the newest on until one is the app's, which for one that has none are all there are.
    """
    o = tables.deployments.alias("of_app")
    place = sa.tuple_(o.c.app_id, o.c.state, o.c.seq)
    last = sa.tuple_(app_id, sa.literal(State.DONE.value), sa.literal(NEWEST, sa.BigInteger))
    return (
        sa.select(o.c.id)
        .where(place <= last)
        .order_by(o.c.app_id.desc(), o.c.state.desc(), o.c.seq.desc())
        .limit(1)
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
