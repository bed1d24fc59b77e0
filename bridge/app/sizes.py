"""How much each store takes on disk, for the metrics."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from bridge.app.whereabouts import database_url
from bridge.core.database import connect_arguments
from bridge.settings import Settings

_SIZES = """
SELECT CASE WHEN s.nspname = 'dbos' THEN 'workflows'
            WHEN c.relname LIKE 'inbox%%' THEN 'inbox' ELSE 'journal' END AS store,
    sum(pg_total_relation_size(c.oid))::int8
FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace
WHERE c.relkind = 'r' AND (s.nspname = 'dbos' OR s.nspname = current_schema())
GROUP BY store
"""


def sizes_of(settings: Settings) -> Callable[[], dict[str, int]]:
    """What tells the bytes that each store takes on disk; {} while a database is away."""
    if (url := database_url(settings)) is None:
        return partial(_sizes_of_files, settings.data)
    return partial(_sizes_of_tables, url)


def _sizes_of_files(data: Path) -> dict[str, int]:
    """With the files that SQLite keeps beside each."""
    sizes: dict[str, int] = {}
    for store in ("inbox", "journal", "workflows"):
        files = (data / f"{store}.sqlite{end}" for end in ("", "-wal"))
        sizes[store] = sum(file.stat().st_size for file in files if file.exists())
    return sizes


def _sizes_of_tables(url: str) -> dict[str, int]:
    import psycopg

    try:
        with psycopg.connect(url, autocommit=True, **connect_arguments("metrics")) as db:
            return dict(db.execute(_SIZES).fetchall())
    except psycopg.Error:
        return {}
