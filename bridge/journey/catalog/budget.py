"""How many apps may be read because of pushes. Pure but for the clock that it is given."""

from bridge.ports.clock import Clock

MOST = 600
"""Apps that may be read at once after a quiet minute: all of a large monorepo, twice."""

A_SECOND = 10.0
"""Apps a second for good: 8 % of a core of Dokploy, or 23 % where it is asked one by one."""

RESERVE = 300
"""Apps that are left for records that are older than they should be."""

AT_LEAST = 40
"""Apps that are worth a request; fewer are read only where no more are asked for."""


class Budget:
    """A bucket of tokens, one for each app that is read."""

    def __init__(self, clock: Clock) -> None:
        """Begin with a full bucket."""
        self._clock = clock
        self._left = float(MOST)
        self._at = clock()

    def take(self, wanted: int) -> int:
        """Take what there is for `wanted` apps; returns for how many."""
        granted = min(wanted, int(self._filled()))
        if granted < min(wanted, AT_LEAST):
            return 0
        self._left -= granted
        return granted

    def take_spare(self, wanted: int) -> bool:
        """Take all that is wanted, if the reserve is left after that."""
        if self._filled() - wanted < RESERVE:
            return False
        self._left -= wanted
        return True

    def _filled(self) -> float:
        now = self._clock()
        passed = max(0.0, now - self._at)  # a clock that was set back gives nothing
        self._at = now
        self._left = min(float(MOST), self._left + passed * A_SECOND)
        return self._left
