"""Record the outcomes of deliveries, many at once, with the same effect as one by one.

Most deliveries deploy nothing. Their earlier pushes are read together, and their rows are inserted
together. If a deployment or a repeated push must see the rows before it, the buffered rows are
written first.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from bridge.core.changes import ANYWHERE, Live
from bridge.core.decision import Decision, Reason
from bridge.core.lifecycle import FINAL, Deployment, State
from bridge.ports.outcomes import About, Outcome, Pushed, PushSeen, Recorded, about_deployment
from bridge.storage import tables
from bridge.storage.engines import lock
from bridge.storage.journal import deployments as moves
from bridge.storage.journal import outbox, rows
from bridge.storage.journal.pushes import Pushes, Row
from bridge.storage.journal.rows import add_new, batched
from bridge.storage.journal.transactions import Transactions

NEWEST = 2**63 - 1
"""A position after all others."""


def live(db: sa.Connection, app_ids: Sequence[str]) -> dict[str, Live]:
    """Return the query for what apps run: see `Journal.live`."""
    found: dict[str, Live] = {}
    for some in batched(app_ids):
        rows = db.execute(_since_done(some)).all()
        by_app: dict[str, list[sa.Row[Any]]] = {}
        for row in rows:
            by_app.setdefault(row.app_id, []).append(row)
        found |= {app_id: _live(those) for app_id, those in by_app.items()}
    return found


def newest_done(app_ids: Sequence[str]) -> sa.Select[Any]:
    """Return the query for the newest done deployment of each app."""
    done, begins = _done(app_ids)
    return sa.select(done).select_from(begins)


def _done(app_ids: Sequence[str]) -> tuple[Any, sa.Join]:
    """Return deployments, joined to the newest done one of each app.

    It costs one index search per app, however long its history is.
    """
    apps, done = tables.apps, tables.deployments.alias("done")
    newest = _newest_done(apps.c.id).scalar_subquery()
    begins = sa.select(apps.c.id, newest.label("first")).where(apps.c.id.in_(app_ids)).subquery()
    # The row before the first place in the index is another app's, or did not succeed.
    # Expressions keep planners from starting with an index on these columns. SQLite did so or not
    # depending on the order of the indexes' creation, and then searched once per done deployment.
    app_id, state = (sa.func.coalesce(one, "") for one in (done.c.app_id, done.c.state))
    is_it = (done.c.id == begins.c.first) & (app_id == begins.c.id) & (state == State.DONE)
    return done, sa.join(begins, done, is_it)


def _since_done(app_ids: Sequence[str]) -> sa.Select[Any]:
    """Return each app's newest done deployment and all after it, oldest first."""
    t = tables.deployments
    done, begins = _done(app_ids)
    return (
        sa.select(t.c.app_id, t.c.seq, t.c.state, t.c.deployed_commit)
        .select_from(begins)
        .join(t, (t.c.app_id == done.c.app_id) & (t.c.seq >= done.c.seq))
        .order_by(t.c.app_id, t.c.seq)
    )


def _newest_done(app_id: sa.ColumnElement[str]) -> sa.Select[Any]:
    """Return the id of the deployment at or before an app's last place in the index.

    The query orders instead of comparing for equality: with equality, Postgres reads deployments
    from the newest on until one is the app's; for an app without any, that means all of them.
    """
    o = tables.deployments.alias("of_app")
    place = sa.tuple_(o.c.app_id, o.c.state, o.c.seq)
    last = sa.tuple_(app_id, sa.literal(State.DONE.value), sa.literal(NEWEST, sa.BigInteger))
    return (
        sa.select(o.c.id)
        .where(place <= last)
        .order_by(o.c.app_id.desc(), o.c.state.desc(), o.c.seq.desc())
        .limit(1)
    )


def _live(rows: Sequence[sa.Row[Any]]) -> Live:
    """Return what an app runs, from its newest done deployment and those after it."""
    after = [State(row.state) for row in rows[1:]]
    ended = [state for state in after if state in (State.FAILED, State.UNKNOWN)]
    return Live(
        rows[0].deployed_commit,
        certain=all(state in FINAL and state is not State.UNKNOWN for state in after),
        failed=bool(ended) and ended[-1] is State.FAILED,
        seq=rows[0].seq,
    )


class Recording(Transactions):
    """Records the outcomes of deliveries."""

    async def record(self, outcomes: Sequence[Outcome], *, window: float) -> Recorded:
        now = self._clock()
        return await self._change(lambda db: record_all(db, outcomes, now, window))

    async def complete(self, outcomes: Sequence[Outcome]) -> Recorded:
        now = self._clock()
        return await self._change(lambda db: complete_all(db, outcomes, now))


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
                found[row["seq"]].append(moves.read_deployment(row))
        return found

    async def newest_done(self, app_ids: Sequence[str]) -> dict[str, Deployment]:
        found: dict[str, Deployment] = {}
        for some in batched(app_ids):
            for row in await self._all(newest_done(some)):
                found[row["app_id"]] = moves.read_deployment(row)
        return found

    async def repositories(self) -> dict[str, str]:
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
        query = _seqs(repositories, app_id, failed=failed)
        found = await self._read(lambda db: db.scalars(query(before, limit)).all())
        return list(found)


def name_repositories(db: sa.Connection, pushes: Iterable[PushSeen]) -> None:
    """Store new or changed names of repositories."""
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


def _pushed(db: sa.Connection, seqs: Sequence[int]) -> dict[int, Pushed]:
    p, r = tables.pushes, tables.repositories
    keys: dict[int, str] = {}
    for some in batched(seqs):
        query = sa.select(p.c.seq, p.c.ref_key).where(p.c.seq.in_(some))
        keys |= {row.seq: _key_of(row.ref_key) for row in db.execute(query)}
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
        # Not LIKE or a range: databases differ in case and order there.
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


def record_all(
    db: sa.Connection, outcomes: Sequence[Outcome], now: float, window: float
) -> Recorded:
    """Write the outcomes of deliveries; leave existing rows alone.

    One process at a time: each must see the others' earlier decisions.
    """
    lock(db, "record")
    seqs = [outcome.seq for outcome in outcomes]
    decided = _decided(db, seqs)
    new = [outcome for outcome in outcomes if outcome.seq not in decided]
    since = now - window
    recorder = _Recorder(db, Pushes.of(db, new, since), now, since)
    for outcome in new:
        recorder.record(outcome)
    recorder.write()
    name_repositories(db, [one.push for one in new if one.push is not None])
    # Read after adding all: a newer one of the same batch may have superseded an older one.
    start = _waiting_of(db, seqs)
    return Recorded(start, _superseded_by(db, start))


def complete_all(db: sa.Connection, outcomes: Sequence[Outcome], now: float) -> Recorded:
    """Write the outcomes of decided pushes for apps without a decision."""
    lock(db, "record")
    recorder = _Recorder(db, Pushes(db, now, (), (), ()), now, now)
    for outcome in sorted(outcomes, key=lambda one: one.seq):
        recorder.complete(outcome)
    recorder.write()
    start = _waiting_of(db, [outcome.seq for outcome in outcomes])
    return Recorded(start, _superseded_by(db, start))


class _Recorder:
    """Records outcomes one by one, and buffers rows that can be written later."""

    def __init__(self, db: sa.Connection, pushes: Pushes, now: float, since: float) -> None:
        self._db = db
        self._pushes = pushes
        self._now = now
        self._since = since
        self._new_pushes: list[Row] = []
        self._new_decisions: list[Row] = []
        self._seen: set[int] = set()

    def record(self, outcome: Outcome) -> None:
        """Record one outcome, unless it was in the same batch before."""
        if outcome.seq in self._seen:
            return
        self._seen.add(outcome.seq)
        decisions, deployments = outcome.decisions, outcome.deployments
        if outcome.push is not None:
            find = self._pushes.known if outcome.explicit else self._pushes.same
            first = find(outcome.push, outcome.seq)
            if first is not None and not outcome.explicit:
                self.write()
                late = first["at"] < self._since
                decisions, deployments = _without_decided(self._db, outcome, first, late=late)
            row = _push_row(outcome, first, self._now)
            self._pushes.add(row)
            self._new_pushes.append(row)
        now, seq = self._now, outcome.seq
        self._new_decisions += [rows.decision_row(seq, decision, now) for decision in decisions]
        self._cancel(outcome)
        if deployments or outcome.subscriptions:
            self.write()
            self._deploy(outcome, deployments)

    def _cancel(self, outcome: Outcome) -> None:
        """Carry out a person's cancel: from here on the deployment is never requested."""
        for one in outcome.decisions:
            if one.reason is Reason.CANCEL_ASKED:
                moves.cancel(self._db, one.app_id, outcome.seq, self._now)
            elif one.reason is Reason.CANCEL_ONE_ASKED and outcome.only is not None:
                moves.cancel(self._db, one.app_id, outcome.seq, self._now, outcome.only)

    def complete(self, outcome: Outcome) -> None:
        """Record an outcome for apps without a decision on its push."""
        self.write()  # the buffer may contain the same push, or an earlier one
        if (push := _push(self._db, outcome.seq)) is None:
            return  # it has been deleted
        known = _decided_for(self._db, outcome.seq)
        fresh = replace(
            outcome,
            decisions=tuple(one for one in outcome.decisions if one.app_id not in known),
            deployments=tuple(one for one in outcome.deployments if one.app_id not in known),
        )
        if not fresh.decisions:
            return
        decisions, deployments = fresh.decisions, fresh.deployments
        if push["repeats"] is not None and (first := _push(self._db, push["repeats"])) is not None:
            decisions, deployments = _without_decided(self._db, fresh, first, late=False)
        self._new_decisions += [rows.decision_row(outcome.seq, one, self._now) for one in decisions]
        self.write()
        self._deploy(fresh, deployments)

    def _deploy(self, outcome: Outcome, deployments: Sequence[Deployment]) -> None:
        for deployment in deployments:
            moves.add_deployment(self._db, deployment, self._now)
        if not deployments and outcome.deployments:
            return  # it only repeats what is already shown
        dropped = {about_deployment(one.id) for one in outcome.deployments}
        dropped -= {about_deployment(one.id) for one in deployments}
        wanted = [one for one in outcome.subscriptions if dropped.isdisjoint(one.follows)]
        outbox.subscribe(self._db, wanted, self._now)

    def write(self) -> None:
        """Write the buffered rows."""
        for table, values in (
            (tables.pushes, self._new_pushes),
            (tables.decisions, self._new_decisions),
        ):
            if values:
                self._db.execute(sa.insert(table), values)
        self._new_pushes, self._new_decisions = [], []


def _decided(db: sa.Connection, seqs: Sequence[int]) -> set[int]:
    d = tables.decisions
    found: set[int] = set()
    for some in batched(seqs):
        found |= set(db.scalars(sa.select(d.c.seq).where(d.c.seq.in_(some)).distinct()))
    return found


def _push(db: sa.Connection, seq: int) -> Row | None:
    row = db.execute(sa.select(tables.pushes).where(tables.pushes.c.seq == seq)).mappings().first()
    return None if row is None else dict(row)


def _decided_for(db: sa.Connection, seq: int) -> set[str]:
    """Return the ids of the apps with a decision on a delivery."""
    d = tables.decisions
    return set(db.scalars(sa.select(d.c.app_id).where(d.c.seq == seq)))


def _waiting_of(db: sa.Connection, seqs: Sequence[int]) -> tuple[str, ...]:
    """Return the waiting deployments of these deliveries, in the deliveries' order."""
    t = tables.deployments
    found: dict[int, list[str]] = {seq: [] for seq in seqs}
    for some in batched(seqs):
        waiting = t.c.seq.in_(some) & (t.c.state == State.WAITING)
        for seq, id_ in db.execute(sa.select(t.c.seq, t.c.id).where(waiting).order_by(t.c.id)):
            found[seq].append(id_)
    return tuple(id_ for ids in found.values() for id_ in ids)


def _superseded_by(db: sa.Connection, ids: Sequence[str]) -> tuple[str, ...]:
    t = tables.deployments
    found: list[str] = []
    for some in batched(ids):
        found += db.scalars(sa.select(t.c.id).where(t.c.superseded_by.in_(some)))
    return tuple(found)


def _push_row(outcome: Outcome, first: Row | None, now: float) -> Row:
    assert outcome.push is not None
    return {
        "seq": outcome.seq,
        "ref_key": outcome.push.ref_key,
        "before": ANYWHERE if outcome.push.found else outcome.push.before,
        "after": outcome.push.after,
        "delivery": outcome.delivery,
        "at": now,
        "moment": outcome.push.moment or None,
        "repeats": None if first is None else first["seq"],
        "author": outcome.push.author if outcome.push.repository else None,
    }


def _without_decided(
    db: sa.Connection, outcome: Outcome, first: Row, *, late: bool
) -> tuple[tuple[Decision, ...], tuple[Deployment, ...]]:
    """Return the rest of an outcome if `first` was the same push: the apps that it did not know.

    Args:
        late: it was long ago, so apps that it did not know have joined since.
    """
    decided = _decided_for(db, first["seq"])
    if late:
        decided |= {one.app_id for one in outcome.decisions}
    evidence = f"delivery {first['delivery']} brought the same push and has been decided"
    decisions = tuple(
        replace(one, reason=Reason.DUPLICATE_PUSH, evidence=evidence)
        if one.deploy and one.app_id in decided
        else one
        for one in outcome.decisions
    )
    return decisions, tuple(new for new in outcome.deployments if new.app_id not in decided)
