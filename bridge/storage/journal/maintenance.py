"""The journal's expiry, leases, notes, refused webhooks and figures."""

import secrets
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import sqlalchemy as sa

from bridge.core.lifecycle import FINAL, State
from bridge.core.previews.preview import OVER, PreviewState
from bridge.core.refused import RefusedWebhooks
from bridge.ports.figures import Ended, JournalFigures
from bridge.ports.outcomes import about_change, about_delivery, about_deployment
from bridge.storage import tables
from bridge.storage.engines import now
from bridge.storage.journal.due import held_by
from bridge.storage.journal.rows import add_new, batched, insert_into, write_note
from bridge.storage.journal.statements import PLACES, served_places
from bridge.storage.journal.transactions import Transactions
from bridge.storage.migrations import refuse_newer

AT_ONCE = 20
"""Deliveries per transaction: each may have been decided for hundreds of apps."""


class Forgetting(Transactions):
    """Expiry, a few rows per call, because on SQLite every writer waits for it."""

    async def forget(self, before: float, limit: int) -> int:
        seqs = await self._read(lambda db: _over(db, before, limit))
        for start in range(0, len(seqs), AT_ONCE):
            await self._write(partial(_forget, seqs=seqs[start : start + AT_ONCE]))
        return len(seqs)

    async def forget_audit(self, before: float, limit: int) -> int:
        return await self._write(lambda db: _forget_audit(db, before, limit))

    async def forget_drafts(self, before: float, limit: int) -> int:
        return await self._write(lambda db: _forget_drafts(db, before, limit))


def _forget(db: sa.Connection, seqs: Sequence[int]) -> None:
    """Delete the outcomes of deliveries."""
    t, c = tables.deployments, tables.changes
    ids: list[str] = []
    for some in batched(seqs):
        ids += db.scalars(sa.select(t.c.id).where(t.c.seq.in_(some)))
    for deployments in batched(ids):  # a push may have deployed hundreds of apps
        db.execute(sa.delete(c).where(c.c.deployment.in_(deployments)))
    for some in batched(seqs):
        for table in (tables.deployments, tables.decisions, tables.pushes):
            db.execute(sa.delete(table).where(table.c.seq.in_(some)))
    forget_feedback(db, [*map(about_deployment, ids), *map(about_delivery, seqs)])


def _forget_audit(db: sa.Connection, before: float, limit: int) -> int:
    """Delete the oldest audit entries; return how many."""
    t = tables.audit
    numbers = sa.select(t.c.number).where(t.c.at < before).order_by(t.c.number).limit(limit)
    old = list(db.scalars(numbers))
    db.execute(sa.delete(t).where(t.c.number.in_(old)))
    forget_feedback(db, [about_change(number) for number in old])
    return len(old)


def _forget_drafts(db: sa.Connection, before: float, limit: int) -> int:
    """Delete the oldest drafts, which contain secrets; return how many."""
    t = tables.drafts
    old = list(db.scalars(sa.select(t.c.id).where(t.c.at < before).order_by(t.c.at).limit(limit)))
    db.execute(sa.delete(t).where(t.c.id.in_(old)))
    return len(old)


def _over(db: sa.Connection, before: float, limit: int) -> list[int]:
    """Return expired deliveries with no open deployments and no app's newest deployment.

    It costs one index search for each of the oldest: of possibly millions of decisions, hardly any
    have expired.
    """
    kept = _kept(db)
    found: list[int] = []
    seq = young = 0
    while len(found) < limit and young < limit:
        row = db.execute(_NEXT, {"after": seq}).first()
        if row is None:
            break
        seq = row.seq
        if row.at >= before:  # it may have been decided late, between older ones
            young += 1
        elif seq not in kept:
            found.append(seq)
    return found


_D = tables.decisions
_NEXT = (
    sa.select(_D.c.seq, _D.c.at).where(_D.c.seq > sa.bindparam("after")).order_by(_D.c.seq).limit(1)
)


def _kept(db: sa.Connection) -> set[int]:
    """Return the deliveries that led to an open deployment, an app's newest, or what it serves."""
    t = tables.deployments
    newest = sa.select(sa.func.max(t.c.seq)).group_by(t.c.app_id)
    going = sa.select(t.c.seq).where(t.c.state.in_([s for s in State if s not in FINAL]))
    looked = sa.select(t.c.seq).where(t.c.id.in_(sa.select(tables.looks.c.deployment)))
    kept = {*db.scalars(newest), *db.scalars(going), *db.scalars(looked)}
    for apps in batched(list(db.scalars(sa.select(tables.apps.c.id)))):
        served = (row[one] for row in db.execute(served_places(apps)).mappings() for one in PLACES)
        for some in batched([id_ for id_ in served if id_ is not None]):
            kept |= {*db.scalars(sa.select(t.c.seq).where(t.c.id.in_(some)))}
    return kept


def forget_feedback(db: sa.Connection, keys: Sequence[str]) -> None:
    """Remove subscriptions to expired deliveries only; one that follows a newer one stays."""
    t, f = tables.feedback, tables.follows
    concerned: set[str] = set()
    for some in batched(keys):
        concerned |= set(db.scalars(sa.select(f.c.target).where(f.c.key.in_(some))))
        db.execute(sa.delete(f).where(f.c.key.in_(some)))
    for targets in batched(sorted(concerned)):
        still = sa.select(f.c.target).where(f.c.target.in_(targets))
        db.execute(sa.delete(t).where(t.c.id.in_(targets), t.c.id.not_in(still)))


class Leases(Transactions):
    """Leases: who holds what, and until when."""

    async def hold(self, name: str, owner: str, seconds: float) -> bool:
        clock = self._clock()
        return await self._write(lambda db: _hold(db, name, owner, clock, seconds))

    async def release(self, name: str, owner: str) -> None:
        await self._write(lambda db: _release(db, name, owner))

    async def leave(self, owner: str) -> None:
        t = tables.leases
        await self._write(lambda db: db.execute(sa.delete(t).where(t.c.owner == owner)))


def _hold(db: sa.Connection, name: str, owner: str, clock: float, seconds: float) -> bool:
    """Take a lease that has expired, or renew one's own."""
    t = tables.leases
    at = now(db, clock)
    mine_or_over = (t.c.name == name) & ((t.c.owner == owner) | (t.c.until < at))
    taken = db.execute(sa.update(t).where(mine_or_over).values(owner=owner, until=at + seconds))
    if taken.rowcount:
        return True
    return bool(add_new(db, t, [{"name": name, "owner": owner, "until": at + seconds}]))


def _release(db: sa.Connection, name: str, owner: str) -> None:
    """Give a lease back."""
    t = tables.leases
    db.execute(sa.delete(t).where((t.c.name == name) & (t.c.owner == owner)))


def held(db: sa.Connection, name: str, owner: str) -> bool:
    """Return whether a lease is still held, without a lock: a silent holder must not keep it."""
    t = tables.leases
    mine = sa.select(t.c.name).where((t.c.name == name) & (t.c.owner == owner))
    return db.scalar(mine) is not None


class Notes(Transactions):
    """Notes: small facts by key; one of them is the name of this journal."""

    async def note(self, key: str, value: str) -> None:
        await self._write(lambda db: write_note(db, key, value))

    async def recall(self, key: str) -> str | None:
        t = tables.meta
        found = await self._all(sa.select(t.c.value).where(t.c.key == key))
        return str(found[0]["value"]) if found else None

    async def instance(self) -> str:
        return await self._write(lambda db: _generated(db, "instance", 8))

    async def secret(self, purpose: str) -> str:
        return await self._write(lambda db: _generated(db, f"secret {purpose}", 32))


def _generated(db: sa.Connection, key: str, count: int) -> str:
    """Return a random note of so many bytes; generate it at the first call."""
    t = tables.meta
    add_new(db, t, [{"key": key, "value": secrets.token_hex(count)}])
    return str(db.scalar(sa.select(t.c.value).where(t.c.key == key)))


MOST = 20_000
"""Counts to keep, some megabytes: the last ten hours of a steady flood."""

DAYS = 30.0
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
    db.execute(sa.delete(t).where(t.c.last < now - DAYS * 86_400))
    too_old = sa.select(t.c.last).order_by(t.c.last.desc()).offset(MOST).limit(1)
    db.execute(sa.delete(t).where(t.c.last <= too_old.scalar_subquery()))


class Figures(Transactions):
    """Figures: open work, ended deployments, and whether the database answers."""

    async def figures(self) -> JournalFigures:
        """Return how much work is open now."""
        return await self._read(_figures)

    async def newest_change(self) -> int:
        return await self._read(_newest_change)

    async def ended(self, after: int) -> list[Ended]:
        return [_read_ended(row) for row in await self._all(_ended(after))]

    async def ready(self) -> None:
        """Check that the journal can be used.

        Raises:
            Unreachable: the database can't be read.
            Rejected: a newer release has migrated its tables.
        """
        await self._read(refuse_newer)


def _figures(db: sa.Connection) -> JournalFigures:
    """Return how much work is open now; those of deployments and feedback are in an index."""
    d, f, p = tables.deployments, tables.feedback, tables.previews
    count = sa.func.count()
    going = [state for state in State if state not in FINAL]
    by_state = sa.select(d.c.state, count).where(d.c.state.in_(going)).group_by(d.c.state)
    waiting = sa.select(count, sa.func.min(f.c.due_at)).where(f.c.due_at.is_not(None))
    pending, overdue = db.execute(waiting).one()
    parked = db.scalar(sa.select(count).where(f.c.parked))
    counted = {State(state): number for state, number in db.execute(by_state)}
    there = sa.select(p.c.state, count).where(p.c.state.not_in(OVER)).group_by(p.c.state)
    previews = {PreviewState(state): number for state, number in db.execute(there)}
    return JournalFigures(counted, pending, parked or 0, overdue, held_by(db), previews)


def _newest_change(db: sa.Connection) -> int:
    """Return the number of the newest change; 0 if there is none."""
    return db.scalar(sa.select(sa.func.max(tables.changes.c.number))) or 0


def _ended(after: int) -> sa.Select[Any]:
    """Return the query for deployments ended since; a note after the end does not count again.

    What was done and has broken since counts again, as unhealthy, and without a duration.
    """
    c, d = tables.changes, tables.deployments
    earlier = tables.changes.alias()
    before = (earlier.c.deployment == c.c.deployment) & (earlier.c.number < c.c.number)
    again = sa.exists().where(before & (earlier.c.state == c.c.state))
    late = sa.exists().where(before & earlier.c.state.in_(FINAL))
    return (
        sa.select(
            *(c.c.number, c.c.at, d.c.app, c.c.state, d.c.started_at, d.c.finished_at),
            late.label("late"),
        )
        .join(d, d.c.id == c.c.deployment)
        .where(c.c.number > after, c.c.state.in_(FINAL), ~again)
        .order_by(c.c.number)
    )


def _read_ended(row: dict[str, Any]) -> Ended:
    """Return a row of `_ended`."""
    began, finished = row["started_at"], row["finished_at"]
    untold = began is None or finished is None or row["late"]
    # If it has broken since, `finished_at` tells when.
    seconds = None if untold else max(0.0, min(finished, row["at"]) - began)
    return Ended(row["number"], row["app"], State(row["state"]), seconds)
