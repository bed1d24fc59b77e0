"""Record the outcomes of deliveries, many at once, with the same effect as one by one.

Most deliveries deploy nothing. Their earlier pushes are read together, and their rows are inserted
together. If a deployment or a repeated push must see the rows before it, the buffered rows are
written first.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import sqlalchemy as sa

from bridge.core.changes import ANYWHERE
from bridge.core.decision import Decision, Reason
from bridge.core.lifecycle import Deployment, State, flow_named
from bridge.ports.outcomes import Outcome, PushSeen, Recorded, about_deployment
from bridge.storage import tables
from bridge.storage.engines import lock
from bridge.storage.journal import outbox, rows, transitions
from bridge.storage.journal.audit import add_audit
from bridge.storage.journal.pushes import Pushes, Row, key_of, repository_names
from bridge.storage.journal.rows import add_new, batched
from bridge.storage.journal.transactions import Transactions

# Built once: every batch runs them.
_D, _T = tables.decisions, tables.deployments
_SEQS = sa.bindparam("seqs", type_=sa.BigInteger, expanding=True)
_DECIDED = sa.select(_D.c.seq).where(_D.c.seq.in_(_SEQS)).distinct()
_WAITING = (
    sa.select(_T.c.seq, _T.c.id)
    .where(_T.c.seq.in_(_SEQS) & (_T.c.state == State.WAITING))
    .order_by(_T.c.id)
)
_SUPERSEDED = sa.select(_T.c.id, _T.c.starts).where(
    _T.c.superseded_by.in_(sa.bindparam("ids", expanding=True))
)


class Recording(Transactions):
    """Records the outcomes of deliveries."""

    async def record(self, outcomes: Sequence[Outcome], *, window: float) -> Recorded:
        now = self._clock()
        return await self._change(lambda db: record_all(db, outcomes, now, window))

    async def complete(self, outcomes: Sequence[Outcome]) -> Recorded:
        now = self._clock()
        return await self._change(lambda db: complete_all(db, outcomes, now))


def name_repositories(db: sa.Connection, pushes: Iterable[PushSeen]) -> None:
    """Store new or changed names of repositories."""
    t = tables.repositories
    said = {key_of(one.ref_key): one.repository for one in pushes if one.repository}
    known = repository_names(db, said)
    add_new(db, t, [{"key": key, "name": said[key]} for key in sorted(said.keys() - known.keys())])
    for key in sorted(said.keys() & known.keys()):
        if said[key] != known[key]:
            db.execute(sa.update(t).where(t.c.key == key).values(name=said[key]))


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
            first = find(outcome.push, outcome.seq, outcome.delivery)
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
        if outcome.audited is not None:
            add_audit(self._db, outcome.audited, now)
        if deployments or outcome.subscriptions:
            self.write()
            self._deploy(outcome, deployments)

    def _cancel(self, outcome: Outcome) -> None:
        """Carry out a person's cancel: from here on the deployment is never requested."""
        for one in outcome.decisions:
            if one.reason is Reason.CANCEL_ASKED:
                transitions.cancel(self._db, one.app_id, outcome.seq, self._now)
            elif one.reason is Reason.CANCEL_ONE_ASKED and outcome.only is not None:
                transitions.cancel(self._db, one.app_id, outcome.seq, self._now, outcome.only)

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
            transitions.add_deployment(self._db, deployment, self._now)
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
    return {seq for some in batched(seqs) for seq in db.scalars(_DECIDED, {"seqs": some})}


def _push(db: sa.Connection, seq: int) -> Row | None:
    row = db.execute(sa.select(tables.pushes).where(tables.pushes.c.seq == seq)).mappings().first()
    return None if row is None else dict(row)


def _decided_for(db: sa.Connection, seq: int) -> set[str]:
    """Return the ids of the apps with a decision on a delivery."""
    d = tables.decisions
    return set(db.scalars(sa.select(d.c.app_id).where(d.c.seq == seq)))


def _waiting_of(db: sa.Connection, seqs: Sequence[int]) -> tuple[str, ...]:
    """Return the waiting deployments of these deliveries, in the deliveries' order."""
    found: dict[int, list[str]] = {seq: [] for seq in seqs}
    for some in batched(seqs):
        for seq, id_ in db.execute(_WAITING, {"seqs": some}):
            found[seq].append(id_)
    return tuple(id_ for ids in found.values() for id_ in ids)


def _superseded_by(db: sa.Connection, ids: Sequence[str]) -> tuple[str, ...]:
    return tuple(
        flow_named(row.id, row.starts)
        for some in batched(ids)
        for row in db.execute(_SUPERSEDED, {"ids": some})
    )


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
        "hook": outcome.push.hook or None,
        "author": outcome.push.author if outcome.push.repository else None,
        "repository": key_of(outcome.push.ref_key),
        "ref": outcome.push.ref_key.rpartition(" ")[2],
        "message": outcome.push.message or None,
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
