"""Read a snapshot of everything that a subscription follows."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import sqlalchemy as sa

from bridge.core.apps import App
from bridge.core.errors import NotFound
from bridge.core.gates.locks import Lock
from bridge.core.health.rollback import targets_of
from bridge.core.lifecycle import SERVED, Change, Deployment, State
from bridge.ports.feedback import Pending, Snapshot
from bridge.ports.outcomes import Cursor, Subscription, about_delivery, about_deployment, named
from bridge.storage import tables
from bridge.storage.journal import outbox, rows
from bridge.storage.journal.apps import APPS
from bridge.storage.journal.decisions import deployments_of, explained_of
from bridge.storage.journal.deployment_rows import all_of, last_served, one_of, read_change
from bridge.storage.journal.deployments import fates, instead_of
from bridge.storage.journal.gates import locks_where
from bridge.storage.journal.previews import of_pull
from bridge.storage.journal.rows import batched
from bridge.storage.journal.serving import served
from bridge.storage.journal.shown import last_asked
from bridge.storage.journal.transactions import Transactions

_F, _T = tables.follows, tables.feedback

FAR_BACK = 20
"""How many of an app's versions are searched for the one to go back to."""

MOST_DELIVERIES = 1000
"""The newest rows to read for one subscription; a statement's number of values is limited."""


def snapshot(db: sa.Connection, subscription: Subscription, at: float) -> Snapshot:
    """Return a consistent snapshot of everything that a subscription follows.

    Of very many pushes, e.g. of a year-old pull request, only the newest are read.
    """
    ids = named(subscription.follows, "deployment")
    seqs = sorted(int(seq) for seq in named(subscription.follows, "delivery"))[-MOST_DELIVERIES:]
    deployments = tuple(all_of(db, deployments_of(ids, seqs)))
    query = explained_of(seqs)
    explained = tuple(rows.read_explained(dict(row)) for row in db.execute(query).mappings())
    changed_apps = _audited([int(n) for n in named(subscription.follows, "change")], seqs)
    audited = tuple(rows.read_audited(dict(row)) for row in db.execute(changed_apps).mappings())
    app_ids = {one.app_id for one in deployments} | {one.decision.app_id for one in explained}
    app_ids |= {one.app_id for one in audited}
    newer = [one.superseded_by for one in deployments if one.superseded_by]
    instead = instead_of(db, deployments)
    pulls = named(subscription.follows, "pull")
    previews = tuple(preview for id_ in pulls for preview in of_pull(db, id_))
    made = [one.made for one in previews if one.made is not None]
    serving = served(db, made) if made else {}
    return Snapshot(
        explained=explained,
        deployments=deployments,
        history={id_: _history(db, id_) for id_ in ids},
        apps=_apps(db, sorted(app_ids)),
        beside=_beside(db, subscription.id, [*(one.id for one in deployments), *newer])
        | _comments(db, sorted({one.seq for one in deployments if one.id in ids})),
        before=_before(db, [one for one in deployments if one.id in ids]),
        instead=instead,
        fates=fates(db, {one.id: one for one in (*deployments, *instead.values())}.values()),
        locks=_locks(db, sorted({one.app_id for one in deployments}), at),
        audited=audited,
        last_good=_last_good(db, [one for one in deployments if one.id in ids]),
        overtaken=_overtaken(db, [one for one in deployments if one.id in ids]),
        previews=previews,
        served={id_: one.ours for id_, one in serving.items() if one.ours is not None},
    )


def _apps(db: sa.Connection, ids: Sequence[str]) -> dict[str, App]:
    found: dict[str, App] = {}
    for some in batched(ids):
        query = APPS.where(tables.apps.c.id.in_(some))
        found |= {row["id"]: rows.read_app(dict(row)) for row in db.execute(query).mappings()}
    return found


def _history(db: sa.Connection, id_: str) -> tuple[Change, ...]:
    t = tables.changes
    query = sa.select(t).where(t.c.deployment == id_).order_by(t.c.number)
    found = db.execute(query).mappings()
    return tuple(map(read_change, found))


def _beside(db: sa.Connection, subscription_id: str, ids: Sequence[str]) -> dict[str, Cursor]:
    found: dict[str, Cursor] = {}
    for some in batched([about_deployment(id_) for id_ in ids]):
        others = sa.select(_F.c.target).where(_F.c.key.in_(some) & (_F.c.target != subscription_id))
        query = sa.select(_T.c.id, _T.c.memory).where(_T.c.id.in_(others))
        found |= {id_: rows.read_place(cursor) for id_, cursor in db.execute(query)}
    return found


def _comments(db: sa.Connection, seqs: Sequence[int]) -> dict[str, Cursor]:
    """Return the cursors of the comments about deliveries."""
    followers = sa.select(_F.c.target).where(_F.c.key.in_([about_delivery(seq) for seq in seqs]))
    query = sa.select(_T.c.id, _T.c.memory).where(
        _T.c.id.in_(followers) & _T.c.kind.like("%.comment")
    )
    return {id_: rows.read_place(cursor) for id_, cursor in db.execute(query)} if seqs else {}


def _locks(db: sa.Connection, app_ids: Sequence[str], at: float) -> dict[str, Lock]:
    """Return the locks that apps have by themselves, without those that have expired."""
    scopes = {f"app/{id_}": id_ for id_ in app_ids}
    found: dict[str, Lock] = {}
    for some in batched(sorted(scopes)):
        held = locks_where(db, tables.locks.c.scope.in_(some))
        found |= {scopes[one.scope]: one for one in held if not one.expired(at)}
    return found


def _before(db: sa.Connection, deployments: Sequence[Deployment]) -> dict[str, Deployment]:
    """Return what was live before each deployment, as far as the bridge brought it."""
    d = tables.deployments
    found: dict[str, Deployment] = {}
    for one in deployments:
        until = one.live_at or one.finished_at or math.inf
        earlier = (d.c.live_at < until) | ((d.c.live_at == until) & (d.c.seq < one.seq))
        served = (d.c.app_id == one.app_id) & d.c.state.in_(SERVED)
        query = sa.select(d).where(served & earlier)
        query = query.order_by(d.c.live_at.desc(), d.c.id.desc()).limit(1)
        if (before := one_of(db, query)) is not None:
            found[one.id] = before
    return found


def _last_good(db: sa.Connection, deployments: Sequence[Deployment]) -> frozenset[str]:
    """Return the ids of those to which a rollback of their apps would lead."""
    found = set()
    for one in deployments:
        if one.state is not State.DONE:
            continue
        history = last_served(db, one.app_id, FAR_BACK)
        serving = served(db, [one.app_id]).get(one.app_id)
        with suppress(NotFound):
            found.add(targets_of(history, serving.version_served if serving else None)[0].id)
    return frozenset(found)


def _overtaken(db: sa.Connection, deployments: Sequence[Deployment]) -> frozenset[str]:
    """Return the ids of those whose versions are not checked out; see `Snapshot.overtaken`."""
    found = set()
    for one in deployments:
        serving = served(db, [one.app_id]).get(one.app_id)
        seen = serving.seen if serving is not None else None
        by_others = seen is not None and (seen.since or math.inf) > (one.asked_at or 0.0)
        if by_others or last_asked(db, one.app_id)[:1] != [one.id]:
            found.add(one.id)
    return frozenset(found)


def _audited(numbers: Sequence[int], seqs: Sequence[int]) -> sa.Select[Any]:
    """Return the query for changes by number or delivery, and their undos; oldest first."""
    t = tables.audit
    those = t.c.number.in_(numbers) | t.c.seq.in_(seqs) | t.c.undoes.in_(numbers)
    return sa.select(t).where(those).order_by(t.c.number)


class Subscriptions(Transactions):
    """The outbox of feedback: subscriptions, and how far each is published."""

    async def unsubscribe(self, subscription_id: str, cursor: Cursor) -> None:
        same = (_T.c.id == subscription_id) & (_T.c.memory == rows.place_text(cursor))

        def remove(db: sa.Connection) -> None:
            if db.execute(sa.delete(_T).where(same)).rowcount:
                db.execute(sa.delete(_F).where(_F.c.target == subscription_id))

        await self._write(remove)

    async def subscribe(
        self,
        subscriptions: Sequence[Subscription],
        cursor: Cursor | None = None,
        *,
        at: float | None = None,
    ) -> None:
        due_at = self._clock() if at is None else at
        await self._change(lambda db: outbox.subscribe(db, subscriptions, due_at, cursor))

    async def pending(
        self,
        until: float,
        limit: int,
        *,
        ready: float | None = None,
        busy: Sequence[str] = (),
        favoured: Mapping[str, int] | None = None,
    ) -> list[Pending]:
        ready = until if ready is None else ready
        return await self._read(
            lambda db: outbox.pending(db, limit, until, ready, busy, favoured or {})
        )

    async def snapshot(self, subscription: Subscription) -> Snapshot:
        at = self._clock()
        return await self._read(lambda db: snapshot(db, subscription, at))

    async def save_cursor(
        self, subscription_id: str, cursor: Cursor, *, holding: tuple[str, str] | None = None
    ) -> bool:
        at = self._clock()
        return await self._change(
            lambda db: outbox.save_cursor(db, subscription_id, cursor, at, holding=holding)
        )

    async def mark_published(self, subscription_id: str, wanted: int) -> None:
        values = {
            "shown": wanted,
            "due_at": sa.case((_T.c.wanted > wanted, self._clock()), else_=sa.null()),
            "attempts": 0,
            "failing_since": None,
            "error": None,
            "parked": False,
        }
        await self._set(_T.c.id == subscription_id, values)

    async def mark_failed(
        self, subscription_id: str, wanted: int, error: str, *, due_at: float | None
    ) -> None:
        at = self._clock()
        parks = _T.c.wanted <= wanted if due_at is None else sa.false()
        values = {
            "attempts": _T.c.attempts + 1,
            "failing_since": sa.func.coalesce(_T.c.failing_since, at),
            "error": error,
            "due_at": sa.case((parks, sa.null()), else_=at if due_at is None else due_at),
            "parked": parks,
        }
        await self._set(_T.c.id == subscription_id, values)

    async def postpone(self, subscription_id: str, due_at: float) -> None:
        await self._set(_T.c.id == subscription_id, {"due_at": due_at})

    async def retry_feedback(self, subscription_id: str | None = None) -> int:
        one = sa.true() if subscription_id is None else _T.c.id == subscription_id
        which = _T.c.error.is_not(None) & one
        values = {"due_at": self._clock(), "attempts": 0, "failing_since": None, "parked": False}
        number = await self._set(which, values)
        self.woken()
        return number

    async def feedback(self, *, limit: int, failing: bool = False) -> list[Pending]:
        query = sa.select(_T).order_by(_T.c.at.desc(), _T.c.id).limit(limit)
        return await self._pending(query.where(_T.c.error.is_not(None)) if failing else query)

    async def showing(self, deployment: Deployment, *, limit: int) -> list[Pending]:
        its, of_push = about_deployment(deployment.id), about_delivery(deployment.seq)
        followers, followed = sa.select(_F.c.target), _T.c.id.in_
        whole = ~_T.c.kind.like("%.status") & ~_T.c.kind.like("%.push")
        query = sa.select(_T).where(
            followed(followers.where(_F.c.key.in_([its, of_push]))),
            whole | followed(followers.where(_F.c.key == its)),
        )
        return await self._pending(query.order_by(_T.c.kind, _T.c.id).limit(limit))

    async def _set(self, which: sa.ColumnElement[bool], values: Mapping[str, Any]) -> int:
        query = sa.update(_T).where(which).values(**values)
        return await self._write(lambda db: db.execute(query).rowcount)

    async def _pending(self, query: sa.Select[Any]) -> list[Pending]:
        return await self._read(lambda db: outbox.read(db, db.execute(query).mappings()))
