"""What deliveries were about, and those that somebody looks for."""

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from bridge.core.lifecycle import Deployment, State
from bridge.ports.outcomes import About, Pushed, Sought
from bridge.storage import tables
from bridge.storage.journal.deployment_rows import read_deployment
from bridge.storage.journal.rows import batched
from bridge.storage.journal.transactions import Transactions


class Abouts(Transactions):
    """Look-ups of deliveries: their subjects and their outcomes."""

    async def abouts(self, seqs: Sequence[int]) -> dict[int, About]:
        return await self._read(lambda db: _abouts(db, seqs))

    async def pushed(self, seqs: Sequence[int]) -> dict[int, Pushed]:
        return await self._read(lambda db: _pushed(db, seqs))

    async def deployments_of(self, seqs: Sequence[int]) -> dict[int, list[Deployment]]:
        t = tables.deployments
        found: dict[int, list[Deployment]] = {seq: [] for seq in seqs}
        for some in batched(seqs):
            query = sa.select(t).where(t.c.seq.in_(some)).order_by(t.c.seq, t.c.app)
            for row in await self._all(query):
                found[row["seq"]].append(read_deployment(row))
        return found

    async def repositories(self) -> dict[str, str]:
        t = tables.repositories
        return {row["key"]: row["name"] for row in await self._all(sa.select(t))}

    async def seqs_about(self, sought: Sought, *, before: int, limit: int) -> list[int]:
        query = _seqs(sought, before, limit)
        found = await self._read(lambda db: db.scalars(query).all())
        return list(found)


def key_of(ref_key: str) -> str:
    """Return the first part of a `ref_key`: the host and its id of the repository."""
    return ref_key.rpartition(" ")[0]


def _pushed(db: sa.Connection, seqs: Sequence[int]) -> dict[int, Pushed]:
    p, r = tables.pushes, tables.repositories
    keys: dict[int, str] = {}
    for some in batched(seqs):
        query = sa.select(p.c.seq, p.c.ref_key).where(p.c.seq.in_(some))
        keys |= {row.seq: key_of(row.ref_key) for row in db.execute(query)}
    names: dict[str, str] = {}
    for those in batched(sorted(set(keys.values()))):
        names |= dict(db.execute(sa.select(r.c.key, r.c.name).where(r.c.key.in_(those))).all())
    return {seq: Pushed(key, names.get(key, "")) for seq, key in keys.items()}


def _abouts(db: sa.Connection, seqs: Sequence[int]) -> dict[int, About]:
    p, r = tables.pushes, tables.repositories
    found: dict[int, Any] = {}
    for some in batched(seqs):
        query = sa.select(p.c.seq, p.c.ref_key, p.c.after, p.c.author).where(p.c.seq.in_(some))
        found |= {row.seq: row for row in db.execute(query)}
    names: dict[str, str] = {}
    for keys in batched(sorted({key_of(row.ref_key) for row in found.values()})):
        names |= dict(db.execute(sa.select(r.c.key, r.c.name).where(r.c.key.in_(keys))).all())
    return {
        seq: About(
            names.get(key_of(row.ref_key)), row.ref_key.rpartition(" ")[2], row.after, row.author
        )
        for seq, row in found.items()
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
