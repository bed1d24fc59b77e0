"""Tell a second push of the same move from the same push by a second webhook. Pure.

A ref that goes from A to B, back to A and to B again was pushed twice. A move that comes again
is therefore new where the ref can have come back to its start in the meantime, along moves
that are known; otherwise a second webhook has told of the first push (docs/notes/0022).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bridge.core.events import ZERO

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
    """
    by_seq = {move.seq: move for move in moves}
    found = [move for move in moves if move.repeats is None]
    doubtful = [(by_seq[m.repeats], m) for m in moves if m.repeats in by_seq]
    while more := [move for first, move in doubtful if led_back(first, move, found)]:
        found += more
        doubtful = [(first, move) for first, move in doubtful if move not in more]
    return found


def led_back(first: Move, again: Move, moves: Iterable[Move]) -> bool:
    """Return whether `moves` can have led the ref back, so that `again` is a second push.

    They can where they form a way from where the move ends to where it starts, and at least one
    step of it has come in between. The host's own time wins over the order in which
    deliveries came: where it says that both are the same push, only that very second counts.
    """
    possible = [move for move in moves if _fits(first, again, move)]
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
    """Return whether `one` was pushed after `other`; None where the host's time does not tell."""
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
    """Return the host's times in seconds; None where it does not tell all of them."""
    if not all(move.moment.isdecimal() for move in moves):
        return None
    return tuple(int(move.moment) for move in moves)
