"""The engine on Postgres, and a connection that reconnects."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa
from sqlalchemy import event

from bridge.core.database import SESSION, connect_arguments
from bridge.core.errors import Unreachable
from bridge.storage.engines import RETRIED

T = TypeVar("T")
Connection = psycopg.Connection[tuple[Any, ...]]

log = logging.getLogger(__name__)

RETRY_PAUSE = 0.1
"""Seconds between two attempts to reach the server."""

ONLY_READS = "25006"
"""Postgres's code for a read-only server: after a failover another one is the primary."""


def postgres_engine(url: str, *, connections: int = 4) -> sa.Engine:
    """Return an engine on Postgres; `url` as libpq reads it, see `core.database.SCHEMES`."""
    engine = sa.create_engine(
        "postgresql+psycopg://",
        creator=lambda: connected(url, "journal", autocommit=False),
        pool_size=connections,
        max_overflow=0,
        hide_parameters=True,
        pool_pre_ping=True,  # after a restart of the server the first query does not fail
    )

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def clean(
        _db: Any, _cursor: Any, statement: str, values: Any, _context: Any, _many: bool
    ) -> tuple[str, Any]:
        return statement, _without_nul(values if isinstance(values, dict) else list(values))

    return engine


def _without_nul(values: Any) -> Any:
    """Replace NUL, which a commit message may hold and Postgres refuses in text."""
    if isinstance(values, str):
        return values.replace("\0", "\ufffd") if "\0" in values else values
    if isinstance(values, list):
        return [_without_nul(value) for value in values]
    if isinstance(values, dict):
        return {name: _without_nul(value) for name, value in values.items()}
    return values


def connected(url: str, part: str, *, autocommit: bool) -> Connection:
    """Return a new connection that is kept open; raise `psycopg.Error`."""
    db = psycopg.connect(url, autocommit=autocommit, **connect_arguments(part))
    try:
        db.execute(SESSION)
        db.commit()
    except BaseException:
        db.close()
        raise
    return db


class Link:
    """One autocommit connection to Postgres, opened on demand and reopened after a loss.

    It is used by one thread at a time.

    Args:
        what: its owner, for errors and `pg_stat_activity`.
        patience: seconds to keep trying after the server was lost. A server that was never reached,
            or has been away for longer, is tried only once, so nobody waits.
    """

    def __init__(self, url: str, what: str, *, patience: float) -> None:
        self._url = url
        self._what = what
        self._timing = patience
        self._connection: Connection | None = None
        self._lock = threading.Lock()
        self._up = False

    def run(self, work: Callable[[Connection], T]) -> T:
        """Run work that may run twice, since the response to the first run can get lost.

        Raises:
            Unreachable: the server is away, or can't do it.
        """
        with self._lock:
            deadline = time.monotonic() + (self._timing if self._up else 0.0)
            while True:
                try:
                    found = work(self._open())
                except psycopg.Error as error:
                    if not self._comes_back(error) or time.monotonic() >= deadline:
                        self._says_up(up=self._connection is not None)
                        raise Unreachable(f"the {self._what}", _words(error)) from error
                    time.sleep(RETRY_PAUSE)
                else:
                    self._says_up(up=True)
                    return found

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._drop()

    def _open(self) -> Connection:
        if self._connection is None:
            self._connection = connected(self._url, self._what, autocommit=True)
        return self._connection

    def _comes_back(self, error: psycopg.Error) -> bool:
        """Return whether to try again; drop a connection that is lost."""
        if self._connection is None or self._connection.broken or error.sqlstate == ONLY_READS:
            self._drop()
            return isinstance(error, psycopg.OperationalError | psycopg.InternalError)
        return error.sqlstate in RETRIED

    def _says_up(self, *, up: bool) -> None:
        if up is not self._up:
            level, words = (logging.DEBUG, "there") if up else (logging.WARNING, "away")
            log.log(level, "the database is %s", words, extra={"part": self._what})
        self._up = up

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _words(error: psycopg.Error) -> str:
    """Return the error in one line, without an invalid URL, which may contain a secret."""
    if isinstance(error, psycopg.ProgrammingError) and error.sqlstate is None:
        return "its url can't be read"
    return " ".join(str(error).split()) or type(error).__name__
