"""`migrate` by some processes at the same moment: all succeed, and the tables are as by one."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from bridge.storage import migrations
from bridge.storage.engines import sqlite_engine
from bridge.storage.postgres import postgres_engine
from tests.chaos.cluster import ROOT
from tests.worlds.earlier import EARLIER, make_earlier
from tests.worlds.postgres import the_server

pytestmark = pytest.mark.slow

COUNT = 3
SCHEMA = """
SELECT table_schema, table_name, column_name, data_type, is_nullable, column_default
FROM information_schema.columns
WHERE table_schema NOT IN ('pg_catalog', 'information_schema')
UNION ALL SELECT schemaname, tablename, indexname, indexdef, '', '' FROM pg_indexes
WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
UNION ALL SELECT n.nspname, conrelid::regclass::text, conname, pg_get_constraintdef(c.oid), '', ''
FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
UNION ALL SELECT 'revision', version_num, '', '', '', '' FROM alembic_version
UNION ALL SELECT 'revision', version::text, 'dbos', '', '', '' FROM dbos.dbos_migrations
ORDER BY 1, 2, 3, 4
"""


def migrate_at_once(folder: Path, **environment: str) -> None:
    """Run it in some processes; each must succeed."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("BRIDGE_") and name != "DATABASE_URL"
    }
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("at_once.py")), str(COUNT), "migrate"],
        env=inherited | {"PYTHONPATH": str(ROOT), "BRIDGE_DATA": str(folder)} | environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    *said, codes = done.stdout.splitlines()
    assert json.loads(codes) == [0] * COUNT, done.stderr
    assert len(said) == COUNT
    assert all(line.startswith("all tables are up to date") for line in said)
    assert done.stderr == ""


def schema(url: str) -> list[tuple[object, ...]]:
    """All there is in a database: columns, indexes, constraints and revisions."""
    with psycopg.connect(url) as db:
        return db.execute(SCHEMA).fetchall()


@pytest.fixture
def by_one() -> Iterator[str]:
    """A database that one alone has brought up to date."""
    server = the_server()
    url = server.prepared()
    yield url
    server.drop(url)


def test_on_postgres(tmp_path: Path, empty_postgres: str, by_one: str) -> None:
    engine = postgres_engine(empty_postgres)
    make_earlier(engine, EARLIER[0])
    engine.dispose()

    migrate_at_once(tmp_path, DATABASE_URL=empty_postgres)

    assert schema(empty_postgres) == schema(by_one)
    with psycopg.connect(empty_postgres) as db:
        kept = db.execute("SELECT value FROM meta WHERE key = 'instance'").fetchall()
    assert kept == [("kept",)]


def test_on_sqlite(tmp_path: Path) -> None:
    """Nobody serves meanwhile: a process that serves has the folder alone."""
    make_earlier(old := sqlite_engine(tmp_path / "journal.sqlite"), EARLIER[0])
    old.dispose()
    migrations.migrate(by_one := sqlite_engine(tmp_path / "by one.sqlite"))
    by_one.dispose()

    migrate_at_once(tmp_path)

    assert tables(tmp_path / "journal.sqlite") == tables(tmp_path / "by one.sqlite")
    for store in ("inbox", "journal", "workflows"):
        with closing(sqlite3.connect(tmp_path / f"{store}.sqlite")) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def tables(file: Path) -> list[tuple[object, ...]]:
    """The columns and indexes of a file, and its revision."""
    with closing(sqlite3.connect(file)) as db:
        columns = """
            SELECT m.name, c.name, c.type, c."notnull", c.dflt_value, c.pk
            FROM sqlite_master m JOIN pragma_table_info(m.name) c
            WHERE m.type = 'table' ORDER BY 1, 2
        """
        indexes = "SELECT name, sql FROM sqlite_master WHERE type = 'index' ORDER BY name"
        revisions = db.execute("SELECT 'revision', version_num FROM alembic_version")
        return [*db.execute(columns), *db.execute(indexes), *revisions]
