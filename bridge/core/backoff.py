"""Backoff: pauses between retries. Pure; the waiting is the caller's.

One policy serves every retry (docs/notes/0030). The count of failures is stored with the work, in
memory or in the journal, so a restart continues it.
"""

from dataclasses import dataclass

from bridge.core.errors import Unreachable

_MOST_STEPS = 64
"""Failures after which pauses stop growing, to keep the numbers finite."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that grow with each consecutive failure.

    Attributes:
        first: seconds after the first failure.
        longest: the longest pause, in seconds.
    """

    first: float
    longest: float
    factor: float = 2.0

    def pause(self, failures: int) -> float:
        """Return the seconds to wait after so many consecutive failures, 1 or more."""
        steps = min(max(failures, 1) - 1, _MOST_STEPS)
        return min(self.first * self.factor**steps, self.longest)

    def after(self, failures: int, error: Exception) -> float:
        """Return the same, or the seconds that the other side told us to wait.

        Ignore a wait of zero, so nothing is retried in a busy loop.
        """
        return asked_to_wait(error) or self.pause(failures)


def asked_to_wait(error: Exception | None) -> float | None:
    """Return the seconds that the other side told us to wait, if any; never negative."""
    asked = error.retry_after if isinstance(error, Unreachable) else None
    return None if asked is None else max(0.0, asked)
