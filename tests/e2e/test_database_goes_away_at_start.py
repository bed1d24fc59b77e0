"""A Postgres that goes away while `serve` starts: it ends with one line, not with a traceback.

Or it waits for it: the workflow engine tries some of its queries until the database is back.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from bridge.listening.listener import close_all
from tests.worlds.bridge import SECRET
from tests.worlds.processes import PIPE, Running, start_bridge

WAITS = 10.0
"""Seconds after which one that neither ends nor serves is taken to wait for its database."""

CUTS = range(1, 201, 80)
"""Messages that the database answers before it is gone; after some 200 the workflow engine is
launched, and after some 250 the bridge serves."""


@dataclass
class Cut:
    """A way to a database that is cut after so many messages to it, for good."""

    upstream: tuple[str, int]
    left: int
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.left <= 0:
            writer.close()
            return
        there, answers = await asyncio.open_connection(*self.upstream)
        self.writers |= {writer, answers}
        await asyncio.gather(self._pass(reader, answers), self._pass_back(there, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await _read(reader):
            self.left -= 1
            if self.left <= 0:
                for one in self.writers:
                    one.transport.abort()
                return
            writer.write(data)
        writer.close()

    async def _pass_back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await _read(reader):
            writer.write(data)
        writer.close()


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(65536)
    except ConnectionError:
        return b""


@asynccontextmanager
async def cut_after(url: str, messages: int) -> AsyncIterator[str]:
    """The url of a database that is gone after so many messages to it."""
    parts = urlsplit(url)
    cut = Cut((parts.hostname or "", parts.port or 5432), messages)
    server = await asyncio.start_server(cut.connect, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    user = parts.netloc.rpartition("@")[0]
    try:
        yield urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{port}"))
    finally:
        await close_all([server])
        for writer in cut.writers:
            writer.transport.abort()


async def test_it_ends_with_one_line(postgres: str, tmp_path: Path) -> None:
    ended = 0
    for messages in CUTS:
        async with cut_after(postgres, messages) as url:
            ended += await _ends(url, tmp_path)
    assert ended > 0


async def _ends(url: str, folder: Path) -> bool:
    """Start it, and return whether it ends by itself; then it says why in one line."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}
    process = await start_bridge(
        *("serve", "--port", "0"),
        cwd=folder,
        env=kept
        | {
            "DATABASE_URL": url,
            "BRIDGE_DATA": str(folder),
            "BRIDGE_GITHUB_WEBHOOK_SECRETS": SECRET,
        },
        stdout=PIPE,
        stderr=PIPE,
    )
    said: list[str] = []
    try:
        async with asyncio.timeout(WAITS):
            serves = await _serves(process, said)
            if not serves:
                await process.wait()
    except TimeoutError:
        serves = True
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
    if serves:
        assert said == []
        return False
    assert process.returncode
    assert len(said) == 1, "".join(said)
    assert said[0].startswith("error: "), said
    return True


async def _serves(process: Running, said: list[str]) -> bool:
    """Return whether it serves, once it does or ends; `said` gets what is not of its log."""
    assert process.stderr is not None
    while line := (await process.stderr.readline()).decode():
        if '"event": "serving"' in line:
            return True
        said += [] if line.startswith("{") else [line]
    return False
