"""Which deliveries are kept, by their keys: an index that follows behind.

Keys are as good as random, so an index that takes each of them at once has to write a page for
each, which costs as much as the delivery itself. So the newest ones are known by memory alone, and
go into the index some thousand at a time, in their own order: each page is then written once for
many. They stand in `work` as they came, from where a new process reads them.

All of it happens inside the transactions of the one who writes.
"""

import sqlite3
from collections.abc import Iterable, Sequence

from bridge.stores.sqlite_inbox.statements import chunks, many

BULK = 16_384
"""Keys that are known by memory alone before the index takes them."""

PORTIONS = 16
"""In how many transactions it takes them, so that nobody waits for all of it."""

POSITION = """
coalesce(
    (SELECT seq FROM ids WHERE key = :value),
    (SELECT seq FROM work WHERE seq > (SELECT upto FROM indexed) AND key = :value)
)
"""
"""Where the delivery with this key is, for who only reads."""

_INDEX = """
INSERT OR IGNORE INTO ids
SELECT key, seq FROM work
WHERE seq > (SELECT upto FROM indexed) AND seq <= ? AND key >= ? AND key < ? ORDER BY key
"""


class Ids:
    """What one writer knows of it. After a rollback it is to be made anew."""

    def __init__(self, connection: sqlite3.Connection, bulk: int = BULK) -> None:
        """Read which keys the index does not have; inside a transaction."""
        self._connection = connection
        self._bulk = bulk
        (self._seen,) = connection.execute("SELECT upto FROM indexed").fetchone()
        self._newest: dict[bytes, int] = {}
        self._upto = 0
        self._portion: int | None = None  # of those that are going into the index

    def find(self, keys: Sequence[bytes], last: int) -> dict[bytes, int]:
        """Where those of these keys are that are kept; `last`: the last position given."""
        if last > self._seen:  # at first, and where another process has kept some
            rows = self._connection.execute(
                "SELECT key, seq FROM work WHERE seq > ? ORDER BY seq", (self._seen,)
            )
            self._newest.update(rows)
            self._seen = last
        found: dict[bytes, int] = {}
        # Another process may have forgotten what this one remembers.
        for some in chunks([self._newest[key] for key in keys if key in self._newest]):
            query = f"SELECT key, seq FROM work WHERE seq IN {many('', len(some), 1)}"
            found |= self._connection.execute(query, some).fetchall()
        for unknown in chunks([key for key in keys if key not in found]):
            query = f"SELECT key, seq FROM ids WHERE key IN {many('', len(unknown), 1)}"
            found |= self._connection.execute(query, unknown).fetchall()
        return found

    def add(self, kept: Iterable[tuple[bytes, int]], last: int) -> None:
        """These have been kept, up to the position `last`."""
        self._newest.update(kept)
        self._seen = last

    def forget(self, seqs: Sequence[int]) -> None:
        """The deliveries at these positions are about to go."""
        for some in chunks(seqs):
            query = f"SELECT key FROM work WHERE seq IN {many('', len(some), 1)}"
            keys = [key for (key,) in self._connection.execute(query, some)]
            gone = f"DELETE FROM ids WHERE key IN {many('', len(keys), 1)}"
            self._connection.execute(gone, keys)
            for key in keys:
                self._newest.pop(key, None)

    def index_some(self) -> None:
        """Let the index take a portion, once there are enough."""
        if self._portion is None:
            if len(self._newest) < self._bulk:
                return
            self._portion, self._upto = 0, self._seen
        first = 256 * self._portion // PORTIONS
        self._portion += 1
        beyond = 256 * self._portion // PORTIONS
        end = bytes([beyond]) if beyond < 256 else b"\xff" * 17
        self._connection.execute(_INDEX, (self._upto, bytes([first]), end))
        if self._portion == PORTIONS:
            self._portion = None
            self._connection.execute("UPDATE indexed SET upto = max(upto, ?)", (self._upto,))
            self._newest = {key: seq for key, seq in self._newest.items() if seq > self._upto}
