"""Time, and a clock that never jumps."""

import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Clock = Callable[[], float]
"""Seconds since 1970; injected, so tests control the time."""

Sleep = Callable[[float], Awaitable[object]]
"""Waits for a number of seconds; injected like the clock."""

Wake = Callable[[], None]
"""Wakes a later step; may be called from the event loop only."""


RATE = 0.1
"""How much faster or slower it runs until it agrees again with a changed clock."""


class SteadyClock:
    """Returns the time in seconds since 1970, and follows changes of the machine's clock slowly.

    Args:
        wall: the machine's clock.
        ticks: seconds since some moment; it runs evenly, even while the machine sleeps.
    """

    def __init__(self, wall: Callable[[], float], ticks: Callable[[], float]) -> None:
        self._wall = wall
        self._ticks = ticks
        self._now = wall()
        self._at = ticks()
        self._lock = threading.Lock()

    def __call__(self) -> float:
        """Return the time."""
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
    """At most `writes` in any `seconds`; `Limit(1, 1.0)` means a second between two."""

    writes: int
    seconds: float
