"""How fast somebody may write to a service, and when the next write may go. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

FAVOURED_IN = 4
"""Turns of which one goes to those who have to let others go first."""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `writes` in any `seconds`; `Limit(1, 1.0)` is a second between two."""

    writes: int
    seconds: float


def next_turn(limits: Sequence[Limit], written: Sequence[float], now: float) -> float:
    """When the next write may go: `now`, or later.

    Args:
        limits: all of them hold.
        written: when the last writes went, oldest first; as many as the largest limit counts.
    """
    waits = [
        written[-limit.writes] + limit.seconds for limit in limits if len(written) >= limit.writes
    ]
    return max([now, *waits])


def shared(limits: Sequence[Limit], share: float) -> tuple[Limit, ...]:
    """Return the limits for those who may use only a share of each, and one write at least."""
    return tuple(replace(one, writes=max(1, int(one.writes * share))) for one in limits)


def rank_favoured(turn: int) -> int:
    """The rank from which on others go first in a turn, so that none waits for ever.

    Mostly 0: the lowest goes first. In each fourth turn 1, but in each fourth of these 2, and so
    on: however much there is of rank 0, the higher ones get some of what may be written.

    Args:
        turn: counted from 1.
    """
    rank = 0
    while turn % FAVOURED_IN == 0:
        turn //= FAVOURED_IN
        rank += 1
    return rank
