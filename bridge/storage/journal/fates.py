"""What has become of deployments that went live."""

from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa

from bridge.core.health.fate import Fate, fate_of
from bridge.core.health.serving import Serving
from bridge.core.lifecycle import LIVE, Deployment
from bridge.storage import tables
from bridge.storage.journal.rows import batched
from bridge.storage.journal.serving import served
from bridge.storage.journal.transactions import Transactions
from bridge.storage.journal.transitions import read_deployment


class Fates(Transactions):
    """What has become of deployments."""

    async def fates(self, deployments: Sequence[Deployment]) -> dict[str, Fate]:
        return await self._read(lambda db: fates(db, deployments))


def fates(db: sa.Connection, deployments: Iterable[Deployment]) -> dict[str, Fate]:
    """Return what has become of those that went live, by id."""
    lived = [one for one in deployments if one.state in LIVE]
    serving = served(db, sorted({one.app_id for one in lived}))
    past = [one for one in lived if not _is_newest(one.id, serving.get(one.app_id))]
    last = _last_with(db, [one.id for one in past])
    after = _after(db, [id_ for id_ in last.values() if not _is_newest(id_, _of(id_, serving))])
    known = _read(db, {*last.values(), *after.values()})
    found: dict[str, Fate] = {}
    for one in lived:
        again = last.get(one.id, one.id)
        fate = fate_of(
            one, serving.get(one.app_id), known.get(again), known.get(after.get(again, ""))
        )
        if fate is not None:
            found[one.id] = fate
    return found


def _of(id_: str, serving: Mapping[str, Serving]) -> Serving | None:
    return serving.get(id_.partition(".")[2])


def _is_newest(id_: str, serving: Serving | None) -> bool:
    return serving is not None and serving.newest is not None and serving.newest.id == id_


def _last_with(db: sa.Connection, ids: Sequence[str]) -> dict[str, str]:
    """Return the last deployment that brought each one's version: itself, or a rollback to it."""
    d, t = tables.deployments, tables.deployments.alias("later")
    back = (t.c.live_at >= d.c.live_at) & (t.c.target == d.c.id)
    last = (
        sa.select(t.c.id)
        .where((t.c.app_id == d.c.app_id) & ((t.c.id == d.c.id) | back))
        .order_by(t.c.live_at.desc(), t.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    return _pairs(db, ids, last)


def _after(db: sa.Connection, ids: Sequence[str]) -> dict[str, str]:
    """Return what the app of each one served next."""
    d, t = tables.deployments, tables.deployments.alias("later")
    later = sa.tuple_(t.c.live_at, t.c.id) > sa.tuple_(d.c.live_at, d.c.id)
    after = (
        sa.select(t.c.id)
        .where((t.c.app_id == d.c.app_id) & later)
        .order_by(t.c.live_at, t.c.id)
        .limit(1)
        .scalar_subquery()
    )
    return _pairs(db, ids, after)


def _pairs(db: sa.Connection, ids: Sequence[str], other: sa.ScalarSelect[str]) -> dict[str, str]:
    d = tables.deployments
    found: dict[str, str] = {}
    for some in batched(sorted(set(ids))):
        rows = db.execute(sa.select(d.c.id, other.label("other")).where(d.c.id.in_(some)))
        found |= {row.id: row.other for row in rows if row.other is not None}
    return found


def _read(db: sa.Connection, ids: Iterable[str]) -> dict[str, Deployment]:
    found: dict[str, Deployment] = {}
    for some in batched(sorted(ids)):
        query = sa.select(tables.deployments).where(tables.deployments.c.id.in_(some))
        for row in db.execute(query).mappings():
            found[row["id"]] = read_deployment(dict(row))
    return found
