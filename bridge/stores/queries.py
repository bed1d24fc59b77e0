"""Questions that several parts of the stores ask."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from bridge.core.change_sets import Live
from bridge.core.lifecycle import FINAL, State
from bridge.stores import tables
from bridge.stores.inserts import batched

MOST_OF_AN_APP = 20
"""Rows that are read of each app where something follows many deliveries: it shows how things
stand, so only the newest count, and they would be read anew at every change."""

_EXPLAINED = sa.select(
    tables.decisions,
    tables.pushes.c.delivery,
    tables.pushes.c.ref_key,
    tables.pushes.c.after,
    tables.deployments.c.commit,
).select_from(
    tables.decisions.outerjoin(
        tables.pushes, tables.pushes.c.seq == tables.decisions.c.seq
    ).outerjoin(
        tables.deployments,
        (tables.deployments.c.seq == tables.decisions.c.seq)
        & (tables.deployments.c.app_id == tables.decisions.c.app_id),
    )
)
"""Decisions with what they were about."""


def explained(app_id: str, commit: str | None, limit: int) -> sa.Select[Any]:
    """The query for decisions about an app, newest first."""
    d, p, t = tables.decisions, tables.pushes, tables.deployments
    query = _EXPLAINED.where(d.c.app_id == app_id).order_by(d.c.seq.desc()).limit(limit)
    if commit is None:
        return query
    begins = [
        column.startswith(commit.lower(), autoescape=True) for column in (p.c.after, t.c.commit)
    ]
    return query.where(sa.or_(*begins))


def explained_of(seqs: Sequence[int]) -> sa.Select[Any]:
    """The query for the decisions of deliveries, newest delivery first; see `MOST_OF_AN_APP`."""
    d = tables.decisions
    nth = _nth(d, d.c.seq.in_(seqs))
    those = (nth.c.seq == d.c.seq) & (nth.c.app_id == d.c.app_id) & (nth.c.nth <= MOST_OF_AN_APP)
    return _EXPLAINED.join(nth, those).order_by(d.c.seq.desc(), d.c.app)


def newest_of_apps(t: sa.Table, ids: Sequence[str], seqs: Sequence[int]) -> sa.Select[Any]:
    """The query for deployments by id or delivery, newest first; see `MOST_OF_AN_APP`."""
    nth = _nth(t, t.c.id.in_(ids) | t.c.seq.in_(seqs))
    those = (nth.c.seq == t.c.seq) & (nth.c.app_id == t.c.app_id) & (nth.c.nth <= MOST_OF_AN_APP)
    return sa.select(t).join(nth, those).order_by(t.c.seq.desc(), t.c.app)


def _nth(t: sa.Table, which: sa.ColumnElement[bool]) -> sa.Subquery:
    """Rows by delivery and app, each with how many of its app are as new."""
    newest_first = sa.func.row_number().over(partition_by=t.c.app_id, order_by=t.c.seq.desc())
    return sa.select(t.c.seq, t.c.app_id, newest_first.label("nth")).where(which).subquery()


def audited(numbers: Sequence[int], seqs: Sequence[int]) -> sa.Select[Any]:
    """The query for changes by number or asking delivery, and what undoes them; oldest first."""
    t = tables.audit
    those = t.c.number.in_(numbers) | t.c.seq.in_(seqs) | t.c.undoes.in_(numbers)
    return sa.select(t).where(those).order_by(t.c.number)


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


LAST_PUSHES = (
    sa.select(tables.decisions.c.app_id, sa.func.max(tables.pushes.c.at).label("at"))
    .join(tables.pushes, tables.pushes.c.seq == tables.decisions.c.seq)
    .group_by(tables.decisions.c.app_id)
)
"""When the newest push of its repository came, for every app that had one."""
