"""How fast somebody may write to a service, and when the next write may go. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass


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
