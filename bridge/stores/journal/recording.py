"""Writing what deliveries led to: many at once, as if one came after the other.

Most deliveries deploy nothing. For those nothing is asked of the database one by one: what
decides whether a push has come before is read for all of them together, and their rows are
inserted together. Where a deployment or a repeated push needs to see what stands before it,
what has been put by is written first.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from bridge.core.decision import Decision, Reason
from bridge.core.lifecycle import Deployment, State
from bridge.ports.outcomes import Outcome, PushSeen, Recorded
from bridge.ports.targets import about_deployment
from bridge.stores import tables
from bridge.stores.dialects import lock
from bridge.stores.inserts import batched
from bridge.stores.journal import moves, rows, wanting

FOUND = "found"
"""In place of `before` where reconciliation has found a push: it may have been several."""

_P = tables.pushes
_OF_REF = sa.select(_P).where(_P.c.ref_key == sa.bindparam("ref"))
_NEWEST = _OF_REF.where(_P.c.repeats.is_(None)).order_by(_P.c.seq.desc()).limit(1)

Row = dict[str, Any]


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
    recorder = _Recorder(db, _Pushes.of(db, new, now - window), now)
    for outcome in new:
        recorder.record(outcome)
    recorder.write()
    # Looked up after all are in: a newer one of the same batch may have superseded an older.
    start = _waiting_of(db, seqs)
    return Recorded(start, _superseded_by(db, start))


class _Recorder:
    """Records outcomes one after the other, and puts by what can be written later."""

    def __init__(self, db: sa.Connection, pushes: "_Pushes", now: float) -> None:
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
            first = None
            if not outcome.explicit:
                first = self._pushes.same(outcome.push, outcome.seq)
            if first is not None:
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


class _Pushes:
    """The pushes that have come before, as far as they matter to those at hand.

    Args:
        moves: the newest of each kind that led, not too long ago, where one of these leads or
            begins; one that only repeats another is of a kind of its own.
        newest: of each ref.
        told: that are, by what the host says of them, one of these, however long ago.
    """

    def __init__(self, moves: Iterable[Row], newest: Iterable[Row], told: Iterable[Row]) -> None:
        self._moves: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in moves:
            self._moves[row["ref_key"], row["after"]].append(row)
        self._newest = {row["ref_key"]: row for row in newest}
        self._told = {_told_by(row): row for row in told}

    @classmethod
    def of(cls, db: sa.Connection, outcomes: Sequence[Outcome], since: float) -> "_Pushes":
        """Read them for the pushes of some outcomes; `since`: how far back one is the same."""
        pushes = [outcome.push for outcome in outcomes if outcome.push is not None]
        commits = sorted({push.after for push in pushes} | {push.before for push in pushes})
        moves: list[Row] = []
        for some in batched(commits):
            there = _P.c.after.in_(some) & (_P.c.at >= since)
            moves += _newest_of(db, there, _P.c.after, _P.c.before, _P.c.repeats.is_(None))
        newest = [
            dict(row)
            for ref in sorted({push.ref_key for push in pushes})
            for row in db.execute(_NEWEST, {"ref": ref}).mappings()
        ]
        return cls(moves, newest, _told(db, pushes))

    def add(self, row: Row) -> None:
        """One more has come."""
        self._moves[row["ref_key"], row["after"]].append(row)
        newest = self._newest.get(row["ref_key"])
        if row["repeats"] is None and (newest is None or newest["seq"] < row["seq"]):
            self._newest[row["ref_key"]] = row

    def same(self, push: PushSeen, seq: int) -> Row | None:
        """The row of the delivery that brought this very push already, if there is one.

        A ref that goes from A to B, back to A and to B again was pushed twice: so the same
        move counts as new once a push in between has led back to where it starts. After a
        while it counts as new in any case, unless the host tells the same moment of it: who
        has caught a signed webhook can send it again under another id.
        """
        if (found := self._found(push)) is not None:
            return found
        there = self._moves.get((push.ref_key, push.after), ())
        same = (row for row in there if row["before"] == push.before and row["seq"] != seq)
        first = max(same, key=_seq, default=None) or self._told.get(
            (push.ref_key, push.before, push.after, push.moment)
        )
        if first is None or first["seq"] == seq:
            return None
        # One that only repeats another, brought by a second hook, has moved nothing back.
        there = self._moves.get((push.ref_key, push.before), ())
        back = (row for row in there if row["repeats"] is None)
        return None if any(row["seq"] > first["seq"] for row in back) else first

    def _found(self, push: PushSeen) -> Row | None:
        """The row that led to the same place, where one of both was found by reconciliation.

        A webhook may be days late, so this knows no window; but only the ref's newest push counts.
        """
        row = self._newest.get(push.ref_key)
        if row is None or not (push.found or row["before"] == FOUND):
            return None
        # Of an annotated tag a webhook names the tag object, reconciliation the commit.
        same = row["after"] == push.after or " refs/tags/" in push.ref_key
        return row if same else None


def _seq(row: Row) -> int:
    return int(row["seq"])


def _newest_of(
    db: sa.Connection, there: sa.ColumnElement[bool], *kind: sa.ColumnElement[Any]
) -> Iterable[Row]:
    """The newest row of each ref and kind: of what was sent a thousand times, not a thousand."""
    newest = sa.select(sa.func.max(_P.c.seq)).where(there).group_by(_P.c.ref_key, *kind)
    return map(dict, db.execute(sa.select(_P).where(_P.c.seq.in_(newest))).mappings())


def _told_by(row: Row) -> tuple[str, ...]:
    return row["ref_key"], row["before"], row["after"], row["moment"]


def _told(db: sa.Connection, pushes: Sequence[PushSeen]) -> list[Row]:
    """The newest rows of which the host has told the very same, if the ref never went back since.

    There are none, unless somebody sends a webhook again.
    """
    telling = {(p.ref_key, p.before, p.after, p.moment) for p in pushes if p.moment}
    found: list[Row] = []
    for some in batched(sorted({move[2] for move in telling})):
        there = _P.c.after.in_(some) & _P.c.moment.is_not(None)
        found += _newest_of(db, there, _P.c.before, _P.c.after, _P.c.moment)
    return [row for row in found if _told_by(row) in telling and not _went_back(db, row)]


def _went_back(db: sa.Connection, row: Row) -> bool:
    since = (_P.c.ref_key == row["ref_key"]) & (_P.c.seq > row["seq"]) & _P.c.repeats.is_(None)
    return (
        db.scalar(sa.select(_P.c.seq).where(since & (_P.c.after == row["before"])).limit(1))
        is not None
    )


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
        "before": FOUND if outcome.push.found else outcome.push.before,
        "after": outcome.push.after,
        "delivery": outcome.delivery,
        "at": now,
        "moment": outcome.push.moment or None,
        "repeats": None if first is None else first["seq"],
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
