"""What has become of deployments that went live, and what tells it of those that never did."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import sqlalchemy as sa

from bridge.core.health.fate import Course, Fate, Step, course_of, fate_of
from bridge.core.health.serving import Serving
from bridge.core.lifecycle import FINAL, LIVE, Deployment, State, carries
from bridge.storage import tables
from bridge.storage.journal.deployment_rows import all_of, read_all
from bridge.storage.journal.rows import batched
from bridge.storage.journal.serving import served
from bridge.storage.journal.transactions import Transactions


class Fates(Transactions):
    """What has become of deployments."""

    async def fates(self, deployments: Sequence[Deployment]) -> dict[str, Fate]:
        return await self._read(lambda db: fates(db, deployments))


def fates(db: sa.Connection, deployments: Iterable[Deployment]) -> dict[str, Fate]:
    """Return what has become of the versions of those that went live, by id."""
    lived = [one for one in deployments if one.state in LIVE]
    serving = served(db, sorted({one.app_id for one in lived}))
    courses = _courses(db, [one for one in lived if not _is_newest(one, serving)])
    named = {id_ for one in courses.values() for id_ in (one.last, one.after, one.back) if id_}
    known = read_all(db, named)
    given_up = _given_up(db, [one.id for one in lived if one.state is State.UNHEALTHY])
    found: dict[str, Fate] = {}
    for one in lived:
        fate = fate_of(one, serving.get(one.app_id), courses.get(one.id), known)
        if fate is not None:
            found[one.id] = replace(fate, given_up=given_up.get(one.id))
    return found


def _is_newest(one: Deployment, serving: Mapping[str, Serving]) -> bool:
    newest = serving[one.app_id].newest if one.app_id in serving else None
    return newest is not None and newest.id == one.id


def _courses(db: sa.Connection, past: Sequence[Deployment]) -> dict[str, Course]:
    """Return what has come after each of them; of an app, all that it has served since is read."""
    since: dict[str, tuple[float, str]] = {}
    for one in past:
        began = (one.live_at or 0.0, one.id)
        since[one.app_id] = min(began, since.get(one.app_id, began))
    steps = {app_id: _steps(db, app_id, begins) for app_id, begins in since.items()}
    return {one.id: course_of(one.id, steps[one.app_id]) for one in past}


def _steps(db: sa.Connection, app_id: str, since: tuple[float, str]) -> list[Step]:
    t = tables.deployments
    later = sa.tuple_(t.c.live_at, t.c.id) >= sa.tuple_(*map(sa.literal, since))
    facts = (t.c.id, t.c.action, t.c.state, t.c.target, t.c.deployed_commit, t.c.image, t.c.images)
    query = sa.select(*facts).where((t.c.app_id == app_id) & later)
    rows = db.execute(query.order_by(t.c.live_at, t.c.id))
    return [Step(*row[:-1], images=tuple(json.loads(row.images or "[]"))) for row in rows]


def _given_up(db: sa.Connection, ids: Sequence[str]) -> dict[str, Deployment]:
    """Return the rollbacks that were to go back from deployments and ended without that."""
    t = tables.deployments
    found: dict[str, Deployment] = {}
    for some in batched(ids):
        ended = t.c.state.in_([*(FINAL - set(LIVE))]) & t.c.back_from.in_(some)
        apps = t.c.app_id.in_(sorted({id_.partition(".")[2] for id_ in some}))
        those = all_of(db, sa.select(t).where(apps & ended).order_by(t.c.seq))
        found |= {one.back_from: one for one in those if one.back_from is not None}
    return found


# ── what tells of those that were superseded ─────────────────────────────────────────────────────


def instead_of(db: sa.Connection, deployments: Iterable[Deployment]) -> dict[str, Deployment]:
    """Return what has brought the commits of superseded deployments in the end, by their ids."""
    old = {one.id: one for one in deployments if one.superseded_by}
    last = {id_: one.superseded_by or "" for id_, one in old.items()}
    known: dict[str, Deployment] = {}
    while missing := set(last.values()) - known.keys():
        new = read_all(db, missing)
        if not new:
            break  # it has been deleted
        known |= new
        last = {id_: _end(known, by) for id_, by in last.items()}
    found = {id_: known[by] for id_, by in last.items() if by in known}
    return {id_: new for id_, new in found.items() if carries(new, old[id_])}


def _end(known: Mapping[str, Deployment], id_: str) -> str:
    while (one := known.get(id_)) is not None and one.superseded_by is not None:
        id_ = one.superseded_by
    return id_
