"""Decisions for apps, the pushes they are about, and the webhooks that were refused."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from bridge.core.decision import Decision, Reason
from bridge.core.lifecycle import BROUGHT_UP, Deployment, State
from bridge.core.refused import RefusedWebhooks
from bridge.core.rules import AppTags
from bridge.ports.outcomes import (
    About,
    Explained,
    LastPush,
    Pushed,
    Sought,
)
from bridge.storage import tables
from bridge.storage.journal import rows
from bridge.storage.journal.deployment_rows import (
    all_of,
    read_deployment,
)
from bridge.storage.journal.pushes import key_of, repository_names, standing
from bridge.storage.journal.rows import batched, insert_into
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
    """What came of deliveries, and what later decisions need to know."""

    async def decisions(self, seqs: Sequence[int]) -> dict[int, list[Decision]]:
        t = tables.decisions
        found: dict[int, list[Decision]] = {seq: [] for seq in seqs}
        for some in batched(seqs):
            query = sa.select(t).where(t.c.seq.in_(some)).order_by(t.c.seq, t.c.app)
            for row in await self._all(query):
                found[row["seq"]].append(rows.read_decision(row))
        return found

    async def deployments_of(self, seqs: Sequence[int]) -> dict[int, list[Deployment]]:
        t = tables.deployments
        found: dict[int, list[Deployment]] = {seq: [] for seq in seqs}
        for some in batched(seqs):
            query = sa.select(t).where(t.c.seq.in_(some)).order_by(t.c.seq, t.c.app)
            for row in await self._all(query):
                found[row["seq"]].append(read_deployment(row))
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

    async def abouts(self, seqs: Sequence[int]) -> dict[int, About]:
        return await self._read(lambda db: _abouts(db, seqs))

    async def pushed(self, seqs: Sequence[int]) -> dict[int, Pushed]:
        return await self._read(lambda db: _pushed(db, seqs))

    async def repositories(self) -> dict[str, str]:
        t = tables.repositories
        return {row["key"]: row["name"] for row in await self._all(sa.select(t))}

    async def seqs_about(self, sought: Sought, *, before: int, limit: int) -> list[int]:
        query = _seqs(sought, before, limit)
        found = await self._read(lambda db: db.scalars(query).all())
        return list(found)


def _pushes_of(db: sa.Connection, seqs: Sequence[int]) -> list[sa.Row[Any]]:
    p = tables.pushes
    found: list[sa.Row[Any]] = []
    for some in batched(seqs):
        query = sa.select(p.c.seq, p.c.ref_key, p.c.after, p.c.author)
        found += db.execute(query.where(p.c.seq.in_(some)))
    return found


def _pushed(db: sa.Connection, seqs: Sequence[int]) -> dict[int, Pushed]:
    keys = {row.seq: key_of(row.ref_key) for row in _pushes_of(db, seqs)}
    names = repository_names(db, keys.values())
    return {seq: Pushed(key, names.get(key, "")) for seq, key in keys.items()}


def _abouts(db: sa.Connection, seqs: Sequence[int]) -> dict[int, About]:
    found = _pushes_of(db, seqs)
    names = repository_names(db, (key_of(row.ref_key) for row in found))
    return {
        row.seq: About(
            names.get(key_of(row.ref_key)), row.ref_key.rpartition(" ")[2], row.after, row.author
        )
        for row in found
    }


def _seqs(sought: Sought, before: int, limit: int) -> sa.Select[Any]:
    """Return the query of `seqs_about`.

    It reads the table that narrows most: deployments in a state, else an app's decisions, else
    pushes.
    """
    t, d, p = tables.deployments, tables.decisions, tables.pushes
    if sought.failed or sought.state is not None:
        states = (State.FAILED, State.UNHEALTHY) if sought.state is None else (sought.state,)
        lanes = [(t, [t.c.state == state]) for state in states]
    elif sought.app_id is not None:
        lanes = [(d, [])]
    else:
        lanes = [(p, each) for each in _lanes(sought)]
    # Each is read by an index, newest first; an `IN` or `OR` would make SQLite read everything.
    each = [
        sa.select(_lane(table, where, sought, before, limit).subquery().c.seq)
        for table, where in lanes
    ]
    found = sa.union_all(*each).subquery()
    return sa.select(found.c.seq).distinct().order_by(found.c.seq.desc()).limit(limit)


def _lane(
    table: sa.Table, where: Sequence[Any], sought: Sought, before: int, limit: int
) -> sa.Select[Any]:
    conditions = [*where, table.c.seq < before]
    if sought.app_id is not None:
        conditions.append(table.c.app_id == sought.app_id)
    if table is not tables.pushes:
        conditions += _of_push(table, sought)
    newest = sa.select(table.c.seq).where(*conditions).distinct()
    return newest.order_by(table.c.seq.desc()).limit(limit)


def _lanes(sought: Sought) -> Iterator[list[Any]]:
    """Yield the conditions on pushes of which one must hold; each compares with one value."""
    p = tables.pushes
    for key in sought.repositories or (None,):
        for ref in _refs(sought) or (None,):
            where = [] if key is None else [p.c.repository == key]
            where += [] if ref is None else [p.c.ref == ref]
            yield [*where, *_by_commit_and_author(sought)]


def _of_push(table: sa.Table, sought: Sought) -> Iterator[Any]:
    """Yield the condition that a row belongs to a push that fits."""
    p = tables.pushes
    where = list(_by_commit_and_author(sought))
    if sought.repositories:
        where.append(p.c.repository.in_(sought.repositories))
    if refs := _refs(sought):
        where.append(p.c.ref.in_(refs))
    if where:
        yield sa.exists().where(p.c.seq == table.c.seq, *where)


def _refs(sought: Sought) -> tuple[str, ...]:
    """Return the full names of a branch or tag, of which somebody has typed the short one."""
    name = sought.ref
    if not name or name.startswith("refs/"):
        return (name,) if name else ()
    return (f"refs/heads/{name}", f"refs/tags/{name}")


def _by_commit_and_author(sought: Sought) -> Iterator[Any]:
    p = tables.pushes
    if sought.commit:
        yield sa.and_(p.c.after >= sought.commit, p.c.after < f"{sought.commit}g")
    if sought.author:
        yield p.c.author == sought.author


MOST_REFUSED = 20_000
"""Counts to keep, some megabytes: the last ten hours of a steady flood."""

REFUSED_LAST = 30 * 86_400.0
"""Seconds for which counts are kept."""


class Refusals(Transactions):
    """Counts of refused webhooks."""

    async def keep_refused(self, those: Sequence[RefusedWebhooks]) -> None:
        if those:
            now = self._clock()
            await self._write(lambda db: _keep(db, those, now))

    async def refused(self, *, limit: int, since: float | None = None) -> list[RefusedWebhooks]:
        t = tables.refused
        query = sa.select(t).order_by(t.c.last.desc()).limit(limit)
        if since is not None:
            query = query.where(t.c.last >= since)
        return [RefusedWebhooks(**row) for row in await self._all(query)]


def _keep(db: sa.Connection, those: Sequence[RefusedWebhooks], now: float) -> None:
    """Add counts to the stored ones, and delete those that are too old or too many."""
    t = tables.refused
    insert = insert_into(db, t)
    newest = insert.excluded
    added = {"count": t.c.count + newest.count, "last": newest.last, "why": newest.why}
    query = insert.on_conflict_do_update(index_elements=list(t.primary_key.columns), set_=added)
    db.execute(query, [asdict(one) for one in those])
    db.execute(sa.delete(t).where(t.c.last < now - REFUSED_LAST))
    too_old = sa.select(t.c.last).order_by(t.c.last.desc()).offset(MOST_REFUSED).limit(1)
    db.execute(sa.delete(t).where(t.c.last <= too_old.scalar_subquery()))
