"""Heads that nobody finishes, bodies that nobody reads: no listener keeps much of them."""

import asyncio
import contextlib
import resource
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.test_utils import unused_port

from bridge.listening.arriving import MOST_OF_ONE
from tests.worlds.bridge import World
from tests.worlds.doors import MIB, head_of, read, signed
from tests.worlds.embedded import until
from tests.worlds.memory import resident
from tests.worlds.shell import Shell, event

LISTENERS = ("door", "sites", "api")

LITTLE, LITTLE_LEFT = 64 * MIB, 16 * MIB
IN_FLIGHT = 96 * MIB
"""Memory for bodies that have their turn: the default of `max_in_flight`."""

LARGE = "a large one"
LONG = b"".join(b"X-%d: %s\r\n" % (n, b"v" * 8000) for n in range(30))
SHORT = b"".join(b"a%d:\r\n" % n for n in range(120))
START = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
WAYS = {"": {}, ", by TE": {"TE": "trailers"}}
"""Headers that lead past the fast path; others that do are in `test_overload`."""

MOST_SENT = 200 * MIB


def webhook(length: int, sent: int, **more: str) -> bytes:
    """A webhook of some length whose signature is wrong, and as much of its body as is sent."""
    headers = signed() | {"Content-Length": str(length)} | more
    return head_of("POST /hooks/github", headers) + b"x" * sent


ATTACKS = {
    "long lines": START + LONG,
    "many lines": START + SHORT,
    "after a request": START + b"\r\n" + START + LONG,
    "a body that nobody reads": START + b"Content-Length: 240000\r\n\r\n" + b"x" * 240_000,
}
for name, more in WAYS.items():
    ATTACKS["a body ahead of its turn" + name] = webhook(20_000_000, 240_000, **more)
    ATTACKS["much ahead of its turn" + name] = webhook(20_000_000, 600_000, **more)
    ATTACKS[LARGE + name] = webhook(19_000_000, 19_000_000, **more)


def port_of(url: str | None) -> int:
    return int(str(url).rstrip("/").rpartition(":")[2])


def send(port: int, data: bytes, count: int) -> list[socket.socket]:
    """Send this on so many connections, as much of it as is taken; return them, still open."""
    made = []
    for _ in range(count):
        one = socket.create_connection(("127.0.0.1", port), timeout=5)
        made.append(one)
        with contextlib.suppress(OSError):  # it is refused before all of it was sent
            one.sendall(data)
    return made


@contextlib.asynccontextmanager
async def held(port: int, data: bytes, count: int) -> AsyncIterator[None]:
    """So many connections that have sent this."""
    made = await asyncio.to_thread(send, port, data, count)
    yield
    for one in made:
        one.close()


@pytest.mark.parametrize(("listener", "count"), [("door", 1020), ("api", 512)])
async def test_as_many_as_get_in_take_little_memory_and_give_it_back(
    tmp_path: Path, listener: str, count: int
) -> None:
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    sites = unused_port()
    process = await Shell(tmp_path, more={"BRIDGE_EMBEDDED_SITES_PORT": str(sites)}).start("serve")
    try:
        serving = await event(process, "serving")
        ports = {"door": port_of(serving["url"]), "api": port_of(serving["backend"])}
        port = ports.get(listener, sites)
        rest = resident(process.pid)
        for name, data in ATTACKS.items():
            several = min(count, files // 2, MOST_SENT // len(data))
            async with held(port, data, several):
                grown = resident(process.pid) - rest
            most = IN_FLIGHT if name.startswith(LARGE) else LITTLE
            assert grown <= most, f"{name}: {grown / MIB:.0f} MiB"
            await until(
                lambda: asyncio.sleep(0, resident(process.pid) - rest),
                lambda left: left <= LITTLE_LEFT,
            )
    finally:
        process.kill()
        await process.wait()


@pytest.mark.parametrize("listener", LISTENERS)
async def test_a_head_that_is_too_long_is_431(world: World, listener: str) -> None:
    bridge = world.bridge
    urls = {"door": bridge.url, "sites": bridge.sites_url, "api": bridge.backend_url}
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(urls[listener]))
    writer.write(START + LONG[: MOST_OF_ONE + 1])
    answer = await read(reader)
    writer.close()

    assert answer.status == 431
