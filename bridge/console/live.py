"""Live updates: an event after every change, and a deployment's log as it grows.

Both are server-sent events. Any process may cause a change, so they look at the journal and at the
backend; all browsers that watch the same in one process share one look.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bridge.console.records import Records
from bridge.console.render import guard
from bridge.console.sharing import Looks, SharedParts
from bridge.console.visitors import COOKIE, Visitor, visitor_with
from bridge.core.backoff import Backoff
from bridge.core.errors import BridgeError, Unreachable
from bridge.core.lifecycle import Deployment
from bridge.core.log_text import lines_of, news

LOOK = Backoff(1.0, 5.0, factor=1.3)
"""Seconds between looks at the journal while somebody watches; more while each finds a change."""

LOG_LOOK = Backoff(1.0, 1.0)
"""Seconds between looks at a growing log."""

APART, SPREAD = 0.06, 3.0
"""Pauses between looks, between telling two browsers of a change and until all are told. Each
fetches its page then; if all did so at once, webhooks would have to wait."""

STILL_THERE = 15.0
"""Seconds after which an idle stream gets a sign of life, and its session is checked again."""

LINES = 2000
"""The most lines of a log on a page."""

TELLING = 5
"""Lines by which a place in a log is recognised."""

MOST_STREAMS, MOST_EACH = 500, 50
"""Open streams of a process, and of one person; browsers beyond that reload the page now and then
instead."""


ENDINGS = (ConnectionError, BridgeError)
"""Errors that end an open stream, on which no error page can be sent; browsers reconnect."""


@dataclass(frozen=True, slots=True)
class Log:
    """The log of a deployment as it was at one look.

    Attributes:
        text: its last lines; "" if it can't be read.
        ended: the state in which the deployment has ended; "" before.
    """

    text: str
    ended: str


class Live:
    """Serves the streams."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._changes = Looks(self._version, LOOK)
        self._logs: dict[str, Looks[Log]] = {}
        self._streams: dict[asyncio.Task[Any] | None, str] = {}
        self._turns = asyncio.Lock()
        self._closed = False
        self.parts = SharedParts(lambda: self._changes.found)

    async def _version(self) -> str:
        """Return a version that differs after every change, and after every delivery."""
        newest = await self._records.inbox.newest(1)
        arrived = "".join(f"{one.seq}.{one.state}" for one in newest)
        return f"{await self._records.journal.version()} {arrived}"

    async def changes(self, request: web.Request, visitor: Visitor) -> web.StreamResponse:
        """Send an event whenever something has changed."""
        if self._closed:
            return await _begun(request)
        async with self._counted(visitor), self._changes.watched():
            version = await self._changes.first()
            stream = await _begun(request)
            seen = request.headers.get("Last-Event-ID")
            if seen is not None and seen != version:
                await self._take_turn()
                await _send(stream, "changed", "", id_=version)
            with contextlib.suppress(*ENDINGS):
                while True:
                    if await self._changes.after(version, STILL_THERE) != version:
                        await self._take_turn()
                    if not await self._still_in(request):
                        break
                    if (newest := self._changes.found or version) == version:
                        await stream.write(b": still there\n\n")
                    else:
                        await _send(stream, "changed", "", id_=newest)
                    version = newest
            return stream

    async def _take_turn(self) -> None:
        """Wait until it is this browser's turn to be told."""
        apart = min(APART, SPREAD / max(1, self._changes.watching))
        async with self._turns:
            await asyncio.sleep(apart * self._changes.pause)

    async def log(self, request: web.Request, visitor: Visitor) -> web.StreamResponse:
        """Send a deployment's log as it grows; a browser that reconnects resumes where it was."""
        found, _ = await self._records.deployment(visitor, request.match_info["id"])
        if self._closed:
            return await _begun(request)
        async with self._counted(visitor):
            stream = await _begun(request)
            with contextlib.suppress(*ENDINGS):
                async with self._looked_at(found) as looks:
                    await self._follow(request, stream, looks)
            return stream

    @contextlib.asynccontextmanager
    async def _looked_at(self, deployment: Deployment) -> AsyncIterator[Looks[Log]]:
        """Share the looks at a deployment's log among all who watch it."""

        async def look() -> Log:
            now = await self._records.journal.deployment(deployment.id) or deployment
            text = await self._records.logs.tail(now, LINES)
            return Log(text, str(now.state) if now.final else "")

        new = Looks(look, LOG_LOOK, over=lambda log: bool(log.ended))
        looks = self._logs.setdefault(deployment.id, new)
        try:
            async with looks.watched():
                yield looks
        finally:
            if not looks.watching:
                self._logs.pop(deployment.id, None)

    @contextlib.asynccontextmanager
    async def _counted(self, visitor: Visitor) -> AsyncIterator[None]:
        """Count a stream; raise Unreachable if there are too many, in all or of this person."""
        whose = visitor.person.id
        theirs = sum(one == whose for one in self._streams.values())
        if len(self._streams) >= MOST_STREAMS or theirs >= MOST_EACH:
            most = MOST_EACH if theirs >= MOST_EACH else MOST_STREAMS
            why = f"{most} pages are open already; reload this one to see what is new"
            raise Unreachable("the console", why)
        task = asyncio.current_task()
        self._streams[task] = whose
        try:
            yield
        finally:
            self._streams.pop(task, None)

    async def close(self) -> None:
        """End all streams, and any other as soon as it begins: the server's stop waits for them.

        Browsers reconnect by themselves, as none was refused.
        """
        self._closed = True
        for task in list(self._streams):
            if task is not None:
                task.cancel()

    async def _follow(
        self, request: web.Request, stream: web.StreamResponse, looks: Looks[Log]
    ) -> None:
        known: Log | None = None
        shown, place = "", request.headers.get("Last-Event-ID", "").partition("@")[0]
        while await self._still_in(request):
            log = await looks.after(known, STILL_THERE)
            if log is None or log == known:
                await stream.write(b": still there\n\n")
                continue
            known = log
            if log.text and await self._still_in(request):
                at = self._records.clock() if shown else None
                await _send_news(stream, log.text, shown, place, at)
                shown = log.text
            if log.ended:
                await _send(stream, "end", log.ended, id_=place_of(lines_of(log.text)))
                return

    async def _still_in(self, request: web.Request) -> bool:
        return await visitor_with(self._records.journal, COOKIE.in_(request)) is not None


def place_of(lines: Sequence[str]) -> str:
    """Return a mark of the end of some lines, in a log whose beginning may be cut off."""
    return hashlib.sha256("\n".join(lines[-TELLING:]).encode()).hexdigest()[:16]


def lines_after(lines: Sequence[str], place: str | None) -> Sequence[str] | None:
    """Return the lines after a place; None if it is not there, or none is given."""
    if not place:
        return None
    ends = range(len(lines), 0, -1)
    return next((lines[end:] for end in ends if place_of(lines[:end]) == place), None)


async def _send_news(
    stream: web.StreamResponse, text: str, shown: str, place: str, at: float | None
) -> None:
    """Send the lines of a log that a browser has not shown yet.

    Args:
        shown: what this stream has sent; "" if that is nothing.
        place: where a browser that comes back was.
        at: when the new lines were printed; None if that is not known. It stands after the place.
    """
    came = "" if at is None else f"@{at:.0f}"
    lines = lines_of(text)
    fresh = news(f"{shown}\n", f"{text}\n") if shown else lines_after(lines, place)
    if fresh is None:
        await _send(stream, "reset", "", id_="")
        fresh = lines
    for nth in range(len(lines) - len(fresh), len(lines)):
        await _send(stream, "line", lines[nth], id_=f"{place_of(lines[: nth + 1])}{came}")


async def _begun(request: web.Request) -> web.StreamResponse:
    headers = {
        "Content-Type": "text/event-stream",
        "X-Accel-Buffering": "no",  # nginx would hold events back
    }
    stream = guard(web.StreamResponse(headers=headers))
    await stream.prepare(request)
    await stream.write(b"retry: 2000\n\n")
    return stream


async def _send(stream: web.StreamResponse, event: str, data: str, *, id_: str) -> None:
    lines = "".join(f"data: {line}\n" for line in data.split("\n"))
    await stream.write(f"id: {id_}\nevent: {event}\n{lines}\n".encode())
