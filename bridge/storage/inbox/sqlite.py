"""The inbox on SQLite: every delivery is on disk before it is answered.

The inbox has a file of its own, so no other part's writes can delay a response (docs/notes/0008).
"""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from bridge.core.errors import Rejected, Unreachable
from bridge.ports.inbox import LONGEST_PAUSE, Delivery, Finished, Kept
from bridge.storage.inbox import sqlite_file
from bridge.storage.inbox.batches import (
    KEY,
    MOST_AT_ONCE,
    PACKED,
    BatchedInbox,
    Begin,
    Finish,
    Forget,
    Item,
    Keep,
    Row,
    apart,
    by_its_body,
    is_same,
    its_id,
    rows_of,
)
from bridge.storage.inbox.reading import BODY, FIELDS, LARGE
from bridge.storage.inbox.sqlite_file import BULK, SHARE, Checkpoints, Ids, chunks, many

# A failed constraint ends the whole transaction, as we would do anyway. Otherwise SQLite would copy
# each page that a multi-row statement changes.
_INSERT = "INSERT OR ROLLBACK INTO"
_DELIVERIES = f"{_INSERT} deliveries (seq, host, id, event, headers, received_at, body) VALUES "
_LARGE_DELIVERY = f"{_DELIVERIES}(?, ?, ?, ?, ?, ?, zeroblob(?))"
_WORK = f"{_INSERT} work (seq, key) VALUES "


class Writer:
    """The writing connection.

    Args:
        bulk: how many keys are added to the index at a time.
    """

    def __init__(self, path: Path, bulk: int = BULK) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._bulk = bulk
        self._ids: Ids | None = None
        self._connection = sqlite_file.connect(path)
        try:
            sqlite_file.prepare(self._connection)
        except (sqlite3.Error, Rejected):
            self._connection.close()
            raise
        sqlite_file.checkpoint_at_most(self._connection)
        self._checkpoints = Checkpoints(lambda: sqlite_file.connect(path))

    def commit(self, batch: Sequence[Item]) -> None:
        rows = rows_of(batch)
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._write(batch, rows)
            self._connection.execute("COMMIT")
        except Exception:  # any error: nothing was written
            self._ids = None  # its memory may differ from the index
            with contextlib.suppress(sqlite3.Error):
                self._connection.rollback()
            raise
        self._checkpoints.wrote(sum(len(row[-1]) + SHARE for _, row in rows))

    def _write(self, batch: Sequence[Item], rows: Sequence[tuple[Keep, Row]]) -> None:
        if self._ids is None:
            self._ids = Ids(self._connection, self._bulk)
        if rows:
            _keep(self._connection, self._ids, rows)
            self._ids.index_some()
        for item in batch:
            if isinstance(item, Begin):
                _begin(self._connection, item.begun)
            elif isinstance(item, Finish):
                _update(self._connection, item.finished)
            elif isinstance(item, Forget):
                _remove(self._connection, self._ids, item)

    def close(self) -> None:
        self._checkpoints.stop()
        self._connection.close()


def _keep(db: sqlite3.Connection, ids: Ids, rows: Sequence[tuple[Keep, Row]]) -> None:
    """Insert new rows, and set the position of each.

    Positions are assigned here, inside the transaction, so none has to be read back.
    """
    first = seq = _last(db)
    asked = {row[KEY] for _, row in rows}
    known = ids.find([*asked], first)
    rows = [(item, _told_apart(db, known, item, row)) for item, row in apart(rows, known)]
    known |= ids.find([*{row[KEY] for _, row in rows} - asked], first)
    new: list[tuple[int, Row]] = []
    for item, row in rows:
        duplicate = (there := known.get(row[KEY])) is not None
        if there is None:
            seq += 1
            there = known[row[KEY]] = seq
            new.append((seq, row))
        elif there <= first:  # otherwise twice in this batch
            duplicate = not _taken_up_again(db, there)
        item.answer = Kept(there, duplicate, its_id(item, row))
    for some in chunks(new):
        _insert(db, [one for one in some if len(one[1][PACKED]) <= LARGE])
        for large in some:
            if len(large[1][PACKED]) > LARGE:
                _insert_large(db, *large)
        work = chain.from_iterable((seq, row[KEY]) for seq, row in some)
        db.execute(many(_WORK, 2, len(some)), list(work))
    ids.add(((row[KEY], seq) for seq, row in new), seq)


def _insert(db: sqlite3.Connection, rows: Sequence[tuple[int, Row]]) -> None:
    if rows:
        deliveries = chain.from_iterable((seq, *row[1:]) for seq, row in rows)
        db.execute(many(_DELIVERIES, 7, len(rows)), list(deliveries))


def _insert_large(db: sqlite3.Connection, seq: int, row: Row) -> None:
    """Insert a delivery, its body in pieces.

    SQLite would copy the body twice, and keep one copy for as long as it keeps the statement.
    """
    body = memoryview(row[PACKED])
    db.execute(_LARGE_DELIVERY, (seq, *row[1:PACKED], len(body)))
    with db.blobopen("deliveries", "body", seq) as blob:
        for start in range(0, len(body), LARGE):
            blob.write(body[start : start + LARGE])


def _last(db: sqlite3.Connection) -> int:
    """Return the last position ever assigned; those of deleted deliveries are not reused."""
    found = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'deliveries'").fetchone()
    return found[0] if found else 0


def _told_apart(db: sqlite3.Connection, known: Mapping[bytes, int], item: Keep, row: Row) -> Row:
    """Return the row, under another id if its own is known with another body."""
    if (seq := known.get(row[KEY])) is None:
        return row
    query = "SELECT body, headers FROM deliveries WHERE seq = ?"
    kept, headers = db.execute(query, (seq,)).fetchone()
    body = item.new.body
    return row if is_same(kept, headers, row, body) else by_its_body(row, body)


def _taken_up_again(db: sqlite3.Connection, seq: int) -> bool:
    """Reopen a known delivery if it had failed; return whether it had."""
    reopened = db.execute(
        "UPDATE work SET state = 'kept', due_at = 0, attempts = 0"
        " WHERE seq = ? AND state = 'failed' RETURNING seq",
        (seq,),
    ).fetchone()
    return reopened is not None


def _begin(db: sqlite3.Connection, begun: Mapping[int, str]) -> None:
    db.executemany(
        "UPDATE work SET attempts = attempts + 1, unfinished = unfinished + 1, error = ?"
        " WHERE seq = ? AND state = 'kept'",
        [(note, seq) for seq, note in begun.items()],
    )


def _update(db: sqlite3.Connection, finished: Sequence[Finished]) -> None:
    db.executemany(
        "UPDATE work SET state = ?, due_at = ?, attempts = ?, error = ?, unfinished = 0, unused = ?"
        " WHERE seq = ?",
        [(f.state, f.due_at, f.attempts, f.error, f.unused, f.seq) for f in finished],
    )


def _remove(db: sqlite3.Connection, ids: Ids, item: Forget) -> None:
    seqs = [(seq,) for seq in item.seqs]
    if not item.wholly:
        db.executemany("UPDATE deliveries SET body = x'' WHERE seq = ?", seqs)
        return
    ids.forget(item.seqs)
    db.executemany("DELETE FROM work WHERE seq = ?", seqs)
    db.executemany("DELETE FROM deliveries WHERE seq = ?", seqs)


YOUNG = 1000
"""Consecutive young deliveries after which the search for old ones ends: they are in order, except
after a clock was ahead for a while."""

# A window function and ORDER BY copy all that they are given, so neither is given bodies.
_DUE = f"""
WITH free AS (
    SELECT seq FROM work WHERE state = 'kept' AND (due_at <= ? OR due_at > ?)
    ORDER BY seq LIMIT ?
), sized AS MATERIALIZED (
    SELECT d.seq, length(d.body) AS size FROM free JOIN deliveries d ON d.seq = free.seq
), taken AS (
    SELECT seq, sum(size) OVER (ORDER BY seq) - size AS before FROM sized
)
SELECT {FIELDS}, {BODY}
FROM taken t JOIN deliveries d ON d.seq = t.seq JOIN work w ON w.seq = t.seq
WHERE t.before < ?
"""


class SqliteInbox(BatchedInbox):
    """Deliveries in a SQLite file (WAL, `synchronous=FULL`).

    Args:
        bulk: how many ids are only in memory before they are added to the index.
    """

    deliveries, work, by_key = "deliveries", "work", f"d.seq = {sqlite_file.POSITION}"

    def __init__(self, path: Path, *, bulk: int = sqlite_file.BULK, **batching: Any) -> None:
        super().__init__(**batching)
        self._path = path
        self._bulk = bulk
        self._reader: sqlite3.Connection | None = None
        self._reading = threading.Lock()

    async def start(self) -> None:
        """Open the file, creating it if it is missing, and start the writer."""
        await self.start_writer(lambda: Writer(self._path, self._bulk))
        self._reader = sqlite_file.connect(self._path)

    async def stop(self) -> None:
        """Finish pending writes, then close."""
        await self.stop_writer()
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    async def continue_after(self, seq: int) -> bool:
        return await asyncio.to_thread(self._continue_after, seq)

    def _continue_after(self, seq: int) -> bool:
        try:
            with contextlib.closing(sqlite_file.connect(self._path)) as connection:
                return sqlite_file.continue_after(connection, seq)
        except sqlite3.Error as error:
            raise Unreachable("the inbox", str(error)) from error

    def _expired(self, before: float, limit: int, more: str) -> list[int]:
        """See the base; on a connection of its own, so nothing waits."""
        found: list[int] = []
        young = 0
        query = (
            "SELECT d.seq, d.received_at FROM deliveries d JOIN work w ON w.seq = d.seq"
            f" WHERE w.state <> 'kept' {more} ORDER BY d.seq"
        )
        try:
            with contextlib.closing(sqlite_file.connect(self._path)) as connection:
                for seq, received_at in connection.execute(query):
                    if received_at < before:
                        found.append(seq)
                    young = 0 if received_at < before else young + 1
                    if len(found) >= limit or young >= YOUNG:
                        break
        except sqlite3.Error as error:
            raise Unreachable("the inbox", str(error)) from error
        return found

    async def due(self, now: float, limit: int) -> list[Delivery]:
        values = (now, now + LONGEST_PAUSE, limit, MOST_AT_ONCE)
        found = await self._read_rows(_DUE, values)
        return sorted(found, key=lambda one: one.seq)

    def _load(self, seq: int) -> Iterator[bytes]:
        try:
            with (
                contextlib.closing(sqlite_file.connect(self._path)) as connection,
                connection.blobopen("deliveries", "body", seq, readonly=True) as blob,
            ):
                while piece := blob.read(LARGE):
                    yield piece
        except sqlite3.Error as error:
            raise Unreachable("the inbox", str(error)) from error

    def _fetch(self, query: str, values: Any) -> list[Any]:
        assert self._reader is not None, "start() comes first"
        try:
            with self._reading:
                return self._reader.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise Unreachable("the inbox", str(error)) from error
