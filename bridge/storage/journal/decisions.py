"""Decisions for apps, and the pushes they are about."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from bridge.core.decision import Decision, Reason
from bridge.core.lifecycle import BROUGHT_UP, State
from bridge.core.rules import AppTags
from bridge.ports.outcomes import Explained, LastPush
from bridge.storage import tables
from bridge.storage.journal import rows
from bridge.storage.journal.deployment_rows import all_of
from bridge.storage.journal.pushes import standing
from bridge.storage.journal.rows import batched
from bridge.storage.journal.transactions import Transactions
from bridge.storage.journal.transitions import in_place_of

MOST_OF_AN_APP = 20
"""Rows to read per app for a subscription that follows many deliveries. It shows the current state,
so only the newest rows count, and they are read again at every change."""

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
"""The query for decisions with the pushes they were about."""


def explained(app_id: str, commit: str | None, limit: int) -> sa.Select[Any]:
    """Return the query for decisions about an app, newest first."""
    d, p, t = tables.decisions, tables.pushes, tables.deployments
    query = _EXPLAINED.where(d.c.app_id == app_id).order_by(d.c.seq.desc()).limit(limit)
    if commit is None:  # the bridge's own branches would hide what people have pushed
        return query.where(d.c.reason != Reason.OWN_BRANCH)
    begins = [
        column.startswith(commit.lower(), autoescape=True) for column in (p.c.after, t.c.commit)
    ]
    return query.where(sa.or_(*begins))


def explained_of(seqs: Sequence[int]) -> sa.Select[Any]:
    """Return the query for decisions by delivery, newest first; see `MOST_OF_AN_APP`."""
    d = tables.decisions
    nth = _nth(d, d.c.seq.in_(seqs))
    those = (nth.c.seq == d.c.seq) & (nth.c.app_id == d.c.app_id) & (nth.c.nth <= MOST_OF_AN_APP)
    return _EXPLAINED.join(nth, those).order_by(d.c.seq.desc(), d.c.app)


def newest_of_apps(t: sa.Table, ids: Sequence[str], seqs: Sequence[int]) -> sa.Select[Any]:
    """Return the query for deployments by id or delivery, newest first; see `MOST_OF_AN_APP`."""
    nth = _nth(t, t.c.id.in_(ids) | t.c.seq.in_(seqs))
    those = (nth.c.seq == t.c.seq) & (nth.c.app_id == t.c.app_id) & (nth.c.nth <= MOST_OF_AN_APP)
    return sa.select(t).join(nth, those).order_by(t.c.seq.desc(), t.c.app)


def _nth(t: sa.Table, which: sa.ColumnElement[bool]) -> sa.Subquery:
    """Return rows by delivery and app, each with its rank among its app's rows."""
    newest_first = sa.func.row_number().over(partition_by=t.c.app_id, order_by=t.c.seq.desc())
    return sa.select(t.c.seq, t.c.app_id, newest_first.label("nth")).where(which).subquery()


def _last_pushes() -> sa.Select[Any]:
    """Return the query for the time of the newest push to each app's repository.

    It costs one index search per app, however many decisions there are.
    """
    a, d, p = tables.apps, tables.decisions, tables.pushes
    newest = (
        sa.select(p.c.at)
        .join(d, d.c.seq == p.c.seq)
        .where(d.c.app_id == a.c.id)
        .order_by(d.c.seq.desc())
        .limit(1)
        .scalar_subquery()
    )
    return sa.select(a.c.id, newest.label("at"))


def _tags(db: sa.Connection, app_ids: Sequence[str]) -> dict[str, AppTags]:
    t = tables.deployments
    deployed: dict[str, list[str]] = {app_id: [] for app_id in app_ids}
    under_way: dict[str, dict[str, str]] = {app_id: {} for app_id in app_ids}
    for some in batched(app_ids):
        of_tags = t.c.app_id.in_(some) & t.c.ref.startswith("refs/tags/")
        query = sa.select(t).where(of_tags & t.c.state.not_in([State.FAILED, State.CANCELLED]))
        for one in all_of(db, query.order_by(t.c.seq)):
            tag, end = (one.ref or "").removeprefix("refs/tags/"), in_place_of(db, one)
            if end.state in BROUGHT_UP:
                deployed[one.app_id].append(tag)
            elif not end.final:
                under_way[one.app_id].pop(tag, None)  # pushed again, it is the last in line
                under_way[one.app_id][tag] = end.id
    return {app_id: AppTags(deployed[app_id], under_way[app_id]) for app_id in app_ids}


class Decisions(Transactions):
    """Decisions about pushes, and what later decisions need to know."""

    async def decisions(self, seqs: Sequence[int]) -> dict[int, list[Decision]]:
        t = tables.decisions
        found: dict[int, list[Decision]] = {seq: [] for seq in seqs}
        for some in batched(seqs):
            query = sa.select(t).where(t.c.seq.in_(some)).order_by(t.c.seq, t.c.app)
            for row in await self._all(query):
                found[row["seq"]].append(rows.read_decision(row))
        return found

    async def explained(
        self, app_id: str, *, commit: str | None = None, limit: int
    ) -> list[Explained]:
        return [rows.read_explained(r) for r in await self._all(explained(app_id, commit, limit))]

    async def last_pushes(self) -> dict[str, float]:
        found = await self._all(_last_pushes())
        return {row["id"]: row["at"] for row in found if row["at"] is not None}

    async def newest_push(self, ref_key: str) -> LastPush | None:
        last = await self._read(lambda db: standing(db, ref_key))
        return None if last is None else LastPush(last.seq, last.after)

    async def last_seq(self) -> int:
        newest = [sa.select(sa.func.max(t.c.seq)) for t in (tables.decisions, tables.pushes)]
        found = await self._read(lambda db: [db.scalar(query) for query in newest])
        return max(seq or 0 for seq in found)

    async def pushes_to(self, ref_key: str, commit: str) -> list[int]:
        t = tables.pushes
        query = sa.select(t.c.seq).where(t.c.after == commit, t.c.ref_key == ref_key)
        return [row["seq"] for row in await self._all(query.order_by(t.c.seq))]

    async def tags(self, app_ids: Sequence[str]) -> dict[str, AppTags]:
        return await self._read(lambda db: _tags(db, app_ids))
