"""Find earlier deliveries of the same push."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from bridge.core.changes import (
    ANYWHERE,
    Move,
    is_one_more,
    is_second,
    newest_move,
    overtaken_by,
)
from bridge.core.events import ZERO
from bridge.ports.outcomes import Outcome, PushSeen
from bridge.storage import tables
from bridge.storage.engines import on_postgres
from bridge.storage.journal.rows import batched

MOST = 200
"""Moves of one ref to check for a path back; more in a window make no difference."""

LATE = 86_400.0
"""Seconds by which a webhook may be late and still be ordered among the others."""

Row = dict[str, Any]

_P, _R = tables.pushes, tables.repositories
_LEADS = _P.c.repeats.is_(None)
"""The condition for a push that only repeats another one, from a second webhook."""

_OF_REF = sa.select(_P).where(_P.c.ref_key == sa.bindparam("ref"))
_NEWEST = _OF_REF.where(_LEADS).order_by(_P.c.seq.desc()).limit(1)
_LATEST = _OF_REF.order_by(_P.c.seq.desc()).limit(MOST)
_LEADING_TO = sa.select(_P).where(
    # Looked up by their target: one ref may have a hundred thousand.
    (_P.c.ref_key.concat("") == sa.bindparam("ref"))
    & _P.c.after.in_(sa.bindparam("ends", expanding=True))
)
_AT_ONCE = _LEADING_TO.where(
    (_P.c.moment == sa.bindparam("moment")) | (_P.c.moment.is_(None) & (_P.c.after == ZERO))
)
_SAME = _LEADING_TO.where(_P.c.before.in_([sa.bindparam("before"), ANYWHERE]))
_SAME_NEWEST = _SAME.order_by(_P.c.seq.desc()).limit(1)


_NAMES = sa.select(_R.c.key, _R.c.name).where(_R.c.key.in_(sa.bindparam("keys", expanding=True)))


def _originals() -> sa.Select[Any]:
    """Return the query for some pushes and all that they repeat, however long the chain."""
    those = sa.select(_P.c.seq, _P.c.repeats).where(
        _P.c.seq.in_(sa.bindparam("seqs", expanding=True))
    )
    chain = those.cte("chain", recursive=True)
    chain = chain.union(
        sa.select(_P.c.seq, _P.c.repeats).where(_P.c.seq == chain.c.repeats),
    )
    return sa.select(_P).where(_P.c.seq.in_(sa.select(chain.c.seq)))


_ORIGINALS = _originals()


def _newest_of(there: sa.ColumnElement[bool], *kind: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """Return the query for the newest row of each ref and kind, regardless of repeats."""
    newest = sa.select(sa.func.max(_P.c.seq)).where(there).group_by(_P.c.ref_key, *kind)
    return sa.select(_P).where(_P.c.seq.in_(newest))


_TO_ENDS = _P.c.after.in_(sa.bindparam("ends", expanding=True))
_MOVES = _newest_of(_TO_ENDS & (_P.c.at >= sa.bindparam("since")), _P.c.after, _P.c.before, _LEADS)
_TOLD = _newest_of(_TO_ENDS & _P.c.moment.is_not(None), _P.c.before, _P.c.after, _P.c.moment)


class Pushes:
    """The earlier pushes that matter for the current ones.

    Args:
        since: how far back the same move is the same push, in seconds since 1970.
        moves: the newest of each kind since then with the target of a current push; repeats are a
            separate kind.
        newest: the newest push of each ref, regardless of its age.
        told: those with the same host time as a current push, regardless of their age.
    """

    def __init__(
        self,
        db: sa.Connection,
        since: float,
        moves: Iterable[Row],
        newest: Iterable[Row],
        told: Iterable[Row],
    ) -> None:
        self._db = db
        self._since = since
        self._moves: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in moves:
            self._moves[row["ref_key"], row["after"]].append(row)
        self._newest = {row["ref_key"]: row for row in newest}
        self._told = {_told_by(row): row for row in told}
        self._added: defaultdict[str, list[Row]] = defaultdict(list)
        self._windows: dict[str, list[Row]] = {}

    @classmethod
    def of(cls, db: sa.Connection, outcomes: Sequence[Outcome], since: float) -> "Pushes":
        """Read the earlier pushes for some outcomes."""
        pushes = [outcome.push for outcome in outcomes if outcome.push is not None]
        moves: list[Row] = []
        for some in batched(sorted({push.after for push in pushes})):
            moves += map(dict, db.execute(_MOVES, {"ends": some, "since": since}).mappings())
        newest = [
            dict(row)
            for ref in sorted({push.ref_key for push in pushes})
            for row in db.execute(_NEWEST, {"ref": ref}).mappings()
        ]
        return cls(db, since, moves, newest, _told(db, pushes))

    def add(self, row: Row) -> None:
        """Add one more, which may still be unwritten."""
        self._moves[row["ref_key"], row["after"]].append(row)
        self._told.setdefault(_told_by(row), row)
        self._added[row["ref_key"]].append(row)
        if row["repeats"] is not None:
            return
        newest = self._newest.get(row["ref_key"])
        if newest is None or newest["seq"] < row["seq"]:
            self._newest[row["ref_key"]] = row

    def same(self, push: PushSeen, seq: int, delivery: str) -> Row | None:
        """Return the row of an earlier delivery of this very push, if there is one.

        The same move counts as new once the ref can have returned to its start (see
        `core.changes`). After the window it always counts as new, unless the host gives it the same
        time: a captured signed webhook can be resent under another id.
        """
        if (found := self._found(push)) is not None:
            return found
        if self._is_one_more(push, seq, delivery):
            return None
        again = Move(seq, push.before, push.after, push.moment)
        for row in self._candidates(push, seq):
            first = _move(row)
            if not is_second(first, again, self._around(push.ref_key, first, again)):
                return row
        return None

    def _is_one_more(self, push: PushSeen, seq: int, delivery: str) -> bool:
        """Return whether its webhook has reported the same move before, as an earlier push.

        If the host gives a push the same time, that decides: it is signed, the webhook is not.
        """
        if not push.hook or (push.ref_key, push.after) not in self._moves:
            return False
        move = (push.before, push.after)
        rows = self._in_window(push.ref_key) + self._added[push.ref_key]
        same = [row for row in rows if (row["before"], row["after"]) == move and row["seq"] != seq]
        if push.moment and (push.ref_key, *move, push.moment) in self._told:
            at_once = [row["repeats"] for row in same if row["moment"] == push.moment]
            if not at_once or None in at_once:
                return False
        return is_one_more(
            push.hook, delivery, [(row["hook"] or "", row["delivery"]) for row in same]
        )

    def known(self, push: PushSeen, seq: int, _delivery: str) -> Row | None:
        """Return the newest row of the same move, regardless of its age and of later moves."""
        if (newest := next(self._candidates(push, seq), None)) is not None:
            return newest
        move = {"ref": push.ref_key, "before": push.before, "ends": [push.after]}
        row = self._db.execute(_SAME_NEWEST, move).mappings().first()
        return None if row is None else dict(row)

    def _found(self, push: PushSeen) -> Row | None:
        """Return the row with the same target, if one of the two was found by reconciliation.

        A webhook may be days late, so no window applies; only the ref's newest push counts.
        """
        row = self._newest.get(push.ref_key)
        if row is None or not (push.found or row["before"] == ANYWHERE):
            return None
        # For an annotated tag a webhook names the tag object, reconciliation the commit.
        same = row["after"] == push.after or " refs/tags/" in push.ref_key
        return row if same else None

    def _candidates(self, push: PushSeen, seq: int) -> Iterator[Row]:
        """Yield rows of the same move: first the one with the same host time, then the newest."""
        told = self._told.get((push.ref_key, push.before, push.after, push.moment))
        if push.moment and told is not None and told["seq"] != seq:
            yield told
        there = self._moves.get((push.ref_key, push.after), ())
        same = [row for row in there if row["before"] in (push.before, ANYWHERE)]
        if newest := max((row for row in same if row["seq"] != seq), key=_seq, default=None):
            yield newest

    def _around(self, ref: str, first: Move, again: Move) -> list[Move]:
        """Return moves of a ref that may lie between two of its pushes."""
        at_once = first.moment and first.moment == again.moment
        written = self._at_once(ref, again) if at_once else self._in_window(ref)
        return _moves(self._db, written + self._added[ref])

    def _at_once(self, ref: str, again: Move) -> list[Row]:
        """Return moves of the same second back to a push's start, and undated deletions."""
        found: dict[int, Row] = {}
        ends, seen = [again.before], {again.before}
        while ends and len(found) < MOST:
            at = {"ref": ref, "moment": again.moment, "ends": ends}
            rows = list(map(dict, self._db.execute(_AT_ONCE, at).mappings()))
            found |= {row["seq"]: row for row in rows}
            ends = list({row["before"] for row in rows} - seen)
            seen.update(ends)
        return list(found.values())

    def _in_window(self, ref: str) -> list[Row]:
        """Return the newest moves of a ref within the window."""
        if ref not in self._windows:
            rows = self._db.execute(_LATEST, {"ref": ref}).mappings()
            self._windows[ref] = [dict(row) for row in rows if row["at"] >= self._since]
        return self._windows[ref]


def key_of(ref_key: str) -> str:
    """Return the first part of a `ref_key`: the host and its id of the repository."""
    return ref_key.rpartition(" ")[0]


def repository_names(db: sa.Connection, keys: Iterable[str]) -> dict[str, str]:
    """Return the last names of repositories, by their keys."""
    names: dict[str, str] = {}
    for some in batched(sorted(set(keys))):
        names |= dict(db.execute(_NAMES, {"keys": some}).all())
    return names


def standing(db: sa.Connection, ref: str) -> Move | None:
    """Return the last decided push of a ref; None if there is none.

    It is the newest row, or a known successor if the newest arrived late.
    """
    newest = db.execute(_NEWEST, {"ref": ref}).mappings().first()
    if newest is None:
        return None
    rows = db.execute(_LATEST, {"ref": ref}).mappings()
    late = [dict(row) for row in rows if row["at"] >= newest["at"] - LATE]
    return newest_move(_moves(db, late)) or _move(dict(newest))


def pushed_after(db: sa.Connection, seq: int) -> list[int]:
    """Return which pushes of its ref happened after a push that arrived later; see `Move.seq`."""
    ref = db.scalar(sa.select(_P.c.ref_key).where(_P.c.seq == seq))
    moves = [] if ref is None else newest_moves(db, ref, MOST)
    late = next((move for move in moves if move.seq == seq), None)
    return [] if late is None else [move.seq for move in overtaken_by(late, moves)]


def newest_moves(db: sa.Connection, ref: str, limit: int) -> list[Move]:
    """Return the newest moves of a ref, with repeats, newest first."""
    return newest_of_each(db, [ref], limit)[ref]


def newest_of_each(db: sa.Connection, refs: Collection[str], limit: int) -> dict[str, list[Move]]:
    """Return the newest moves of each ref, with repeats, newest first."""
    found: dict[str, list[Move]] = {ref: [] for ref in refs}
    for some in batched(sorted(found)):
        for query, values in _newest_queries(db, some):
            for ref, seq, before, after, moment, repeats in db.execute(
                query, values | {"limit": limit}
            ):
                found[ref].append(Move(seq, before, after, moment or "", repeats=repeats))
    return found


_COLUMNS = (_P.c.ref_key, _P.c.seq, _P.c.before, _P.c.after, _P.c.moment, _P.c.repeats)
_NEWEST_MOVES = (
    sa.select(*_COLUMNS)
    .where(_P.c.ref_key == sa.bindparam("ref"))
    .order_by(_P.c.seq.desc())
    .limit(sa.bindparam("limit"))
)


def _newest_at_once() -> sa.Select[Any]:
    """Return the same query for several refs, in one round trip, on Postgres."""
    refs = (
        sa.func.unnest(sa.bindparam("refs", type_=ARRAY(sa.Text)))
        .table_valued("ref")
        .render_derived()
    )
    of_ref = sa.select(*_COLUMNS).where(_P.c.ref_key == refs.c.ref).order_by(_P.c.seq.desc())
    moves = of_ref.limit(sa.bindparam("limit")).lateral()
    both = refs.join(moves, sa.true())
    return sa.select(moves).select_from(both).order_by(moves.c.ref_key, moves.c.seq.desc())


_NEWEST_AT_ONCE = _newest_at_once()


def _newest_queries(
    db: sa.Connection, refs: Sequence[str]
) -> list[tuple[sa.Select[Any], dict[str, Any]]]:
    if on_postgres(db):
        return [(_NEWEST_AT_ONCE, {"refs": refs})]
    return [(_NEWEST_MOVES, {"ref": ref}) for ref in refs]  # none leaves the process


def _moves(db: sa.Connection, rows: Iterable[Row]) -> list[Move]:
    """Return rows as moves, with those that they repeat: without its original none can be judged.

    The original may have another time than its repetition, or be older than what was read.
    """
    found = {row["seq"]: row for row in rows}
    missing = {row["repeats"] for row in found.values()} - found.keys() - {None}
    for some in batched(sorted(missing)):
        read = db.execute(_ORIGINALS, {"seqs": some}).mappings()
        found |= {row["seq"]: dict(row) for row in read}
    return list(map(_move, found.values()))


def _seq(row: Row) -> int:
    return int(row["seq"])


def _move(row: Row) -> Move:
    return Move(
        row["seq"], row["before"], row["after"], row["moment"] or "", repeats=row["repeats"]
    )


def _told_by(row: Row) -> tuple[str, ...]:
    return row["ref_key"], row["before"], row["after"], row["moment"]


def _told(db: sa.Connection, pushes: Sequence[PushSeen]) -> list[Row]:
    """Return the newest rows with the same host time, regardless of their age."""
    telling = {(p.ref_key, p.before, p.after, p.moment) for p in pushes if p.moment}
    found: list[Row] = []
    for some in batched(sorted({move[2] for move in telling})):
        found += map(dict, db.execute(_TOLD, {"ends": some}).mappings())
    return [row for row in found if _told_by(row) in telling]
