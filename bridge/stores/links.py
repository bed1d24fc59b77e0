"""A connection to Postgres that is made when it is needed, and anew where it was lost."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg

from bridge.core.database import connect_arguments
from bridge.core.errors import Unreachable
from bridge.stores.dialects import RETRIED

T = TypeVar("T")
Connection = psycopg.Connection[tuple[Any, ...]]

log = logging.getLogger(__name__)

RETRY_PAUSE = 0.1
"""Seconds between two tries to reach the server."""

ONLY_READS = "25006"
"""The server only reads by now: after a failover the one that writes is another."""


class Link:
    """One connection, autocommit, used by one thread at a time.

    Args:
        what: whose it is, for errors and `pg_stat_activity`.
        patience: seconds to try again when the server is lost; one that was never there, or
            that has stayed away for so long, is tried just once, so that nobody waits for others.
    """

    def __init__(self, url: str, what: str, *, patience: float) -> None:
        self._url = url
        self._what = what
        self._patience = patience
        self._connection: Connection | None = None
        self._lock = threading.Lock()
        self._up = False

    def run(self, work: Callable[[Connection], T]) -> T:
        """Do something that may be done twice: the answer of the first time can get lost.

        Raises:
            Unreachable: the server is away, or can't do it.
        """
        with self._lock:
            deadline = time.monotonic() + (self._patience if self._up else 0.0)
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
        """Let go of the connection."""
        with self._lock:
            self._drop()

    def _open(self) -> Connection:
        if self._connection is None:
            arguments = connect_arguments(self._what)
            self._connection = psycopg.connect(self._url, autocommit=True, **arguments)
        return self._connection

    def _comes_back(self, error: psycopg.Error) -> bool:
        """Whether to try again; a connection that is lost is dropped."""
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
    """What it says, in one line; a url that can't be read is not quoted, as a secret is in it."""
    if isinstance(error, psycopg.ProgrammingError) and error.sqlstate is None:
        return "its url can't be read"
    return " ".join(str(error).split()) or type(error).__name__
