"""The workflow engine's database, its errors, and its log, without the engine itself."""

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

from bridge.core.database import SESSION, connect_arguments
from bridge.core.errors import Rejected, Unreachable

PORTABLE: Serializer = DBOSPortableJSON
"""The engine's default serialiser."""

_NOTHING = frozenset({"gAROLg==", "gAVOLg=="})
"""None, pickled by Python up to 3.13 and from 3.14 on."""


def refuse_pickles() -> None:
    """Make the engine refuse pickles, whatever a row says; it has no setting for that."""
    DefaultSerializer.deserialize = _nothing_else  # type: ignore[method-assign, assignment]


def _nothing_else(_: DefaultSerializer, serialized: str) -> Any:
    if serialized in _NOTHING:
        return None
    raise Rejected(
        "a row of the workflow tables holds a pickle, which could run code and is not read:"
        " who else can write to the database? (docs/operating.md)"
    )


# ── The engine's tables ─────────────────────────────────────────────────────────────────────────

log = logging.getLogger(__name__)

VERSION = "1"
"""Pinned: by default it is a hash of the source, and a new release would strand waiting flows
(sharp edge 3). Raise it only if new flows can't replay what older ones recorded."""

NAME = "dokploy-bridge"
"""The name of this application among others in the same tables."""

QUEUE = "flows"


def migrate(engine: sa.Engine) -> None:
    """Bring the engine's own tables up to date, as a launch does; safe in parallel."""
    _system_database(engine).run_migrations()


def _system_database(engine: sa.Engine) -> SystemDatabase:
    """Return access to the engine's tables without the engine, which has no public API for it."""
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
    sa.exc.InternalError,  # e.g. a read-only server, as after a failover
    sa.exc.TimeoutError,
)


@contextmanager
def translated() -> Iterator[None]:
    """Raise Unreachable instead of the database's own errors."""
    try:
        yield
    except AWAY as error:
        raise Unreachable("the workflow engine", str(getattr(error, "orig", error))) from error


def requeue(engine: sa.Engine, executor_id: str, names: Iterable[str]) -> None:
    """Put these flows of a process back into the queue."""
    system = _system_database(engine)
    for name in names:
        system.reenqueue_for_recovery(name, [executor_id], QUEUE)


def take_up(engine: sa.Engine, executor_id: str) -> None:
    """Requeue the flows of a predecessor with the same id, before the engine is launched.

    A launch does that as well, but in a thread that nobody can wait for, so the first poll of the
    queue might be too early.
    """
    migrate(engine)
    _requeue_all(engine, executor_id)


def give_back(engine: sa.Engine, executor_id: str) -> None:
    """Requeue our own flows when we leave, so none waits for our return."""
    try:
        _requeue_all(engine, executor_id)
    except AWAY as error:  # a peer takes them over once it misses us
        log.warning("flows can't be given back", extra={"why": type(error).__name__})


def _requeue_all(engine: sa.Engine, executor_id: str) -> None:
    pending = _system_database(engine).get_pending_workflows(executor_id, VERSION)
    requeue(engine, executor_id, [flow.workflow_id for flow in pending])


# ── The engine's log ────────────────────────────────────────────────────────────────────────────


class _Words(logging.Filter):
    """Makes DBOS log one line per message, without statements and their values.

    Omits messages about a flow that we dropped just as it began.
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
    """Route DBOS's log into ours, instead of to the console in its own format."""
    logger = logging.getLogger("dbos")
    logger.addFilter(_WORDS)
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    logger.propagate = True


def give_log_back() -> None:
    """Undo `take_log`, once the engine is stopped."""
    logging.getLogger("dbos").removeFilter(_WORDS)


# ── SQLAlchemy engines as DBOS needs them ───────────────────────────────────────────────────────


def sqlite_engine(path: Path) -> sa.Engine:
    """Return an engine for the workflows' own SQLite file.

    DBOS's default journal mode is five times slower (sharp edge 5); BEGIN IMMEDIATE and foreign
    keys are set as DBOS does on its own engines.
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
    def waits_for_it(context: Any) -> None:
        """Report a full disk as a lock: DBOS waits for locks, but gives up a flow otherwise."""
        error = context.original_exception
        if isinstance(error, sqlite3.OperationalError) and any(w in str(error) for w in _PASSES):
            waits = sqlite3.OperationalError(f"database is locked: {error}")
            raise sa.exc.OperationalError(context.statement, None, waits) from error

    return engine


def retire(engine: sa.Engine) -> None:
    """Close an engine's connections for good, each that is in use as soon as it is given back.

    DBOS doesn't wait for its threads. What they give back later would stay open in a pool that
    nobody has any more.
    """
    event.listen(engine.pool, "checkin", lambda _connection, record: record.invalidate())
    engine.dispose()


_PASSES = ("disk is full", "disk I/O error")
"""Temporary SQLite errors; DBOS waits for their counterparts on Postgres."""


def postgres_engine(url: str, *, connections: int = 5) -> sa.Engine:
    """Return an engine on a Postgres, with few connections (sharp edge 12)."""
    return sa.create_engine(
        "postgresql+psycopg:///creator-knows",  # DBOS wants a name to be there
        creator=lambda: _connected(url),
        pool_size=connections,
        max_overflow=0,
        hide_parameters=True,
    )


def _connected(url: str) -> Any:
    import psycopg

    db = psycopg.connect(url, **connect_arguments("workflows"))
    try:
        db.execute(SESSION)
        db.commit()
    except BaseException:
        db.close()
        raise
    return db
