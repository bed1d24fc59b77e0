"""One SQLite file behind one thread, so that the event loop never waits for the disk."""

import asyncio
import json
import os
import re
import secrets
import sqlite3
import string
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
Record = dict[str, Any]
"""A project, environment, application or provider with the server's own field names."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS project (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, doc TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS environment (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    project_id TEXT NOT NULL REFERENCES project (id) ON DELETE CASCADE,
    doc TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS application (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    environment_id TEXT NOT NULL REFERENCES environment (id) ON DELETE CASCADE,
    app_name TEXT NOT NULL UNIQUE,
    doc TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS provider (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL, doc TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS deployment (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    application_id TEXT NOT NULL REFERENCES application (id) ON DELETE CASCADE,
    title TEXT NOT NULL, description TEXT NOT NULL, status TEXT NOT NULL,
    log_path TEXT NOT NULL, started_at REAL NOT NULL, finished_at REAL, error TEXT
);
CREATE INDEX IF NOT EXISTS deployment_of ON deployment (application_id, seq);
CREATE TABLE IF NOT EXISTS job (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    application_id TEXT NOT NULL REFERENCES application (id) ON DELETE CASCADE,
    kind TEXT NOT NULL, title TEXT NOT NULL, description TEXT NOT NULL,
    asked_at REAL NOT NULL, started_at REAL, deployment_id TEXT
);
"""


class Database:
    """Runs work on the only connection; each piece of work is one transaction."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Open the file, making it and its tables where they are missing."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedded-db")
        loop = asyncio.get_running_loop()
        self._connection = await loop.run_in_executor(self._thread, _open, self._path)

    async def close(self) -> None:
        """Close the file after what is already asked for."""
        if self._connection is not None:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._thread, self._connection.close)
            self._connection = None
        if self._thread is not None:
            self._thread.shutdown(wait=False)
            self._thread = None

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` in a transaction: all of it or, when it raises, nothing.

        Raises:
            sqlite3.Error: e.g. the disk is full; nothing is changed then.
        """
        if self._connection is None or self._thread is None:
            raise sqlite3.ProgrammingError("the database is closed")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, _within, self._connection, work)


def _open(path: Path) -> sqlite3.Connection:
    # It holds secrets: its owner's eyes only, and so for the files that SQLite puts beside it.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    # The thread is always the same one; Python can't see that through the executor.
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # an accepted deploy survives a power cut
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA busy_timeout = 5000")
    connection.executescript(_SCHEMA)
    return connection


def _within(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:  # whatever it is, the next piece of work must not begin inside of it
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result


def load(row: sqlite3.Row) -> Record:
    """The record in a row's `doc`."""
    record: Record = json.loads(row["doc"])
    return record


def dump(record: Record) -> str:
    """A record as it is kept in `doc`."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))


def patch_application(connection: sqlite3.Connection, id_: str, changes: Record) -> Record | None:
    """Change fields of an application's record; None when there is none by that id."""
    row = connection.execute("SELECT doc FROM application WHERE id = ?", (id_,)).fetchone()
    if row is None:
        return None
    record = load(row) | changes
    connection.execute(
        "UPDATE application SET doc = ?, environment_id = ?, app_name = ? WHERE id = ?",
        (dump(record), record["environmentId"], record["appName"], id_),
    )
    return record


# ── Names and moments in the forms that the real server uses ────────────────────────────────────

_ALPHABET = string.ascii_letters + string.digits + "_-"
_SUFFIX = string.ascii_lowercase + string.digits


def new_id() -> str:
    """21 random characters, e.g. "ZT6A95NobTiob085n0lpt"."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(21))


def new_app_name(wanted: str) -> str:
    """A unique name for addresses and containers: the wanted one, cleaned, and six characters.

    "Web Shop" gives e.g. "web-shop-jwkg6q". It also is a host name's label, so no dots.
    """
    base = re.sub(r"[^a-z0-9]+", "-", wanted.lower()).strip("-")[:50].strip("-") or "app"
    return f"{base}-{''.join(secrets.choice(_SUFFIX) for _ in range(6))}"


def moment(seconds: float) -> str:
    """Seconds since 1970 as the server writes them, e.g. "2026-11-24T22:40:37.334Z"."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def seconds(text: str) -> float:
    """The other way round."""
    return datetime.fromisoformat(text).timestamp()
