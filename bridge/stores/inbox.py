"""The inbox on SQLite: every delivery is on disk before it is answered.

The file is the inbox's own, so that no other part's writes can delay an answer
(durability.md has the measurements).
"""

import asyncio
import contextlib
import sqlite3
import sys
import threading
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from bridge.core.errors import Unreachable
from bridge.ports.figures import InboxFigures
from bridge.ports.inbox import LONGEST_PAUSE, Delivery, Finished, Kept
from bridge.stores.batches import (
    BatchedInbox,
    Finish,
    Forget,
    Item,
    Keep,
    rows_of,
)
from bridge.stores.checkpoints import AT_MOST, PAGE, Checkpoints
from bridge.stores.packing import delivery_key, read_delivery

SCHEMA = """
CREATE TABLE IF NOT EXISTS deliveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    key BLOB NOT NULL UNIQUE,
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
    state TEXT NOT NULL DEFAULT 'kept',
    due_at REAL NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS work_open ON work (seq) WHERE state = 'kept';
"""

_INSERTED = ("seq", "key", "host", "id", "event", "headers", "received_at", "body")
_INSERT = f"INSERT INTO deliveries ({', '.join(_INSERTED)}) VALUES "
_OPEN = "INSERT INTO work (seq) VALUES "

T = TypeVar("T")
Row = tuple[Any, ...]

MOST_ROWS = 32
"""Rows of one statement; for each number up to it there is one to prepare and keep."""

YOUNG = 1000
"""Young deliveries in a row after which no old one is looked for: they come in order, but for a
clock that was ahead for a while."""

_FIELDS = "d.seq, d.host, d.id, d.event, d.headers, d.received_at, w.state, w.attempts, w.error"


class SqliteInbox(BatchedInbox):
    """Deliveries in a SQLite file (WAL, `synchronous=FULL`)."""

    def __init__(self, path: Path, **batching: Any) -> None:
        super().__init__(**batching)
        self._path = path
        self._reader: sqlite3.Connection | None = None
        self._reading = threading.Lock()

    # ── life ──────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Open the file, making it where there is none, and start the writer."""
        await self.start_writer(lambda: _Writer(self._path))
        self._reader = _connect(self._path)

    async def stop(self) -> None:
        """Finish what is being kept, then close."""
        await self.stop_writer()
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    # ── forgetting ────────────────────────────────────────────────────────

    async def forget_bodies(self, before: float, limit: int) -> int:
        """Forget the bodies of some decided deliveries from before then; how many."""
        return await self._forget(before, limit, "AND length(d.body) > 0", wholly=False)

    async def forget(self, before: float, limit: int) -> int:
        """Forget some decided deliveries from before then, their ids too; how many."""
        return await self._forget(before, limit, "", wholly=True)

    async def _forget(self, before: float, limit: int, more: str, *, wholly: bool) -> int:
        """Found on a connection of its own, so that neither writing nor reading waits for it."""
        seqs = await asyncio.to_thread(self._old, before, limit, more)
        if seqs:
            await self.remove(seqs, wholly=wholly)
        return len(seqs)

    def _old(self, before: float, limit: int, more: str) -> list[int]:
        """Oldest first, until there are so many or, by all appearance, no more."""
        found: list[int] = []
        young = 0
        query = (
            "SELECT d.seq, d.received_at FROM deliveries d JOIN work w ON w.seq = d.seq"
            f" WHERE w.state <> 'kept' {more} ORDER BY d.seq"
        )
        try:
            with contextlib.closing(_connect(self._path)) as connection:
                for seq, received_at in connection.execute(query):
                    if received_at < before:
                        found.append(seq)
                    young = 0 if received_at < before else young + 1
                    if len(found) >= limit or young >= YOUNG:
                        break
        except sqlite3.Error as error:
            raise Unreachable("the inbox", str(error)) from error
        return found

    # ── reading ───────────────────────────────────────────────────────────

    async def due(self, now: float, limit: int) -> list[Delivery]:
        """Kept deliveries whose turn has come, with bodies, oldest first."""
        return await asyncio.to_thread(
            self._read,
            f"SELECT {_FIELDS}, d.body FROM work w JOIN deliveries d ON d.seq = w.seq"
            " WHERE w.state = 'kept' AND (w.due_at <= ? OR w.due_at > ?) ORDER BY w.seq LIMIT ?",
            (now, now + LONGEST_PAUSE, limit),
        )

    async def newest(self, limit: int, *, before: int | None = None) -> list[Delivery]:
        """The newest deliveries, newest first, without bodies."""
        return await asyncio.to_thread(
            self._read,
            f"SELECT {_FIELDS}, NULL FROM deliveries d JOIN work w ON w.seq = d.seq"
            " WHERE d.seq < ? ORDER BY d.seq DESC LIMIT ?",
            (before if before is not None else sys.maxsize, limit),
        )

    async def find(self, host: str, id: str) -> Delivery | None:  # noqa: A002 - as above
        """One delivery by the host's own id, with its body."""
        return await self._one("d.key = ?", delivery_key(host, id))

    async def get(self, seq: int) -> Delivery | None:
        """One delivery by its position, with its body."""
        return await self._one("d.seq = ?", min(seq, sys.maxsize))

    async def figures(self) -> InboxFigures:
        """How full it is now; read from the index of what waits."""
        rows = await asyncio.to_thread(
            self._rows,
            "SELECT count(*), (SELECT received_at FROM deliveries WHERE seq ="
            " (SELECT min(seq) FROM work WHERE state = 'kept')) FROM work WHERE state = 'kept'",
            (),
        )
        return InboxFigures(*rows[0])

    async def _one(self, where: str, value: Any) -> Delivery | None:
        found = await asyncio.to_thread(
            self._read,
            f"SELECT {_FIELDS}, d.body FROM deliveries d JOIN work w ON w.seq = d.seq"
            f" WHERE {where}",
            (value,),
        )
        return found[0] if found else None

    def _read(self, sql: str, values: tuple[Any, ...]) -> list[Delivery]:
        return [read_delivery(row) for row in self._rows(sql, values)]

    def _rows(self, sql: str, values: tuple[Any, ...]) -> list[Any]:
        assert self._reader is not None, "start() comes first"
        try:
            with self._reading:
                return self._reader.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise Unreachable("the inbox", str(error)) from error


class _Writer:
    """The writing connection."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._connection = _connect(path)
        try:
            self._connection.executescript(SCHEMA)
        except sqlite3.Error:
            self._connection.close()
            raise
        self._connection.execute(f"PRAGMA wal_autocheckpoint={AT_MOST}")
        self._checkpoints = Checkpoints(lambda: _connect(path))

    def commit(self, batch: Sequence[Item]) -> None:
        rows = rows_of(batch)
        writer = self._connection
        try:
            writer.execute("BEGIN IMMEDIATE")
            _keep(writer, rows)
            for item in batch:
                if isinstance(item, Finish):
                    _update(writer, item.finished)
                elif isinstance(item, Forget):
                    _remove(writer, item)
            writer.execute("COMMIT")
        except Exception:
            with contextlib.suppress(sqlite3.Error):
                writer.rollback()
            raise
        # A row takes its body, and about two pages of indices and of what is left of others.
        self._checkpoints.wrote(sum(len(row[-1]) + 2 * PAGE for _, row in rows))

    def close(self) -> None:
        self._checkpoints.stop()
        self._connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path,
        isolation_level=None,
        check_same_thread=False,
        timeout=30,
        cached_statements=4 * MOST_ROWS,
    )
    try:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000"):
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:  # no database, or one that can't be written
        connection.close()
        raise
    return connection


def _keep(writer: sqlite3.Connection, rows: Sequence[tuple[Keep, Row]]) -> None:
    """Insert what is new, and say for each where it is.

    Few statements for many rows: each one lets go of the interpreter and fights for it again,
    which costs more than the row. Positions are given here, inside the transaction, so that
    none has to be read back.
    """
    known = _known(writer, [item.key for item, _ in rows])
    first = seq = _last(writer)
    new: list[Row] = []
    for item, row in rows:
        if (there := known.get(item.key)) is None:
            seq += 1
            known[item.key] = seq
            new.append((seq, *row))
            item.answer = Kept(seq, duplicate=False)
        elif there > first:  # twice in this batch
            item.answer = Kept(there, duplicate=True)
        else:
            item.answer = _again(writer, there)
    for some in _chunks(new):
        writer.execute(_many(_INSERT, len(_INSERTED), len(some)), list(chain.from_iterable(some)))
        writer.execute(_many(_OPEN, 1, len(some)), [row[0] for row in some])


def _known(writer: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for some in _chunks(keys):
        marks = _many("", len(some), 1)
        query = f"SELECT key, seq FROM deliveries WHERE key IN {marks}"
        found |= dict(writer.execute(query, some).fetchall())
    return found


def _last(writer: sqlite3.Connection) -> int:
    """The last position ever given; those of deliveries that are gone are not given again."""
    found = writer.execute("SELECT seq FROM sqlite_sequence WHERE name = 'deliveries'").fetchone()
    return found[0] if found else 0


def _again(writer: sqlite3.Connection, seq: int) -> Kept:
    """One that is here already; taken up again if it had failed."""
    reopened = writer.execute(
        "UPDATE work SET state = 'kept', due_at = 0, attempts = 0"
        " WHERE seq = ? AND state = 'failed' RETURNING seq",
        (seq,),
    ).fetchone()
    return Kept(seq, duplicate=reopened is None)


def _chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    for begin in range(0, len(values), MOST_ROWS):
        yield values[begin : begin + MOST_ROWS]


@cache
def _many(sql: str, columns: int, rows: int) -> str:
    """A statement with places for so many values."""
    row = f"({', '.join('?' * columns)})"
    return sql + ", ".join([row] * rows)


def _update(writer: sqlite3.Connection, finished: Sequence[Finished]) -> None:
    writer.executemany(
        "UPDATE work SET state = ?, due_at = ?, attempts = ?, error = ? WHERE seq = ?",
        [(f.state, f.due_at, f.attempts, f.error, f.seq) for f in finished],
    )


def _remove(writer: sqlite3.Connection, item: Forget) -> None:
    seqs = [(seq,) for seq in item.seqs]
    if not item.wholly:
        writer.executemany("UPDATE deliveries SET body = x'' WHERE seq = ?", seqs)
        return
    writer.executemany("DELETE FROM work WHERE seq = ?", seqs)
    writer.executemany("DELETE FROM deliveries WHERE seq = ?", seqs)
