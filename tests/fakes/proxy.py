"""A proxy that takes every name for this machine, and keeps what it was asked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bridge.listening.listener import close_all


@dataclass
class Proxy:
    """What it was asked: a method and a place, e.g. ("CONNECT", "git.test:443")."""

    url: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on, by CONNECT or with its first request."""
        there: asyncio.StreamWriter | None = None
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.decode().split(" ", 2)
            place = urlsplit(f"//{target}" if method == "CONNECT" else target)
            self.asked.append((method, place.netloc))
            back, there = await asyncio.open_connection("127.0.0.1", place.port)
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            else:
                there.write(head)
            await asyncio.gather(_pass_on(reader, there), _pass_on(back, writer))
        except (OSError, asyncio.IncompleteReadError):
            pass  # one side has gone
        finally:
            for one in filter(None, (writer, there)):
                one.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while some := await reader.read(2**16):
            writer.write(some)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def running_proxy() -> AsyncIterator[Proxy]:
    proxy = Proxy()
    listener = await asyncio.start_server(proxy.take, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        await close_all([listener])
