"""A SQLite file that several open at the same time."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from bridge.storage.engines import write_ahead


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


def test_what_is_no_database_is_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("no database, but what somebody has written" * 99)

    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        write_ahead(file)

    assert file.read_text().startswith("no database")
