"""Shared by both inboxes: group commit, and reading.

Deliveries that arrive while a transaction is written share the next one and its single fsync.
One thread owns the writing connection. Requests wait on futures, which one `call_soon_threadsafe`
per batch resolves.
"""

import asyncio
import logging
import queue
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

from bridge.core.errors import Unreachable
from bridge.ports.figures import InboxFigures
from bridge.ports.inbox import Delivery, DeliveryState, Finished, Kept, NewDelivery
from bridge.storage.inbox.rows import (
    BODY,
    FIELDS,
    HEADERS,
    ID,
    KEY,
    NO_BODY,
    Row,
    by_its_body,
    delivery_key,
    delivery_row,
    read_delivery,
    scope_in,
)

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Keep:
    """A delivery to keep; the writer sets `answer`."""

    new: NewDelivery
    key: bytes
    done: asyncio.Future[Kept]
    answer: Kept | None = None


@dataclass(slots=True)
class Begin:
    """Deliveries about to be tried, each with its note."""

    begun: Mapping[int, str]
    done: asyncio.Future[None]


@dataclass(slots=True)
class Finish:
    """The new states of deliveries."""

    finished: Sequence[Finished]
    done: asyncio.Future[None]


@dataclass(slots=True)
class Forget:
    """Deliveries to delete, or only their bodies."""

    seqs: Sequence[int]
    wholly: bool
    done: asyncio.Future[None]


Item = Keep | Begin | Finish | Forget


def rows_of(batch: Sequence[Item]) -> list[tuple[Keep, Row]]:
    """Return the deliveries to keep in a batch, each with its row."""
    return [(item, delivery_row(item.key, item.new)) for item in batch if isinstance(item, Keep)]


def apart(rows: Iterable[tuple[Keep, Row]], known: Container[bytes]) -> list[tuple[Keep, Row]]:
    """Return the rows of a batch, changed so that equal keys mean equal bodies and signers.

    Those with known keys stay as they are, to be compared with what is kept.
    """
    first: dict[bytes, tuple[str | None, bytes | bytearray]] = {}
    return [
        (item, row)
        if row[KEY] in known
        or first.setdefault(row[KEY], one := (scope_in(row[HEADERS]), item.new.body)) == one
        else (item, by_its_body(row, item.new.body))
        for item, row in rows
    ]


def its_id(item: Keep, row: Row) -> str | None:
    """Return the id under which a delivery was kept, if it is not the sender's."""
    return None if row[ID] == item.new.id else str(row[ID])


class Writer(Protocol):
    """Owns the writing connection; lives in the writer's thread."""

    def commit(self, batch: Sequence[Item]) -> None:
        """Write the whole batch and return once it is on disk, or write nothing and raise."""

    def close(self) -> None:
        """Close the connection."""


MOST_AT_ONCE = 16 * 2**20
"""Bytes of compressed bodies to read at a time for decisions; a larger body is read alone."""


class BatchedInbox(ABC):
    """What both inboxes share.

    Attributes:
        woken: called in the event loop after each batch with something new.
        kept: counts the deliveries that were kept.
        deliveries, work: the names of the tables; the first has the bodies.
        by_key: the condition that finds a delivery by its key.
    """

    deliveries: ClassVar[str]
    work: ClassVar[str]
    by_key: ClassVar[str]

    def __init__(
        self,
        *,
        woken: Callable[[], None] = lambda: None,
        batch_rows: int = 256,
        batch_bytes: int = 8 * 2**20,
        most_held: int = 128 * 2**20,
    ) -> None:
        """Take the limits.

        Args:
            batch_rows, batch_bytes: of one transaction.
            most_held: bytes of bodies that may wait to be written, including those of senders that
                have disconnected.
        """
        self.woken = woken
        self._batch_rows = batch_rows
        self._batch_bytes = batch_bytes
        self._most_held = most_held
        self._held = 0
        self.kept = 0
        self._queue: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start_writer(self, open_writer: Callable[[], Writer]) -> None:
        """Open the writer, in a thread because that waits for the disk, and start it."""
        self._loop = asyncio.get_running_loop()
        opening = asyncio.ensure_future(asyncio.to_thread(open_writer))
        try:
            writer = await asyncio.shield(opening)
        except asyncio.CancelledError:  # the thread opens it all the same
            (await opening).close()
            raise
        self._thread = threading.Thread(
            target=self._write, args=(writer,), name="inbox-writer", daemon=True
        )
        self._thread.start()

    async def stop_writer(self) -> None:
        """Finish pending writes."""
        if self._thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    def put(self, new: NewDelivery) -> asyncio.Future[Kept]:
        assert self._loop is not None, "start() comes first"
        done: asyncio.Future[Kept] = self._loop.create_future()
        key = delivery_key(new.host, new.id)
        if self._held and self._held + len(new.body) > self._most_held:
            why = "more waits to be written than fits in memory"
            done.set_exception(Unreachable("the inbox", why))
        else:
            self._held += len(new.body)
            self._queue.put(Keep(new, key, done))
        return done

    async def keep(self, new: NewDelivery) -> Kept:
        return await self.put(new)

    async def begin(self, seqs: Mapping[int, str]) -> None:
        await self._written(Begin(seqs, asyncio.get_running_loop().create_future()))

    async def finish(self, finished: Sequence[Finished]) -> None:
        writable = [
            one if one.error is None else replace(one, error=_writable(one.error))
            for one in finished
        ]
        await self._written(Finish(writable, asyncio.get_running_loop().create_future()))

    async def forget_bodies(self, before: float, limit: int) -> int:
        return await self._forget(before, limit, "AND length(d.body) > 0", wholly=False)

    async def forget(self, before: float, limit: int) -> int:
        return await self._forget(before, limit, "", wholly=True)

    async def _forget(self, before: float, limit: int, more: str, *, wholly: bool) -> int:
        seqs = await asyncio.to_thread(self._expired, before, limit, more)
        if seqs:
            done = asyncio.get_running_loop().create_future()
            await self._written(Forget(seqs, wholly, done))
        return len(seqs)

    async def _written(self, item: "Begin | Finish | Forget") -> None:
        self._queue.put(item)
        await item.done

    async def ready(self) -> None:
        """Raise Unreachable if nothing can be kept; test with an empty transaction."""
        await self.finish([])

    # ── reading ───────────────────────────────────────────────────────────

    async def newest(self, limit: int, *, before: int | None = None) -> list[Delivery]:
        last = before if before is not None else sys.maxsize
        return await self._read("WHERE d.seq < ? ORDER BY d.seq DESC LIMIT ?", [last, limit])

    async def ended(
        self, state: DeliveryState, limit: int, *, before: int, errors: Sequence[str] = ()
    ) -> list[Delivery]:
        one_of = f" AND w.error IN ({', '.join('?' * len(errors))})" if errors else ""
        where = f"WHERE w.state = ? AND w.seq < ?{one_of} ORDER BY w.seq DESC LIMIT ?"
        return await self._read(where, [str(state), before, *errors, limit])

    async def find(self, host: str, id: str) -> Delivery | None:  # noqa: A002 - the port's
        found = await self._read(f"WHERE {self.by_key}", [delivery_key(host, id)], BODY)
        return found[0] if found else None

    async def get(self, seq: int) -> Delivery | None:
        found = await self._read("WHERE d.seq = ?", [min(seq, sys.maxsize)], BODY)
        return found[0] if found else None

    async def figures(self) -> InboxFigures:
        query = (  # read from the index of open work
            f"SELECT count(*), (SELECT received_at FROM {self.deliveries} WHERE seq ="
            f" (SELECT min(seq) FROM {self.work} WHERE state = 'kept'))"
            f" FROM {self.work} WHERE state = 'kept'"
        )
        (row,) = await asyncio.to_thread(self._fetch, query, [])
        return InboxFigures(*row)

    async def _read(self, rest: str, values: Sequence[Any], body: str = NO_BODY) -> list[Delivery]:
        tables = f"{self.deliveries} d JOIN {self.work} w ON w.seq = d.seq"
        return await self._read_rows(f"SELECT {FIELDS}, {body} FROM {tables} {rest}", values)

    async def _read_rows(self, query: str, values: Any) -> list[Delivery]:
        def read() -> list[Delivery]:
            return [read_delivery(row, self._load) for row in self._fetch(query, values)]

        return await asyncio.to_thread(read)

    @abstractmethod
    def _fetch(self, query: str, values: Any) -> list[Any]:
        """Return the rows of a query, whose values stand in for `?`; raise Unreachable."""

    @abstractmethod
    def _load(self, seq: int) -> Iterator[bytes]:
        """Yield a packed body in pieces of at most `LARGE` bytes."""

    @abstractmethod
    def _expired(self, before: float, limit: int, more: str) -> list[int]:
        """Return the oldest deliveries from before then that are not open, and fit `more`."""

    # ── the writer's thread ───────────────────────────────────────────────

    def _write(self, writer: Writer) -> None:
        running = True
        while running:
            batch, running = self._next_batch()
            if batch:
                self._settle(batch, _committed(writer, batch))
            del batch  # with its bodies: the next may be long in coming
        writer.close()

    def _next_batch(self) -> tuple[list[Item], bool]:
        """Wait for one item, then take everything that queued up meanwhile."""
        batch: list[Item] = []
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
            size += len(item.new.body) if isinstance(item, Keep) else 0
            block = False
        return batch, True

    def _settle(self, batch: list[Item], error: Unreachable | None) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._resolve, batch, error)

    # ── back in the event loop ────────────────────────────────────────────

    def _resolve(self, batch: list[Item], error: Unreachable | None) -> None:
        for item in batch:
            if isinstance(item, Keep):
                self._held -= len(item.new.body)
                self.kept += error is None
            if item.done.done():  # the caller is gone; the written delivery stays
                continue
            if error is not None:
                item.done.set_exception(error)
            elif isinstance(item, Keep):
                assert item.answer is not None
                item.done.set_result(item.answer)
            else:
                item.done.set_result(None)
        if error is None and any(isinstance(i, Keep) and _is_new(i) for i in batch):
            self.woken()


def _committed(writer: Writer, batch: Sequence[Item]) -> Unreachable | None:
    try:
        writer.commit(batch)
    except Unreachable as error:
        return error
    except Exception as error:  # any error: without this thread nothing is ever answered
        log.exception("the inbox could not be written")
        return Unreachable("the inbox", str(error))
    return None


def _writable(text: str) -> str:
    """Return text that every database accepts: a rejected text would fail the whole batch."""
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()


def _is_new(item: Keep) -> bool:
    return item.answer is not None and not item.answer.duplicate
