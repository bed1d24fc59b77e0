"""The labels of apps, read at once: a shell waits for them while somebody types."""

import contextlib
import sqlite3
from pathlib import Path

from bridge.core.database import connect_arguments
from bridge.core.errors import Unreachable

_QUERY = "SELECT label FROM apps WHERE NOT gone ORDER BY label"

SECONDS = 0.5
"""To wait for a file that is locked; nobody waits longer for a suggestion."""


def labels_of_file(journal: Path) -> list[str]:
    """The labels of apps by the journal's file, which is only read; raises `sqlite3.Error`."""
    address = f"{journal.absolute().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True, timeout=SECONDS)) as db:
        return [label for (label,) in db.execute(_QUERY)]


def labels_of_postgres(url: str) -> list[str]:
    """The labels of apps by a journal on Postgres; raises Unreachable."""
    import psycopg

    from bridge.ports.journal import JOURNAL

    arguments = connect_arguments("completion") | {"connect_timeout": 2}
    try:
        with psycopg.connect(url, **arguments) as db:
            return [label for (label,) in db.execute(_QUERY).fetchall()]
    except psycopg.Error as error:
        raise Unreachable(JOURNAL, str(error)) from error
