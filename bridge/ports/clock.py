"""Time, and being woken."""

from collections.abc import Callable

Clock = Callable[[], float]
"""Seconds since 1970; injected, so that tests own the time."""

Wake = Callable[[], None]
"""Tells a later step that there is something to do; may be called from the event loop only."""
