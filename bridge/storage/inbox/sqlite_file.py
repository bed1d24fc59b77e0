"""The inbox's SQLite file: opening it, its tables, checkpoints, and the index of ids."""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TypeVar

from bridge.core.errors import Rejected

MOST_STATEMENTS = 256
"""Prepared statements that a connection caches."""

PAGE = 16 * 1024
"""Bytes of a page in new files. Three packed bodies of the usual size share one; of SQLite's 4 KB
each would take two, and every page is two writes to the log."""

_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000")

VERSION = 2
"""The version in `PRAGMA user_version`; files from before there were versions have 0."""

TABLES = """
CREATE TABLE IF NOT EXISTS deliveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    host TEXT NOT NULL,
    id TEXT NOT NULL,
    event TEXT NOT NULL,
    headers TEXT NOT NULL,
    received_at REAL NOT NULL,
    body BLOB NOT NULL
) STRICT;
-- How far each has come stands apart from the bodies, so that moving on rewrites few pages.
CREATE TABLE IF NOT EXISTS work (
    seq INTEGER PRIMARY KEY,
    key BLOB NOT NULL,
    state TEXT NOT NULL DEFAULT 'kept',
    due_at REAL NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    unfinished INTEGER NOT NULL DEFAULT 0,
    unused TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS work_open ON work (seq) WHERE state = 'kept';
-- Where each key is, of the deliveries up to a position (see Ids).
CREATE TABLE IF NOT EXISTS ids (
    key BLOB PRIMARY KEY,
    seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS indexed (upto INTEGER NOT NULL) STRICT;
INSERT INTO indexed SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM indexed);
"""

INDEXES = """
CREATE INDEX IF NOT EXISTS work_failed ON work (seq) WHERE state = 'failed'
"""
"""What files of any version get; releases that know nothing of it keep it as well."""

_UNVERSIONED = """
DROP INDEX IF EXISTS work_open;
ALTER TABLE deliveries RENAME TO old_deliveries;
ALTER TABLE work RENAME TO old_work;
"""

_TAKE_OVER = """
INSERT INTO deliveries
    SELECT seq, host, id, event, headers, received_at, body FROM old_deliveries ORDER BY seq;
INSERT INTO work (seq, key, state, due_at, attempts, error)
    SELECT seq, key, state, due_at, attempts, error
    FROM old_work JOIN old_deliveries USING (seq) ORDER BY seq;
INSERT INTO ids SELECT key, seq FROM old_deliveries ORDER BY key;
UPDATE indexed SET upto = (SELECT coalesce(max(seq), 0) FROM work);
-- Positions of deliveries that are gone are not given again.
DELETE FROM sqlite_sequence WHERE name = 'deliveries';
UPDATE sqlite_sequence SET name = 'deliveries' WHERE name = 'old_deliveries';
DROP TABLE old_work;
DROP TABLE old_deliveries;
"""

_COLUMNS = """
ALTER TABLE work ADD COLUMN unfinished INTEGER NOT NULL DEFAULT 0;
ALTER TABLE work ADD COLUMN unused TEXT;
"""
_FACTS = """
UPDATE work SET unfinished = CAST(substr(error, 9) AS INTEGER)
    WHERE error LIKE 'attempt % of % has begun and has not ended';
UPDATE work SET unused = substr(error, 21, instr(error, ' on ') - 21)
    WHERE state = 'ignored' AND error LIKE 'no app deploys from % on %';
"""
"""What earlier releases stored as text alone."""


def connect(path: Path) -> sqlite3.Connection:
    """Open the file for one thread at a time. Raises `sqlite3.Error`."""
    connection = sqlite3.connect(
        path,
        isolation_level=None,
        check_same_thread=False,
        timeout=30,
        cached_statements=MOST_STATEMENTS,
    )
    try:
        for pragma in (f"page_size={PAGE}", *_PRAGMAS):
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:  # not a database, or not writable
        connection.close()
        raise
    return connection


def prepare(connection: sqlite3.Connection) -> None:
    """Create the tables, or migrate older ones; several processes may do so at once.

    Raises:
        Rejected: a newer release created them.
        sqlite3.Error: they can't be created.
    """
    if not _is_done(connection):
        connection.execute("BEGIN IMMEDIATE")
        try:
            if not _is_done(connection):
                _run(connection, _migration(connection))
                connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute("COMMIT")
        except BaseException:  # a partial migration would be neither the old nor the new schema
            connection.rollback()
            raise
    connection.execute(INDEXES)


def continue_after(connection: sqlite3.Connection, seq: int) -> bool:
    """Assign only positions after `seq` from now on; return whether that changes anything."""
    connection.execute("BEGIN IMMEDIATE")
    last = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'deliveries'")
    behind = (last.fetchone() or (0,))[0] < seq
    if behind:
        connection.execute("DELETE FROM sqlite_sequence WHERE name = 'deliveries'")
        connection.execute("INSERT INTO sqlite_sequence VALUES ('deliveries', ?)", (seq,))
    connection.execute("COMMIT")
    return behind


def _is_done(connection: sqlite3.Connection) -> bool:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise Rejected(
            f"the inbox was written by a newer release (its tables are at {version}, this release"
            f" knows {VERSION}): run that release, or restore the copy from before the upgrade"
            " (docs/upgrading.md)"
        )
    return bool(version == VERSION)


def _migration(connection: sqlite3.Connection) -> str:
    """Return what makes the tables, or those of an earlier release, what they are now."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version:
        return _COLUMNS + _FACTS
    old = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'deliveries'").fetchone()
    return TABLES if old is None else _UNVERSIONED + TABLES + _TAKE_OVER + _FACTS


def _run(connection: sqlite3.Connection, script: str) -> None:
    """Run a script in the current transaction, which `executescript` would commit."""
    for statement in script.split(";"):
        connection.execute(statement)


T = TypeVar("T")

MOST_ROWS = 32
"""The most rows of one statement; each number of rows is a statement to prepare and cache."""


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Return the rows in parts that fit into one statement."""
    for begin in range(0, len(values), MOST_ROWS):
        yield values[begin : begin + MOST_ROWS]


@cache
def many(sql: str, columns: int, rows: int) -> str:
    """Return a statement with placeholders for so many values."""
    row = f"({', '.join('?' * columns)})"
    return sql + ", ".join([row] * rows)


EVERY = 4 * 2**20
"""Bytes of write-ahead log after which the other thread checkpoints it."""

AT_MOST = 32 * 2**20
"""Bytes of log after which the committing thread checkpoints the rest, and the log restarts."""

SHARE = 4096
"""Bytes of log that a row takes besides its body, in pages that it shares with others."""


def checkpoint_at_most(connection: sqlite3.Connection) -> None:
    """Let commits on a connection checkpoint a log of more than `AT_MOST` bytes."""
    (page,) = connection.execute("PRAGMA page_size").fetchone()
    connection.execute(f"PRAGMA wal_autocheckpoint={AT_MOST // page}")


class Checkpoints:
    """Checkpoints the log in a separate thread, out of the way of commits."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._written = 0
        self._due = threading.Event()
        self._ends = False
        self._thread = threading.Thread(target=self._run, name="inbox-checkpoints", daemon=True)
        self._thread.start()

    def wrote(self, size: int) -> None:
        """Count committed bytes; called by the one thread that commits."""
        self._written += size
        if self._written >= EVERY:
            self._written = 0
            self._due.set()

    def stop(self) -> None:
        """Stop; the rest of the log is checkpointed when the last connection closes."""
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
                # Committing callers get errors such as a full disk; nobody handles them here.
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


BULK = 16_384
"""Keys that are only in memory before they are added to the index."""

PORTIONS = 16
"""Transactions over which they are added, so nothing waits for all of them."""

POSITION = """
coalesce(
    (SELECT seq FROM ids WHERE key = ?),
    (SELECT seq FROM work WHERE seq > (SELECT upto FROM indexed) AND key = ?)
)
"""
"""The position of the delivery with this key, given twice; for read-only connections."""

_INDEX = """
INSERT OR IGNORE INTO ids
SELECT key, seq FROM work
WHERE seq > (SELECT upto FROM indexed) AND seq <= ? AND key >= ? AND key < ? ORDER BY key
"""


class Ids:
    """One writer's view of the index; create a new one after a rollback."""

    def __init__(self, connection: sqlite3.Connection, bulk: int = BULK) -> None:
        """Read the keys that the index lacks; inside a transaction."""
        self._connection = connection
        self._bulk = bulk
        (self._seen,) = connection.execute("SELECT upto FROM indexed").fetchone()
        self._newest: dict[bytes, int] = {}
        self._upto = 0
        self._portion: int | None = None  # of the keys being added to the index

    def find(self, keys: Sequence[bytes], last: int) -> dict[bytes, int]:
        """Return the positions of known keys; `last` is the last assigned position."""
        if last > self._seen:  # at first, and after another process has kept some
            rows = self._connection.execute(
                "SELECT key, seq FROM work WHERE seq > ? ORDER BY seq", (self._seen,)
            )
            self._newest.update(rows)
            self._seen = last
        found: dict[bytes, int] = {}
        # Another process may have deleted keys that this one remembers.
        for some in chunks([self._newest[key] for key in keys if key in self._newest]):
            query = f"SELECT key, seq FROM work WHERE seq IN {many('', len(some), 1)}"
            found |= self._connection.execute(query, some).fetchall()
        for unknown in chunks([key for key in keys if key not in found]):
            query = f"SELECT key, seq FROM ids WHERE key IN {many('', len(unknown), 1)}"
            found |= self._connection.execute(query, unknown).fetchall()
        return found

    def add(self, kept: Iterable[tuple[bytes, int]], last: int) -> None:
        """Add kept keys, up to the position `last`."""
        self._newest.update(kept)
        self._seen = last

    def forget(self, seqs: Sequence[int]) -> None:
        """Drop the keys of deliveries that are about to be deleted."""
        for some in chunks(seqs):
            query = f"SELECT key FROM work WHERE seq IN {many('', len(some), 1)}"
            keys = [key for (key,) in self._connection.execute(query, some)]
            gone = f"DELETE FROM ids WHERE key IN {many('', len(keys), 1)}"
            self._connection.execute(gone, keys)
            for key in keys:
                self._newest.pop(key, None)

    def index_some(self) -> None:
        """Move a portion into the index once there are enough."""
        if self._portion is None:
            if len(self._newest) < self._bulk:
                return
            self._portion, self._upto = 0, self._seen
        first = 256 * self._portion // PORTIONS
        self._portion += 1
        beyond = 256 * self._portion // PORTIONS
        end = bytes([beyond]) if beyond < 256 else b"\xff" * 17
        self._connection.execute(_INDEX, (self._upto, bytes([first]), end))
        if self._portion == PORTIONS:
            self._portion = None
            self._connection.execute("UPDATE indexed SET upto = max(upto, ?)", (self._upto,))
            self._newest = {key: seq for key, seq in self._newest.items() if seq > self._upto}
