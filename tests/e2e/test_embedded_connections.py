"""Connections to the embedded backend that only take a place: bounded, closed, and told of."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.worlds.bridge import running_world
from tests.worlds.embedded import Repository, running_server, until

MOST = 32
LISTENERS = ("sites", "api")
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="it counts files")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that a test can reach."""
    listeners = "bridge.embedded.server"
    monkeypatch.setattr(f"{listeners}.share_of_files", lambda _part, _most: MOST)


@contextlib.asynccontextmanager
async def opened(url: str, count: int, address: str = "127.0.0.1") -> AsyncIterator[list[Streams]]:
    """So many connections from an address of this machine, on which nothing is sent."""
    host, port = url.removeprefix("http://").split(":")
    made: list[Streams] = []
    try:
        for _ in range(count):
            local = (address, 0)
            made.append(await asyncio.open_connection(host, int(port), local_addr=local))
        yield made
    finally:
        for _, writer in made:
            writer.close()


def files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def alive(connections: list[Streams]) -> int:
    """How many of them the server has not closed."""
    await asyncio.sleep(0)
    return sum(not reader.at_eof() and reader.exception() is None for reader, _ in connections)


async def answer_of(streams: Streams, head: str) -> bytes:
    reader, writer = streams
    writer.write(f"{head} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    async with asyncio.timeout(5):
        return await reader.read()


@pytest.mark.parametrize("listener", LISTENERS)
async def test_idle_connections_take_neither_files_nor_the_webhook_door(
    tmp_path: Path,
    listener: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("bridge.listening.connections.SAID_EVERY", 2.0)
    async with running_world(tmp_path / "bridge") as world:
        url = world.bridge.sites_url if listener == "sites" else world.bridge.backend_url
        assert url is not None
        before = files()
        count = 400
        async with opened(url, count) as connections:
            # Ours are files of this process as well.
            await until(lambda: asyncio.sleep(0, files()), lambda now: now <= before + count + MOST)
            began = time.monotonic()
            answer = await world.hook("github", {"zen": "still here", "hook_id": 1})
            took = time.monotonic() - began
            left = await until(lambda: alive(connections), lambda many: many <= MOST)
            async with opened(url, 1, "127.0.0.2") as ((mine),):
                served = await answer_of(mine, "GET /api/health")

    assert (answer.status_code, left) == (202, MOST // 2)
    assert took < 1
    assert served.startswith(b"HTTP/1.1 ")
    told = [one for one in caplog.records if one.getMessage().startswith("too many connections")]
    assert 1 <= len(told) <= 4
    assert told[0].__dict__["closed"] == 1
    # The bridge has a connection to its backend of its own, which may have been idle, too.
    ours = 2 if listener == "api" else 0
    closed = sum(one.__dict__["closed"] for one in told)
    assert 0 <= closed - (count - MOST // 2) <= ours
    assert told[0].__dict__["client"] == "127.0.0.1"
    assert told[0].__dict__["limit"] == MOST // 2


@pytest.mark.parametrize("listener", LISTENERS)
async def test_one_client_keeps_no_other_out(tmp_path: Path, listener: str) -> None:
    async with running_server(tmp_path / "data") as client:
        url = client.server.sites_url if listener == "sites" else client.server.url
        async with opened(url, 3, "127.0.0.2") as mine, opened(url, 200, "127.0.0.3") as theirs:
            await until(lambda: alive(theirs), lambda many: many == MOST // 2)

            assert await alive(mine) == 3
            for one in mine:
                assert (await answer_of(one, "GET /api/health")).startswith(b"HTTP/1.1 ")


async def test_a_page_that_nobody_reads_is_closed_with_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("bridge.embedded.building.sites.READ_SECONDS", 0.3)
    monkeypatch.setattr("bridge.embedded.building.sites.SLOWEST", 10**12)
    repository = Repository.make(tmp_path / "repository", {"large.txt": "0" * 30_000_000})
    async with running_server(tmp_path / "data") as client:
        app = await client.app("web", repository.url)
        await client.deployed(app["applicationId"])
        path = client.site(app, "large.txt").removeprefix(client.server.sites_url)
        async with opened(client.server.sites_url, 5) as connections:
            for _, writer in connections:
                assert isinstance(writer.transport, asyncio.Transport)
                writer.transport.pause_reading()
                writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            await until(
                lambda: asyncio.sleep(0, caplog.text), lambda log: "page was read too slowly" in log
            )
            await until(lambda: asyncio.sleep(0, pages(tmp_path)), lambda many: many == 0)

        monkeypatch.setattr("bridge.embedded.building.sites.READ_SECONDS", 30.0)
        assert (await client.page(app, "large.txt")).status_code == 200
    assert not [one for one in caplog.records if one.exc_info]


def pages(below: Path) -> int:
    """How many files of sites are open."""
    found = 0
    for one in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found += one.readlink().is_relative_to(below) and one.readlink().name == "large.txt"
    return found
