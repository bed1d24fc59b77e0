"""Short transactions in a small thread pool, so the event loop never waits for the disk."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any, TypeVar

import sqlalchemy as sa

from bridge.core.errors import Rejected, Unreachable
from bridge.ports.journal import JOURNAL
from bridge.storage.engines import RETRIED, WRITES

T = TypeVar("T")

AWAY = (
    sa.exc.OperationalError,
    sa.exc.InterfaceError,
    sa.exc.InternalError,  # e.g. a read-only server, or one that ended an idle transaction
    sa.exc.TimeoutError,
)
"""Errors that mean that the database is unavailable for everyone."""

UNKEPT = (
    "it has a character that a database can't keep, such as half of a surrogate pair: remove it"
)

TRIES = 5
"""Attempts of a transaction that conflicts with others."""


class Transactions:
    """Reads and writes of one database; each part of the journal is built on them.

    Args:
        woken: called in the event loop after each transaction that may have made a subscription
            pending.
    """

    def __init__(
        self,
        engine: sa.Engine,
        *,
        clock: Callable[[], float],
        threads: int = 4,
        woken: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self.woken = woken
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="journal")
        # SQLite takes one writer at a time: waiting here is cheaper than polling its lock.
        one_writer = engine.dialect.name == "sqlite"
        self._writing: Any = threading.Lock() if one_writer else nullcontext()
        # All queries of one read see the same moment; SQLite's transactions do anyway.
        moment = {} if one_writer else {"isolation_level": "REPEATABLE READ"}
        self._reading = engine.execution_options(**moment)
        # A single query needs no transaction, which takes two more round trips to the server.
        once = {} if one_writer else {"isolation_level": "AUTOCOMMIT"}
        self._reading_once = engine.execution_options(**once)

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except AWAY as error:
            if (words := _too_much(error)) is not None:
                raise Rejected(f"the journal can't keep it: {words}") from error
            # Only the driver's message: SQLAlchemy's own quotes the statement and its values.
            raise Unreachable(JOURNAL, str(getattr(error, "orig", error))) from error
        except (sa.exc.DataError, UnicodeEncodeError) as error:
            raise Rejected(UNKEPT) from error

    async def _all(self, query: sa.Select[Any]) -> list[dict[str, Any]]:
        return await self._once(lambda db: [dict(row) for row in db.execute(query).mappings()])

    async def _once(self, work: Callable[[sa.Connection], T]) -> T:
        """Run a read that is one query."""
        return await self._within(self._reading_once, work)

    async def _read(self, work: Callable[[sa.Connection], T]) -> T:
        """Run a read whose queries see the same moment."""
        return await self._within(self._reading, work)

    async def _within(self, engine: sa.Engine, work: Callable[[sa.Connection], T]) -> T:
        def read() -> T:
            with engine.begin() as db:
                return work(db)

        return await self._run(read)

    async def _change(self, work: Callable[[sa.Connection], T]) -> T:
        """Run a write that may make a subscription pending."""
        result = await self._write(work)
        self.woken()
        return result

    async def _write(self, work: Callable[[sa.Connection], T]) -> T:
        def write() -> T:
            with self._writing, self._engine.connect() as connection:
                db = connection.execution_options(**{WRITES: True})
                with db.begin():
                    return work(db)

        return await self._run(lambda: _again(write))


TOO_MUCH = "54"
"""The prefix of Postgres's codes for exceeded limits, e.g. a name too long for an index. The driver
reports them like temporary errors, but these are permanent."""


def _too_much(error: Exception) -> str | None:
    """Return the driver's message in one line if the data exceeds a limit of the database."""
    cause = getattr(error, "orig", None)
    if not (getattr(cause, "sqlstate", None) or "").startswith(TOO_MUCH):
        return None
    return str(cause).partition("\n")[0]


def _again(write: Callable[[], T]) -> T:
    """Repeat a transaction that the database ended because of a conflict."""
    for _ in range(TRIES - 1):
        try:
            return write()
        except sa.exc.OperationalError as error:
            if getattr(error.orig, "sqlstate", None) not in RETRIED:
                raise
    return write()
