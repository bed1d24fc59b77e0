"""Deliveries as rows: their keys, their compressed bodies, and ids that several bodies share."""

import hashlib
import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from bridge.core.errors import Rejected
from bridge.core.hooks import SIGNED_FOR, without_name
from bridge.ports.githosts import Body
from bridge.ports.inbox import Delivery, DeliveryState, NewDelivery

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Row = tuple[Any, ...]
"""Key, host, id, event, headers, received_at and packed body of a delivery to keep."""


def delivery_key(host: str, id: str) -> bytes:  # noqa: A002 - the field's own name
    """Return a sixteen-byte key for a host's delivery id, whatever its form."""
    return hashlib.blake2b(f"{host}\0{id}".encode(), digest_size=16).digest()


@lru_cache(maxsize=1000)
def _written(headers: tuple[tuple[str, str], ...]) -> str:
    """Return headers as JSON; cached, since most of a host's are the same."""
    return json.dumps(dict(headers), separators=(",", ":"))


def delivery_row(key: bytes, new: NewDelivery) -> Row:
    """Return a delivery as a row."""
    headers = _written(tuple(new.headers.items()))
    return (key, new.host, new.id, new.event, headers, new.received_at, pack(new.body))


LARGE = 2**18
"""Bytes of a packed body above which it is written and read in pieces of at most that size, so that
no large one is ever whole in memory."""

FIELDS = "d.seq, d.host, d.id, d.event, d.headers, d.received_at, w.state, w.attempts, w.error"
"""The first columns that `read_delivery` expects, of a delivery and its work."""

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


def read_delivery(row: Row, load: Callable[[int], Iterator[bytes]]) -> Delivery:
    """Return a delivery from the row of a query.

    Args:
        load: yields the packed body at a position, in pieces of at most `LARGE` bytes.
    """
    seq, host, id_, event, headers, received_at, state, attempts, error, body, length = row
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


KEY, HOST, ID, HEADERS, PACKED = 0, 1, 2, 4, -1
"""Positions in a row."""


def by_its_body(row: Row, body: Body) -> Row:
    """Return a row under a separate id, which the same body by the same signer always gets."""
    digest = hashlib.sha256(body)
    if scope := scope_in(row[HEADERS]):
        digest.update(scope.encode())
    id_ = f"{row[ID]}~{digest.hexdigest()[:32]}"
    return (delivery_key(row[HOST], id_), row[HOST], id_, *row[ID + 1 :])


def scope_in(headers: str) -> str | None:
    """Return what the secret of a delivery speaks for.

    Two webhooks may report one event. What one of them may not say, the other may.
    """
    return without_name(_headers(headers)[SIGNED_FOR]) if SIGNED_FOR in headers else None


def is_same(kept: bytes, headers: str, row: Row, body: Body) -> bool:
    """Return whether a stored delivery equals the new one; a deleted body counts as equal."""
    if scope_in(headers) != scope_in(row[HEADERS]):
        return False
    if not kept or kept == row[PACKED]:
        return True
    try:
        return PackedBody(kept).whole() == body
    except Rejected:  # the stored one can't be read any more, so the new one is worth keeping
        return False
