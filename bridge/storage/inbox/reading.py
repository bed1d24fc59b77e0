"""Deliveries as they are read: what both inboxes ask, and compressed bodies."""

import asyncio
import hashlib
import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from bridge.core.errors import Rejected
from bridge.ports.figures import InboxFigures
from bridge.ports.inbox import Delivery, DeliveryState

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LARGE = 2**18
"""Bytes of a packed body above which it is written and read in pieces of at most that size, so that
no large one is ever whole in memory."""

PROGRESS = "w.state, w.attempts, w.error, w.unfinished, w.unused"
FIELDS = f"d.seq, d.host, d.id, d.event, d.headers, d.received_at, {PROGRESS}"
"""The first columns that `read_delivery` expects, of a delivery and its work."""

BODY = f"CASE WHEN length(d.body) <= {LARGE} THEN d.body END, length(d.body)"
"""The last two columns that `read_delivery` expects; a large body is NULL."""

NO_BODY = "NULL, 0"


def delivery_key(host: str, id: str) -> bytes:  # noqa: A002 - the field's own name
    """Return a sixteen-byte key for a host's delivery id, whatever its form."""
    return hashlib.blake2b(f"{host}\0{id}".encode(), digest_size=16).digest()


class ReadInbox(ABC):
    """What both inboxes are asked.

    Attributes:
        deliveries, work: the names of the tables; the first has the bodies.
        by_key: the condition that finds a delivery by its key.
    """

    deliveries: ClassVar[str]
    work: ClassVar[str]
    by_key: ClassVar[str]

    async def newest(self, limit: int, *, before: int | None = None) -> list[Delivery]:
        last = before if before is not None else sys.maxsize
        return await self._read("WHERE d.seq < ? ORDER BY d.seq DESC LIMIT ?", [last, limit])

    async def ended(
        self, state: DeliveryState, limit: int, *, before: int, unused: str = ""
    ) -> list[Delivery]:
        of_it = " AND w.unused = ?" if unused else ""
        # Named in the query, since an index of one state serves only that one.
        where = f"WHERE w.state = '{state}' AND w.seq < ?{of_it} ORDER BY w.seq DESC LIMIT ?"
        return await self._read(where, [before, *([unused] * bool(unused)), limit])

    async def find(self, host: str, id: str) -> Delivery | None:  # noqa: A002 - the port's
        key = [delivery_key(host, id)] * self.by_key.count("?")
        found = await self._read(f"WHERE {self.by_key}", key, BODY)
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


def read_delivery(row: tuple[Any, ...], load: Callable[[int], Iterator[bytes]]) -> Delivery:
    """Return a delivery from the row of a query.

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
        headers=read_headers(headers),
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


def read_headers(text: str) -> Mapping[str, str]:
    """Return headers from a column."""
    headers: dict[str, str] = json.loads(text)
    return headers
