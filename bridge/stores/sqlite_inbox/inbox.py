"""The inbox on SQLite: every delivery is on disk before it is answered.

The file is the inbox's own, so that no other part's writes can delay an answer
(durability.md has the measurements).
"""

import asyncio
import contextlib
import sqlite3
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bridge.core.errors import Unreachable
from bridge.ports.figures import InboxFigures
from bridge.ports.inbox import LONGEST_PAUSE, Delivery, DeliveryState
from bridge.stores.batches import MOST_AT_ONCE, BatchedInbox
from bridge.stores.packing import delivery_key, read_delivery
from bridge.stores.sqlite_inbox import ids, schema
from bridge.stores.sqlite_inbox.writing import Writer

YOUNG = 1000
"""Young deliveries in a row after which no old one is looked for: they come in order, but for a
clock that was ahead for a while."""

_FIELDS = "d.seq, d.host, d.id, d.event, d.headers, d.received_at, w.state, w.attempts, w.error"

_DUE = f"""
WITH free AS (
    SELECT seq FROM work WHERE state = 'kept' AND (due_at <= ? OR due_at > ?)
    ORDER BY seq LIMIT ?
), taken AS (
    SELECT d.seq, sum(length(d.body)) OVER (ORDER BY d.seq) - length(d.body) AS before
    FROM free JOIN deliveries d ON d.seq = free.seq
)
SELECT {_FIELDS}, d.body
FROM taken t JOIN deliveries d ON d.seq = t.seq JOIN work w ON w.seq = t.seq
WHERE t.before < ? ORDER BY d.seq
"""


class SqliteInbox(BatchedInbox):
    """Deliveries in a SQLite file (WAL, `synchronous=FULL`).

    Args:
        bulk: how many ids are known by memory alone before the index takes them.
    """

    def __init__(self, path: Path, *, bulk: int = ids.BULK, **batching: Any) -> None:
        super().__init__(**batching)
        self._path = path
        self._bulk = bulk
        self._reader: sqlite3.Connection | None = None
        self._reading = threading.Lock()

    # ── life ──────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Open the file, making it where there is none, and start the writer."""
        await self.start_writer(lambda: Writer(self._path, self._bulk))
        self._reader = schema.connect(self._path)

    async def stop(self) -> None:
        """Finish what is being kept, then close."""
        await self.stop_writer()
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    async def continue_after(self, seq: int) -> bool:
        """Give only positions after `seq` from now on; returns whether that changes anything."""
        return await asyncio.to_thread(self._continue_after, seq)

    def _continue_after(self, seq: int) -> bool:
        try:
            with contextlib.closing(schema.connect(self._path)) as connection:
                return schema.continue_after(connection, seq)
        except sqlite3.Error as error:
            raise Unreachable("the inbox", str(error)) from error

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
            with contextlib.closing(schema.connect(self._path)) as connection:
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
            _DUE,
            (now, now + LONGEST_PAUSE, limit, MOST_AT_ONCE),
        )

    async def newest(self, limit: int, *, before: int | None = None) -> list[Delivery]:
        """The newest deliveries, newest first, without bodies."""
        return await asyncio.to_thread(
            self._read,
            f"SELECT {_FIELDS}, NULL FROM deliveries d JOIN work w ON w.seq = d.seq"
            " WHERE d.seq < ? ORDER BY d.seq DESC LIMIT ?",
            (before if before is not None else sys.maxsize, limit),
        )

    async def ended(
        self, state: DeliveryState, limit: int, *, before: int, errors: Sequence[str] = ()
    ) -> list[Delivery]:
        """The newest deliveries in a state, newest first, without bodies; see the port."""
        one_of = f" AND w.error IN ({', '.join('?' * len(errors))})" if errors else ""
        return await asyncio.to_thread(
            self._read,
            f"SELECT {_FIELDS}, NULL FROM work w JOIN deliveries d ON d.seq = w.seq"
            f" WHERE w.state = ? AND w.seq < ?{one_of} ORDER BY w.seq DESC LIMIT ?",
            (state, before, *errors, limit),
        )

    async def find(self, host: str, id: str) -> Delivery | None:  # noqa: A002 - the port's
        """One delivery by the host's own id, with its body."""
        return await self._one(f"d.seq = {ids.POSITION}", delivery_key(host, id))

    async def get(self, seq: int) -> Delivery | None:
        """One delivery by its position, with its body."""
        return await self._one("d.seq = :value", min(seq, sys.maxsize))

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
            {"value": value},
        )
        return found[0] if found else None

    def _read(self, sql: str, values: Any) -> list[Delivery]:
        return [read_delivery(row) for row in self._rows(sql, values)]

    def _rows(self, sql: str, values: Any) -> list[Any]:
        assert self._reader is not None, "start() comes first"
        try:
            with self._reading:
                return self._reader.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise Unreachable("the inbox", str(error)) from error
