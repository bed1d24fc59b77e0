"""Look-ups of deliveries: what they were about, and what they led to."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from bridge.core.lifecycle import Deployment, State
from bridge.ports.outcomes import About, PushSeen
from bridge.stores import tables
from bridge.stores.inserts import add_new, batched
from bridge.stores.journal import rows
from bridge.stores.journal.live import newest_done
from bridge.stores.journal.transactions import Transactions


class Abouts(Transactions):
    """What deliveries were about, and what they led to."""

    async def abouts(self, seqs: Sequence[int]) -> dict[int, About]:
        """Return what decided pushes were about, by the delivery's seq."""
        return await self._read(lambda db: _abouts(db, seqs))

    async def deployments_of(self, seqs: Sequence[int]) -> dict[int, list[Deployment]]:
        """Return the deployments that deliveries led to, by the delivery's seq."""
        t = tables.deployments
        found: dict[int, list[Deployment]] = {seq: [] for seq in seqs}
        for some in batched(seqs):
            query = sa.select(t).where(t.c.seq.in_(some)).order_by(t.c.seq, t.c.app)
            for row in await self._all(query):
                found[row["seq"]].append(rows.read_deployment(row))
        return found

    async def newest_done(self, app_ids: Sequence[str]) -> dict[str, Deployment]:
        """Return the newest deployment of each app that is done, by the app's id."""
        found: dict[str, Deployment] = {}
        for some in batched(app_ids):
            for row in await self._all(newest_done(some)):
                found[row["app_id"]] = rows.read_deployment(row)
        return found

    async def repositories(self) -> dict[str, str]:
        """Return the names of repositories that have pushed, by host and id."""
        t = tables.repositories
        return {row["key"]: row["name"] for row in await self._all(sa.select(t))}

    async def seqs_about(
        self,
        *,
        repositories: Sequence[str] = (),
        app_id: str | None = None,
        failed: bool = False,
        before: int,
        limit: int,
    ) -> list[int]:
        """Return the positions of the newest deliveries that fit, newest first; see the port."""
        query = _seqs(repositories, app_id, failed=failed)
        found = await self._read(lambda db: db.scalars(query(before, limit)).all())
        return list(found)


def name_repositories(db: sa.Connection, pushes: Iterable[PushSeen]) -> None:
    """Store names of repositories that are new or have changed."""
    t = tables.repositories
    said = {_key_of(one.ref_key): one.repository for one in pushes if one.repository}
    known: dict[str, str] = {}
    for some in batched(sorted(said)):
        known |= dict(db.execute(sa.select(t.c.key, t.c.name).where(t.c.key.in_(some))).all())
    add_new(db, t, [{"key": key, "name": said[key]} for key in sorted(said.keys() - known.keys())])
    for key in sorted(said.keys() & known.keys()):
        if said[key] != known[key]:
            db.execute(sa.update(t).where(t.c.key == key).values(name=said[key]))


def _key_of(ref_key: str) -> str:
    """Return the first part of a `ref_key`: the host and its id of the repository."""
    return ref_key.rpartition(" ")[0]


def _abouts(db: sa.Connection, seqs: Sequence[int]) -> dict[int, About]:
    p, r = tables.pushes, tables.repositories
    found: dict[int, Any] = {}
    for some in batched(seqs):
        query = sa.select(p.c.seq, p.c.ref_key, p.c.after, p.c.author).where(p.c.seq.in_(some))
        found |= {row.seq: row for row in db.execute(query)}
    names: dict[str, str] = {}
    for keys in batched(sorted({_key_of(row.ref_key) for row in found.values()})):
        names |= dict(db.execute(sa.select(r.c.key, r.c.name).where(r.c.key.in_(keys))).all())
    return {
        seq: About(
            names.get(_key_of(row.ref_key)), row.ref_key.rpartition(" ")[2], row.after, row.author
        )
        for seq, row in found.items()
    }


def _seqs(repositories: Sequence[str], app_id: str | None, *, failed: bool) -> Any:
    """Return a function that makes the query of `seqs_about`, given `before` and `limit`.

    The query reads the table that narrows most: failed deployments, else an app's decisions, else
    pushes.
    """
    t, d, p = tables.deployments, tables.decisions, tables.pushes
    if failed:
        table, where = t, [t.c.state == State.FAILED]
    elif app_id is not None:
        table, where = d, []
    else:
        table, where = p, []
    if app_id is not None:
        where.append(table.c.app_id == app_id)
    if repositories:
        # Not LIKE or a range: for those each database has its own idea of case and order.
        begins = [(sa.func.substr(p.c.ref_key, 1, len(key) + 1), f"{key} ") for key in repositories]
        one = sa.or_(*(begin == key for begin, key in begins))
        if table is p:
            where.append(one)
        else:
            where.append(sa.exists().where(p.c.seq == table.c.seq, one))

    def query(before: int, limit: int) -> sa.Select[Any]:
        newest = sa.select(table.c.seq).where(*where, table.c.seq < before).distinct()
        return newest.order_by(table.c.seq.desc()).limit(limit)

    return query
