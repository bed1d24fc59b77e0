"""A start that is cancelled or fails, and a stop, leave no file open."""

import asyncio
import contextlib
import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import event

from bridge.embedded.server import EmbeddedServer
from bridge.storage.inbox.sqlite import SqliteInbox
from tests.worlds.embedded import until
from tests.worlds.flows import Ledger, launch_on_sqlite

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="lists /proc/self/fd")


def open_files(folder: Path) -> list[str]:
    """The files in `folder` that this process has open."""
    files = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the descriptor of the listing itself
            files.append(str(descriptor.readlink()))
    return [file for file in files if file.startswith(str(folder))]


async def all_closed(folder: Path) -> None:
    """Wait until no file in `folder` is open: a thread of a cancelled start may still write one."""
    await until(lambda: asyncio.to_thread(open_files, folder), lambda files: files == [])


async def cancelled(start: asyncio.Task[None], steps: int) -> None:
    """Let a start take some steps, then cancel it and wait for its end."""
    for _ in range(steps):
        await asyncio.sleep(0)
    start.cancel()
    await asyncio.gather(start, return_exceptions=True)


async def test_an_inbox(tmp_path: Path) -> None:
    for steps in (1, 2, 3, 10, 100, 1000):
        inbox = SqliteInbox(tmp_path / "inbox.sqlite")

        await cancelled(asyncio.ensure_future(inbox.start()), steps)
        await inbox.stop()

        await all_closed(tmp_path)


async def test_the_embedded_backend(tmp_path: Path) -> None:
    for steps in (1, 2, 3, 10, 100, 1000):
        server = EmbeddedServer(tmp_path)

        await cancelled(asyncio.ensure_future(server.start()), steps)
        await server.stop()

        await all_closed(tmp_path)


async def test_flows_that_stop_while_a_thread_waits_for_the_database(tmp_path: Path) -> None:
    """The engine does not wait for its threads; each gives its connection back later."""
    ledger = Ledger()
    waits = threading.Event()

    def tell(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT"):
            waits.set()

    flows = await launch_on_sqlite(tmp_path, {"deploy": ledger.body})
    event.listen(flows._engine, "before_cursor_execute", tell)
    with contextlib.closing(sqlite3.connect(tmp_path / "workflows.sqlite")) as other:
        other.execute("BEGIN IMMEDIATE")
        starting = asyncio.ensure_future(flows.start("deploy", "1.web", key="web"))
        await asyncio.to_thread(waits.wait, 10)
        await flows.stop()
        other.rollback()
    await asyncio.gather(starting, return_exceptions=True)

    await all_closed(tmp_path)
