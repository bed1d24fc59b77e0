"""What is kept, opened: SQLite files that one process has, or a Postgres that many share."""

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError

from bridge.app.folder import must_be_ours
from bridge.app.whereabouts import database_url
from bridge.core.errors import Rejected, Unreachable
from bridge.ports.clock import Clock
from bridge.settings import Settings
from bridge.stores.engines import postgres_engine, sqlite_engine, write_ahead
from bridge.stores.journal import SqlJournal
from bridge.stores.sqlite_inbox import SqliteInbox

if TYPE_CHECKING:
    from bridge.durable.engine import DurableFlows
    from bridge.stores.postgres_inbox import PostgresInbox

POLL = 0.1
"""Seconds between the engine's looks on Postgres, where several processes look."""


@dataclass(frozen=True, slots=True)
class Stores:
    """What is on disk; enough for every question, and to ask for something."""

    inbox: "SqliteInbox | PostgresInbox"
    journal: SqlJournal


@asynccontextmanager
async def open_stores(
    settings: Settings,
    owner: str = "command",
    *,
    listens: bool = False,
    clock: Clock = time.time,
) -> AsyncIterator[Stores]:
    """The stores, beside a running bridge or without one.

    Args:
        owner: who claims and leases, on Postgres.
        listens: whether the inbox wakes for what other processes keep.

    Raises:
        Rejected: they can't be used.
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
    from bridge.stores.postgres_inbox import PostgresInbox

    journal = SqlJournal(postgres_engine(url), clock=clock)
    return PostgresInbox(url, owner=owner, listens=listens), journal


def _private(file: Path) -> Path:
    """A file that only its owner may read, also in a folder that others may: a volume, say.

    What SQLite keeps beside it gets the same mode.

    Raises:
        Rejected: it can't be one.
    """
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
        write_ahead(file)
    except OSError as error:
        raise Rejected(
            f"{file} can't hold the data ({error.strerror}); choose another with BRIDGE_DATA"
        ) from error
    except sqlite3.DatabaseError as error:
        raise _unusable(file.parent, str(error)) from error
    return file


async def _opened(store: Any, settings: Settings) -> None:
    try:
        await store.start()
    except (OSError, sqlite3.DatabaseError, DBAPIError, Unreachable) as error:
        why = str(getattr(error, "orig", error))
        if settings.database_url is not None:
            raise Rejected(f"the database of DATABASE_URL can't be used: {why}") from error
        raise _unusable(settings.data, why) from error


def _unusable(where: Path, why: str) -> Rejected:
    return Rejected(f"the data in {where} can't be used: {why}; is it a bridge's?")


def flows_of(settings: Settings, owner: str) -> "DurableFlows":
    """The workflow engine on the stores' own database; does nothing until it is launched."""
    from bridge.durable import engines
    from bridge.durable.engine import DurableFlows

    concurrency = settings.journey.deployments_at_a_time
    if (url := database_url(settings)) is None:
        workflows = engines.sqlite_engine(_private(settings.data / "workflows.sqlite"))
        return DurableFlows(workflows, executor_id=owner, concurrency=concurrency)
    from bridge.durable.peers import Peers

    return DurableFlows(
        engines.postgres_engine(url),
        executor_id=owner,
        concurrency=concurrency,
        poll_seconds=POLL,
        peers=Peers(url, owner),
    )


async def migrate(settings: Settings) -> None:
    """Bring all tables up to date; safe from any number of processes at once.

    Raises:
        Rejected: they can't be, or a newer release has made them.
    """
    from bridge.durable import engines, system

    async with open_stores(settings):
        pass
    url = database_url(settings)
    if url is not None:
        workflows = engines.postgres_engine(url)
    else:
        workflows = engines.sqlite_engine(_private(settings.data / "workflows.sqlite"))
    try:
        await asyncio.to_thread(system.migrate, workflows)
    finally:
        workflows.dispose()
