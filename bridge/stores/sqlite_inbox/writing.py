"""Writing to the inbox on SQLite: what is kept, how far each has come, what is forgotten."""

import contextlib
import sqlite3
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from bridge.core.errors import Rejected
from bridge.ports.inbox import Finished, Kept
from bridge.stores.batches import Begin, Finish, Forget, Item, Keep, Row, rows_of
from bridge.stores.same_id import KEY, apart, by_its_body, is_same, its_id
from bridge.stores.sqlite_inbox import schema
from bridge.stores.sqlite_inbox.checkpoints import AT_MOST, PAGE, Checkpoints
from bridge.stores.sqlite_inbox.ids import BULK, Ids
from bridge.stores.sqlite_inbox.statements import chunks, many

# A constraint that fails ends the whole transaction, which is what we do with it anyhow: for less,
# SQLite would copy each page that a statement of many rows changes.
_INSERT = "INSERT OR ROLLBACK INTO"
_DELIVERIES = f"{_INSERT} deliveries (seq, host, id, event, headers, received_at, body) VALUES "
_WORK = f"{_INSERT} work (seq, key) VALUES "


class Writer:
    """The writing connection.

    Args:
        bulk: how many keys the index takes at a time.
    """

    def __init__(self, path: Path, bulk: int = BULK) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._bulk = bulk
        self._ids: Ids | None = None
        self._connection = schema.connect(path)
        try:
            schema.prepare(self._connection)
        except (sqlite3.Error, Rejected):
            self._connection.close()
            raise
        self._connection.execute(f"PRAGMA wal_autocheckpoint={AT_MOST}")
        self._checkpoints = Checkpoints(lambda: schema.connect(path))

    def commit(self, batch: Sequence[Item]) -> None:
        rows = apart(rows_of(batch))
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._write(batch, rows)
            self._connection.execute("COMMIT")
        except Exception:  # whatever it is, nothing of it has come to be
            self._ids = None  # it knows otherwise
            with contextlib.suppress(sqlite3.Error):
                self._connection.rollback()
            raise
        # A row takes its body, and about a page of what it shares with others.
        self._checkpoints.wrote(sum(len(row[-1]) + PAGE for _, row in rows))

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
    """Insert what is new, and say for each where it is.

    Positions are given here, inside the transaction, so that none has to be read back.
    """
    first = seq = _last(db)
    known = ids.find([row[KEY] for _, row in rows], first)
    if known:
        rows = [(item, _told_apart(db, known, item, row)) for item, row in rows]
        known |= ids.find([row[KEY] for _, row in rows if row[KEY] not in known], first)
    new: list[tuple[int, Row]] = []
    for item, row in rows:
        duplicate = (there := known.get(row[KEY])) is not None
        if there is None:
            seq += 1
            there = known[row[KEY]] = seq
            new.append((seq, row))
        elif there <= first:  # else twice in this batch
            duplicate = not _taken_up_again(db, there)
        item.answer = Kept(there, duplicate, its_id(item, row))
    for some in chunks(new):
        deliveries = chain.from_iterable((seq, *row[1:]) for seq, row in some)
        db.execute(many(_DELIVERIES, 7, len(some)), list(deliveries))
        work = chain.from_iterable((seq, row[0]) for seq, row in some)
        db.execute(many(_WORK, 2, len(some)), list(work))
    ids.add(((row[0], seq) for seq, row in new), seq)


def _last(db: sqlite3.Connection) -> int:
    """The last position ever given; those of deliveries that are gone are not given again."""
    found = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'deliveries'").fetchone()
    return found[0] if found else 0


def _told_apart(db: sqlite3.Connection, known: Mapping[bytes, int], item: Keep, row: Row) -> Row:
    """The row, under another id where its own is known with another body."""
    if (seq := known.get(row[KEY])) is None:
        return row
    found = db.execute("SELECT body FROM deliveries WHERE seq = ?", (seq,)).fetchone()
    body = item.new.body
    return row if is_same(found[0], row, body) else by_its_body(row, body)


def _taken_up_again(db: sqlite3.Connection, seq: int) -> bool:
    """Whether one that is here already had failed, and is taken up again."""
    reopened = db.execute(
        "UPDATE work SET state = 'kept', due_at = 0, attempts = 0"
        " WHERE seq = ? AND state = 'failed' RETURNING seq",
        (seq,),
    ).fetchone()
    return reopened is not None


def _begin(db: sqlite3.Connection, begun: Mapping[int, str]) -> None:
    db.executemany(
        "UPDATE work SET attempts = attempts + 1, error = ? WHERE seq = ? AND state = 'kept'",
        [(note, seq) for seq, note in begun.items()],
    )


def _update(db: sqlite3.Connection, finished: Sequence[Finished]) -> None:
    db.executemany(
        "UPDATE work SET state = ?, due_at = ?, attempts = ?, error = ? WHERE seq = ?",
        [(f.state, f.due_at, f.attempts, f.error, f.seq) for f in finished],
    )


def _remove(db: sqlite3.Connection, ids: Ids, item: Forget) -> None:
    seqs = [(seq,) for seq in item.seqs]
    if not item.wholly:
        db.executemany("UPDATE deliveries SET body = x'' WHERE seq = ?", seqs)
        return
    ids.forget(item.seqs)
    db.executemany("DELETE FROM work WHERE seq = ?", seqs)
    db.executemany("DELETE FROM deliveries WHERE seq = ?", seqs)
