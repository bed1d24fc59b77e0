"""Shared polling: one look for all watchers, and none without watchers."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Generic, TypeVar

from bridge.core.backoff import Backoff
from bridge.core.errors import BridgeError

log = logging.getLogger(__name__)

T = TypeVar("T")


class Looks(Generic[T]):
    """Polls a source while somebody watches, and tells all watchers of this process.

    Any process may cause a change, so there is no event to wait for.

    Attributes:
        watching: how many watch.
        pause: seconds until the next look.
    """

    def __init__(
        self,
        look: Callable[[], Awaitable[T]],
        pauses: Backoff,
        *,
        over: Callable[[T], bool] = lambda _: False,
    ) -> None:
        """Take the source.

        Args:
            look: returns the present value, which differs after every change.
            pauses: seconds until the next look; they grow while each look finds a change.
            over: returns whether a value is final.
        """
        self._look = look
        self._pauses = pauses
        self._over = over
        self._changed = asyncio.Condition()
        self._found: T | None = None
        self._error: Exception | None = None
        self._task: asyncio.Task[None] | None = None
        self.watching = 0
        self.pause = 0.0

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Poll as long as somebody watches."""
        self.watching += 1
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="console look")
        try:
            yield
        finally:
            self.watching -= 1
            if not self.watching:
                task, self._task, self._found, self._error = self._task, None, None, None
                assert task is not None
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    @property
    def found(self) -> T | None:
        """Return what the newest look has found; None if nobody watches."""
        return self._found

    async def first(self) -> T:
        """Return the newest value, or that of the first look; raise the error of that look."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._found is not None or self._error is not None)
        if self._found is not None:
            return self._found
        assert self._error is not None
        raise self._error

    async def after(self, known: T | None, seconds: float) -> T | None:
        """Return the newest value once it differs from `known`; `known` after some seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: self._found not in (None, known))
                return self._found
        return known

    async def _run(self) -> None:
        changes = 0
        while self._found is None or not self._over(self._found):
            before = self._found
            try:
                self._found, self._error = await self._look(), None
            except BridgeError as error:  # the page says so; the next look may succeed
                self._error = error
            except Exception as error:  # else all would wait for a look that does not come
                log.exception("looking for what is new failed unexpectedly")
                self._error = error
            async with self._changed:
                self._changed.notify_all()
            changes = 0 if self._found == before else changes + 1
            self.pause = self._pauses.pause(changes)
            await asyncio.sleep(self.pause)
