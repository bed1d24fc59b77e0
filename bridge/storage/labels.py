"""Names of apps and repositories for the shell's completion.

It must be quick, so they are read without SQLAlchemy.
"""

import contextlib
import sqlite3
from pathlib import Path

from bridge.core.database import connect_arguments
from bridge.core.errors import Unreachable

LABELS = (
    "SELECT label FROM apps WHERE NOT gone"
    " AND id NOT IN (SELECT made FROM previews WHERE made IS NOT NULL) ORDER BY label"
)
"""The apps of previews have names of their own."""

PREVIEWS = (
    "SELECT app || '#' || number FROM previews WHERE state NOT IN ('skipped', 'ended')"
    " ORDER BY app, number"
)
"""Those of the bridge; the backends' own are only shown."""
REPOSITORIES = "SELECT DISTINCT name FROM repositories ORDER BY name"

SECONDS = 0.5
"""Seconds to wait for a locked file."""


def labels_of_file(journal: Path, query: str = LABELS) -> list[str]:
    """Read texts from the journal's file; raise `sqlite3.Error`."""
    address = f"{journal.absolute().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True, timeout=SECONDS)) as db:
        return [label for (label,) in db.execute(query)]


def labels_of_postgres(url: str, query: str = LABELS) -> list[str]:
    """Read texts from a journal on Postgres; raise Unreachable."""
    import psycopg

    from bridge.ports.journal import JOURNAL

    arguments = connect_arguments("completion") | {"connect_timeout": 2}
    try:
        with psycopg.connect(url, **arguments) as db:
            return [label for (label,) in db.execute(query.encode()).fetchall()]
    except psycopg.Error as error:
        raise Unreachable(JOURNAL, str(error)) from error
