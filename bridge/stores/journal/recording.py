"""Writing what deliveries led to: many at once, as if one came after the other.

Most deliveries deploy nothing. For those nothing is asked of the database one by one: what
decides whether a push has come before is read for all of them together, and their rows are
inserted together. Where a deployment or a repeated push needs to see what stands before it,
what has been put by is written first.
"""

from collections.abc import Sequence
from dataclasses import replace

import sqlalchemy as sa

from bridge.core.decision import Decision, Reason
from bridge.core.lifecycle import Deployment, State
from bridge.core.pushes import ANYWHERE
from bridge.ports.outcomes import Outcome, Recorded
from bridge.ports.targets import about_deployment
from bridge.stores import tables
from bridge.stores.dialects import lock
from bridge.stores.inserts import batched
from bridge.stores.journal import moves, rows, wanting
from bridge.stores.journal.abouts import name_repositories
from bridge.stores.journal.pushes import Pushes, Row


def record_all(
    db: sa.Connection, outcomes: Sequence[Outcome], now: float, window: float
) -> Recorded:
    """Write what deliveries led to; what is written already stays as it is.

    One process at a time: each must see what the others have decided before.
    """
    lock(db, "record")
    seqs = [outcome.seq for outcome in outcomes]
    decided = _decided(db, seqs)
    new = [outcome for outcome in outcomes if outcome.seq not in decided]
    recorder = _Recorder(db, Pushes.of(db, new, now - window), now)
    for outcome in new:
        recorder.record(outcome)
    recorder.write()
    name_repositories(db, [one.push for one in new if one.push is not None])
    # Looked up after all are in: a newer one of the same batch may have superseded an older.
    start = _waiting_of(db, seqs)
    return Recorded(start, _superseded_by(db, start))


class _Recorder:
    """Records outcomes one after the other, and puts by what can be written later."""

    def __init__(self, db: sa.Connection, pushes: Pushes, now: float) -> None:
        self._db = db
        self._pushes = pushes
        self._now = now
        self._new_pushes: list[Row] = []
        self._new_decisions: list[Row] = []
        self._seen: set[int] = set()

    def record(self, outcome: Outcome) -> None:
        """Record one, unless it was in the same batch before."""
        if outcome.seq in self._seen:
            return
        self._seen.add(outcome.seq)
        decisions, deployments = outcome.decisions, outcome.deployments
        if outcome.push is not None:
            find = self._pushes.known if outcome.explicit else self._pushes.same
            first = find(outcome.push, outcome.seq)
            if first is not None and not outcome.explicit:
                self.write()
                decisions, deployments = _without_decided(self._db, outcome, first)
            row = _push_row(outcome, first, self._now)
            self._pushes.add(row)
            self._new_pushes.append(row)
        now, seq = self._now, outcome.seq
        self._new_decisions += [rows.decision_row(seq, decision, now) for decision in decisions]
        if deployments or outcome.targets:
            self.write()
            self._deploy(outcome, deployments)

    def _deploy(self, outcome: Outcome, deployments: Sequence[Deployment]) -> None:
        for deployment in deployments:
            moves.add_deployment(self._db, deployment, self._now)
        if not deployments and outcome.deployments:
            return  # it only repeats what is shown already
        dropped = {about_deployment(one.id) for one in outcome.deployments}
        dropped -= {about_deployment(one.id) for one in deployments}
        wanted = [one for one in outcome.targets if dropped.isdisjoint(one.follows)]
        wanting.want(self._db, wanted, self._now)

    def write(self) -> None:
        """Write what was put by."""
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


def _waiting_of(db: sa.Connection, seqs: Sequence[int]) -> tuple[str, ...]:
    """Deployments of these deliveries that wait, in the deliveries' order."""
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
    db: sa.Connection, outcome: Outcome, first: Row
) -> tuple[tuple[Decision, ...], tuple[Deployment, ...]]:
    """What is left where `first` has brought the same push: apps that it did not know."""
    d = tables.decisions
    decided = set(db.scalars(sa.select(d.c.app_id).where(d.c.seq == first["seq"])))
    evidence = f"delivery {first['delivery']} brought the same push and has been decided"
    decisions = tuple(
        replace(one, reason=Reason.DUPLICATE_PUSH, evidence=evidence)
        if one.deploy and one.app_id in decided
        else one
        for one in outcome.decisions
    )
    return decisions, tuple(new for new in outcome.deployments if new.app_id not in decided)
