"""Repeat a round of work: when it is woken, when its time has come, and after a pause on errors."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from bridge.core.backoff import Backoff
from bridge.core.errors import BridgeError

Round = Callable[[], Awaitable[float]]
"""Does everything that is due; returns the seconds until the next round."""

log = logging.getLogger(__name__)


class Rounds:
    """Runs rounds as long as the process lives."""

    def __init__(self, what: str, do: Round, retry: Backoff) -> None:
        """Take the parts.

        Args:
            what: the work, for the log, e.g. "checks can't be read".
            retry: pauses after a service could not be reached, or after a bug.
        """
        self._what = what
        self._do = do
        self._retry = retry
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Begin the next round at once."""
        self._woken.set()

    async def run(self) -> None:
        """Run rounds for ever."""
        failures = 0
        while True:
            self._woken.clear()  # before the round: a wake during it leads to another one
            try:
                pause = await self._do()
                failures = 0
            except BridgeError as error:
                failures += 1
                log.warning(self._what, extra={"why": str(error)})
                pause = self._retry.after(failures, error)
            except Exception:  # a bug, which must not end the process, which also deploys
                failures += 1
                log.exception(self._what)
                pause = self._retry.pause(failures)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._woken.wait()


async def all_ended(*works: Awaitable[object]) -> None:
    """Wait for all of these, then raise the first error, if there is one."""
    for result in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
