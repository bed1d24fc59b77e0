"""The engine on a SQLite file, and the differences between SQLite and Postgres."""

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

WRITES = "bridge_writes"
"""Execution option of a transaction that writes: it takes the write lock at its start."""


LOCK_SECONDS = 30.0
"""Seconds to wait for another process that has locked the SQLite file."""


def write_ahead(file: Path) -> None:
    """Switch a SQLite file to WAL before anyone uses it.

    The switch itself does not wait: if two processes open a new file at once, one gets "locked".
    Wait for the other one and retry.

    Raises:
        sqlite3.DatabaseError: the file can't be written, or is not a database.
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
    """Return an engine on a SQLite file: WAL, `synchronous=FULL`, waits for locks.

    A transaction that reads first and writes later fails at once if another one wrote in between.
    Transactions with the execution option `WRITES` therefore begin with BEGIN IMMEDIATE.
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
        connection.isolation_level = None  # BEGIN is sent explicitly, below
        try:
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000"):
                connection.execute(f"PRAGMA {pragma}")
        except sqlite3.Error:
            connection.close()  # the pool never sees it
            raise

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


RETRIED = ("40001", "40P01")
"""Postgres's code for two transactions that conflict: one must be repeated."""


def on_postgres(db: sa.Connection) -> bool:
    """Return whether other processes may write at the same time."""
    return db.dialect.name == "postgresql"


def lock(db: sa.Connection, what: str, *, shared: bool = False) -> None:
    """Wait for a named lock, and hold it until the end of this transaction.

    Args:
        shared: with all others who share it.
    """
    if on_postgres(db):
        take = sa.func.pg_advisory_xact_lock_shared if shared else sa.func.pg_advisory_xact_lock
        db.execute(sa.select(take(lock_key(what))))


def lock_key(what: str) -> int:
    """Return the number by which Postgres knows a lock."""
    return int.from_bytes(hashlib.blake2b(what.encode(), digest_size=8).digest(), signed=True)


def now(db: sa.Connection, clock: float) -> float:
    """Return the time that all processes share: the database's if there can be several."""
    if not on_postgres(db):
        return clock
    return float(db.execute(sa.text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())
