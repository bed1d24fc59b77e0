"""The HTTP listener alone, with an inbox behind it and plain sockets as clients."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bridge.githosts import HOSTS
from bridge.githosts.github.webhooks import GitHub
from bridge.githosts.gitlab.webhooks import GitLab
from bridge.pipeline.deciding.ingest import Ingest
from bridge.ports.githosts import GitHost
from bridge.storage.inbox.sqlite import SqliteInbox
from bridge.web.hooks import BodyLimits
from bridge.web.server import WebServer, routes
from tests.worlds.bridge import SECRET, TOKEN

BODY = b'{"ref": "refs/heads/main", "note": "what only the body knows"}'
MIB = 2**20


@dataclass(frozen=True)
class Answer:
    """The answer, and whether the server then closed the connection."""

    status: int
    headers: dict[str, str]
    body: bytes
    closed: bool = True

    @property
    def error(self) -> str:
        """Check the refusal's form; return its reason."""
        said = json.loads(self.body)
        assert set(said) == {"error"}, said
        assert b"\n" not in self.body
        assert self.headers["content-type"].startswith("application/json")
        assert self.headers.get("connection") == "close"
        assert "server" not in self.headers  # don't reveal which releases run here
        assert self.closed
        return str(said["error"])


@dataclass
class Door:
    """A listener, its inbox, and plain sockets as clients."""

    inbox: SqliteInbox
    server: WebServer

    @property
    def port(self) -> int:
        return int(self.server.url.rpartition(":")[2])

    async def knock(self, head: bytes, body: bytes = b"", *, after: float = 0.0) -> Answer:
        """Send exactly these bytes and read to the end; send the body `after` seconds later."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(head)
            if after:
                await asyncio.sleep(after)
            writer.write(body)
            await writer.drain()
            async with asyncio.timeout(10):
                return await read(reader)
        finally:
            writer.close()

    async def post(
        self, path: str, headers: dict[str, Any], body: bytes = BODY, *, method: str = "POST"
    ) -> Answer:
        lines = {"Content-Length": str(len(body))} | headers
        return await self.knock(head_of(f"{method} {path}", lines), body)

    async def kept(self) -> list[str]:
        return [found.id for found in await self.inbox.newest(100)]


async def read(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    status = int(first.split()[1])
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    closed = headers.get("connection") == "close" and await reader.read() == b""
    return Answer(status, headers, body, closed)


def head_of(request: str, headers: dict[str, Any]) -> bytes:
    """Return a request's head; None leaves a header out."""
    lines = [f"{request} HTTP/1.1", "Host: 127.0.0.1"]
    raw = "".join(f"{line}\r\n" for line in lines).encode()
    for name, value in headers.items():
        if value is not None:
            raw += name.encode() + b": " + (value if isinstance(value, bytes) else value.encode())
            raw += b"\r\n"
    return raw + b"\r\n"


def signed(body: bytes = BODY, *, id_: str = "delivery-1", **others: Any) -> dict[str, Any]:
    """Return GitHub's headers for a body, some replaced."""
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": id_,
        "X-Hub-Signature-256": f"sha256={signature}",
        "Content-Type": "application/json",
    }
    return headers | {name.replace("_", "-"): value for name, value in others.items()}


def with_token(**others: Any) -> dict[str, Any]:
    """Return GitLab's headers, some replaced."""
    headers = {
        "X-Gitlab-Event": "Push Hook",
        "X-Gitlab-Token": TOKEN,
        "Idempotency-Key": "delivery-1",
        "Content-Type": "application/json",
    }
    return headers | {name.replace("_", "-"): value for name, value in others.items()}


@asynccontextmanager
async def open_door(
    folder: Path, hosts: dict[str, GitHost] | None = None, **limits: Any
) -> AsyncIterator[Door]:
    """Open the listener with chosen limits and hosts."""
    both: dict[str, GitHost] = {"github": GitHub([SECRET]), "gitlab": GitLab([TOKEN])}
    inbox = SqliteInbox(folder / "inbox.sqlite")
    await inbox.start()
    served = both if hosts is None else hosts
    app = routes(Ingest(served, inbox, time.time), HOSTS, BodyLimits(**limits), {})
    server = WebServer(app, "127.0.0.1", 0)
    await server.start()
    try:
        yield Door(inbox, server)
    finally:
        await server.stop()
        await inbox.stop()


Opened = Callable[..., Awaitable[Door]]


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opened]:
    """Opens the listener with chosen limits and hosts."""
    async with AsyncExitStack() as stack:

        async def made(hosts: dict[str, GitHost] | None = None, **limits: Any) -> Door:
            return await stack.enter_async_context(open_door(tmp_path, hosts, **limits))

        yield made


@pytest.fixture
async def door(opened: Opened) -> Door:
    return await opened()


async def raw(url: str, data: bytes, *, hang_up: bool = False) -> bytes:
    """Send exactly these bytes; return everything until the server closes."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(data)
        await writer.drain()
        if hang_up:
            return b""
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()
