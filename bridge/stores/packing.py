"""Deliveries as an inbox's rows: what is kept of each, its body compressed."""

import hashlib
import json
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from bridge.core.errors import Rejected
from bridge.ports.githosts import Body
from bridge.ports.inbox import Delivery, DeliveryState, NewDelivery

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def delivery_key(host: str, id: str) -> bytes:  # noqa: A002 - the field's own name
    """Sixteen bytes that stand for a host's delivery id, whatever its form."""
    return hashlib.blake2b(f"{host}\0{id}".encode(), digest_size=16).digest()


@lru_cache(maxsize=100)
def _written(headers: tuple[tuple[str, str], ...]) -> str:
    """Headers as JSON; one host's are mostly the same."""
    return json.dumps(dict(headers), separators=(",", ":"))


def delivery_row(key: bytes, new: NewDelivery) -> tuple[Any, ...]:
    """What is kept of a delivery: key, host, id, event, headers, received_at, body."""
    headers = _written(tuple(new.headers.items()))
    return (key, new.host, new.id, new.event, headers, new.received_at, pack(new.body))


_PIECE = 256 * 1024

_of_thread = threading.local()

_QUICKLY: dict[int, int] = {
    zstd.CompressionParameter.compression_level: 1,
    zstd.CompressionParameter.hash_log: 12,
    zstd.CompressionParameter.min_match: 7,
}
"""Level 1 with a table that fits into a core's first cache: a quarter less time for payloads of
usual size, which take 1 to 5% more."""


def pack(body: Body) -> bytes:
    """A body, compressed; each thread keeps its compressor, which is as dear as 10 KB of body."""
    compressor: zstd.ZstdCompressor | None = getattr(_of_thread, "compressor", None)
    if compressor is None:
        compressor = _of_thread.compressor = zstd.ZstdCompressor(options=_QUICKLY)
    return compressor.compress(body, mode=zstd.ZstdCompressor.FLUSH_FRAME)


def read_delivery(row: tuple[Any, ...]) -> Delivery:
    """A delivery from a row: seq, host, id, event, headers, received_at, state, attempts, …"""
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
        stored=PackedBody(body) if body else None,
    )


@dataclass(frozen=True, slots=True)
class PackedBody:
    """A body as it is kept; a `StoredBody`."""

    packed: bytes

    @property
    def size(self) -> int:
        """Its bytes once unpacked; 0 for what can't be unpacked."""
        try:
            return zstd.get_frame_info(self.packed).decompressed_size or 0
        except zstd.ZstdError:
            return 0

    def whole(self) -> bytes:
        """See `StoredBody.whole`."""
        try:
            return zstd.decompress(self.packed)
        except zstd.ZstdError as error:
            raise _unreadable(str(error)) from None

    def pieces(self) -> Iterator[bytes]:
        """See `StoredBody.pieces`."""
        unpacking, packed = zstd.ZstdDecompressor(), self.packed
        try:
            while not unpacking.eof:
                piece = unpacking.decompress(packed, _PIECE)
                packed = b""
                if not piece and unpacking.needs_input:
                    raise _unreadable("it ends too early")
                yield piece
        except zstd.ZstdError as error:
            raise _unreadable(str(error)) from None


def _unreadable(why: str) -> Rejected:
    why = f"its body can't be read back from the inbox ({why}): is the disk well?"
    return Rejected(f"{why} Push again, or deploy by command")


def _headers(text: str) -> Mapping[str, str]:
    headers: dict[str, str] = json.loads(text)
    return headers
