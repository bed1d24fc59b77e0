"""The workflow engine's own tables, and what is said where they can't be reached."""

import logging
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from dbos._error import DBOSAwaitedWorkflowCancelledError
from dbos._serialization import DBOSPortableJSON, DefaultSerializer, Serializer
from dbos._sys_db import SystemDatabase
from sqlalchemy import event

from bridge.core.database import connect_arguments
from bridge.core.errors import Rejected, Unreachable

PORTABLE: Serializer = DBOSPortableJSON
"""For the engine to write, where a flow does not say how."""

_NOTHING = frozenset({"gAROLg==", "gAVOLg=="})
"""None, pickled by Python up to 3.13 and from 3.14 on."""


def refuse_pickles() -> None:
    """Have the engine read no pickle, whatever a row says; it has no setting for that."""
    DefaultSerializer.deserialize = _nothing_else  # type: ignore[method-assign, assignment]


def _nothing_else(_: DefaultSerializer, serialized: str) -> Any:
    if serialized in _NOTHING:
        return None
    raise Rejected(
        "a row of the workflow tables holds a pickle, which could run code and is not read:"
        " who else can write to the database? (docs/operating.md)"
    )


# ── The workflow engine's own tables, and what is said where they can't be reached ──────────────

log = logging.getLogger(__name__)

VERSION = "1"
"""Pinned: by default it is a hash of the source, and a new release would strand what
waits (sharp edge 3). Raise it only with flows that can't replay what older ones recorded."""

NAME = "dokploy-bridge"
"""Ours among other applications in the same tables."""

QUEUE = "flows"


def migrate(engine: sa.Engine) -> None:
    """Bring the engine's own tables up to date, as a launch does; safe from all at once."""
    _system_database(engine).run_migrations()


def _system_database(engine: sa.Engine) -> SystemDatabase:
    """The engine's tables without the engine: it has no public way to them."""
    refuse_pickles()
    return SystemDatabase.create(
        system_database_url=str(engine.url),
        engine_kwargs={},
        engine=engine,
        schema="dbos",
        serializer=PORTABLE,
        executor_id=None,
        app_name=NAME,
        use_listen_notify=False,
        retry_connection_errors=False,
    )


AWAY = (
    sa.exc.OperationalError,
    sa.exc.InterfaceError,
    sa.exc.InternalError,  # e.g. a server that only reads, as after a failover
    sa.exc.TimeoutError,
)


@contextmanager
def translated() -> Iterator[None]:
    """Say in our words that the database is away."""
    try:
        yield
    except AWAY as error:
        raise Unreachable("the workflow engine", str(getattr(error, "orig", error))) from error


def dispatch(engine: sa.Engine, executor_id: str, names: Iterable[str]) -> None:
    """Put flows that this process is believed to run back into the queue."""
    system = _system_database(engine)
    for name in names:
        log.warning("a flow stood still", extra={"flow": name})
        system.reenqueue_for_recovery(name, [executor_id], QUEUE)


def give_back(engine: sa.Engine, executor_id: str) -> None:
    """Put our own flows back into the queue, so that nobody waits whether we come back."""
    system = _system_database(engine)
    try:
        for flow in system.get_pending_workflows(executor_id, VERSION):
            system.reenqueue_for_recovery(flow.workflow_id, [executor_id], QUEUE)
    except AWAY as error:  # then a peer takes them over, once it misses us
        log.warning("flows can't be given back", extra={"why": type(error).__name__})


# ── What the workflow engine says, in our log ───────────────────────────────────────────────────


class _Words(logging.Filter):
    """What DBOS says, in our log: one line, without statements and their values.

    Leaves out what it says of a flow that was dropped just as it began: we dropped it.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info and record.exc_info[1]
        if isinstance(error, DBOSAwaitedWorkflowCancelledError):
            return False
        message = record.getMessage()
        if isinstance(error, sa.exc.SQLAlchemyError):
            message, record.exc_info = f"{message} {error}", None
        record.msg, record.args = " ".join(message.partition("[SQL")[0].split()), ()
        return not (
            "was cancelled during execution" in message
            or "is no longer owned by this execution" in message
        )


_WORDS = _Words()


def take_log() -> None:
    """DBOS writes to the console by itself, in a form of its own."""
    logger = logging.getLogger("dbos")
    logger.addFilter(_WORDS)
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    logger.propagate = True


def give_log_back() -> None:
    """Leave what it says as it is, since we have stopped it."""
    logging.getLogger("dbos").removeFilter(_WORDS)


# ── SQLAlchemy engines as the workflow engine needs them ────────────────────────────────────────


def sqlite_engine(path: Path) -> sa.Engine:
    """An engine for the workflows' own SQLite file.

    DBOS's default journal mode is five times slower (sharp edge 5); BEGIN IMMEDIATE and
    foreign keys are as DBOS sets them on engines that it makes itself.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = sa.create_engine(
        f"sqlite:///{path}", connect_args={"timeout": 30}, hide_parameters=True
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        connection.isolation_level = "IMMEDIATE"
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "busy_timeout=30000",
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "handle_error")
    def comes_again(context: Any) -> None:
        """DBOS waits for a lock, and gives up a flow for anything else: a full disk passes, too."""
        error = context.original_exception
        if isinstance(error, sqlite3.OperationalError) and any(w in str(error) for w in _PASSES):
            waits = sqlite3.OperationalError(f"database is locked: {error}")
            raise sa.exc.OperationalError(context.statement, None, waits) from error

    return engine


_PASSES = ("disk is full", "disk I/O error")
"""What SQLite says while nothing can be written, on Postgres among what DBOS waits for."""


def postgres_engine(url: str, *, connections: int = 5) -> sa.Engine:
    """An engine on a Postgres, with few connections (sharp edge 12)."""
    import psycopg

    return sa.create_engine(
        "postgresql+psycopg:///creator-knows",  # DBOS wants a name to be there
        creator=lambda: psycopg.connect(url, **connect_arguments("workflows")),
        pool_size=connections,
        max_overflow=0,
        hide_parameters=True,
    )
