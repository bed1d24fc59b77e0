"""Browsers that watch the console as `console.js` does: a stream, and a page after each event."""

import asyncio
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import aiohttp

from bridge.app.storage import open_stores
from bridge.console.visitors import COOKIE, Visitor, begin
from bridge.core.access import Person
from tests.bench.harness.servers import LOAD_CORE, Server
from tests.worlds.bridge import settings_for

PAUSE = 0.2
"""Seconds between an event and the page; see `static/console.js`."""

PART = {"Accept": "text/html", "Bridge-Part": "main"}
"""The headers with which `console.js` asks for what has changed."""


@dataclass
class Watched:
    """What the browsers have seen.

    Attributes:
        took: ms of each page.
        sizes: bytes of each page.
    """

    took: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)


def all_seen(those: Sequence[Watched]) -> dict[str, Any]:
    """Return what is worth a place in a row of the benchmark."""
    if not all(one.took for one in those):
        raise RuntimeError("nobody saw anything change")
    return {
        "pages": round(median(len(one.took) for one in those)),
        "page ms": round(median(ms for one in those for ms in one.took), 1),
        "page KB": round(max(size for one in those for size in one.sizes) / 1000, 1),
    }


def signed_in(server: Server, browsers: int) -> list[str]:
    """Sign in that many people, each with a browser; return their cookies."""

    async def begun() -> list[str]:
        assert server.data is not None
        async with open_stores(settings_for(server.data)) as stores:
            people = (Visitor(Person(f"github:{n}", f"ada-{n}"), "github") for n in range(browsers))
            return [await begin(stores.journal, one) for one in people]

    return [f"{COOKIE.name}={secret}" for secret in asyncio.run(begun())]


@contextmanager
def watching(server: Server, path: str, cookies: Sequence[str]) -> Iterator[Watched]:
    """Show a page in a browser for each cookie, from when all streams are open.

    Raises:
        RuntimeError: one of them has failed, which ends them all.
    """
    seen, started, ended = Watched(), threading.Event(), asyncio.Event()
    failed: list[Exception] = []
    loop = asyncio.new_event_loop()

    async def browse() -> None:
        waiting = asyncio.ensure_future(ended.wait())
        async with asyncio.TaskGroup() as group:
            opened = [asyncio.Event() for _ in cookies]
            url = f"http://127.0.0.1:{server.port}"
            tabs = [
                group.create_task(_tab(url, path, {"Cookie": cookie}, is_open, seen))
                for cookie, is_open in zip(cookies, opened, strict=True)
            ]
            for is_open in opened:
                await is_open.wait()
            started.set()
            await waiting
            for tab in tabs:
                tab.cancel()

    def run() -> None:
        os.sched_setaffinity(threading.get_native_id(), {LOAD_CORE})
        try:
            loop.run_until_complete(browse())
        except Exception as error:  # noqa: BLE001 - raised to whoever waits for them
            failed.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=run, name="browsers")
    thread.start()
    try:
        started.wait(60)
        if not failed:
            yield seen
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()
    if failed:
        raise RuntimeError("nobody watches any more") from failed[0]


async def _tab(
    url: str, path: str, headers: Mapping[str, str], is_open: asyncio.Event, seen: Watched
) -> None:
    async with aiohttp.ClientSession(url, headers=headers) as web:
        await _fetch(web, path, Watched())
        forever = aiohttp.ClientTimeout(total=None)
        async with web.get("/console/live", timeout=forever) as stream:
            stream.raise_for_status()
            is_open.set()
            async for line in stream.content:
                if line == b"event: changed\n":
                    await asyncio.sleep(PAUSE)
                    await _fetch(web, path, seen)
            raise RuntimeError("a stream has ended")


async def _fetch(web: aiohttp.ClientSession, path: str, seen: Watched) -> None:
    began = time.perf_counter()
    async with web.get(path, headers=PART) as answer:
        answer.raise_for_status()
        body = await answer.read()
    seen.took.append((time.perf_counter() - began) * 1000)
    seen.sizes.append(len(body))
