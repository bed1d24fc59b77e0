"""What shows the versions that an app has served: it changes with what is served now."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from bridge.core.events import Action
from bridge.core.gates.locks import app_in
from bridge.core.health.serving import Look
from bridge.core.lifecycle import BROUGHT_UP, FINAL, LIVE, Evidence, State
from bridge.ports.outcomes import about_delivery, about_deployment
from bridge.storage import tables
from bridge.storage.journal.outbox import changed
from bridge.storage.journal.rows import batched

LAST_LIVE = 3
"""The last versions of an app whose cards may change once another one is live."""

FAR_BACK = 200
"""The last versions to look through for those that are served once more, or taken back."""

MOST_UNASKED = 50
"""An app's newest deployments among which to look for those that its backend was asked for."""

_T = tables.deployments


def _superseded() -> sa.Select[Any]:
    """Return the query for all that some deployments have superseded, however long the chain."""
    ids: sa.BindParameter[Any] = sa.bindparam("ids", expanding=True)
    chain = sa.select(_T.c.id, _T.c.seq).where(_T.c.superseded_by.in_(ids))
    found = chain.cte("found", recursive=True)
    more = sa.select(_T.c.id, _T.c.seq).where(_T.c.superseded_by == found.c.id)
    return sa.select(found.union(more))


def _in_place() -> sa.Select[Any]:
    """Return the query for the state of the last deployment in one's place."""
    columns = (_T.c.id, _T.c.superseded_by, _T.c.state)
    chain = sa.select(*columns).where(_T.c.id == sa.bindparam("id_"))
    found = chain.cte("found", recursive=True)
    found = found.union(sa.select(*columns).where(_T.c.id == found.c.superseded_by))
    return sa.select(found.c.state).where(found.c.superseded_by.is_(None))


_SUPERSEDED, _IN_PLACE = _superseded(), _in_place()


def also_shown(
    db: sa.Connection, moved: sa.RowMapping, to: State, commit: str | None, by: str | None
) -> list[str]:
    """Return the keys of what else shows a change of a deployment's state.

    What it has superseded shows how the last in its place has ended, so nothing changes there
    before that: of a thousand pushes in a row, only the last shows in all.

    Args:
        commit: what it has brought; None if that is not known.
        by: the id of the deployment that supersedes it.
    """
    keys: list[str] = []
    if to is State.ASKED:
        keys += map(about_deployment, last_asked(db, moved["app_id"])[:1])
    if to in BROUGHT_UP:
        coming = dict(moved) | {"deployed_commit": commit or moved["deployed_commit"]}
        keys += last_shown(db, moved["app_id"], coming)
    if to in FINAL and (by is None or _has_ended(db, by)):
        keys += _keys(_of_superseded(db, [moved["id"]]))
    if moved["back_from"] is not None and to in FINAL and to not in LIVE:
        keys += _keys(_named(db, _T.c.id == moved["back_from"]))  # it announces this one
    return keys


def last_shown(
    db: sa.Connection, app_id: str, *others: Mapping[str, Any], by_push: bool = True
) -> list[str]:
    """Return the keys of what shows an app's last versions, and those that come back or go with it.

    What the stored look shows counts as well, however old that version is. What shows whole
    deliveries, such as comments, says of a version only that it was deployed, or since when a merge
    is live. That stays true with each newer push, unless it was unhealthy or rolled back: only then
    is it among them.

    Args:
        by_push: nothing but our own deployment changes what is served.
        others: what brings another version now, and what has shown one until now, as rows.
    """
    recent = _recent(db, app_id)
    last = recent[:LAST_LIVE]
    shown = [*others, *_looked(db, app_id)]
    new = [*shown, *last]
    targets = {one["target"] for one in new if one["target"]}
    commits = {one["deployed_commit"] for one in new} - {None}
    images = {one["image"] for one in new if one["deployed_commit"] is None} - {None}
    back = [one for one in (*shown, *last[:1]) if one["action"] == Action.ROLLBACK]
    taken = {one["id"] for rollback in back for one in _since(recent, rollback["target"])}
    found = [
        one
        for place, one in enumerate(recent)
        if place < LAST_LIVE
        or one["id"] in targets | taken
        or one["deployed_commit"] in commits
        or (one["image"] in images and one["deployed_commit"] is None)
    ]
    found += _older(db, app_id, targets - {one["id"] for one in found})
    those = [(one["id"], one["seq"]) for one in found]
    those += _of_superseded(db, [id_ for id_, _ in those])
    rolled_back = any(one["action"] == Action.ROLLBACK for one in new)
    asked = [about_deployment(id_) for id_ in last_asked(db, app_id)[:2]]
    if not by_push or rolled_back or any(one["state"] == State.UNHEALTHY for one in found):
        return _keys(those) + asked
    return [about_deployment(id_) for id_, _ in those] + asked


def last_asked(db: sa.Connection, app_id: str) -> list[str]:
    """Return what an app's backend was asked for, by id, the last one first.

    The card of that one alone offers to build again what is checked out.
    """
    newest = sa.select(_T.c.asked_at, _T.c.id).where(_T.c.app_id == app_id)
    rows = db.execute(newest.order_by(_T.c.seq.desc()).limit(MOST_UNASKED))
    asked = sorted((row.asked_at, row.id) for row in rows if row.asked_at is not None)
    return [id_ for _, id_ in reversed(asked)]


_FACTS = (_T.c.id, _T.c.seq, _T.c.action, _T.c.state, _T.c.target, _T.c.deployed_commit, _T.c.image)


def _recent(db: sa.Connection, app_id: str) -> list[Mapping[str, Any]]:
    """Return the last versions that an app has served, newest first."""
    lived = sa.select(*_FACTS).where((_T.c.app_id == app_id) & (_T.c.live_at > 0))
    newest = lived.order_by(_T.c.live_at.desc(), _T.c.id.desc()).limit(FAR_BACK)
    return [dict(row) for row in db.execute(newest).mappings()]


def _since(recent: Sequence[Mapping[str, Any]], target: str | None) -> Sequence[Mapping[str, Any]]:
    """Return what was served after a rollback's target."""
    at = next((at for at, one in enumerate(recent) if one["id"] == target), len(recent))
    return recent[:at]


def _older(db: sa.Connection, app_id: str, ids: set[str]) -> list[Mapping[str, Any]]:
    query = sa.select(*_FACTS).where(_T.c.id.in_(sorted(ids)) & (_T.c.app_id == app_id))
    return [dict(row) for row in db.execute(query).mappings()] if ids else []


def _looked(db: sa.Connection, app_id: str) -> list[dict[str, Any]]:
    """Return what the stored look shows, as a row; nothing without one."""
    t = tables.looks
    look = sa.select(t.c.deployment, t.c.commit, t.c.evidence).where(t.c.app_id == app_id)
    return [_row(*one) for one in db.execute(look)]


def _row(deployment: str | None, commit: str | None, evidence: str | None) -> dict[str, Any]:
    """Return what a look shows as a row; an image may have been put back."""
    back = evidence == Evidence.IMAGE and deployment is not None
    return {
        "action": Action.ROLLBACK if back else Action.DEPLOY,
        "target": deployment,
        "deployed_commit": commit,
        "image": None,
    }


def _of_superseded(db: sa.Connection, ids: Sequence[str]) -> list[tuple[str, int]]:
    """Return the deployments that these have superseded, also in between, with their deliveries."""
    found: dict[str, int] = {}
    for some in batched(ids):
        found |= {row.id: row.seq for row in db.execute(_SUPERSEDED, {"ids": some})}
    return list(found.items())


def _has_ended(db: sa.Connection, id_: str) -> bool:
    """Return whether a deployment has ended, or else the last of those in its place."""
    state = db.scalar(_IN_PLACE, {"id_": id_})
    return state is None or State(state) in FINAL


def _named(db: sa.Connection, only: sa.ColumnElement[bool]) -> list[tuple[str, int]]:
    return [(row.id, row.seq) for row in db.execute(sa.select(_T.c.id, _T.c.seq).where(only))]


def _keys(those: Sequence[tuple[str, int]]) -> list[str]:
    return [key for id_, seq in those for key in (about_deployment(id_), about_delivery(seq))]


def mark_last(db: sa.Connection, app_id: str, at: float, was: Look | None = None) -> None:
    """Mark what shows an app's last versions as pending; `was`: the look before the stored one."""
    gone = [] if was is None else [_row(was.deployment, was.commit, was.evidence)]
    changed(db, last_shown(db, app_id, *gone, by_push=False), at)


def mark_locked(db: sa.Connection, scope: str, at: float) -> None:
    """Mark the same of an app with a lock of its own; a rollback's card shows that."""
    if (app_id := app_in(scope)) is not None:
        mark_last(db, app_id, at)
