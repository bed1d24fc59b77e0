"""Time, being woken, and how often something may be done."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

Clock = Callable[[], float]
"""Seconds since 1970; injected, so that tests own the time."""

Wake = Callable[[], None]
"""Tells a later step that there is something to do; may be called from the event loop only."""


# ── A clock that never jumps ────────────────────────────────────────────────────────────────────

RATE = 0.1
"""How much faster or slower it goes, until it agrees again with a clock that was set."""


class SteadyClock:
    """Tells the time, in seconds since 1970, and catches up slowly where that was set.

    Args:
        wall: the time as the machine has it.
        ticks: seconds since some moment; goes on evenly, also while the machine sleeps.
    """

    def __init__(self, wall: Callable[[], float], ticks: Callable[[], float]) -> None:
        self._wall = wall
        self._ticks = ticks
        self._now = wall()
        self._at = ticks()
        self._lock = threading.Lock()

    def __call__(self) -> float:
        """The time."""
        with self._lock:
            at = self._ticks()
            passed = max(0.0, at - self._at)
            most = passed * RATE
            behind = self._wall() - (self._now + passed)
            self._now += passed + min(max(behind, -most), most)
            self._at = at
            return self._now


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `writes` in any `seconds`; `Limit(1, 1.0)` is a second between two."""

    writes: int
    seconds: float
