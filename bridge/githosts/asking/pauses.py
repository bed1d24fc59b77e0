"""Which credentials a host has asked to wait: until then nothing at all is asked with them.

A request made all the same is refused, counts against us, and can have the credential blocked.
https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api
"""

import time
from dataclasses import dataclass

from bridge.core.errors import Unreachable
from bridge.githosts.asking.answers import LONGEST_PAUSE, Answer, wait_in
from bridge.ports.clock import Clock


@dataclass(frozen=True, slots=True)
class _Pause:
    until: float
    times: int


class Pauses:
    """The pause of each credential of one host, in memory."""

    def __init__(self, service: str, clock: Clock, ticks: Clock = time.monotonic) -> None:
        """Take the clocks: the time of day, and one that nobody sets."""
        self._service = service
        self._clock = clock
        self._ticks = ticks
        self._known: dict[str, _Pause] = {}

    def check(self, account: str) -> None:
        """Raise Unreachable while a credential has to wait."""
        known = self._known.get(account)
        left = known.until - self._ticks() if known else 0.0
        if left > 0:
            why = f"rate limit: it asked us to wait, for {left:.0f} s more"
            raise Unreachable(self._service, why, retry_after=left)

    def heed(self, account: str, answer: Answer) -> float | None:
        """Note what an answer says about the limit; return the seconds to wait, if any.

        Where a host refuses again and again without naming a time, the pause doubles.
        """
        now = self._ticks()
        wait = wait_in(answer, self._clock())
        known = self._known.get(account)
        if wait is None:  # what was asked before the pause says nothing about it
            if known and now >= known.until:
                del self._known[account]
            return None
        times = known.times + 1 if known and now >= known.until else 1
        seconds = wait.seconds if wait.named else wait.seconds * 2.0 ** min(times - 1, 10)
        seconds = min(seconds, LONGEST_PAUSE)
        if known is None or known.until < now + seconds:
            self._known[account] = _Pause(now + seconds, times)
        return seconds
