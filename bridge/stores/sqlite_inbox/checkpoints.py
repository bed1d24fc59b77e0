"""SQLite's checkpoints, taken off the way of those who wait for a commit.

In WAL mode somebody has to move what was written into the database file, and by default that
is whoever happens to commit as the log gets long: thousands of pages and an fsync, while every
webhook that has just come waits. Here another thread does it on a connection of its own; the
committing one only starts the log anew, with next to nothing left to move.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Callable

PAGE = 4096
EVERY = 1000 * PAGE
"""Bytes of log after which the other thread moves them."""

AT_MOST = 8000
"""Pages of log after which who commits moves the rest, and the log begins anew."""


class Checkpoints:
    """Moves the log into the file whenever enough was written."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._written = 0
        self._due = threading.Event()
        self._ends = False
        self._thread = threading.Thread(target=self._run, name="inbox-checkpoints", daemon=True)
        self._thread.start()

    def wrote(self, size: int) -> None:
        """So many bytes were committed; called by the one thread that commits."""
        self._written += size
        if self._written >= EVERY:
            self._written = 0
            self._due.set()

    def stop(self) -> None:
        """End; what is left in the log is moved when the last connection closes."""
        self._ends = True
        self._due.set()
        self._thread.join()

    def _run(self) -> None:
        with contextlib.closing(self._connect()) as connection:
            while True:
                self._due.wait()
                self._due.clear()
                if self._ends:
                    return
                # Full disks and the like are told to those who commit; here there is nobody.
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
