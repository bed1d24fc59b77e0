"""Which commits to compare to learn what a push changes for an app. Pure.

A push's own list of files says what has changed since the push before. What matters is what has
changed since the commit that the app runs: a push that failed, was lost or was cut short must
not hide its files from the next one (docs/notes/0012).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from bridge.core.decision import Decision, Reason
from bridge.core.events import ZERO, RefKind, RefPushed


@dataclass(frozen=True, slots=True)
class Live:
    """What an app runs, as far as its deployments tell.

    Attributes:
        commit: of its newest deployment that is done; None if the backend did not tell.
        certain: nothing newer is under way, or has an outcome that nobody knows.
        failed: the newest that has ended has failed, so what it brought is still missing.
        seq: of the delivery that has brought it up; a later push than the one in question says
            nothing about that.
    """

    commit: str | None
    certain: bool = True
    failed: bool = False
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """What to compare with the head of a push.

    Attributes:
        bases: sets of commits; the first set counts of which all comparisons can be made, and
            what differs from any of its commits has changed.
        firm: if none can be made, the files are unknown; else the push's own list counts.
        why: why the push's own list is not enough.
    """

    bases: tuple[tuple[str, ...], ...]
    firm: bool
    why: str


def question(push: RefPushed, decision: Decision, live: Live | None) -> Question | None:
    """Return what to ask before a decision by the push's own list stands; None: it does."""
    if push.ref.kind is not RefKind.BRANCH or push.deleted:
        return None
    if decision.reason is Reason.PATHS_UNKNOWN:
        bases = tuple(_bases(push, live))
        return Question(bases, firm=True, why=push.paths_note) if bases else None
    if decision.reason is not Reason.NO_PATH_HIT:
        return None
    if live is not None and live.failed and live.commit is not None:
        return Question(tuple(_bases(push, live)), firm=True, why="its last deployment failed")
    if push.forced is None:  # what it may have taken back is on no list
        return Question(((push.before,),), firm=False, why="it may have been forced")
    return None


def _bases(push: RefPushed, live: Live | None) -> Iterator[tuple[str, ...]]:
    before = () if _none(push.before) else (push.before,)
    first = before
    if live is not None and live.commit is not None:
        # What is under way may have begun before this push or after it: both count.
        first = (live.commit,) if live.certain else tuple(dict.fromkeys((live.commit, *before)))
    yield from dict.fromkeys(one for one in (first, before) if one)


def with_paths(push: RefPushed, paths: tuple[str, ...] | None, note: str) -> RefPushed:
    """Return the push with the files that were found for an app, or with why they were not."""
    return replace(push, paths=paths, paths_note=note)


def compared(bases: tuple[str, ...], head: str, paths: tuple[str, ...]) -> str:
    """Return how a change set was found, e.g. "compare 1a2b3c4..5d6e7f8: 12 files"."""
    files = "1 file" if len(paths) == 1 else f"{len(paths)} files"
    return f"compare {' and '.join(base[:7] for base in bases)}..{head[:7]}: {files}"


def _none(sha: str) -> bool:
    return not sha.strip("0")


# ── Tell a second push of the same move from the same push by a second webhook. Pure ────────────

ANYWHERE = "found"
"""The `before` of a push that reconciliation has found: it may have been several."""


@dataclass(frozen=True, slots=True)
class Move:
    """A move of one ref.

    Attributes:
        seq: the position of its delivery; deliveries may be late, so this is no order of pushes.
        before, after: object ids; `before` may be `ANYWHERE`.
        moment: when the host says it was pushed, "" where it does not say; of GitHub
            `repository.pushed_at`, in whole seconds since 1970.
        repeats: the position of the one that it was taken for when it came; None for a push of
            its own.
    """

    seq: int
    before: str
    after: str
    moment: str = ""
    repeats: int | None = None


def is_second(first: Move, again: Move, moves: Sequence[Move]) -> bool:
    """Return whether `again`, the same move as `first`, is a second push.

    Args:
        moves: all known moves of the ref around the two, with those that repeat another.
    """
    # Nearly always not even all of them lead back, and the closer look can be left out.
    return led_back(first, again, moves) and led_back(first, again, leading(moves))


def leading(moves: Sequence[Move]) -> list[Move]:
    """Return the moves that have led the ref somewhere: all but those that only repeat another.

    One that was taken for another counts where what came since shows that it was a second push.
    Two that the host dates apart from what they were taken for may show that of each other.
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


def led_back(first: Move, again: Move, moves: Iterable[Move]) -> bool:
    """Return whether `moves` can have led the ref back, so that `again` is a second push.

    They can where they form a way from where the move ends to where it starts, and at least one
    step of it has come in between. The host's own time wins over the order in which
    deliveries came: where it says that both are the same push, only that very second counts.
    """
    possible = [move for move in moves if move != again and _fits(first, again, move)]
    between = [move for move in possible if _between(first, again, move)]
    if not between:
        return False  # a second webhook is mostly right behind the first
    reached = _reached(first.after, ((move.before, move.after) for move in possible))
    leads = _reached(again.before, ((move.after, move.before) for move in possible))
    return any(
        (move.before == ANYWHERE or move.before in reached) and move.after in leads
        for move in between
    )


def happened_after(one: Move, other: Move) -> bool | None:
    """Return whether `one` was pushed after `other`; None if the host's time does not tell."""
    times = _times(one, other)
    return None if times is None or times[0] == times[1] else times[0] > times[1]


def _reached(start: str, steps: Iterable[tuple[str, str]]) -> set[str]:
    """Return all that can be reached from `start`, itself included."""
    onwards: defaultdict[str, list[str]] = defaultdict(list)
    for here, there in steps:
        onwards[here].append(there)
    # A found push may have begun anywhere: whatever it leads to can be reached from everywhere.
    open_ends = [start, *onwards[ANYWHERE]]
    found = set(open_ends)
    while open_ends:
        for there in onwards[open_ends.pop()]:
            if there not in found:
                found.add(there)
                open_ends.append(there)
    return found


def _fits(first: Move, again: Move, move: Move) -> bool:
    """Return whether a move can be a step between two others, as far as the host dates them."""
    if first.moment and first.moment == again.moment:
        return move.moment == first.moment or _is_undated_deletion(move)
    if move.before == ANYWHERE:  # the bridge has seen the ref there itself, and at that time
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


def _is_undated_deletion(move: Move) -> bool:
    """Return whether a move deleted the ref: a host need not date what brings no commit."""
    return not move.moment and move.after == ZERO


def _came_between(first: Move, again: Move, move: Move) -> bool:
    return min(first.seq, again.seq) < move.seq < max(first.seq, again.seq)


def _times(*moves: Move) -> tuple[int, ...] | None:
    """Return the host's times in seconds; None if it does not tell all of them."""
    if not all(move.moment.isdecimal() for move in moves):
        return None
    return tuple(int(move.moment) for move in moves)
