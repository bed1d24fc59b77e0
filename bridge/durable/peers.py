"""The processes that work on one Postgres: which are alive, and which hand over work.

A process is alive while it holds its own advisory lock. The lock ends with the session, and thus
with the process, without depending on a clock. The same session listens for calls of processes that
leave. A pooler in transaction mode would share the session: `keeps_sessions` finds that out.
"""

import asyncio
import logging
import math
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import psycopg
import sqlalchemy as sa

from bridge.core.database import SESSION, connect_arguments
from bridge.core.errors import BridgeError, Unreachable

log = logging.getLogger(__name__)

Connection = psycopg.AsyncConnection[tuple[Any, ...]]

LOCKS = 0x62726467
"""The first of the two numbers of our advisory locks; the second one is the process's."""

GRACE = 5.0
"""Seconds that a process may be missing: after a server restart, they return one by one."""

LOOK = 1.0
"""Seconds between two checks for living processes, and between two attempts to reconnect."""

ASK = 10.0
"""Seconds between two queries for all active flows even if no process seems to be missing: one may
have come and gone between two checks."""

_ALIVE = """
SELECT objid FROM pg_locks
WHERE locktype = 'advisory' AND classid = %s AND objsubid = 2 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def new_executor_id() -> str:
    """Return a name for this process that no other process has or will have."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.randbits(31):08x}"


def number_of(executor_id: str) -> int:
    """Return the number of a process's lock; for a foreign name 0, which nobody holds."""
    try:
        return int(executor_id.rpartition("-")[2], 16)
    except ValueError:
        return 0


PROBES = 5
"""Attempts to find a session that is shared: others may use the pooler at the same time."""

PROBE_SECONDS = 10.0
"""Seconds for all of them; a pooler without a free connection would let us wait for minutes."""

_SESSION_ID = "SELECT pg_backend_pid(), pg_postmaster_start_time()"


async def keeps_sessions(url: str) -> bool:
    """Return whether each connection keeps a session of its own between two transactions.

    Behind a pooler in transaction or statement mode, our locks and LISTEN would stay with a session
    that others then use.

    Raises:
        Unreachable: the database is away, or has no second connection for us.
    """
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            return await _keeps_sessions(url)
    except TimeoutError:
        why = f"it gave no two connections within {PROBE_SECONDS:g} s: a worker needs about 13"
        raise Unreachable("the database", why) from None
    except psycopg.Error as error:
        raise Unreachable("the database", " ".join(str(error).split())) from error


async def _keeps_sessions(url: str) -> bool:
    arguments: dict[str, Any] = connect_arguments("probe") | {"autocommit": True}
    connect = psycopg.AsyncConnection.connect
    async with await connect(url, **arguments) as ours, await connect(url, **arguments) as other:
        first = await _session_of(ours)
        for _ in range(PROBES):
            # A pooler that shares sessions gives this transaction the one that was just free.
            try:
                async with other.transaction():
                    if await _session_of(other) == first or await _session_of(ours) != first:
                        return False
            except psycopg.errors.ProtocolViolation:  # statement mode has no transactions
                return False
    return True


async def _session_of(db: Connection) -> tuple[Any, ...] | None:
    return await (await db.execute(_SESSION_ID)).fetchone()


def anybody_works(url: str) -> bool:
    """Return whether any process works on that database; raise Unreachable."""
    try:
        with psycopg.connect(url, autocommit=True, **connect_arguments("command")) as db:
            return db.execute(_ALIVE, [LOCKS]).fetchone() is not None
    except psycopg.Error as error:
        raise Unreachable("the database", type(error).__name__) from error


CHANNEL = "bridge_flows"
"""The channel on which processes announce waiting flows."""


def call(engine: sa.Engine) -> None:
    """Have other processes check for waiting flows; those that miss it check later."""
    try:
        with engine.begin() as db:
            db.exec_driver_sql(f"NOTIFY {CHANNEL}")
    except sa.exc.SQLAlchemyError as error:
        log.warning("other processes can't be called", extra={"why": type(error).__name__})


class Missing:
    """The processes that are missing, and since when. Pure: the caller passes the time."""

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._since: dict[str, float] = {}

    @property
    def any(self) -> bool:
        """Whether any process was missing the last time."""
        return bool(self._since)

    def over(self, missing: Iterable[str], now: float) -> list[str]:
        """Return the processes that have been missing for too long."""
        self._since = {name: self._since.get(name, now) for name in missing}
        return [name for name, since in self._since.items() if now - since >= self._grace]


Busy = Callable[[], Awaitable[set[str]]]
"""Returns the processes with active flows."""

TakeOver = Callable[[str], Awaitable[None]]
"""Requeues the flows of a process."""


class Peers:
    """This process among its peers."""

    def __init__(self, url: str, executor_id: str, *, grace: float = GRACE) -> None:
        self._url = url
        self._executor_id = executor_id
        self._missing = Missing(grace)
        self._alive: set[int] = set()
        self._asked_at = -math.inf
        self._db: Connection | None = None

    async def join(self) -> None:
        """Count as alive from here on; raise Unreachable."""
        try:
            await self._join()
        except psycopg.Error as error:
            raise Unreachable("the database", type(error).__name__) from error

    async def watch(
        self, busy: Busy, take_over: TakeOver, called: Callable[[], None] = lambda: None
    ) -> None:
        """Take over dead processes' flows, and receive calls, as long as this process lives.

        Args:
            called: called when another process may have left waiting flows to us.
        """
        while True:
            try:
                if self._db is None:
                    await self._join()
                    called()  # perhaps somebody called meanwhile
                await self._look(busy, take_over)
                await self._hear(called)
            except psycopg.Error as error:
                log.warning("peers can't be seen", extra={"why": type(error).__name__})
                await self._drop()
            except BridgeError as error:
                log.warning("flows can't be taken over", extra={"why": str(error)})
            await asyncio.sleep(LOOK)

    async def leave(self) -> None:
        """Count as gone from here on."""
        await self._drop()

    async def _join(self) -> None:
        arguments = connect_arguments("presence")
        self._db = await psycopg.AsyncConnection.connect(self._url, autocommit=True, **arguments)
        await self._db.execute(SESSION)
        # This waits if the server has not noticed yet that our last session is over.
        await self._db.execute("SELECT pg_advisory_lock(%s, %s)", self._lock_of(self._executor_id))
        await self._db.execute(f"LISTEN {CHANNEL}")

    async def _hear(self, called: Callable[[], None]) -> None:
        """Pass on calls by others since the last check.

        Waiting for calls here would wake the process ten times a second (psycopg checks whether it
        was cancelled), though calls are rare and may take a second.
        """
        assert self._db is not None
        async for _ in self._db.notifies(timeout=0):
            called()

    async def _look(self, busy: Busy, take_over: TakeOver) -> None:
        assert self._db is not None
        found = await (await self._db.execute(_ALIVE, [LOCKS])).fetchall()
        alive = {number for (number,) in found}
        is_late = time.monotonic() - self._asked_at >= ASK
        if alive == self._alive and not self._missing.any and not is_late:
            return  # to query the active flows costs more than this check
        others = await busy() - {self._executor_id}
        self._alive, self._asked_at = alive, time.monotonic()
        missing = [name for name in others if number_of(name) not in alive]
        for name in self._missing.over(missing, time.monotonic()):
            await self._take_over(name, take_over)

    async def _take_over(self, name: str, take_over: TakeOver) -> None:
        """Take over under the process's lock, so only one of us does, and not while it returns."""
        assert self._db is not None
        query = "SELECT pg_try_advisory_lock(%s, %s)"
        free = await (await self._db.execute(query, self._lock_of(name))).fetchone()
        if free == (True,):
            try:
                await take_over(name)
            finally:
                await self._db.execute("SELECT pg_advisory_unlock(%s, %s)", self._lock_of(name))

    def _lock_of(self, executor_id: str) -> list[int]:
        return [LOCKS, number_of(executor_id)]

    async def _drop(self) -> None:
        if self._db is not None:
            await self._db.close()
            self._db = None
