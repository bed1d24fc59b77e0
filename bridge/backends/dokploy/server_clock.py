"""Learn how far a server's clock is ahead of ours, from the `Date` of its answers.

Times of Dokploy's records are by its own clock. Where that is minutes off, a build that began
after we asked would seem to have begun before.
"""

from collections import deque
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from bridge.ports.clock import Clock

SAMPLES = 64
"""Answers that are remembered: a clock that is set anew is believed after so many."""


class ServerClock:
    """The offset of one server's clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._samples: deque[float] = deque(maxlen=SAMPLES)

    def note(self, headers: Mapping[str, str]) -> None:
        """Take in the headers of an answer that has just come; a cached one tells nothing."""
        if "date" not in headers or "age" in headers:
            return
        try:
            date = parsedate_to_datetime(headers["date"])
        except ValueError:
            return
        if date.tzinfo is not None:
            self._samples.append(date.timestamp() - self._clock())

    @property
    def ahead(self) -> float:
        """Seconds by which it is ahead of ours, never more than it really is; 0 if unknown.

        `Date` is cut to whole seconds and has travelled, so the largest sample is the nearest.
        """
        return max(self._samples, default=0.0)
