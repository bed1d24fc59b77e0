"""A rate-limited log: a flood of lines can't fill the disk."""

import logging
import time
from collections.abc import Callable
from typing import Any


class RateLimitedLog:
    """Writes `burst` lines at once and `rate` a second; the next line says how many were omitted.

    The metrics have the exact number.
    """

    def __init__(
        self,
        logger: logging.Logger,
        *,
        burst: float = 50.0,
        rate: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logger = logger
        self._burst = self._left = burst
        self._rate = rate
        self._clock = clock
        self._at = clock()
        self._left_out = 0

    def info(self, event: str, **fields: Any) -> None:
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._write(logging.WARNING, event, fields)

    def _write(self, level: int, event: str, fields: dict[str, Any]) -> None:
        if not self._logger.isEnabledFor(level):
            return
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            self._left_out += 1
            return
        self._left -= 1
        if self._left_out:
            fields["left_out_before"] = self._left_out
            self._left_out = 0
        self._logger.log(level, event, extra=fields)
