"""The client against a server and a network that fail, over real HTTP.

Whatever happens to a mutation, it is sent exactly once, and the error says whether it
may have arrived.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from bridge.backends.dokploy.answers import NotDokploy
from bridge.backends.dokploy.client import Dokploy
from bridge.core.apps import App
from bridge.core.errors import BridgeError, Refused, Unanswered, Unreachable

APP = App("app_1", "web", "shop")
Behaviour = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Wire:
    """A server below HTTP: reads one request, then does what the test wants."""

    def __init__(self) -> None:
        self.behave: Behaviour = answers(b"")
        self.requests: list[bytes] = []
        self.arrived = asyncio.Event()
        self.writers: list[asyncio.StreamWriter] = []

    @property
    def with_key(self) -> list[bytes]:
        """The requests that hold our key, so not those of how the database is."""
        return [request for request in self.requests if b"x-api-key" in request]

    async def stop(self, server: asyncio.Server) -> None:
        """Hang up on whoever is left: from Python 3.12 on a server waits for them."""
        server.close()
        for writer in self.writers:
            writer.transport.abort()
        await server.wait_closed()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    head += await reader.readexactly(int(line.partition(b":")[2]))
            self.requests.append(head)
            self.arrived.set()
            await self.behave(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # a client that hangs up is part of the game
        finally:
            writer.close()


def answers(
    body: bytes, status: str = "200 OK", *headers: str, length: int | None = None
) -> Behaviour:
    """Answer; `length` claims another size than the body has."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        lines = [
            f"HTTP/1.1 {status}",
            "Content-Type: application/json",
            f"Content-Length: {len(body) if length is None else length}",
            "Connection: close",
            *headers,
        ]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()

    return behave


async def resets(writer: asyncio.StreamWriter) -> None:
    """Close with RST, as a server does that was killed."""
    wire = writer.get_extra_info("socket")
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


async def hangs_up(writer: asyncio.StreamWriter) -> None:
    """Close without a word."""
    writer.close()


async def says_nothing(writer: asyncio.StreamWriter) -> None:
    """Keep the connection, answer nothing, until the client has had enough."""
    while not writer.is_closing():
        writer.write(b"")
        await asyncio.sleep(0.02)


async def drips(writer: asyncio.StreamWriter) -> None:
    """Answer a byte now and then, so that no single read ever times out."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


async def floods(writer: asyncio.StreamWriter) -> None:
    """Answer without an end."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[")
    while not writer.is_closing():
        writer.write(b" " * 65536)
        await writer.drain()


async def talks_nonsense(writer: asyncio.StreamWriter) -> None:
    """Speak no HTTP."""
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
    await writer.drain()


@pytest.fixture
async def wire() -> Wire:
    return Wire()


@pytest.fixture
async def dokploy(wire: Wire) -> AsyncIterator[Dokploy]:
    server = await asyncio.start_server(wire.handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = Dokploy(
        f"http://127.0.0.1:{port}",
        "any-key",
        connect_timeout=2,
        read_timeout=0.2,
        total_timeout=0.5,
        read_retries=2,
        max_answer_bytes=100_000,
        pause=at_once,
    )
    yield client
    await client.close()
    await wire.stop(server)


async def at_once(seconds: float) -> None:
    """No pause between retries."""


def ask(client: Dokploy) -> Awaitable[None]:
    return client.deploy(APP, title="t", description="d")


FAULTS: dict[str, tuple[Behaviour, type[BridgeError], type[BridgeError]]] = {
    # behaviour, error of a mutation, error of a read
    "reset after send": (resets, Unanswered, Unreachable),
    "hang-up after send": (hangs_up, Unanswered, Unreachable),
    "time-out": (says_nothing, Unanswered, Unreachable),
    "an answer that never ends": (drips, Unanswered, Unreachable),
    "an oversized answer": (floods, Unanswered, Unreachable),
    "no HTTP": (talks_nonsense, Unanswered, Unreachable),
    "truncated JSON": (answers(b'{"success":tr'), Unanswered, Unreachable),
    "a cut body": (answers(b'{"succ', length=16), Unanswered, Unreachable),
    "a broken gzip": (
        answers(b"not gzip", "200 OK", "Content-Encoding: gzip"),
        Unanswered,
        Unreachable,
    ),
    "a page": (answers(b"<html>Log in</html>"), Unanswered, NotDokploy),
    "500": (answers(b"", "500 Internal Server Error"), Unanswered, Unreachable),
    "502": (answers(b"<html>Bad Gateway</html>", "502 Bad Gateway"), Unanswered, Unreachable),
    "503": (answers(b"", "503 Service Unavailable"), Unanswered, Unreachable),
    "503 with Retry-After": (
        answers(b"", "503 Service Unavailable", "Retry-After: 5"),
        Unreachable,
        Unreachable,
    ),
    "429": (answers(b"", "429 Too Many Requests"), Unreachable, Unreachable),
    "429 with Retry-After": (
        answers(b"", "429 Too Many Requests", "Retry-After: 5"),
        Unreachable,
        Unreachable,
    ),
    "a redirect": (
        answers(b"", "302 Found", "Location: http://127.0.0.1:1/elsewhere"),
        Refused,
        Refused,
    ),
    "a redirect to nowhere": (
        answers(b"", "302 Found", "Location: http://[::1/elsewhere"),
        Refused,
        Refused,
    ),
    "a proxy's 404": (answers(b"404 page not found\n", "404 Not Found"), NotDokploy, NotDokploy),
    "another API's 404": (answers(b'{"detail":"x"}', "404 Not Found"), NotDokploy, NotDokploy),
}


async def test_a_read_that_was_slow_to_fail_is_not_tried_again(wire: Wire) -> None:
    now = iter(range(0, 1000, 6))
    server = await asyncio.start_server(wire.handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    wire.behave = answers(b"", "500 Internal Server Error")
    client = Dokploy(f"http://127.0.0.1:{port}", "any-key", clock=lambda: next(now), pause=at_once)

    with pytest.raises(Unreachable):
        await client.apps()

    assert len(wire.with_key) == 1
    await client.close()
    await wire.stop(server)


@pytest.mark.parametrize("name", FAULTS)
async def test_a_mutation_is_sent_once_and_its_error_says_whether_it_may_have_arrived(
    dokploy: Dokploy, wire: Wire, name: str
) -> None:
    """A read is sent again where that may help, and never unanswered."""
    wire.behave, unclear, failed = FAULTS[name]

    with pytest.raises(BridgeError) as caught:
        await ask(dokploy)

    assert type(caught.value) is unclear
    assert len(wire.requests) == 1
    assert b"POST /api/application.deploy HTTP/1.1" in wire.requests[0]
    wait = getattr(caught.value, "retry_after", None)
    assert wait == 5 or "Retry-After" not in name

    wire.requests.clear()
    with pytest.raises(BridgeError) as caught:
        await dokploy.deployments(APP)

    assert type(caught.value) is failed
    had_its_time = name in ("time-out", "an answer that never ends")
    patient = failed is Refused or getattr(caught.value, "retry_after", None) is not None
    assert len(wire.with_key) == (1 if patient or had_its_time else 3)


async def test_without_a_connection_nothing_was_asked() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        closed_port = listener.getsockname()[1]
    client = Dokploy(f"http://127.0.0.1:{closed_port}", "any-key", pause=at_once)

    for asked in (ask(client), client.apps()):
        with pytest.raises(Unreachable, match=r"nothing listens at its .* \(connection refused\)"):
            await asked
    assert not await client.healthy()
    await client.close()


async def test_a_connection_that_does_not_open_in_time_was_not_used() -> None:
    with socket.socket() as full:
        # A full backlog: the kernel leaves further connections unanswered.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        with socket.socket() as first, socket.socket() as second:
            for filler in (first, second):
                filler.setblocking(False)
                filler.connect_ex(address)
            client = Dokploy(f"http://127.0.0.1:{address[1]}", "any-key", connect_timeout=0.2)
            with pytest.raises((Unreachable, Unanswered)) as caught:
                await asyncio.wait_for(ask(client), 5)
            await client.close()
    assert isinstance(caught.value, Unreachable)


async def test_a_request_that_waits_for_a_free_connection_was_not_sent(wire: Wire) -> None:
    server = await asyncio.start_server(wire.handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    wire.behave = says_nothing
    client = Dokploy(
        f"http://127.0.0.1:{port}",
        "any-key",
        connect_timeout=0.1,
        read_timeout=1,
        max_connections=1,
        read_retries=0,
    )
    first = asyncio.create_task(client.deployments(APP))
    await asyncio.wait_for(wire.arrived.wait(), 5)

    with pytest.raises(Unreachable, match="all connections to it were busy"):
        await ask(client)
    with pytest.raises(Unreachable, match="did not answer in time"):
        await first

    assert len(wire.with_key) == 1
    await client.close()
    await wire.stop(server)
