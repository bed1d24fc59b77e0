"""Backoff: pauses between retries. Pure; the waiting is the caller's.

One policy for everything that is retried (docs/notes/0030): the count of failures lives where the
work lives, in memory or in the journal, so that a restart goes on where it was.
"""

from dataclasses import dataclass

from bridge.core.errors import Unreachable

_MOST_STEPS = 64
"""Failures from which on no pause grows, so that counts of any size stay numbers."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that grow with each failure in a row.

    Attributes:
        first: seconds after the first failure.
        longest: seconds that no pause exceeds.
        factor: each pause is so many times the one before.
    """

    first: float
    longest: float
    factor: float = 2.0

    def pause(self, failures: int) -> float:
        """Return the seconds to wait after so many failures in a row, 1 or more."""
        steps = min(max(failures, 1) - 1, _MOST_STEPS)
        return min(self.first * self.factor**steps, self.longest)

    def after(self, failures: int, error: Exception) -> float:
        """Return the same, or the seconds that the other side asked us to wait.

        A request to wait for no time at all doesn't count, so nothing is retried in a busy loop.
        """
        return asked_to_wait(error) or self.pause(failures)


def asked_to_wait(error: Exception | None) -> float | None:
    """Return the seconds that the other side asked us to wait, if it did; never negative."""
    asked = error.retry_after if isinstance(error, Unreachable) else None
    return None if asked is None else max(0.0, asked)
