"""SQLAlchemy engines as this project needs them."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from bridge.core.database import connect_arguments

WRITES = "bridge_writes"
"""Execution option: the transaction will write, so it takes the write lock at its start."""


LOCK_SECONDS = 30.0
"""How long to wait for who has a SQLite file."""


def write_ahead(file: Path) -> None:
    """Have a SQLite file in WAL before anybody works with it.

    To switch waits for nobody: of two who open a new file at once, one is told that it is
    locked. Here it waits until the other is done, and tries again.

    Raises:
        sqlite3.DatabaseError: it can't be written, or is none.
    """
    with closing(sqlite3.connect(file, timeout=LOCK_SECONDS, isolation_level=None)) as db:
        while not _switched(db):
            db.execute("BEGIN EXCLUSIVE")
            db.execute("COMMIT")


def _switched(db: sqlite3.Connection) -> bool:
    try:
        db.execute("PRAGMA journal_mode=WAL")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


def sqlite_engine(path: Path) -> sa.Engine:
    """An engine on a SQLite file: WAL, `synchronous=FULL`, waits for locks.

    A transaction that reads first and writes later can fail without waiting when another
    one wrote in between; so those whose connection has the execution option `WRITES`
    begin with BEGIN IMMEDIATE.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = sa.create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": 30, "check_same_thread": False},
        hide_parameters=True,  # an error is logged with its statement, not with its values
        pool_size=8,
        max_overflow=8,
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        try:
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000"):
                connection.execute(f"PRAGMA {pragma}")
        except sqlite3.Error:
            connection.close()  # the pool never gets to know it
            raise

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def postgres_engine(url: str, *, connections: int = 4) -> sa.Engine:
    """An engine on a Postgres; `url` as libpq reads it, see `core.database.SCHEMES`."""
    import psycopg

    engine = sa.create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(url, **connect_arguments("journal")),
        pool_size=connections,
        max_overflow=0,
        hide_parameters=True,
        pool_pre_ping=True,  # a restart of the server fails nobody's first question
    )

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def clean(
        _db: Any, _cursor: Any, statement: str, values: Any, _context: Any, _many: bool
    ) -> tuple[str, Any]:
        rows = values if isinstance(values, dict) else [_without_nul(row) for row in values]
        return statement, _without_nul(rows)

    return engine


def _without_nul(values: Any) -> Any:
    """Postgres has no NUL in texts; a commit message may."""
    if not isinstance(values, dict) or not any(
        isinstance(value, str) and "\0" in value for value in values.values()
    ):
        return values
    return {
        name: value.replace("\0", "\ufffd") if isinstance(value, str) else value
        for name, value in values.items()
    }
