"""The inbox on SQLite: every delivery is on disk before it is answered.

Group commit: what arrives while the last transaction is written to disk shares the next
one and its single fsync. One thread owns the writing connection; requests wait on futures
that one `call_soon_threadsafe` a batch resolves. The file is the inbox's own, so that no
other part's writes can delay an answer (durability.md has the measurements).
"""

import asyncio
import contextlib
import hashlib
import json
import logging
import queue
import sqlite3
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.core.errors import Unreachable
from bridge.ports import Delivery, DeliveryState, Finished, InboxFigures, Kept, NewDelivery

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

log = logging.getLogger(__name__)

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

_FIELDS = "d.seq, d.host, d.id, d.event, d.headers, d.received_at, w.state, w.attempts, w.error"


@dataclass(slots=True)
class _Keep:
    new: NewDelivery
    key: bytes
    done: asyncio.Future[Kept]
    answer: Kept | None = None


@dataclass(slots=True)
class _Forget:
    seqs: Sequence[int]
    wholly: bool
    done: asyncio.Future[None]


@dataclass(slots=True)
class _Finish:
    finished: Sequence[Finished]
    done: asyncio.Future[None]


def delivery_key(host: str, id: str) -> bytes:  # noqa: A002 - the field's own name
    """Sixteen bytes that stand for a host's delivery id, whatever its form."""
    return hashlib.blake2b(f"{host}\0{id}".encode(), digest_size=16).digest()


class SqliteInbox:
    """Deliveries in a SQLite file (WAL, `synchronous=FULL`).

    `woken` is called in the event loop after each batch that kept something new.
    """

    def __init__(
        self,
        path: Path,
        *,
        woken: Callable[[], None] = lambda: None,
        batch_rows: int = 256,
        batch_bytes: int = 8 * 2**20,
        remembered: int = 100_000,
    ) -> None:
        self._path = path
        self.woken = woken
        self._batch_rows = batch_rows
        self._batch_bytes = batch_bytes
        self._remembered = remembered
        self._known: OrderedDict[bytes, int] = OrderedDict()
        self._queue: queue.SimpleQueue[_Keep | _Finish | _Forget | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._reader: sqlite3.Connection | None = None
        self._reading = threading.Lock()

    # ── life ──────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Open the file, making it where there is none, and start the writer."""
        self._loop = asyncio.get_running_loop()
        writer = await asyncio.to_thread(self._open)
        self._reader = _connect(self._path)
        self._thread = threading.Thread(
            target=self._write, args=(writer,), name="inbox-writer", daemon=True
        )
        self._thread.start()

    async def stop(self) -> None:
        """Finish what is being kept, then close."""
        if self._thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        writer = _connect(self._path)
        try:
            writer.executescript(SCHEMA)
        except sqlite3.Error:
            writer.close()
            raise
        return writer

    # ── keeping ───────────────────────────────────────────────────────────

    def known(self, host: str, id: str) -> Kept | None:  # noqa: A002 - the field's own name
        """The answer for a delivery that is surely kept already; None: ask `keep`."""
        seq = self._known.get(delivery_key(host, id))
        return None if seq is None else Kept(seq, duplicate=True)

    async def keep(self, new: NewDelivery) -> Kept:
        """Write a delivery to disk; returns once it is there.

        A repeated id is a duplicate and changes nothing, unless the first one was parked
        as `failed`: then it is taken up again.

        Raises:
            Unreachable: it could not be written (disk full, file gone); nothing is half-kept.
        """
        loop = asyncio.get_running_loop()
        item = _Keep(new, delivery_key(new.host, new.id), loop.create_future())
        self._queue.put(item)
        return await item.done

    async def finish(self, finished: Sequence[Finished]) -> None:
        """Record how far deliveries have come, in one transaction."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put(_Finish(finished, done))
        await done

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
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._queue.put(_Forget(seqs, wholly, done))
            await done
        return len(seqs)

    def _old(self, before: float, limit: int, more: str) -> list[int]:
        with contextlib.closing(_connect(self._path)) as connection:
            try:
                found = connection.execute(
                    "SELECT d.seq FROM deliveries d JOIN work w ON w.seq = d.seq"
                    f" WHERE d.received_at < ? AND w.state <> 'kept' {more}"
                    " ORDER BY d.seq LIMIT ?",
                    (before, limit),
                ).fetchall()
            except sqlite3.Error as error:
                raise Unreachable("the inbox", str(error)) from error
        return [seq for (seq,) in found]

    # ── reading ───────────────────────────────────────────────────────────

    async def due(self, now: float, limit: int) -> list[Delivery]:
        """Kept deliveries whose turn has come, with bodies, oldest first."""
        return await asyncio.to_thread(
            self._read,
            f"SELECT {_FIELDS}, d.body FROM work w JOIN deliveries d ON d.seq = w.seq"
            " WHERE w.state = 'kept' AND w.due_at <= ? ORDER BY w.seq LIMIT ?",
            (now, limit),
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

    async def ready(self) -> None:
        """Raises Unreachable when nothing can be kept: an empty transaction goes the whole way."""
        await self.finish([])

    async def _one(self, where: str, value: Any) -> Delivery | None:
        found = await asyncio.to_thread(
            self._read,
            f"SELECT {_FIELDS}, d.body FROM deliveries d JOIN work w ON w.seq = d.seq"
            f" WHERE {where}",
            (value,),
        )
        return found[0] if found else None

    def _read(self, sql: str, values: tuple[Any, ...]) -> list[Delivery]:
        return [_delivery(row) for row in self._rows(sql, values)]

    def _rows(self, sql: str, values: tuple[Any, ...]) -> list[Any]:
        assert self._reader is not None, "start() comes first"
        try:
            with self._reading:
                return self._reader.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise Unreachable("the inbox", str(error)) from error

    # ── the writer thread ─────────────────────────────────────────────────

    def _write(self, writer: sqlite3.Connection) -> None:
        running = True
        while running:
            batch, running = self._next_batch()
            if batch:
                self._settle(batch, self._commit(writer, batch))
        writer.close()

    def _next_batch(self) -> tuple[list[_Keep | _Finish | _Forget], bool]:
        """Wait for one item, then take along all that queued meanwhile."""
        batch: list[_Keep | _Finish | _Forget] = []
        size = 0
        block = True
        while len(batch) < self._batch_rows and size < self._batch_bytes:
            try:
                item = self._queue.get(block=block)
            except queue.Empty:
                break
            if item is None:
                return batch, False
            batch.append(item)
            size += len(item.new.body) if isinstance(item, _Keep) else 0
            block = False
        return batch, True

    def _commit(
        self, writer: sqlite3.Connection, batch: list[_Keep | _Finish | _Forget]
    ) -> Unreachable | None:
        try:
            rows = {id(item): _row(item) for item in batch if isinstance(item, _Keep)}
            writer.execute("BEGIN IMMEDIATE")
            for item in batch:
                if isinstance(item, _Keep):
                    item.answer = _insert(writer, item, rows[id(item)])
                elif isinstance(item, _Finish):
                    _update(writer, item.finished)
                else:
                    _remove(writer, item)
            writer.execute("COMMIT")
        except Exception as error:  # whatever it is: without this thread nothing is ever answered
            log.exception("the inbox could not be written")
            with contextlib.suppress(sqlite3.Error):
                writer.rollback()
            return Unreachable("the inbox", str(error))
        return None

    def _settle(self, batch: list[_Keep | _Finish | _Forget], error: Unreachable | None) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._resolve, batch, error)

    def _resolve(self, batch: list[_Keep | _Finish | _Forget], error: Unreachable | None) -> None:
        for item in batch:
            if error is None:
                self._remember(item)
            if item.done.done():  # whoever asked has gone; what was written stays
                continue
            if error is not None:
                item.done.set_exception(error)
            elif isinstance(item, _Keep):
                assert item.answer is not None
                item.done.set_result(item.answer)
            else:
                item.done.set_result(None)
        if error is None and any(isinstance(i, _Keep) and _is_new(i) for i in batch):
            self.woken()

    def _remember(self, item: _Keep | _Finish | _Forget) -> None:
        if isinstance(item, _Keep):
            assert item.answer is not None
            self._known[item.key] = item.answer.seq
            if len(self._known) > self._remembered:
                self._known.popitem(last=False)
            return
        if isinstance(item, _Forget):
            return
        for finished in item.finished:  # a failed one may come again, so it is not "known"
            if finished.state is DeliveryState.FAILED:
                self._known.pop(delivery_key(finished.host, finished.id), None)


def _is_new(item: _Keep) -> bool:
    return item.answer is not None and not item.answer.duplicate


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=30, cached_statements=64
    )
    try:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000"):
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:  # no database, or one that can't be written
        connection.close()
        raise
    return connection


def _row(item: _Keep) -> tuple[Any, ...]:
    new = item.new
    headers = json.dumps(dict(new.headers), separators=(",", ":"))
    body = zstd.compress(new.body, level=1)
    return (item.key, new.host, new.id, new.event, headers, new.received_at, body)


def _insert(writer: sqlite3.Connection, item: _Keep, row: tuple[Any, ...]) -> Kept:
    inserted = writer.execute(
        "INSERT OR IGNORE INTO deliveries (key, host, id, event, headers, received_at, body)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING seq",
        row,
    ).fetchone()
    if inserted is not None:
        writer.execute("INSERT INTO work (seq) VALUES (?)", inserted)
        return Kept(inserted[0], duplicate=False)
    (seq,) = writer.execute("SELECT seq FROM deliveries WHERE key = ?", (item.key,)).fetchone()
    reopened = writer.execute(
        "UPDATE work SET state = 'kept', due_at = 0, attempts = 0"
        " WHERE seq = ? AND state = 'failed' RETURNING seq",
        (seq,),
    ).fetchone()
    return Kept(seq, duplicate=reopened is None)


def _update(writer: sqlite3.Connection, finished: Sequence[Finished]) -> None:
    writer.executemany(
        "UPDATE work SET state = ?, due_at = ?, attempts = ?, error = ? WHERE seq = ?",
        [(f.state, f.due_at, f.attempts, f.error, f.seq) for f in finished],
    )


def _remove(writer: sqlite3.Connection, item: _Forget) -> None:
    seqs = [(seq,) for seq in item.seqs]
    if not item.wholly:
        writer.executemany("UPDATE deliveries SET body = x'' WHERE seq = ?", seqs)
        return
    writer.executemany("DELETE FROM work WHERE seq = ?", seqs)
    writer.executemany("DELETE FROM deliveries WHERE seq = ?", seqs)


def _delivery(row: tuple[Any, ...]) -> Delivery:
    seq, host, id_, event, headers, received_at, state, attempts, error, body = row
    return Delivery(
        seq=seq,
        host=host,
        id=id_,
        event=event,
        headers=_headers(headers),
        received_at=received_at,
        state=DeliveryState(state),
        attempts=attempts,
        error=error,
        body=zstd.decompress(body) if body else None,
    )


def _headers(text: str) -> Mapping[str, str]:
    headers: dict[str, str] = json.loads(text)
    return headers
