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

_D, _P, _R, _T = tables.decisions, tables.pushes, tables.refused, tables.deployments

MOST_OF_AN_APP = 20
"""Rows to read per app for a subscription that follows many deliveries. It shows the current state,
so only the newest rows count, and they are read again at every change."""

_EXPLAINED = sa.select(
    _D,
    _P.c.delivery,
    _P.c.ref_key,
    _P.c.after,
    _P.c.message.label("said"),
    _P.c.author.label("by"),
    _T.c.commit,
    _T.c.message,
    _T.c.author,
).select_from(
    _D.outerjoin(_P, _P.c.seq == _D.c.seq).outerjoin(
        _T,
        (_T.c.seq == _D.c.seq) & (_T.c.app_id == _D.c.app_id),
    )
)
"""The query for decisions with the pushes they were about."""


def explained(app_id: str, commit: str | None, limit: int) -> sa.Select[Any]:
    """Return the query for decisions about an app, newest first."""
    query = _EXPLAINED.where(_D.c.app_id == app_id).order_by(_D.c.seq.desc()).limit(limit)
    if commit is None:  # the bridge's own branches would hide what people have pushed
        return query.where(_D.c.reason != Reason.OWN_BRANCH)
    begins = [
        column.startswith(commit.lower(), autoescape=True) for column in (_P.c.after, _T.c.commit)
    ]
    return query.where(sa.or_(*begins))


def explained_of(seqs: Sequence[int]) -> sa.Select[Any]:
    """Return the query for decisions by delivery, newest first; see `MOST_OF_AN_APP`."""
    return _newest_of_apps(_EXPLAINED, _D, _D.c.seq.in_(seqs))


def deployments_of(ids: Sequence[str], seqs: Sequence[int]) -> sa.Select[Any]:
    """Return the query for deployments by id or delivery, newest first; see `MOST_OF_AN_APP`."""
    return _newest_of_apps(sa.select(_T), _T, _T.c.id.in_(ids) | _T.c.seq.in_(seqs))


def _newest_of_apps(
    query: sa.Select[Any], t: sa.Table, which: sa.ColumnElement[bool]
) -> sa.Select[Any]:
    newest_first = sa.func.row_number().over(partition_by=t.c.app_id, order_by=t.c.seq.desc())
    nth = sa.select(t.c.seq, t.c.app_id, newest_first.label("nth")).where(which).subquery()
    those = (nth.c.seq == t.c.seq) & (nth.c.app_id == t.c.app_id) & (nth.c.nth <= MOST_OF_AN_APP)
    return query.join(nth, those).order_by(t.c.seq.desc(), t.c.app)


def _last_pushes() -> sa.Select[Any]:
    """Return the query for the time of the newest push to each app's repository.

    It costs one index search per app, however many decisions there are.
    """
    a = tables.apps
    newest = (
        sa.select(_P.c.at)
        .join(_D, _D.c.seq == _P.c.seq)
        .where(_D.c.app_id == a.c.id)
        .order_by(_D.c.seq.desc())
        .limit(1)
        .scalar_subquery()
    )
    return sa.select(a.c.id, newest.label("at"))


def _tags(db: sa.Connection, app_ids: Sequence[str]) -> dict[str, AppTags]:
    deployed: dict[str, list[str]] = {app_id: [] for app_id in app_ids}
    under_way: dict[str, dict[str, str]] = {app_id: {} for app_id in app_ids}
    for some in batched(app_ids):
        of_tags = _T.c.app_id.in_(some) & _T.c.ref.startswith("refs/tags/")
        query = sa.select(_T).where(of_tags & _T.c.state.not_in([State.FAILED, State.CANCELLED]))
        for one in all_of(db, query.order_by(_T.c.seq)):
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
        found: dict[int, list[Decision]] = {seq: [] for seq in seqs}
        for some in batched(seqs):
            query = sa.select(_D).where(_D.c.seq.in_(some)).order_by(_D.c.seq, _D.c.app)
            for row in await self._all(query):
                found[row["seq"]].append(rows.read_decision(row))
        return found

    async def deployments_of(self, seqs: Sequence[int]) -> dict[int, list[Deployment]]:
        found: dict[int, list[Deployment]] = {seq: [] for seq in seqs}
        for some in batched(seqs):
            query = sa.select(_T).where(_T.c.seq.in_(some)).order_by(_T.c.seq, _T.c.app)
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
        newest = [sa.select(sa.func.max(t.c.seq)) for t in (_D, _P)]
        found = await self._read(lambda db: [db.scalar(query) for query in newest])
        return max(seq or 0 for seq in found)

    async def pushes_to(self, ref_key: str, commit: str) -> list[int]:
        query = sa.select(_P.c.seq).where(_P.c.after == commit, _P.c.ref_key == ref_key)
        return [row["seq"] for row in await self._all(query.order_by(_P.c.seq))]

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
    found: list[sa.Row[Any]] = []
    for some in batched(seqs):
        query = sa.select(_P.c.seq, _P.c.ref_key, _P.c.after, _P.c.author, _P.c.message)
        found += db.execute(query.where(_P.c.seq.in_(some)))
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
            names.get(key_of(row.ref_key)),
            row.ref_key.rpartition(" ")[2],
            row.after,
            row.author,
            row.message or "",
        )
        for row in found
    }


def _seqs(sought: Sought, before: int, limit: int) -> sa.Select[Any]:
    """Return the query of `seqs_about`.

    It reads the table that narrows most: deployments in a state, else an app's decisions, else
    pushes.
    """
    if sought.failed or sought.state is not None:
        states = (State.FAILED, State.UNHEALTHY) if sought.state is None else (sought.state,)
        lanes = [(_T, [_T.c.state == state]) for state in states]
    elif sought.app_id is not None:
        lanes = [(_D, [])]
    else:
        lanes = [(_P, each) for each in _lanes(sought)]
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
    if table is not _P:
        conditions += _of_push(table, sought)
    newest = sa.select(table.c.seq).where(*conditions).distinct()
    return newest.order_by(table.c.seq.desc()).limit(limit)


def _lanes(sought: Sought) -> Iterator[list[Any]]:
    """Yield the conditions on pushes of which one must hold; each compares with one value."""
    for key in sought.repositories or (None,):
        for ref in _refs(sought) or (None,):
            where = [] if key is None else [_P.c.repository == key]
            where += [] if ref is None else [_P.c.ref == ref]
            yield [*where, *_by_commit_and_author(sought)]


def _of_push(table: sa.Table, sought: Sought) -> Iterator[Any]:
    """Yield the condition that a row belongs to a push that fits."""
    where = list(_by_commit_and_author(sought))
    if sought.repositories:
        where.append(_P.c.repository.in_(sought.repositories))
    if refs := _refs(sought):
        where.append(_P.c.ref.in_(refs))
    if where:
        yield sa.exists().where(_P.c.seq == table.c.seq, *where)


def _refs(sought: Sought) -> tuple[str, ...]:
    """Return the full names of a branch or tag, of which somebody has typed the short one."""
    name = sought.ref
    if not name or name.startswith("refs/"):
        return (name,) if name else ()
    return (f"refs/heads/{name}", f"refs/tags/{name}")


def _by_commit_and_author(sought: Sought) -> Iterator[Any]:
    if sought.commit:
        yield sa.and_(_P.c.after >= sought.commit, _P.c.after < f"{sought.commit}g")
    if sought.author:
        yield _P.c.author == sought.author


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
        query = sa.select(_R).order_by(_R.c.last.desc()).limit(limit)
        if since is not None:
            query = query.where(_R.c.last >= since)
        return [RefusedWebhooks(**row) for row in await self._all(query)]


def _keep(db: sa.Connection, those: Sequence[RefusedWebhooks], now: float) -> None:
    """Add counts to the stored ones, and delete those that are too old or too many."""
    insert = insert_into(db, _R)
    newest = insert.excluded
    added = {"count": _R.c.count + newest.count, "last": newest.last, "why": newest.why}
    query = insert.on_conflict_do_update(index_elements=list(_R.primary_key.columns), set_=added)
    db.execute(query, [asdict(one) for one in those])
    db.execute(sa.delete(_R).where(_R.c.last < now - REFUSED_LAST))
    too_old = sa.select(_R.c.last).order_by(_R.c.last.desc()).offset(MOST_REFUSED).limit(1)
    db.execute(sa.delete(_R).where(_R.c.last <= too_old.scalar_subquery()))
