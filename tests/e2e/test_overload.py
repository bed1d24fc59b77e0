"""More than it can take: memory stays bounded, the good get in, a refusal costs no disk."""

import asyncio
import contextlib
import gc
import logging
import random
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

import pytest
from aiohttp import StreamReader as AiohttpReader

from bridge.core.hooks import scope_named, signed_by
from bridge.githosts.github.webhooks import GitHub
from bridge.listening.listener import _Handler
from bridge.pipeline.deciding.ingest import Key, Keyring
from bridge.ports.githosts import GitHost
from tests.worlds.doors import BODY, MIB, Door, Opened, head_of, read, signed
from tests.worlds.embedded import until
from tests.worlds.quota import Quota

Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def connected(door: Door, *firsts: bytes) -> AsyncIterator[list[Wire]]:
    """Connections that have each sent something."""
    wires = [await asyncio.open_connection("127.0.0.1", door.port) for _ in firsts]
    for (_, writer), first in zip(wires, firsts, strict=True):
        writer.write(first)
    yield wires
    for _, writer in wires:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


def begun(length: int, **others: Any) -> bytes:
    """The head of a webhook of some length, whose body does not come."""
    return head_of("POST /hooks/github", signed(**others) | {"Content-Length": str(length)})


# ── memory ───────────────────────────────────────────────────────────────────


@pytest.mark.journey
async def test_a_place_in_the_queue_of_who_hangs_up_goes_to_the_next(opened: Opened) -> None:
    door = await opened(max_in_flight=4 * MIB, patience=8)
    body = b"x" * (2 * MIB)
    async with connected(door, begun(2 * MIB)) as ((_, first),):
        async with connected(door, *[begun(2 * MIB)] * 3):
            await asyncio.sleep(0.05)
        sent = asyncio.create_task(
            door.post("/hooks/github", signed(body) | {"Connection": "close"}, body)
        )
        await asyncio.sleep(0.05)
        first.close()

        assert (await sent).status == 202


@pytest.mark.journey
@pytest.mark.parametrize(
    "first", [b"", b"POST /hooks/github HTTP/1.1\r\nX-A: ", b"GET / HTTP/1.1\r\n"]
)
async def test_who_only_holds_connections_keeps_nobody_out(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, first: bytes
) -> None:
    monkeypatch.setattr("bridge.web.server.most_connections", lambda: 30)
    door = await opened()
    async with connected(door, *[first] * 100):
        answers = [await door.post("/hooks/github", signed(id_=str(n))) for n in range(20)]

        assert [answer.status for answer in answers] == [202] * 20
        assert door.server._door is not None
        assert len(door.server._door.connections) <= 30
        aiohttp: Any = door.server._door.aiohttp
        assert len(aiohttp.connections) <= 15


@pytest.mark.journey
@pytest.mark.parametrize("way", [{}, {"TE": "trailers"}], ids=["quick", "aiohttp"])
async def test_small_bodies_that_do_not_come_keep_nobody_out(
    opened: Opened, way: dict[str, Any]
) -> None:
    """Announcing is free, so it takes no room from those who send."""
    door = await opened(max_in_flight=4 * MIB, patience=1)
    async with connected(door, *[begun(MIB // 4, **way)] * 50):
        answers = [await door.post("/hooks/github", signed(id_=str(n), **way)) for n in range(5)]

    assert [answer.status for answer in answers] == [202] * 5


PLAIN = signed() | {"Content-Length": str(2 * MIB)}
PAST = {
    "quick": head_of("POST /hooks/github", PLAIN),
    "TE": head_of("POST /hooks/github", PLAIN | {"TE": "trailers"}),
    "Expect": head_of("POST /hooks/github", PLAIN | {"Expect": "100-continue"}),
    "Upgrade": head_of(
        "POST /hooks/github", PLAIN | {"Connection": "Upgrade", "Upgrade": "websocket"}
    ),
    "a long head": head_of("POST /hooks/github", PLAIN | {"X-A": "b" * 8000}),
    "many lines": head_of("POST /hooks/github", PLAIN | {f"X-{n}": "a" for n in range(110)}),
    "an escape": head_of("POST /hooks/g%69thub", PLAIN),
    "HTTP/1.0": head_of("POST /hooks/github", PLAIN).replace(b"HTTP/1.1", b"HTTP/1.0", 1),
    "another route": head_of("POST /nowhere", PLAIN),
    "chunks": head_of("POST /hooks/github", PLAIN | {
        "Content-Length": None, "Transfer-Encoding": "chunked"
    }) + b"100000\r\n",
}  # fmt: skip
"""Heads of webhooks that the fast path reads, and of each kind that it leaves to aiohttp."""


def in_streams() -> int:
    """Bytes of bodies that aiohttp holds for listeners of ours, and nobody has read."""
    streams = (one for one in gc.get_objects() if type(one) is AiohttpReader)
    ours = (one for one in streams if isinstance(one._protocol, _Handler))
    return sum(sum(map(len, one._buffer)) for one in ours)


@pytest.mark.parametrize("form", PAST)
async def test_in_whatever_form_bodies_come_what_waits_of_them_is_bounded(
    opened: Opened, form: str
) -> None:
    door = await opened(max_in_flight=4 * MIB, timeout=60, patience=60)
    async with most_give_way(door, PAST[form] + b"x" * 200_000):
        await until(lambda: asyncio.sleep(0, in_streams()), lambda held: held <= MIB)

        assert (await door.post("/hooks/github", signed())).status == 202


@pytest.mark.parametrize("way", [{}, {"TE": "trailers"}], ids=["quick", "aiohttp"])
async def test_whole_small_bodies_that_wait_for_memory_are_bounded(
    opened: Opened, way: dict[str, Any]
) -> None:
    door = await opened(max_in_flight=4 * MIB, patience=60)
    assert door.server._hooks._small.take(MIB)  # for others, whose disk is slow
    async with most_give_way(door, begun(30_000, **way) + b"x" * 30_000, of=40):
        pass


@asynccontextmanager
async def most_give_way(door: Door, sent: bytes, *, of: int = 20) -> AsyncIterator[None]:
    """Connections that have sent this; fifteen were told to come later, or are closed."""
    async with connected(door, *[sent] * of) as wires:
        ends = [asyncio.create_task(reader.read()) for reader, _ in wires]
        await until(
            lambda: asyncio.sleep(0, [one for one in ends if one.done()]),
            lambda done: len(done) >= 15,
        )
        yield
    await asyncio.gather(*ends, return_exceptions=True)


def keyring() -> Keyring:
    """Two secrets for every repository of two owners."""
    scopes = {name: scope_named(f"{name}/*") for name in ("a", "b")}
    keys = [Key(GitHub([name * 8]), one, signed_by(one, name)) for name, one in scopes.items()]
    return Keyring("github", GitHub(["any"]), keys, lambda _headers: "", lambda one: one)


RINGS: dict[str, Callable[[], dict[str, GitHost] | None]] = {
    "one secret": lambda: None,
    "several secrets": lambda: {"github": keyring()},
}


@pytest.mark.parametrize(
    ("way", "secrets"), [({"TE": "trailers"}, "one secret"), ({}, "several secrets")]
)
async def test_nothing_of_a_body_that_was_refused_stays_until_a_garbage_collection(
    opened: Opened, way: dict[str, Any], secrets: str
) -> None:
    """An idle process makes none."""
    door = await opened(RINGS[secrets](), max_in_flight=4 * MIB, timeout=0.2)
    wrong = signed(X_Hub_Signature_256="sha256=" + "0" * 64, **way)
    with no_collection() as left:
        for size in (MIB, MIB // 5):
            body = b"x" * size
            assert (await door.post("/hooks/github", wrong, body)).status == 401
        for cut in (MIB // 2, 100_000):
            async with connected(door, begun(MIB, **way) + b"x" * cut):
                await asyncio.sleep(0)  # it goes away at once
            async with connected(door, begun(MIB, **way) + b"x" * cut) as ((reader, _),):
                assert (await read(reader)).status == 408
        await until(lambda: asyncio.sleep(0, in_streams()), lambda held: not held)

    assert left == []


@contextlib.contextmanager
def no_collection() -> Iterator[list[str]]:
    """Collect no garbage meanwhile; then name the frames in it that hold much."""
    left: list[str] = []
    gc.collect()
    gc.disable()
    try:
        yield left
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        frames = (one for one in gc.garbage if isinstance(one, FrameType))
        large = (one for one in frames if any(map(_is_large, one.f_locals.values())))
        left += [one.f_code.co_qualname for one in large]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def _is_large(value: object) -> bool:
    return isinstance(value, bytes | bytearray) and len(value) > 50_000


async def test_who_only_holds_connections_keeps_nobody_from_what_aiohttp_serves(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slack comes that way, and who looks whether the bridge is alive."""
    first = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    monkeypatch.setattr("bridge.web.server.most_connections", lambda: 30)
    door = await opened()
    async with connected(door, *[first] * 100):
        health = head_of("GET /healthz", {"Connection": "close"})
        answers = [await door.knock(health) for _ in range(20)]
        assert door.server._door is not None
        aiohttp: Any = door.server._door.aiohttp
        both = len(door.server._door.connections) + len(aiohttp.connections)

    assert [answer.status for answer in answers] == [200] * 20
    assert both <= 30


async def test_who_asks_on_and_never_reads_the_answers_is_cut_off(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.listening.listener.KEEPALIVE_SECONDS", 0.5)
    door = await opened()
    with socket.create_connection(("127.0.0.1", door.port)) as asks:
        asks.setblocking(False)
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(_asks_without_end(asks), 20)


async def _asks_without_end(asks: socket.socket) -> None:
    while True:
        many = head_of("GET /healthz", {}) * 99
        await asyncio.get_running_loop().sock_sendall(asks, many)


@pytest.mark.journey
async def test_of_those_that_have_to_go_the_longest_silent_is_the_first(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.web.server.most_connections", lambda: 3)
    door = await opened()
    async with connected(door, b"", b"", b"") as wires:
        reader, writer = wires[0]
        writer.write(
            head_of("POST /hooks/github", signed() | {"Content-Length": str(len(BODY))}) + BODY
        )
        assert (await read(reader)).status == 202
        async with connected(door, b""):
            assert await wires[1][0].read() == b""
            writer.write(
                head_of("POST /hooks/github", signed() | {"Content-Length": str(len(BODY))}) + BODY
            )
            assert (await read(reader)).status == 200


@pytest.mark.parametrize("way", [{}, {"TE": "trailers"}], ids=["quick", "aiohttp"])
async def test_who_sends_ahead_without_end_has_to_wait(door: Door, way: dict[str, Any]) -> None:
    """Of what is sent before the answers are read, little is taken into memory."""
    many = 3000
    requests = b"".join(
        head_of(
            "POST /hooks/github", signed(id_=str(n), **way) | {"Content-Length": str(len(BODY))}
        )
        + BODY
        for n in range(many)
    )
    most = 0
    async with connected(door, requests) as ((reader, _),):
        for _ in range(many):
            answer = await read(reader)
            assert answer.status == 202
            most = max(most, ahead_of(door))

    assert len(requests) > 3 * MIB // 4
    assert most < MIB // 2
    assert len(await door.inbox.newest(many + 1)) == many


def ahead_of(door: Door) -> int:
    """Bytes that have come before their turn."""
    assert door.server._door is not None
    quick: Any = door.server._door.connections
    aiohttp: Any = door.server._door.aiohttp
    handlers = aiohttp.connections
    assert all(len(one._messages) <= 10 for one in handlers)
    return sum(len(one._ahead) for one in quick) + sum(int(one._held) for one in handlers)


# ── slow ─────────────────────────────────────────────────────────────────────


@pytest.mark.journey
@pytest.mark.parametrize("line", [b"POST /hooks/github HTTP/1.1", b"GET / HTTP/1.1"])
async def test_headers_that_trickle_in_are_cut_off(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, line: bytes
) -> None:
    monkeypatch.setattr("bridge.listening.listener.KEEPALIVE_SECONDS", 0.3)
    door = await opened()
    async with connected(door, line + b"\r\nX-A: b") as ((reader, writer),):
        before = time.monotonic()
        ended = asyncio.create_task(reader.read())
        while not ended.done() and time.monotonic() - before < 5:
            writer.write(b"x")
            await asyncio.sleep(0.02)

        assert ended.done()
        assert isinstance(ended.exception(), ConnectionError) or ended.result() == b""
    assert time.monotonic() - before < 5


# ── floods ───────────────────────────────────────────────────────────────────


@pytest.mark.journey
async def test_wrong_signatures_cost_no_disk_and_keep_nobody_out(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert (await door.post("/hooks/github", signed(id_="before"))).status == 202
    # What SQLite shares between processes, `-shm`, is memory and no disk.
    files = [door.inbox._path, door.inbox._path.with_name("inbox.sqlite-wal")]
    before = [file.read_bytes() for file in files]
    wrong = signed() | {"X-Hub-Signature-256": "sha256=" + "0" * 64}

    async def flood() -> list[int]:
        return [(await door.post("/hooks/github", wrong)).status for _ in range(60)]

    floods = [asyncio.create_task(flood()) for _ in range(5)]
    took = []
    for n in range(20):
        began = time.monotonic()
        known = await door.post("/hooks/github", signed(id_="before"))
        assert known.status == 200, n
        took.append(time.monotonic() - began)

    statuses = [status for one in await asyncio.gather(*floods) for status in one]
    assert statuses == [401] * 300
    assert sorted(took)[10] < 2
    assert [file.read_bytes() for file in files] == before
    refused = [one for one in caplog.records if one.message == "webhook refused"]
    assert 50 <= len(refused) < 100
    assert (await door.post("/hooks/github", signed(id_="after"))).status == 202


# ── the disk ─────────────────────────────────────────────────────────────────


@pytest.mark.journey
async def test_on_a_full_disk_nothing_is_acknowledged_that_is_not_kept(
    opened: Opened, quota: Quota
) -> None:
    door = await opened()
    chance = random.Random(7)
    quota(480)

    async def send(n: int) -> tuple[str, int]:
        body = chance.randbytes(20_000)
        answer = await door.post("/hooks/github", signed(body, id_=str(n)), body)
        return str(n), answer.status

    answers: list[tuple[str, int]] = []
    for begin in range(0, 40, 8):
        answers += await asyncio.gather(*(send(begin + n) for n in range(8)))
    kept = set(await door.kept())
    acknowledged = {id_ for id_, status in answers if status == 202}

    assert kept == acknowledged
    assert {status for _, status in answers} == {202, 503}
    quota(None)
    assert await until(lambda: send(100), lambda one: one[1] == 202)
