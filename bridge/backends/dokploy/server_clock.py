"""Estimate a server's clock offset from its answers."""

from collections import deque
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from bridge.ports.clock import RATE, Clock

EVERY = 1.0
"""Seconds for which one sample is kept: the best one."""

SAMPLES = 600
"""The number of samples that are kept: those of ten minutes."""

RECENT = 30.0
"""Seconds before a moment from which samples are preferred; the clock may have been set later."""

SET_BACK = 2.0
"""Seconds by which the server's clock must fall back to count as set; `Date` has whole seconds."""


class ServerClock:
    """The offset of a server's clock, learned from the `Date` of its answers.

    Args:
        clock: ours, which never jumps.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._samples: deque[tuple[float, float]] = deque(maxlen=SAMPLES)

    def note(self, headers: Mapping[str, str]) -> None:
        """Take a sample from the headers of an answer that has just come and was not cached."""
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
        known = self.ahead(now)
        if known is not None and ahead < known - SET_BACK:
            self._samples.clear()
        if self._samples and now - self._samples[-1][0] < EVERY:
            at, before = self._samples[-1]
            if ahead < before - RATE * (now - at):
                return
            self._samples.pop()
        self._samples.append((now, ahead))

    def ahead(self, moment: float) -> float | None:
        """Return the seconds by which it was ahead of ours at a moment; None if unknown.

        The result is never more than the real offset: an answer has travelled since its `Date`,
        and the offset may have changed by `RATE` for each second between sample and moment.
        """
        before = [one for one in self._samples if moment - RECENT <= one[0] <= moment]
        told = (ahead - RATE * abs(moment - at) for at, ahead in before or self._samples)
        return max(told, default=None)
