"""Choose the commits to compare to find what a push changes for an app. Pure.

A push's own list of files shows the changes since the previous push. What matters are the changes
since the commit that the app runs: a push that failed, was lost or was truncated must not hide its
files from the next one (docs/notes/0012).
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from bridge.core.decision import Decision, Reason
from bridge.core.events import ZERO, RefKind, RefPushed
from bridge.core.words import many


@dataclass(frozen=True, slots=True)
class Live:
    """The commit that an app runs, according to its deployments.

    Attributes:
        commit: of the deployment that was live last, healthy or not; None if the backend did not
            report it.
        certain: no deployment is in progress or being verified, or has had an unknown outcome
            since.
        seq: of the delivery that led to it; irrelevant if that is newer than the push in question.
        failed: of the delivery that led to the oldest failure since, if the newest outcome is one,
            so its changes are still missing; else 0. Irrelevant if newer, like `seq`.
    """

    commit: str | None
    certain: bool = True
    seq: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """What to compare with the head of a push.

    Attributes:
        bases: sets of commits; the first set whose comparisons all succeed counts, and files that
            differ from any of its commits have changed.
        firm: if no set succeeds, the files are unknown; otherwise the push's own list counts.
        why: why the push's own list is not enough.
    """

    bases: tuple[tuple[str, ...], ...]
    firm: bool
    why: str


def question(push: RefPushed, decision: Decision, live: Live | None) -> Question | None:
    """Return the comparison that a decision needs; None if the push's own list is enough."""
    if push.ref.kind is not RefKind.BRANCH or push.deleted:
        return None
    if decision.reason is Reason.PATHS_UNKNOWN:
        bases = tuple(_bases(push, live))
        return Question(bases, firm=True, why=push.paths_note) if bases else None
    if decision.reason is not Reason.NO_PATH_HIT:
        return None
    if live is not None and live.failed and live.commit is not None:
        return Question(tuple(_bases(push, live)), firm=True, why="its last deployment failed")
    if push.forced is None:  # reverted commits would be on no list
        return Question(((push.before,),), firm=False, why="it may have been forced")
    return None


def _bases(push: RefPushed, live: Live | None) -> Iterator[tuple[str, ...]]:
    before = (push.before,) if push.before.strip("0") else ()
    first = before
    if live is not None and live.commit is not None:
        # A deployment in progress may have begun before this push or after it: both count.
        first = (live.commit,) if live.certain else tuple(dict.fromkeys((live.commit, *before)))
    yield from dict.fromkeys(one for one in (first, before) if one)


def with_paths(push: RefPushed, paths: tuple[str, ...] | None, note: str) -> RefPushed:
    """Return the push with the files found for an app, or with the reason why there are none."""
    return replace(push, paths=paths, paths_note=note)


def compared(bases: tuple[str, ...], head: str, paths: tuple[str, ...]) -> str:
    """Return how a change set was found, e.g. "compare 1a2b3c4..5d6e7f8: 12 files"."""
    known = " and ".join(base[:7] for base in bases)
    return f"compare {known}..{head[:7]}: {many(len(paths), 'file')}"


# ── Distinguish a second push of the same move from a second webhook for one push. Pure ─────────

ANYWHERE = "found"
"""The `before` of a push that reconciliation has found: it may have been several."""


@dataclass(frozen=True, slots=True)
class Move:
    """A move of one ref.

    Attributes:
        seq: the position of its delivery; deliveries may be late, so this is not the order of
            pushes.
        before, after: object ids; `before` may be `ANYWHERE`.
        moment: the time of the push according to the host, "" if unknown; on GitHub
            `repository.pushed_at`, in whole seconds since 1970.
        repeats: the position of the move of which it was considered a duplicate when it arrived;
            None for a push of its own.
    """

    seq: int
    before: str
    after: str
    moment: str = ""
    repeats: int | None = None


@dataclass(frozen=True, slots=True)
class Pushes:
    """The pushes that may have brought something.

    Attributes:
        seqs: the positions of their deliveries, newest first.
        begins: the commits at which they began; all that they brought has come since. Empty if it
            is not known, or they made the branch.
        whole: there may be no more of them than were read.
    """

    seqs: tuple[int, ...] = ()
    begins: frozenset[str] = frozenset()
    whole: bool = True


def is_one_more(hook: str, delivery: str, earlier: Iterable[tuple[str, str]]) -> bool:
    """Return whether a webhook's report of a move shows that the ref was pushed there once more.

    A webhook reports each push once; when the host sends that again, the delivery keeps its id. So
    the ref was pushed as often as the webhook reports it that does so most often, at least, and a
    report beyond that is of one more push.

    Args:
        earlier: webhooks that have reported the same move, "" for an unknown one, with the
            deliveries' ids.
    """
    reports = defaultdict[str, set[str]](set)
    for one, id_ in earlier:
        reports[one].add(id_)
    if not reports:
        return False
    reports.pop("", None)  # they may all be reports of one push
    least = max(map(len, reports.values()), default=1)
    return len(reports[hook] | {delivery}) > max(least, 1)


def is_second(first: Move, again: Move, moves: Sequence[Move]) -> bool:
    """Return whether `again`, the same move as `first`, is a second push.

    Args:
        moves: all known moves of the ref around the two, including duplicates.
    """
    # Nearly always not even all moves together lead back, which saves the closer check.
    return led_back(first, again, moves) and led_back(first, again, leading(moves))


def leading(moves: Sequence[Move]) -> list[Move]:
    """Return the moves without duplicates.

    A supposed duplicate counts if later moves show that it was a second push. Two with times other
    than those of their originals may show that of each other.
    """
    by_seq = {move.seq: move for move in moves}
    found = [move for move in moves if move.repeats is None]
    doubtful = [(by_seq[m.repeats], m) for m in moves if m.repeats in by_seq]
    apart = [pair for pair in doubtful if happened_after(*pair) is not None]
    while gone := [pair for pair in apart if not led_back(*pair, [*found, *_second(apart)])]:
        apart = [pair for pair in apart if pair not in gone]
    found += _second(apart)
    doubtful = [pair for pair in doubtful if pair not in apart]
    while more := [pair for pair in doubtful if led_back(*pair, found)]:
        found += _second(more)
        doubtful = [pair for pair in doubtful if pair not in more]
    return found


def _second(pairs: Iterable[tuple[Move, Move]]) -> list[Move]:
    return [again for _, again in pairs]


def newest_move(moves: Sequence[Move]) -> Move | None:
    """Return the move that happened last; None if there is none.

    It is the one that arrived last, or a known successor if that arrived late.
    """
    known = leading(moves)
    last = max(known, key=lambda move: move.seq, default=None)
    return None if last is None else [last, *_successors(last, known)][-1]


def overtaken_by(late: Move, moves: Sequence[Move]) -> list[Move]:
    """Return the moves that are known to have happened after one, though they arrived before it.

    The host's times show that, or a path from its end.
    """
    known = leading(moves)
    if late not in known:  # it only repeats another one
        return []
    dated = [move for move in known if happened_after(move, late)]
    return [move for move in (*dated, *_successors(late, known)) if move.seq < late.seq]


def brought(live: str | None, head: str, moves: Sequence[Move], *, pinned: bool) -> list[Move]:
    """Return the moves that may have brought what leads from one commit to another.

    Those that led to the head are among them, even if it is live already. If no move has led to
    the live commit, all may have come later.

    Args:
        moves: of one branch; deliveries may have been late.
        pinned: the branch may have moved on from the head; else all moves led to it.
    """
    begin = min((one for one in moves if one.after == live), key=lambda one: one.seq, default=None)
    first, late = (0, list[Move]()) if begin is None else (begin.seq, overtaken_by(begin, moves))
    ends = [one.seq for one in moves if one.after == head]
    last = max(ends) if pinned and ends else math.inf
    onward = _reached(head, ((one.before, one.after) for one in moves if one.seq > last))
    since = [one for one in moves if one.seq > first or one.after == head or one in late]
    return [one for one in since if one.seq <= last or one.before not in onward]


def begins_of(moves: Sequence[Move]) -> frozenset[str]:
    """Return the commits at which moves of one branch began; nothing if one may be unknown."""
    if not moves:
        return frozenset()
    first = min(moves, key=lambda one: one.seq).before
    begins = {one.before for one in moves} - {one.after for one in moves} | {first}
    made_it = any(not one.strip("0") for one in begins)
    return frozenset() if made_it or first == ANYWHERE else frozenset(begins - {ANYWHERE})


def _successors(stands: Move, known: Sequence[Move]) -> Iterator[Move]:
    """Yield the path of moves that began where one has ended, and happened later."""
    while (onward := next(_onward(stands, known), None)) is not None:
        known = [move for move in known if move is not stands]
        stands = onward
        yield onward


def _onward(stands: Move, moves: Sequence[Move]) -> Iterator[Move]:
    """Yield moves that started where another ended and happened later, though they arrived earlier.

    If the host does not date both, this holds unless the ref has returned in between.
    """
    for move in moves:
        if move.before == stands.after and move is not stands:
            later = happened_after(move, stands)
            again = replace(move, seq=stands.seq + 1, moment="")
            if later or (later is None and not led_back(move, again, moves)):
                yield move


def led_back(first: Move, again: Move, moves: Iterable[Move]) -> bool:
    """Return whether `moves` can have led the ref back, so `again` is a second push.

    They can if they form a path from the move's end to its start, and at least one of its steps
    lies in between. The host's times override the order of arrival: if they say that both are the
    same push, only steps in that very second count.
    """
    possible = [move for move in moves if move != again and _fits(first, again, move)]
    between = [move for move in possible if _between(first, again, move)]
    if not between:
        return False  # a second webhook usually follows the first directly
    reached = _reached(first.after, ((move.before, move.after) for move in possible))
    leads = _reached(again.before, ((move.after, move.before) for move in possible))
    return any(
        (move.before == ANYWHERE or move.before in reached) and move.after in leads
        for move in between
    )


def happened_after(one: Move, other: Move) -> bool | None:
    """Return whether `one` was pushed after `other`; None if the host's times do not show it."""
    times = _times(one, other)
    return None if times is None or times[0] == times[1] else times[0] > times[1]


def _reached(start: str, steps: Iterable[tuple[str, str]]) -> set[str]:
    """Return everything reachable from `start`, including itself."""
    onwards: defaultdict[str, list[str]] = defaultdict(list)
    for here, there in steps:
        onwards[here].append(there)
    # A found push may have begun anywhere, so its end can be reached from everywhere.
    open_ends = [start, *onwards[ANYWHERE]]
    found = set(open_ends)
    while open_ends:
        for there in onwards[open_ends.pop()]:
            if there not in found:
                found.add(there)
                open_ends.append(there)
    return found


def _fits(first: Move, again: Move, move: Move) -> bool:
    """Return whether a move can be a step between two others, by the host's times if known."""
    if first.moment and first.moment == again.moment:
        # A host may not date a push without a commit.
        return move.moment == first.moment or (not move.moment and move.after == ZERO)
    if move.before == ANYWHERE:  # the bridge itself saw the ref there, at that time
        return _came_between(first, again, move)
    if (times := _times(first, again, move)) is None:
        return True
    begin, end, then = times
    return min(begin, end) <= then <= max(begin, end)


def _between(first: Move, again: Move, move: Move) -> bool:
    """Return whether a fitting move shows that the ref moved on between two others."""
    if _came_between(first, again, move):
        return True
    if first.moment == again.moment or (times := _times(first, again, move)) is None:
        return False
    begin, end, then = times
    return then not in (begin, end) or begin < end == then


def _came_between(first: Move, again: Move, move: Move) -> bool:
    return min(first.seq, again.seq) < move.seq < max(first.seq, again.seq)


def _times(*moves: Move) -> tuple[int, ...] | None:
    """Return the host's times in seconds; None if any is unknown."""
    if not all(move.moment.isdecimal() for move in moves):
        return None
    return tuple(int(move.moment) for move in moves)
