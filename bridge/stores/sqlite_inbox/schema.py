"""The inbox's file: how it is opened, and its tables."""

import sqlite3
from pathlib import Path

from bridge.core.errors import Rejected

MOST_STATEMENTS = 256
"""Statements that a connection keeps prepared."""

VERSION = 1
"""Of the tables, as in `PRAGMA user_version`; files of before there were versions have 0."""

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
    error TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS work_open ON work (seq) WHERE state = 'kept';
-- Where each key is, of the deliveries up to a position (see ids.py).
CREATE TABLE IF NOT EXISTS ids (
    key BLOB PRIMARY KEY,
    seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS indexed (upto INTEGER NOT NULL) STRICT;
INSERT INTO indexed SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM indexed);
"""

_UNVERSIONED = """
DROP INDEX IF EXISTS work_open;
ALTER TABLE deliveries RENAME TO old_deliveries;
ALTER TABLE work RENAME TO old_work;
"""

_TAKE_OVER = """
INSERT INTO deliveries
    SELECT seq, host, id, event, headers, received_at, body FROM old_deliveries ORDER BY seq;
INSERT INTO work
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
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000"):
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:  # no database, or one that can't be written
        connection.close()
        raise
    return connection


def prepare(connection: sqlite3.Connection) -> None:
    """Make the tables, or take over what older ones hold; many may do so at once.

    Raises:
        Rejected: a newer release has made them.
        sqlite3.Error: it can't be done.
    """
    if _is_done(connection):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not _is_done(connection):
            old = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'deliveries'")
            is_old = old.fetchone() is not None
            _run(connection, _UNVERSIONED * is_old + TABLES + _TAKE_OVER * is_old)
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:  # half of it would be neither the old nor the new
        connection.rollback()
        raise


def continue_after(connection: sqlite3.Connection, seq: int) -> bool:
    """Give only positions after `seq` from now on; returns whether that changes anything."""
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


def _run(connection: sqlite3.Connection, script: str) -> None:
    """As `executescript`, which would commit what has begun."""
    for statement in script.split(";"):
        connection.execute(statement)
