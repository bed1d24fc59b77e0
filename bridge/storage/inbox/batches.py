"""Shared by both inboxes: group commit, compressed rows, and deliveries with a known id.

Deliveries that arrive while a transaction is written share the next one and its single fsync.
One thread owns the writing connection. Requests wait on futures, which one `call_soon_threadsafe`
per batch resolves.
"""

import asyncio
import hashlib
import json
import logging
import queue
import sys
import threading
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, Protocol

from bridge.core.errors import Rejected, Unreachable
from bridge.core.hooks import SIGNED_FOR, without_name
from bridge.ports.githosts import Body
from bridge.ports.inbox import Delivery, DeliveryState, Finished, Kept, NewDelivery

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def delivery_key(host: str, id: str) -> bytes:  # noqa: A002 - the field's own name
    """Return a sixteen-byte key for a host's delivery id, whatever its form."""
    return hashlib.blake2b(f"{host}\0{id}".encode(), digest_size=16).digest()


@lru_cache(maxsize=1000)
def _written(headers: tuple[tuple[str, str], ...]) -> str:
    """Return headers as JSON; cached, since most of a host's are the same."""
    return json.dumps(dict(headers), separators=(",", ":"))


def delivery_row(key: bytes, new: NewDelivery) -> tuple[Any, ...]:
    """Return the row of a delivery: key, host, id, event, headers, received_at, body."""
    headers = _written(tuple(new.headers.items()))
    return (key, new.host, new.id, new.event, headers, new.received_at, pack(new.body))


LARGE = 2**18
"""Bytes of a packed body above which it is written and read in pieces of at most that size, so that
no large one is ever whole in memory."""

BODY = f"CASE WHEN length(d.body) <= {LARGE} THEN d.body END, length(d.body)"
"""The last two columns that `read_delivery` expects; a large body is NULL."""

NO_BODY = "NULL, 0"

_of_thread = threading.local()

_QUICKLY: dict[int, int] = {
    zstd.CompressionParameter.compression_level: 1,
    zstd.CompressionParameter.hash_log: 12,
    zstd.CompressionParameter.min_match: 7,
}
"""Level 1 with a table that fits into a core's L1 cache: 25% less time for payloads of the usual
size, for 1 to 5% more space."""


def pack(body: Body) -> bytes:
    """Compress a body; each thread keeps its compressor, which costs as much as 10 KB of body."""
    compressor: zstd.ZstdCompressor | None = getattr(_of_thread, "compressor", None)
    if compressor is None:
        compressor = _of_thread.compressor = zstd.ZstdCompressor(options=_QUICKLY)
    return compressor.compress(body, mode=zstd.ZstdCompressor.FLUSH_FRAME)


def read_delivery(row: tuple[Any, ...], load: Callable[[int], Iterator[bytes]]) -> Delivery:
    """Return a delivery from a row, which begins with seq, host, id and event.

    Args:
        load: yields the packed body at a position, in pieces of at most `LARGE` bytes.
    """
    seq, host, id_, event, headers, received_at, *work, body, length = row
    state, attempts, error, unfinished, unused = work
    stored = None
    if body:
        stored = PackedBody(body)
    elif length:
        stored = PackedBody(next(load(seq), b""), partial(load, seq))
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
        unfinished=unfinished,
        unused=unused,
        stored=stored,
    )


@dataclass(frozen=True, slots=True)
class PackedBody:
    """A body as it is stored; a `StoredBody`.

    Attributes:
        head: its first bytes.
        load: yields all of it, in pieces; None if `head` is all.
    """

    head: bytes
    load: Callable[[], Iterator[bytes]] | None = None

    @property
    def size(self) -> int:
        """Return its uncompressed size in bytes; 0 if it can't be decompressed."""
        try:
            return zstd.get_frame_info(self.head).decompressed_size or 0
        except zstd.ZstdError:
            return 0

    def whole(self) -> bytes:
        try:
            return zstd.decompress(b"".join(self._packed()))
        except zstd.ZstdError as error:
            raise _unreadable(str(error)) from None

    def pieces(self) -> Iterator[bytes]:
        unpacking = zstd.ZstdDecompressor()
        try:
            for packed in self._packed():
                yield from _unpacked(unpacking, packed)
        except zstd.ZstdError as error:
            raise _unreadable(str(error)) from None
        if not unpacking.eof:
            raise _unreadable("it ends too early")

    def _packed(self) -> Iterator[bytes]:
        return iter((self.head,)) if self.load is None else self.load()


def _unpacked(unpacking: zstd.ZstdDecompressor, packed: bytes) -> Iterator[bytes]:
    """Yield what a piece of a packed body holds, in pieces."""
    while not unpacking.eof:
        if piece := unpacking.decompress(packed, LARGE):
            yield piece
        if unpacking.needs_input:
            return
        packed = b""  # it has been taken; the rest of what it holds is still to come


def _unreadable(why: str) -> Rejected:
    why = f"its body can't be read back from the inbox ({why}): is the disk well?"
    return Rejected(f"{why} Push again, or deploy by command")


def _headers(text: str) -> Mapping[str, str]:
    headers: dict[str, str] = json.loads(text)
    return headers


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


Row = tuple[Any, ...]
"""The row to keep, see `delivery_row`."""


def rows_of(batch: Sequence[Item]) -> list[tuple[Keep, Row]]:
    """Return the deliveries to keep in a batch, each with its row."""
    return [(item, delivery_row(item.key, item.new)) for item in batch if isinstance(item, Keep)]


class Writer(Protocol):
    """Owns the writing connection; lives in the writer's thread."""

    def commit(self, batch: Sequence[Item]) -> None:
        """Write the whole batch and return once it is on disk, or write nothing and raise."""

    def close(self) -> None:
        """Close the connection."""


MOST_AT_ONCE = 16 * 2**20
"""Bytes of compressed bodies to read at a time for decisions; a larger body is read alone."""


class BatchedInbox:
    """The writing half of an inbox.

    `woken` is called in the event loop after each batch with something new. `kept` counts the
    deliveries that were kept.
    """

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
        item = Begin(seqs, asyncio.get_running_loop().create_future())
        self._queue.put(item)
        await item.done

    async def finish(self, finished: Sequence[Finished]) -> None:
        writable = [
            one if one.error is None else replace(one, error=_writable(one.error))
            for one in finished
        ]
        item = Finish(writable, asyncio.get_running_loop().create_future())
        self._queue.put(item)
        await item.done

    async def remove(self, seqs: Sequence[int], *, wholly: bool) -> None:
        """Delete deliveries, or only their bodies."""
        item = Forget(seqs, wholly, asyncio.get_running_loop().create_future())
        self._queue.put(item)
        await item.done

    async def ready(self) -> None:
        """Raise Unreachable if nothing can be kept; test with an empty transaction."""
        await self.finish([])

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


KEY, HOST, ID, HEADERS, PACKED = 0, 1, 2, 4, -1
"""Positions in a row, see `delivery_row`."""


def apart(rows: Iterable[tuple[Keep, Row]], known: Container[bytes]) -> list[tuple[Keep, Row]]:
    """Return the rows of a batch, changed so that equal keys mean equal bodies and signers.

    Those with known keys stay as they are, to be compared with what is kept.
    """
    first: dict[bytes, tuple[str | None, Body]] = {}
    return [
        (item, row)
        if row[KEY] in known
        or first.setdefault(row[KEY], one := (_scope_in(row[HEADERS]), item.new.body)) == one
        else (item, by_its_body(row, item.new.body))
        for item, row in rows
    ]


def by_its_body(row: Row, body: Body) -> Row:
    """Return a row under a separate id, which the same body by the same signer always gets."""
    digest = hashlib.sha256(body)
    if scope := _scope_in(row[HEADERS]):
        digest.update(scope.encode())
    id_ = f"{row[ID]}~{digest.hexdigest()[:32]}"
    return (delivery_key(row[HOST], id_), row[HOST], id_, *row[ID + 1 :])


def _scope_in(headers: str) -> str | None:
    """Return what the secret of a delivery speaks for.

    Two webhooks may report one event. What one of them may not say, the other may.
    """
    return without_name(_headers(headers)[SIGNED_FOR]) if SIGNED_FOR in headers else None


def is_same(kept: bytes, headers: str, row: Row, body: Body) -> bool:
    """Return whether a stored delivery equals the new one; a deleted body counts as equal."""
    if _scope_in(headers) != _scope_in(row[HEADERS]):
        return False
    if not kept or kept == row[PACKED]:
        return True
    try:
        return PackedBody(kept).whole() == body
    except Rejected:  # the stored one can't be read any more, so the new one is worth keeping
        return False


def its_id(item: Keep, row: Row) -> str | None:
    """Return the id under which a delivery was kept, if it is not the sender's."""
    return None if row[ID] == item.new.id else str(row[ID])
