"""Choosing the reads to try again at once. Pure."""

import httpx

from bridge.backends.dokploy.witness import DatabaseAway
from bridge.core.errors import KeyRefused, Unreachable

SLOW = 5.0
"""Seconds after which an answer was slow: nobody waits for another like it within one question."""


def may_end_soon(error: Unreachable, took: float) -> bool:
    """Return whether to ask again within a second; the caller can wait longer than that.

    Args:
        took: seconds until the error was known.
    """
    if took > SLOW:
        return False
    if isinstance(error, KeyRefused | DatabaseAway) or error.retry_after is not None:
        return False
    return not had_its_time(error)


def had_its_time(error: Unreachable) -> bool:
    """Return whether no answer came in time; one takes 6 to 25 s while the database is away."""
    return isinstance(error.__cause__, httpx.ReadTimeout | TimeoutError)
