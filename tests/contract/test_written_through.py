"""A commit to any of our SQLite files returns once the disk has it, whatever happens to the power.

A killed process can't show this: what it has written is in the system's memory all the same.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.durable import system
from bridge.storage import engines
from bridge.storage.inbox.sqlite import Writer

FULL = 2
"""What SQLite calls that: https://www.sqlite.org/pragma.html#pragma_synchronous."""

Open = Callable[[Path], AbstractContextManager[Any]]


@contextmanager
def of_inbox(path: Path) -> Iterator[Any]:
    with closing(Writer(path)) as writer:
        yield writer._connection


@contextmanager
def of_journal(path: Path) -> Iterator[Any]:
    engine = engines.sqlite_engine(path)
    with engine.connect() as connection:
        yield connection.connection.driver_connection
    engine.dispose()


@contextmanager
def of_workflows(path: Path) -> Iterator[Any]:
    engine = system.sqlite_engine(path)
    with engine.connect() as connection:
        yield connection.connection.driver_connection
    engine.dispose()


@pytest.mark.parametrize("opened", [of_inbox, of_journal, of_workflows])
def test_a_commit_is_on_disk_when_it_returns(opened: Open, tmp_path: Path) -> None:
    with opened(tmp_path / "store.sqlite") as connection:
        found = [
            connection.execute(f"PRAGMA {name}").fetchone()
            for name in ("synchronous", "journal_mode")
        ]

    assert found == [(FULL,), ("wal",)]
