"""The inbox on SQLite: full disks, spoilt files, and other processes that write."""

import asyncio
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bridge.core.errors import Rejected, Unreachable
from bridge.ports.inbox import DeliveryState
from bridge.storage.inbox import sqlite_file
from bridge.storage.inbox.sqlite import SqliteInbox
from tests.fakes.journey import delivery
from tests.worlds.inbox import due_ids, finished, open_sqlite
from tests.worlds.quota import Quota


def noise(size: int, seed: int = 7) -> bytes:
    """Bytes that no compression makes smaller."""
    return random.Random(seed).randbytes(size)


async def test_a_full_disk_refuses_keeps_nothing_and_works_again_afterwards(
    quota: Quota, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    inbox = await open_sqlite(tmp_path)
    await inbox.keep(delivery("before"))
    quota(256)

    answers = await asyncio.gather(
        *(inbox.keep(delivery(f"id-{n}", body=noise(40_000, n + 3))) for n in range(8)),
        return_exceptions=True,
    )

    refused = [n for n, answer in enumerate(answers) if isinstance(answer, Unreachable)]
    assert refused
    assert not any(isinstance(a, Exception) and not isinstance(a, Unreachable) for a in answers)
    for number in refused:
        assert await inbox.find("github", f"id-{number}") is None
    kept = ["before", *(f"id-{n}" for n in range(8) if n not in refused)]
    assert await due_ids(inbox) == kept
    assert "full" in str(answers[refused[0]])

    quota(None)
    again = await inbox.keep(delivery(f"id-{refused[0]}", body=noise(40_000)))
    await inbox.stop()
    reopened = await open_sqlite(tmp_path)

    assert not again.duplicate
    assert await due_ids(reopened) == [*kept, f"id-{refused[0]}"]
    await reopened.stop()


async def test_a_file_that_is_gone_bad_is_unreachable(tmp_path: Path) -> None:
    inbox = await open_sqlite(tmp_path)
    await inbox.keep(delivery("one"))
    with closing(sqlite3.connect(tmp_path / "inbox.sqlite")) as other:
        other.execute("DROP TABLE work")
    other.close()

    with pytest.raises(Unreachable):
        await inbox.due(0.0, 10)
    with pytest.raises(Unreachable):
        await inbox.keep(delivery("two"))
    await inbox.stop()


async def test_a_file_with_small_pages_goes_on_with_them_and_its_log_is_as_long(
    tmp_path: Path,
) -> None:
    """Files of earlier releases have SQLite's usual pages."""
    path = tmp_path / "inbox.sqlite"
    with closing(sqlite3.connect(path)) as earlier:
        earlier.execute("PRAGMA page_size = 4096")
        earlier.execute("PRAGMA journal_mode = WAL")
        earlier.executescript(f"{sqlite_file.TABLES} PRAGMA user_version = {sqlite_file.VERSION}")

    inbox = await open_sqlite(tmp_path)
    await inbox.keep(delivery("large", body=noise(900_000)))
    await inbox.keep(delivery("small"))
    found = await inbox.due(0.0, 10)
    await inbox.stop()

    assert [(one.id, one.size) for one in found] == [("large", 900_000), ("small", 2)]
    assert log_at_most(path) == (4096, sqlite_file.AT_MOST)
    assert log_at_most(tmp_path / "new.sqlite") == (16_384, sqlite_file.AT_MOST)


def log_at_most(path: Path) -> tuple[int, int]:
    """The bytes of a file's pages, and of the log that commits leave to another thread."""
    with closing(sqlite_file.connect(path)) as connection:
        sqlite_file.checkpoint_at_most(connection)
        (page,) = connection.execute("PRAGMA page_size").fetchone()
        (pages,) = connection.execute("PRAGMA wal_autocheckpoint").fetchone()
        return page, page * pages


async def test_a_body_that_the_disk_has_spoilt_holds_up_nobody(tmp_path: Path) -> None:
    inbox = await open_sqlite(tmp_path)
    for id_ in ("spoilt", "well"):
        await inbox.keep(delivery(id_))
    with closing(sqlite3.connect(tmp_path / "inbox.sqlite")) as db, db:
        db.execute("UPDATE deliveries SET body = x'28b52ffd' WHERE id = 'spoilt'")

    spoilt, well = await inbox.due(0.0, 10)

    with pytest.raises(Rejected, match="can't be read back"):
        _ = spoilt.body
    assert well.body == delivery("well").body
    await inbox.stop()


@contextmanager
def others_write(folder: Path) -> Iterator[None]:
    """Another process has begun to write, so that whoever comes waits for it."""
    with closing(sqlite3.connect(folder / "inbox.sqlite", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("ROLLBACK")


async def test_what_fails_while_it_is_delivered_again_is_taken_up_at_the_next(
    tmp_path: Path,
) -> None:
    inbox = await open_sqlite(tmp_path)
    kept = await inbox.keep(delivery("one"))
    await inbox.stop()
    inbox = await open_sqlite(tmp_path)

    with others_write(tmp_path):
        first = inbox.put(delivery("other"))
        failed = asyncio.create_task(
            inbox.finish([finished(kept.seq, "one", DeliveryState.FAILED, error="no JSON")])
        )
        await asyncio.sleep(0)
        again = inbox.put(delivery("one"))
    await asyncio.gather(first, failed, again)

    assert not (await inbox.keep(delivery("one"))).duplicate
    await inbox.stop()


async def test_no_more_waits_to_be_written_than_memory_is_for(tmp_path: Path) -> None:
    inbox = SqliteInbox(tmp_path / "inbox.sqlite", most_held=1000)
    await inbox.start()

    with others_write(tmp_path):
        first = inbox.put(delivery("one", body=noise(800, 1)))
        first.cancel()  # its sender has gone; its body is still to be written
        with pytest.raises(Unreachable, match="memory"):
            await inbox.keep(delivery("two", body=noise(800, 2)))
    await inbox.finish([])

    assert await due_ids(inbox) == ["one"]
    assert not (await inbox.keep(delivery("two", body=noise(800, 2)))).duplicate
    await inbox.stop()
