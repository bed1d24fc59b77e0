"""The statements for decisions with what they were about."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from bridge.stores import tables

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
