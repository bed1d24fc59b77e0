"""A SQLite file that several open at the same time."""

import asyncio
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from bridge.app.storage import open_stores
from bridge.storage.engines import write_ahead
from tests.worlds.bridge import make_stores, settings_for

READ = "SELECT count(*) FROM deployments"


def test_who_finds_a_new_file_in_another_s_hands_waits_for_it(tmp_path: Path) -> None:
    """SQLite by itself would say at once that it is locked."""
    file = tmp_path / "new.sqlite"
    with ThreadPoolExecutor(1) as pool, closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = pool.submit(write_ahead, file)
        with pytest.raises(TimeoutError):
            waiting.result(0.2)

        other.commit()

        waiting.result(20)
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_a_process_that_opens_the_stores_twice_keeps_its_locks(tmp_path: Path) -> None:
    """Without them, another process that is done would remove the log that is in use here."""
    settings = settings_for(tmp_path / "data")
    await make_stores(settings.data)
    file = settings.data / "journal.sqlite"
    with closing(sqlite3.connect(file, isolation_level=None)) as here:
        here.execute("UPDATE deployments SET note = note")
        async with open_stores(settings):
            pass
        db = f"sqlite3.connect({str(file)!r})"
        other = f"import sqlite3; db = {db}; db.execute('{READ}').fetchall(); db.close()"
        await asyncio.to_thread(subprocess.run, [sys.executable, "-c", other], check=True)

        assert file.with_name("journal.sqlite-wal").exists()
        here.execute("UPDATE deployments SET note = note")
