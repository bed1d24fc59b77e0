"""Learn how far a server's clock is ahead of ours, from the `Date` of its answers.

Times of Dokploy's records are by its own clock. Where that is minutes off, a build that began
after we asked would seem to have begun before.

Ours is steady: after the machine's clock was set it goes faster or slower until both agree. So
what an answer has told holds for its own moment, and less and less for others.
"""

from collections import deque
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from bridge.core.steady import RATE
from bridge.ports.clock import Clock

EVERY = 1.0
"""Seconds of which one answer is remembered: the one that tells most."""

SAMPLES = 600
"""Answers that are remembered, so those of ten minutes."""

RECENT = 30.0
"""Seconds before a moment from which answers are enough: a later one may be of a clock that was
set meanwhile."""

SET_BACK = 2.0
"""Seconds by which the server must seem to be behind what was known for its clock to have been
set: `Date` is cut to whole seconds."""


class ServerClock:
    """The offset of one server's clock, by a clock of ours that never jumps."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._samples: deque[tuple[float, float]] = deque(maxlen=SAMPLES)

    def note(self, headers: Mapping[str, str]) -> None:
        """Take in the headers of an answer that has just come; a cached one tells nothing."""
        if "date" not in headers or "age" in headers:
            return
        try:
            date = parsedate_to_datetime(headers["date"])
        except ValueError:
            return
        if date.tzinfo is not None:
            now = self._clock()
            self._keep(now, date.timestamp() - now)

    def _keep(self, now: float, ahead: float) -> None:
        if ahead < self.ahead(now) - SET_BACK:
            self._samples.clear()
        if self._samples and now - self._samples[-1][0] < EVERY:
            at, before = self._samples[-1]
            if ahead < before - RATE * (now - at):
                return
            self._samples.pop()
        self._samples.append((now, ahead))

    def ahead(self, moment: float) -> float:
        """Seconds by which it was ahead of ours at a moment by our clock; 0 if unknown.

        Never more than it really was: an answer has travelled since its `Date`, and each second
        between it and the moment may have changed the offset by `RATE`.
        """
        before = [one for one in self._samples if moment - RECENT <= one[0] <= moment]
        told = (ahead - RATE * abs(moment - at) for at, ahead in before or self._samples)
        return max(told, default=0.0)
