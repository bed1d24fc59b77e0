"""What apps serve, and how far that is behind their branches."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa

from bridge.core.absence import AWAY, Absence, read_absence
from bridge.core.apps import App, Trigger
from bridge.core.changes import Live, Move, Pushes, begins_of, brought, newest_move
from bridge.core.decision import Reason
from bridge.core.health.rollback import default_target
from bridge.core.health.serving import By, Look, Serving, behind, with_branch
from bridge.core.lifecycle import Deployment, Evidence, State
from bridge.core.pins import is_one, tracked
from bridge.storage import tables
from bridge.storage.journal.deployment_rows import (
    GOING,
    PLACES,
    changing,
    last_served_of,
    mark_apps_due,
    mark_followers_due,
    read_all,
    served_places,
)
from bridge.storage.journal.pushes import key_of, newest_moves, newest_of_each, repository_names
from bridge.storage.journal.rows import batched
from bridge.storage.journal.shown import mark_last
from bridge.storage.journal.transactions import Transactions

_A, _T = tables.apps, tables.deployments

NEWEST = 2**63 - 1
"""A position after all others."""

FAR_BACK = 10
"""The newest versions that an app has served to look through for one to go back to."""

FAR_BEHIND = 50
"""The newest pushes of a branch to read; the distance of what is further behind is unknown."""


class Serves(Transactions):
    """What apps serve."""

    async def serving(self, apps: Sequence[App]) -> dict[str, Serving]:
        return await self._read(lambda db: _serving(db, apps))

    async def serving_of(self, app: App) -> Serving | None:
        return (await self.serving([app])).get(app.id)

    async def unserved(self, app: App) -> Serving:
        found = await self._read(lambda db: _every(db, [app.id]))
        return found.get(app.id) or Serving(None)

    async def rollback_targets(self, apps: Sequence[App]) -> dict[str, Deployment]:
        return await self._read(lambda db: _rollback_targets(db, apps))

    async def brought(
        self, app: App, live: str | None, head: str, *, pinned: bool, limit: int
    ) -> Pushes:
        def read(db: sa.Connection) -> Pushes:
            moves, whole = _moves_for(db, app, live, limit)
            found = brought(live, head, moves, pinned=pinned)
            return Pushes(tuple(one.seq for one in found), begins_of(found), whole)

        return await self._read(read)

    async def save_look(self, app_id: str, look: Look) -> None:
        at = self._clock()
        await self._change(lambda db: _save_look(db, app_id, look, at))

    async def live(self, app_ids: Sequence[str]) -> dict[str, Live]:
        return await self._read(lambda db: _live(db, app_ids))

    async def failing(self, limit: int) -> list[Deployment]:
        found = await self._once(lambda db: read_all(db, db.scalars(_served_nothing_since(limit))))
        newest = {one.app_id: one for one in sorted(found.values(), key=lambda one: one.seq)}
        return sorted(newest.values(), key=lambda one: one.seq, reverse=True)


def _serving(db: sa.Connection, apps: Sequence[App]) -> dict[str, Serving]:
    found = served(db, [app.id for app in apps])
    refs = _refs(db, [app for app in apps if app.id in found and _follows_branch(app)])
    moves = newest_of_each(db, set(refs.values()), FAR_BEHIND)
    late = {id_: moves[ref] for id_, ref in refs.items() if _is_late(found[id_], moves[ref])}
    told = _told(db, late)
    for app in apps:
        if app.id in found and _follows_branch(app):
            newest = moves.get(refs.get(app.id, ""), [])
            distance = behind(found[app.id].commit, newest, told.get(app.id, {}))
            found[app.id] = with_branch(found[app.id], distance)
    return found


def _rollback_targets(db: sa.Connection, apps: Sequence[App]) -> dict[str, Deployment]:
    ids = [app.id for app in apps]
    live, history = served(db, ids), last_served_of(db, ids, FAR_BACK)
    found = {
        app.id: default_target(
            app, history[app.id], live[app.id].version_served if app.id in live else None
        )
        for app in apps
    }
    return {id_: one for id_, one in found.items() if one is not None}


def _moves_for(
    db: sa.Connection, app: App, live: str | None, limit: int
) -> tuple[list[Move], bool]:
    """Return the newest moves of an app's branch, and whether none before them may matter.

    If nothing is live, these are the ones decided for the app.
    """
    ref = _refs(db, [app]).get(app.id)
    moves = newest_moves(db, ref, limit) if ref is not None else []
    whole = len(moves) < limit
    if live is not None:
        return moves, whole or any(one.after == live for one in moves)
    told = _told(db, {app.id: moves}).get(app.id, {})  # the branch may be older than the app
    return [one for one in moves if one.seq in told], whole or moves[-1].seq not in told


def _is_late(one: Serving, moves: Sequence[Move]) -> bool:
    """Return whether its branch has moved since; only then must more be known."""
    head = newest_move(moves)
    return head is not None and head.after != one.commit


def _follows_branch(app: App) -> bool:
    branch = tracked(app)
    return app.pushed and app.waits_for is Trigger.PUSH and bool(branch and is_one(branch))


# ── what is served ────────────────────────────────────────────────────────────────────────────────


def served(db: sa.Connection, app_ids: Sequence[str]) -> dict[str, Serving]:
    """Return what apps serve, by id, without how far that is behind; nothing of those gone."""
    return {
        id_: one
        for id_, one in _every(db, app_ids).items()
        if one.newest or (one.look is not None and one.look.record)
    }


def _every(db: sa.Connection, app_ids: Sequence[str]) -> dict[str, Serving]:
    """Return the same for every app, even if nothing is known to be served."""
    places: list[Mapping[str, Any]] = []
    for some in batched(app_ids):
        those = db.execute(served_places(some)).mappings()
        places += [dict(row) for row in those if not row["gone"]]
    looks, away = _looks(db, app_ids), _away(db)
    named = {row[one] for row in places for one in PLACES}
    named |= {one.deployment for one in looks.values()}
    known = read_all(db, named - {None})
    found: dict[str, Serving] = {}
    for row in places:
        look = looks.get(row["app_id"])
        looked = known.get(look.deployment or "") if look is not None else None
        ours = (known.get(row[one]) for one in PLACES)
        found[row["app_id"]] = Serving(*ours, look=look, looked=looked, away=away)
    return found


def _away(db: sa.Connection) -> Absence | None:
    m = tables.meta
    return read_absence(db.scalar(sa.select(m.c.value).where(m.c.key == AWAY)))


def _looks(db: sa.Connection, app_ids: Sequence[str]) -> dict[str, Look]:
    t = tables.looks
    found: dict[str, Look] = {}
    for some in batched(app_ids):
        for row in db.execute(sa.select(t).where(t.c.app_id.in_(some))).mappings():
            facts = {name: row[name] for name in Look.__slots__}
            evidence = row["evidence"] and Evidence(row["evidence"])
            found[row["app_id"]] = Look(**facts | {"evidence": evidence, "by": By(row["by"])})
    return found


def _save_look(db: sa.Connection, app_id: str, look: Look, at: float) -> None:
    """Store a look; if it shows another version, mark what shows the last ones or waits for it."""
    changing(db)
    t = tables.looks
    began = db.scalar(sa.select(t.c.at).where(t.c.app_id == app_id))
    if began is not None and look.at < began <= at:  # after `at`, a clock was wrong
        return
    was = served(db, [app_id]).get(app_id)
    db.execute(sa.delete(t).where(t.c.app_id == app_id))
    db.execute(
        sa.insert(t), [{name: getattr(look, name) for name in Look.__slots__} | {"app_id": app_id}]
    )
    now = served(db, [app_id]).get(app_id)
    if _shown(was) != _shown(now):
        mark_last(db, app_id, at, was.look if was else None)
        mark_apps_due(db, [app_id], at)
        mark_followers_due(db, app_id, at)


def _shown(one: Serving | None) -> tuple[str | None, ...] | None:
    """Return the parts of a serving that people see; None if nothing is served."""
    return None if one is None else (one.version, one.ours.id if one.ours else None, *one.notes)


# ── from which the next change is reckoned ────────────────────────────────────────────────────────


def _live(db: sa.Connection, app_ids: Sequence[str]) -> dict[str, Live]:
    found = served(db, app_ids)
    going, failed = _going(db, list(found)), _failed_since(db, found)
    return {
        app_id: Live(
            _live_commit(one),
            certain=one.known and app_id not in going,
            seq=one.newest.seq if one.newest else 0,
            failed=failed.get(app_id, 0),
        )
        for app_id, one in found.items()
    }


def _live_commit(one: Serving) -> str | None:
    """Return the commit that is served, or was the last that surely was."""
    if one.known:
        return one.commit
    return one.last_known.deployed_commit if one.last_known else None


def _failed_since(db: sa.Connection, served: Mapping[str, Serving]) -> dict[str, int]:
    """Return the oldest failed delivery of each app whose newest outcome is a failure."""
    found: dict[str, int] = {}
    for app_id, newest in _failed(db, list(served)).items():
        since = _since(served[app_id])
        if newest >= since:  # few apps are failing
            after = sa.tuple_(_T.c.finished_at, _T.c.seq) >= sa.tuple_(*map(sa.literal, since))
            failures = (_T.c.app_id == app_id) & (_T.c.state == State.FAILED) & after
            found[app_id] = db.scalar(sa.select(sa.func.min(_T.c.seq)).where(failures)) or 0
    return found


def _since(one: Serving) -> tuple[float, int]:
    """Return the time and the delivery after which a failure leaves changes missing."""
    newest, doubt = one.newest, one.doubt
    begins = (newest.live_at or 0.0, newest.seq) if newest else (0.0, 0)
    return begins if doubt is None else max(begins, (doubt.finished_at or 0.0, doubt.seq))


def _going(db: sa.Connection, app_ids: Sequence[str]) -> set[str]:
    """Return the apps of which a deployment is open; also one that is only being verified."""
    found: set[str] = set()
    for some in batched(app_ids):
        going = sa.select(_T.c.app_id).where(_T.c.app_id.in_(some) & GOING)
        found |= set(db.scalars(going.distinct()))
    return found


def _failed(db: sa.Connection, app_ids: Sequence[str]) -> dict[str, tuple[float, int]]:
    """Return when the newest failed deployment of each app ended, and its position."""
    found: dict[str, tuple[float, int]] = {}
    for some in batched(app_ids):
        for row in db.execute(newest_failed(), {"ids": some}):
            found[row.app_id] = (row.finished_at or 0.0, row.seq)
    return found


def _served_nothing_since(limit: int) -> sa.Select[Any]:
    """Return the query for the ids of the newest deployments that failed and still matter.

    Of the `limit` newest, it finds those that no deployment of their app which served follows. It
    joins nothing: planners would begin with every deployment that ever failed.
    """
    facts = (_T.c.id, _T.c.app_id, _T.c.seq, _T.c.state, _T.c.finished_at)
    one = sa.select(*facts).order_by(_T.c.seq.desc()).limit(limit).subquery("newest").c
    since = (_T.c.app_id == one.app_id) & (_T.c.live_at >= one.finished_at) & (_T.c.live_at > 0)
    after = (_T.c.live_at > one.finished_at) | (_T.c.seq > one.seq)
    return sa.select(one.id).where((one.state == State.FAILED) & ~sa.exists().where(since & after))


@cache
def newest_failed() -> sa.Select[Any]:
    """Return the query for the newest failed deployment of each app; `ids`: the apps.

    It costs a few index searches per app, however long its history is.
    """
    newest = _newest_in(State.FAILED, _A.c.id).scalar_subquery()
    ids: sa.BindParameter[str] = sa.bindparam("ids", expanding=True)
    begins = sa.select(newest.label("id")).where(_A.c.id.in_(ids)).cte("newest")
    # Else Postgres would search anew wherever the result is used, and rather read all.
    begins = begins.prefix_with("MATERIALIZED", dialect="postgresql")
    of_each = sa.join(begins, _T, _T.c.id == begins.c.id)
    return sa.select(_T.c.app_id, _T.c.id, _T.c.seq, _T.c.finished_at).select_from(of_each)


def _newest_in(state: State, app_id: sa.ColumnElement[str]) -> sa.Select[Any]:
    """Return the id of an app's newest deployment in a state; nothing if there is none.

    The row before the last place in the index may be another app's, or in another state.
    Expressions keep planners from starting with an index on these columns. SQLite did so or not
    depending on the order of the indexes' creation, and then searched once per deployment.
    """
    found = _T.alias(f"newest_{state}")
    of_app, in_state = (sa.func.coalesce(one, "") for one in (found.c.app_id, found.c.state))
    return sa.select(found.c.id).where(
        (found.c.id == _last_place(state, app_id).correlate(_A).scalar_subquery())
        & (of_app == app_id)
        & (in_state == state)
    )


def _last_place(state: State, app_id: sa.ColumnElement[str]) -> sa.Select[Any]:
    """Return the id of the deployment at or before the last place for an app and a state.

    The query orders instead of comparing for equality: with equality, Postgres reads deployments
    from the newest on until one is the app's; for an app without any, that means all of them.
    """
    o = _T.alias("of_app")
    place = sa.tuple_(o.c.app_id, o.c.state, o.c.seq)
    last = sa.tuple_(app_id, sa.literal(state.value), sa.literal(NEWEST, sa.BigInteger))
    return (
        sa.select(o.c.id)
        .where(place <= last)
        .order_by(o.c.app_id.desc(), o.c.state.desc(), o.c.seq.desc())
        .limit(1)
    )


# ── how far behind ────────────────────────────────────────────────────────────────────────────────


def _refs(db: sa.Connection, apps: Sequence[App]) -> dict[str, str]:
    """Return the key of each app's branch, by the app's id; omit what no push has named yet.

    The newest decision about an app names the repository. If the app has moved since, its branch is
    not known yet.
    """
    keys = _repositories(db, [app.id for app in apps])
    names = repository_names(db, keys.values())
    return {
        app.id: f"{key} refs/heads/{tracked(app)}"
        for app in apps
        if (key := keys.get(app.id)) is not None and _is_of(app, key, names.get(key))
    }


def _is_of(app: App, key: str, name: str | None) -> bool:
    """Return whether an app deploys from a repository, as far as its record tells."""
    source = app.source
    if source is None or source.repository is None:
        return source is not None
    if source.repository_id is not None:
        return key.partition(" ")[2] in (source.repository_id, source.repository.lower())
    return name is not None and name.lower() == source.repository.lower()


def _repositories(db: sa.Connection, app_ids: Sequence[str]) -> dict[str, str]:
    """Return the repository of the newest push that was decided for each app."""
    d, p = tables.decisions, tables.pushes
    newest = (
        sa.select(p.c.ref_key)
        .join(d, d.c.seq == p.c.seq)
        .where(d.c.app_id == _A.c.id)
        .order_by(d.c.seq.desc())
        .limit(1)
        .scalar_subquery()
    )
    found: dict[str, str] = {}
    for some in batched(app_ids):
        rows = db.execute(sa.select(_A.c.id, newest.label("ref_key")).where(_A.c.id.in_(some)))
        found |= {row.id: key_of(row.ref_key) for row in rows if row.ref_key}
    return found


def _told(db: sa.Connection, moves: dict[str, list[Move]]) -> dict[str, dict[int, Reason]]:
    """Return the reasons of each app's decisions about some moves, by the push's seq."""
    d = tables.decisions
    found: dict[str, dict[int, Reason]] = {}
    seqs = sorted({move.seq for those in moves.values() for move in those})
    for some in batched(seqs):
        rows = db.execute(sa.select(d.c.seq, d.c.app_id, d.c.reason).where(d.c.seq.in_(some)))
        for row in rows:
            if row.app_id in moves:
                found.setdefault(row.app_id, {})[row.seq] = Reason(row.reason)
    return found
