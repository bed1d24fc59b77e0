"""Work out once what several visitors ask for together: drawn parts, slow results, polls."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from bridge.core.backoff import Backoff
from bridge.core.errors import BridgeError

log = logging.getLogger(__name__)

T = TypeVar("T")

MOST_KEPT = 50
"""Parts in memory, and results."""

# ── Parts of pages, drawn once for all who watch the same ─────────────────────────────────────────

KEPT = 10.0
"""Seconds after which a part is drawn again though nothing has changed, as it tells ages."""


@dataclass(frozen=True, slots=True)
class Part:
    """The part of a page that changes, as HTML; `live`: the page changes by itself."""

    html: str
    live: bool


@dataclass(frozen=True, slots=True)
class _Drawing:
    """A part that is being drawn, or was: for which version, and since when."""

    version: str
    began: float
    task: "asyncio.Task[Part]"


class SharedParts:
    """Keeps the parts that were drawn since the last change that was seen.

    A change that comes while a part is drawn is seen later, so the part is drawn again then.

    Args:
        version: returns the newest version that was seen; None if nobody looks, and so nothing can
            be kept.
    """

    def __init__(self, version: Callable[[], str | None]) -> None:
        self._version = version
        self._drawn: dict[Hashable, _Drawing] = {}

    async def part(self, key: Hashable, draw: Callable[[], Coroutine[Any, Any, Part]]) -> Part:
        """Return a part; concurrent requests share one drawing, and its error.

        The key is what the part depends on, besides the version.
        """
        version, now = self._version(), asyncio.get_running_loop().time()
        if version is None:
            return await draw()
        kept = self._drawn.get(key)
        if kept is None or kept.version != version or now - kept.began > KEPT:
            kept = _Drawing(version, now, asyncio.create_task(draw(), name="console part"))
            self._keep(key, kept)
        return await asyncio.shield(kept.task)

    def _keep(self, key: Hashable, drawing: _Drawing) -> None:
        self._drawn.pop(key, None)
        self._drawn[key] = drawing
        while len(self._drawn) > MOST_KEPT:
            del self._drawn[next(iter(self._drawn))]

        def done(task: "asyncio.Task[Part]") -> None:
            useless = task.cancelled() or task.exception() is not None or not task.result().live
            if useless and self._drawn.get(key) is drawing:
                del self._drawn[key]

        drawing.task.add_done_callback(done)


# ── Results that take long, worked out beside the pages ───────────────────────────────────────────

FRESH = 300.0
"""Seconds for which a result is fresh."""

PATIENCE = 0.03
"""Seconds to wait for a quick result; a slow one is shown on a later request."""


class Workshop:
    """Caches the newest results; concurrent requests share one computation."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._done: dict[Hashable, tuple[float, Any]] = {}
        self._working: dict[Hashable, asyncio.Task[Any]] = {}

    async def result(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Return a result; None while the first one is being computed.

        A stale result is returned as well, while the next one is being computed.
        """
        done = self._done.get(key)
        if done is not None and self._clock() - done[0] < FRESH:
            return done[1]
        if key not in self._working:
            self._working[key] = task = asyncio.create_task(work(), name="console work")
            task.add_done_callback(lambda task: self._keep(key, task))
        if done is not None:
            return done[1]
        await asyncio.wait({self._working[key]}, timeout=PATIENCE)
        found = self._done.get(key)
        return None if found is None else found[1]

    def _keep(self, key: Hashable, task: "asyncio.Task[Any]") -> None:
        del self._working[key]
        if task.cancelled() or task.exception() is not None:
            return
        self._done[key] = self._clock(), task.result()
        while len(self._done) > MOST_KEPT:
            del self._done[next(iter(self._done))]


# ── Looks, one for all who watch, and none if nobody does ─────────────────────────────────────────


class Looks(Generic[T]):
    """Polls a source while somebody watches, and tells all watchers of this process.

    Any process may cause a change, so there is no event to wait for.

    Args:
        look: returns the present value, which differs after every change.
        pauses: seconds until the next look; they grow while each look finds a change.
        over: returns whether a value is final.
    """

    def __init__(
        self,
        look: Callable[[], Awaitable[T]],
        pauses: Backoff,
        *,
        over: Callable[[T], bool] = lambda _: False,
    ) -> None:
        self._look = look
        self._pauses = pauses
        self._over = over
        self._changed = asyncio.Condition()
        self._found: T | None = None
        self._error: Exception | None = None
        self._task: asyncio.Task[None] | None = None
        self.watching = 0  # how many
        self.pause = 0.0  # seconds until the next look

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
