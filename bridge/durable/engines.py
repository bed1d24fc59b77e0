"""SQLAlchemy engines as the workflow engine needs them."""

import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from bridge.core.database import connect_arguments


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
