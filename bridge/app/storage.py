"""Open the stores: SQLite files of one process, or a Postgres that many share."""

import asyncio
import errno
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError

from bridge.app.data_folder import (
    SHARED_SESSIONS,
    database_away,
    database_url,
    must_be_ours,
    not_a_bridges,
)
from bridge.core.database import connect_arguments
from bridge.core.errors import Rejected, Unreachable
from bridge.ports.clock import Clock
from bridge.settings import Settings
from bridge.storage.engines import sqlite_engine, write_ahead
from bridge.storage.inbox.sqlite import SqliteInbox
from bridge.storage.journal import SqlJournal

if TYPE_CHECKING:
    import sqlalchemy as sa

    from bridge.durable.engine import DurableFlows
    from bridge.storage.inbox.postgres import PostgresInbox


@dataclass(frozen=True, slots=True)
class Stores:
    """The open stores: enough to answer every question and to record requests."""

    inbox: "SqliteInbox | PostgresInbox"
    journal: SqlJournal


@asynccontextmanager
async def open_stores(
    settings: Settings, owner: str = "command", *, listens: bool = False, clock: Clock = time.time
) -> AsyncIterator[Stores]:
    """Open the stores, with or without a running bridge beside.

    Args:
        owner: the name for claims and leases, on Postgres.
        listens: whether the inbox wakes up for deliveries that other processes keep.

    Raises:
        Rejected: they are unusable.
    """
    if database_url(settings) is None:
        must_be_ours(settings.data)
    inbox, journal = _stores(settings, owner, listens, clock)
    async with AsyncExitStack() as stack:
        for store in (inbox, journal):
            stack.push_async_callback(store.stop)
            await _opened(store, settings)
        yield Stores(inbox, journal)


def _stores(
    settings: Settings, owner: str, listens: bool, clock: Clock
) -> "tuple[SqliteInbox | PostgresInbox, SqlJournal]":
    if (url := database_url(settings)) is None:
        engine = sqlite_engine(_private(settings.data / "journal.sqlite"))
        return SqliteInbox(_private(settings.data / "inbox.sqlite")), SqlJournal(
            engine, clock=clock
        )
    from bridge.storage.inbox.postgres import PostgresInbox
    from bridge.storage.postgres import postgres_engine

    journal = SqlJournal(postgres_engine(url), clock=clock)
    return PostgresInbox(url, owner=owner, listens=listens), journal


def _private(file: Path) -> Path:
    """Return a file that only its owner may read, even in a shared folder such as a volume.

    SQLite's files beside it get the same mode.

    Raises:
        Rejected: it is unusable.
    """
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _create(file)
        write_ahead(file)
    except OSError as error:
        raise Rejected(
            f"{file} can't hold the data ({error.strerror}); choose another with BRIDGE_DATA"
        ) from error
    except sqlite3.DatabaseError as error:
        raise Rejected(not_a_bridges(str(file.parent), str(error))) from error
    return file


def _create(file: Path) -> None:
    """Create a file unless it is there.

    One that is there is not opened: the system drops a process's locks on a file when it closes any
    descriptor of it. If this process has SQLite's file open already, another process could then
    remove the write-ahead log that is in use, which ruins the database.
    """
    try:
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        if not os.access(file, os.R_OK | os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from None


async def _opened(store: Any, settings: Settings) -> None:
    try:
        await store.start()
    except (OSError, sqlite3.DatabaseError, DBAPIError, Unreachable) as error:
        why = str(getattr(error, "orig", error))
        if settings.database_url is not None:
            raise Rejected(database_away(why)) from error
        raise Rejected(not_a_bridges(str(settings.data), why)) from error


async def must_keep_sessions(settings: Settings) -> None:
    """Raise Rejected if the database is away, or other processes can't tell that we are alive."""
    if (url := database_url(settings)) is None:
        return
    from bridge.durable.peers import keeps_sessions

    try:
        kept = await keeps_sessions(url)
    except Unreachable as error:
        raise Rejected(database_away(str(error))) from error
    if not kept:
        raise Rejected(database_away("; ".join(SHARED_SESSIONS)))


def flows_of(settings: Settings, owner: str) -> "DurableFlows":
    """Return the workflow engine, not yet launched, on the stores' own database."""
    from bridge.durable.engine import DurableFlows

    peers = None
    if (url := database_url(settings)) is not None:
        from bridge.durable.peers import Peers

        peers = Peers(url, owner)
    return DurableFlows(_workflow_tables(settings), executor_id=owner, peers=peers)


def _workflow_tables(settings: Settings) -> "sa.Engine":
    from bridge.durable import system

    if (url := database_url(settings)) is None:
        return system.sqlite_engine(_private(settings.data / "workflows.sqlite"))
    return system.postgres_engine(url)


async def migrate(settings: Settings) -> None:
    """Bring all tables up to date; any number of processes may do so at once.

    Raises:
        Rejected: it is impossible, or a newer release created them.
    """
    from bridge.durable import system

    async with open_stores(settings):
        pass
    workflows = _workflow_tables(settings)
    try:
        await asyncio.to_thread(system.migrate, workflows)
    finally:
        workflows.dispose()


_SIZES = """
SELECT CASE WHEN s.nspname = 'dbos' THEN 'workflows'
            WHEN c.relname LIKE 'inbox%%' THEN 'inbox' ELSE 'journal' END AS store,
    sum(pg_total_relation_size(c.oid))::int8
FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace
WHERE c.relkind = 'r' AND (s.nspname = 'dbos' OR s.nspname = current_schema())
GROUP BY store
"""


def sizes_of(settings: Settings) -> Callable[[], dict[str, int]]:
    """Return a function for each store's bytes on disk; it returns {} while a database is away."""
    if (url := database_url(settings)) is None:
        return partial(_sizes_of_files, settings.data)
    return partial(_sizes_of_tables, url)


def _sizes_of_files(data: Path) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for store in ("inbox", "journal", "workflows"):
        files = (data / f"{store}.sqlite{end}" for end in ("", "-wal"))
        sizes[store] = sum(file.stat().st_size for file in files if file.exists())
    return sizes


def _sizes_of_tables(url: str) -> dict[str, int]:
    import psycopg

    try:
        with psycopg.connect(url, autocommit=True, **connect_arguments("metrics")) as db:
            return dict(db.execute(_SIZES).fetchall())
    except psycopg.Error:
        return {}
