"""What moves: an event whenever something has changed, and a deployment's log as it grows.

Both are server-sent events. Any process may cause a change, so they look at the journal; all pages
that a process serves share one look.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from aiohttp import web

from bridge.console.drawing import guard
from bridge.console.records import Records
from bridge.console.visitors import Visitor, session_in, visitor_with
from bridge.core.errors import BridgeError, Unreachable
from bridge.core.lifecycle import Deployment
from bridge.core.log_text import lines_of, news

LOOK = 1.0
"""Seconds between looks at the journal, while somebody watches."""

LOG_LOOK = 1.0
"""Seconds between looks at a growing log."""

STILL_THERE = 15.0
"""Seconds after which an idle stream says that it is alive, and checks the session again."""

LINES = 2000
"""The most lines of a log on a page."""

TELLING = 5
"""Lines that tell a place in a log."""

MOST_STREAMS = 500
"""Streams of a process; further browsers fetch the page by themselves."""


ENDINGS = (ConnectionError, BridgeError)
"""What ends a stream that has begun, since nothing else can be sent on it: browsers come back."""


class Changes:
    """Tells all watchers of one process that something has changed."""

    def __init__(self, look: Callable[[], Awaitable[str]]) -> None:
        """Take what returns the journal's version: it differs after every change."""
        self._look = look
        self._changed = asyncio.Condition()
        self._version = ""
        self._watching = 0
        self._task: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Look at the journal as long as somebody watches."""
        self._watching += 1
        if self._task is None:
            self._version = await self._look()
            self._task = asyncio.create_task(self._run(), name="console changes")
        try:
            yield
        finally:
            self._watching -= 1
            if not self._watching and self._task is not None:
                task, self._task = self._task, None
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def after(self, version: str, seconds: float) -> str:
        """Return the version once it differs from `version`; the same after some seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: self._version != version)
        return self._version

    @property
    def version(self) -> str:
        """The newest version that was seen."""
        return self._version

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            try:
                found = await self._look()
            except BridgeError:  # the page says so; the next look may succeed
                continue
            if found != self._version:
                async with self._changed:
                    self._version = found
                    self._changed.notify_all()


class Live:
    """Serves the streams."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._changes = Changes(self._version)
        self._streams: set[asyncio.Task[Any] | None] = set()

    async def _version(self) -> str:
        """Return what differs after every change, and after what came in and concerned no app."""
        newest = await self._records.inbox.newest(1)
        arrived = "".join(f"{one.seq}.{one.state}" for one in newest)
        return f"{await self._records.journal.version()} {arrived}"

    async def changes(self, request: web.Request, _visitor: Visitor) -> web.StreamResponse:
        """Send an event whenever something has changed."""
        async with self._counted(), self._changes.watched():
            stream = await _begun(request)
            version = self._changes.version
            seen = request.headers.get("Last-Event-ID")
            if seen is not None and seen != version:
                await _send(stream, "changed", "", id_=version)
            with contextlib.suppress(*ENDINGS):
                while await self._still_in(request):
                    version = await self._tell(request, stream, version)
            return stream

    async def _tell(self, request: web.Request, stream: web.StreamResponse, version: str) -> str:
        """Send an event after the next change, or say that it is alive; return the version."""
        newer = await self._changes.after(version, STILL_THERE)
        if newer == version:
            await stream.write(b": still there\n\n")
        elif await self._still_in(request):
            await _send(stream, "changed", "", id_=newer)
        return newer

    async def log(self, request: web.Request, visitor: Visitor) -> web.StreamResponse:
        """Send a deployment's log as it grows; a browser that comes back goes on where it was."""
        found, _ = await self._records.deployment(visitor, request.match_info["id"])
        async with self._counted():
            stream = await _begun(request)
            with contextlib.suppress(*ENDINGS):
                await self._follow(request, stream, found, request.headers.get("Last-Event-ID"))
            return stream

    @contextlib.asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        """Count a stream; raise Unreachable if there are too many."""
        if len(self._streams) >= MOST_STREAMS:
            why = f"{MOST_STREAMS} pages are open already; reload this one to see what is new"
            raise Unreachable("the console", why)
        task = asyncio.current_task()
        self._streams.add(task)
        try:
            yield
        finally:
            self._streams.discard(task)

    async def close(self) -> None:
        """End all streams, so that nothing waits for them; browsers come back by themselves."""
        for task in list(self._streams):
            if task is not None:
                task.cancel()

    async def _follow(
        self,
        request: web.Request,
        stream: web.StreamResponse,
        found: Deployment,
        place: str | None,
    ) -> None:
        shown, begun, idle = "", False, 0.0
        while await self._still_in(request):
            now = await self._records.journal.deployment(found.id) or found
            text = await self._records.logs.tail(now, LINES)
            lines = lines_of(text)
            fresh = news(f"{shown}\n", f"{text}\n") if begun else lines_after(lines, place)
            if text and fresh is None:
                await _send(stream, "reset", "", id_="")
                fresh = lines
            if text:
                shown, begun = text, True
            for at in range(len(lines) - len(fresh or ()), len(lines)):
                await _send(stream, "line", lines[at], id_=place_of(lines[: at + 1]))
            if now.final:
                await _send(stream, "end", str(now.state), id_=place_of(lines))
                return
            idle = 0.0 if fresh else idle + LOG_LOOK
            if idle >= STILL_THERE:
                idle = 0.0
                await stream.write(b": still there\n\n")
            await asyncio.sleep(LOG_LOOK)

    async def _still_in(self, request: web.Request) -> bool:
        """Return whether the session of a stream is still valid."""
        return await visitor_with(self._records.journal, session_in(request)) is not None


def place_of(lines: Sequence[str]) -> str:
    """Return what identifies the end of some lines in a log whose beginning may be cut off."""
    return hashlib.sha256("\n".join(lines[-TELLING:]).encode()).hexdigest()[:16]


def lines_after(lines: Sequence[str], place: str | None) -> Sequence[str] | None:
    """Return the lines after a place; None if it is not there, or none is given."""
    if not place:
        return None
    ends = range(len(lines), 0, -1)
    return next((lines[end:] for end in ends if place_of(lines[:end]) == place), None)


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
