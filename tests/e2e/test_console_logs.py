"""The log of a deployment as it grows, for many browsers at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web as aiohttp_web

from bridge.console import live
from bridge.core.backoff import Backoff
from tests.chaos.recording_backend import RecordingBackend, push_payload, recording_backend
from tests.worlds.console import ConsoleWorld, console_world
from tests.worlds.embedded import until

WATCHING = 20


class Allowed:
    """Lets the backend answer as many requests for logs as the test allows."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._left = asyncio.Semaphore(0)
        answer = RecordingBackend.log

        async def held(backend: RecordingBackend, request: aiohttp_web.Request) -> Any:
            await self._left.acquire()
            return await answer(backend, request)

        monkeypatch.setattr(RecordingBackend, "log", held)

    def more(self, count: int = 1) -> None:
        """Let that many more requests be answered."""
        for _ in range(count):
            self._left.release()


class Stream:
    """A browser that watches a log."""

    def __init__(self, answer: httpx.Response) -> None:
        self._events = self._read(answer)

    async def next(self) -> tuple[str, str]:
        """Return the next event that is not a mere sign of life, with its data."""
        async with asyncio.timeout(20):
            return await anext(self._events)

    async def lines(self, count: int) -> list[str]:
        """Return the next lines."""
        found = [await self.next() for _ in range(count)]
        assert {event for event, _ in found} == {"line"}
        return [data for _, data in found]

    async def _read(self, answer: httpx.Response) -> AsyncIterator[tuple[str, str]]:
        event = ""
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            if name == "event":
                event = value
            elif name == "data":
                yield event, value


@asynccontextmanager
async def building(
    data: Path, backend: RecordingBackend
) -> AsyncIterator[tuple[ConsoleWorld, str, Any]]:
    """A bridge with a deployment that is built; yield the path of its log, and the build."""
    backend.may_end.clear()
    settings = {"BRIDGE_DOKPLOY_URL": backend.url, "BRIDGE_DOKPLOY_API_KEY": "a-key"}
    async with console_world(data, **settings) as console:
        world = console.world
        await until(world.stores.journal.apps, lambda apps: len(apps) == 1)
        await world.hook("github", push_payload("a" * 40, "b" * 40, {"app-0"}))
        (one,) = await until(world.deployments, lambda all_: [d for d in all_ if d.backend_id])
        (job,) = backend.jobs["app-0"]
        yield console, f"/console/deployments/{one.id}/log", job


async def looks() -> list[str]:
    """The looks that go on in this process."""
    return [one.get_name() for one in asyncio.all_tasks() if one.get_name() == "console look"]


async def test_all_who_watch_a_log_share_one_tail_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LOG_LOOK", Backoff(0.05, 0.05))
    allowed = Allowed(monkeypatch)
    async with (
        recording_backend(apps=1, build_seconds=0.05, listing_delay=0.0) as backend,
        building(tmp_path / "bridge", backend) as (console, path, job),
        console.browsing() as web,
        AsyncExitStack() as stack,
    ):

        async def watch() -> Stream:
            answer = await stack.enter_async_context(web.stream("GET", path))
            assert answer.status_code == 200
            return Stream(answer)

        job.log += ["step one", "step two"]
        streams = [await watch() for _ in range(WATCHING)]
        allowed.more()
        earlier = ["Cloning app-0", "step one", "step two"]
        for one in streams:
            assert await one.next() == ("reset", "")
            assert await one.lines(3) == earlier

        late = await watch()  # nothing more is asked of the backend for it
        assert await late.next() == ("reset", "")
        assert await late.lines(3) == earlier

        job.log.append("step three")
        allowed.more(2)  # one may have been asked before that line
        for one in (*streams, late):
            assert await one.lines(1) == ["step three"]

        assert await looks() == ["console look"]
        allowed.more(1000)
        backend.may_end.set()
        for one in (*streams, late):
            assert (await one.next())[0] == "end"
    assert await looks() == []


async def test_the_last_who_leaves_ends_the_tail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LOG_LOOK", Backoff(0.05, 0.05))
    async with (
        recording_backend(apps=1, build_seconds=0.05, listing_delay=0.0) as backend,
        building(tmp_path / "bridge", backend) as (console, path, job),
        console.browsing() as web,
    ):
        job.log.append("step one")
        async with web.stream("GET", path) as first:
            assert await Stream(first).next() == ("reset", "")
            async with web.stream("GET", path) as second:
                assert await Stream(second).next() == ("reset", "")
            job.log.append("step two")
            assert await looks() == ["console look"]
        await until(looks, lambda those: those == [])

        async with web.stream("GET", path) as again:
            assert (await Stream(again).next())[0] == "reset"
        backend.may_end.set()
