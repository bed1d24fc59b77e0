"""Questions that several parts of the stores ask."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from bridge.stores import tables

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
    """The query for all decisions of deliveries, newest delivery first."""
    d = tables.decisions
    return _EXPLAINED.where(d.c.seq.in_(seqs)).order_by(d.c.seq.desc(), d.c.app)


def audited(numbers: Sequence[int], seqs: Sequence[int]) -> sa.Select[Any]:
    """The query for changes by number or asking delivery, and what undoes them; oldest first."""
    t = tables.audit
    those = t.c.number.in_(numbers) | t.c.seq.in_(seqs) | t.c.undoes.in_(numbers)
    return sa.select(t).where(those).order_by(t.c.number)
