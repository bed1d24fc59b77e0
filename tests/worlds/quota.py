"""A full disk, as SQLite's inbox meets it."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.storage.inbox import sqlite_file

Quota = Callable[[int | None], None]


@pytest.fixture
def quota(monkeypatch: pytest.MonkeyPatch) -> Quota:
    """Limits the KiB of all inboxes opened later, like a full disk; None: no limit."""
    opened: list[sqlite3.Connection] = []
    connect = sqlite_file.connect

    def remembering(path: Path) -> sqlite3.Connection:
        opened.append(connect(path))
        return opened[-1]

    def limit(kib: int | None) -> None:
        for connection in opened:
            (page,) = connection.execute("PRAGMA page_size").fetchone()
            most = 2**30 if kib is None else kib * 1024 // page
            connection.execute(f"PRAGMA max_page_count = {most}")

    monkeypatch.setattr(sqlite_file, "connect", remembering)
    return limit
