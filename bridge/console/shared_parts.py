"""Draw what changes on a page once for all who watch the same."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass

KEPT = 10.0
"""Seconds after which a part is drawn again though nothing has changed, as it tells ages."""

MOST_KEPT = 50
"""Parts in memory."""


@dataclass(frozen=True, slots=True)
class Part:
    """The part of a page that changes, as HTML.

    Attributes:
        live: whether the page changes by itself.
    """

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
    """

    def __init__(self, version: Callable[[], str | None]) -> None:
        """Take the source of versions.

        Args:
            version: returns the newest version that was seen; None if nobody looks, and so nothing
                can be kept.
        """
        self._version = version
        self._drawn: dict[Hashable, _Drawing] = {}

    async def part(self, key: Hashable, draw: Callable[[], Awaitable[Part]]) -> Part:
        """Return a part; concurrent requests share one drawing, and its error.

        Args:
            key: what the part depends on, besides the version.
            draw: draws it.
        """
        version, now = self._version(), asyncio.get_running_loop().time()
        if version is None:
            return await draw()
        kept = self._drawn.get(key)
        if kept is None or kept.version != version or now - kept.began > KEPT:
            kept = _Drawing(version, now, asyncio.create_task(_drawn(draw), name="console part"))
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


async def _drawn(draw: Callable[[], Awaitable[Part]]) -> Part:
    return await draw()
