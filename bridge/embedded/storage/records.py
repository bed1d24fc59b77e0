"""Projects, environments, applications, domains and Git providers, in one SQLite file.

All work on the file runs in one thread, so the event loop never waits for the disk.
"""

import asyncio
import json
import os
import re
import secrets
import sqlite3
import string
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
Record = dict[str, Any]
"""A project, environment, application or provider, with Dokploy's field names."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS project (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, doc TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS environment (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    project_id TEXT NOT NULL REFERENCES project (id) ON DELETE CASCADE,
    doc TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS application (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    environment_id TEXT NOT NULL REFERENCES environment (id) ON DELETE CASCADE,
    app_name TEXT NOT NULL UNIQUE,
    doc TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS domain (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, host TEXT NOT NULL,
    application_id TEXT REFERENCES application (id) ON DELETE CASCADE,
    doc TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS domain_host ON domain (host);
CREATE TABLE IF NOT EXISTS provider (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL, doc TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS deployment (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    application_id TEXT NOT NULL REFERENCES application (id) ON DELETE CASCADE,
    title TEXT NOT NULL, description TEXT NOT NULL, status TEXT NOT NULL,
    log_path TEXT NOT NULL, started_at REAL NOT NULL, finished_at REAL, error TEXT
);
CREATE INDEX IF NOT EXISTS deployment_of ON deployment (application_id, seq);
CREATE TABLE IF NOT EXISTS job (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    application_id TEXT NOT NULL REFERENCES application (id) ON DELETE CASCADE,
    kind TEXT NOT NULL, title TEXT NOT NULL, description TEXT NOT NULL,
    asked_at REAL NOT NULL, started_at REAL, deployment_id TEXT
);
"""


class Database:
    """Run work on the only connection, each piece in one transaction."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Open the file; create it and its tables if they are missing."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedded-db")
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._open)

    def _open(self) -> None:
        # It holds secrets. SQLite creates the files beside it with the same permissions.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        # The executor always uses the same thread, which Python can't know. `close` must find the
        # connection also after a failure below, or after `open` was cancelled.
        self._connection = connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # an accepted deploy survives a power cut
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA busy_timeout = 5000")
        connection.executescript(_SCHEMA)

    async def close(self) -> None:
        if self._thread is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
            self._thread.shutdown(wait=False)
            self._thread = None

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in a transaction, which is rolled back if it raises.

        Raises:
            sqlite3.Error: e.g. the disk is full; nothing has changed.
        """
        if self._connection is None or self._thread is None:
            raise sqlite3.ProgrammingError("the database is closed")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, _within, self._connection, work)

    async def records(self, sql: str, *values: str) -> "list[Record]":
        """Return the records in the `doc` of what a query finds."""
        return await self.run(lambda db: [load(row) for row in db.execute(sql, values)])


def _within(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:  # the next piece of work must not begin inside this transaction
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result


def load(row: sqlite3.Row) -> Record:
    """Parse the record in a row's `doc`."""
    record: Record = json.loads(row["doc"])
    return record


def dump(record: Record) -> str:
    """Write a record for `doc`."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))


def insert(connection: sqlite3.Connection, table: str, **columns: object) -> int:
    """Add a row; return its number."""
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    sql = f"INSERT INTO {table} ({names}) VALUES ({marks})"
    return connection.execute(sql, tuple(columns.values())).lastrowid or 0


def patch_application(connection: sqlite3.Connection, id_: str, changes: Record) -> Record | None:
    """Change fields of an application's record; return None if there is no such application."""
    row = connection.execute("SELECT doc FROM application WHERE id = ?", (id_,)).fetchone()
    if row is None:
        return None
    record = load(row) | changes
    connection.execute(
        "UPDATE application SET doc = ?, environment_id = ?, app_name = ? WHERE id = ?",
        (dump(record), record["environmentId"], record["appName"], id_),
    )
    return record


# ── Ids, names and times in the forms that Dokploy uses ─────────────────────────────────────────


def new_id() -> str:
    """Return 21 random characters, e.g. "ZT6A95NobTiob085n0lpt"."""
    return secrets.token_urlsafe(16)[:21]


def new_app_name(wanted: str) -> str:
    """Return a unique name for addresses and containers, e.g. "web-shop-jwkg6q" for "Web Shop".

    It is used as a label of a host name, so it has no dots.
    """
    base = re.sub(r"[^a-z0-9]+", "-", wanted.lower()).strip("-")[:50].strip("-") or "app"
    suffix = (secrets.choice(string.ascii_lowercase + string.digits) for _ in range(6))
    return f"{base}-{''.join(suffix)}"


def moment(seconds: float) -> str:
    """Format seconds since 1970, e.g. "2026-11-24T22:40:37.334Z"."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def seconds(text: str) -> float:
    """Parse what `moment` returns."""
    return datetime.fromisoformat(text).timestamp()


# ── The catalog ─────────────────────────────────────────────────────────────────────────────────


class Catalog:
    """Read and write projects, environments, applications and Git providers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_project(self, project: Record, environment: Record) -> None:
        def work(db: sqlite3.Connection) -> None:
            insert(db, "project", id=project["projectId"], doc=dump(project))
            _insert_environment(db, environment)

        await self._database.run(work)

    async def add_environment(self, environment: Record) -> None:
        """Add an environment; raise sqlite3.IntegrityError if its project does not exist."""
        await self._database.run(lambda db: _insert_environment(db, environment))

    async def add_application(self, application: Record) -> None:
        """Add an application; raise sqlite3.IntegrityError if its environment does not exist."""
        await self._database.run(
            lambda db: insert(
                db,
                "application",
                id=application["applicationId"],
                environment_id=application["environmentId"],
                app_name=application["appName"],
                doc=dump(application),
            )
        )

    async def add_provider(self, id_: str, kind: str, record: Record) -> None:
        await self._database.run(
            lambda db: insert(db, "provider", id=id_, kind=kind, doc=dump(record))
        )

    async def projects(self) -> list[Record]:
        """Return the projects, each with `environments`, each with `applications`, oldest first."""
        return await self._database.run(_tree)

    async def project(self, id_: str) -> Record | None:
        return next((one for one in await self.projects() if one["projectId"] == id_), None)

    async def environment(self, id_: str) -> Record | None:
        """Return one environment without its applications."""
        found = await self._database.records("SELECT doc FROM environment WHERE id = ?", id_)
        return next(iter(found), None)

    async def update_environment(self, id_: str, changes: Record) -> None:
        def work(db: sqlite3.Connection) -> None:
            row = db.execute("SELECT doc FROM environment WHERE id = ?", (id_,)).fetchone()
            if row is not None:
                record = dump(load(row) | changes)
                db.execute("UPDATE environment SET doc = ? WHERE id = ?", (record, id_))

        await self._database.run(work)

    async def application(self, id_: str) -> Record | None:
        """Return one application with its `environment`, which has its `project`."""
        return next(iter(await self._applications("WHERE a.id = ?", id_)), None)

    async def applications(self) -> list[Record]:
        """Return every application in the form of `application`, oldest first."""
        return await self._applications("ORDER BY a.seq")

    async def _applications(self, which: str, *values: str) -> list[Record]:
        sql = (
            "SELECT a.doc AS doc, e.doc AS environment, p.doc AS project FROM application a"
            " JOIN environment e ON e.id = a.environment_id"
            f" JOIN project p ON p.id = e.project_id {which}"
        )
        return await self._database.run(
            lambda db: [_with_parents(row) for row in db.execute(sql, values)]
        )

    async def application_named(self, app_name: str) -> str | None:

        sql = "SELECT id FROM application WHERE app_name = ?"
        row = await self._database.run(lambda db: db.execute(sql, (app_name,)).fetchone())
        return str(row["id"]) if row else None

    async def update_application(self, id_: str, changes: Record) -> Record | None:
        """Change fields of an application's record; return None if there is no such application.

        Raises:
            sqlite3.IntegrityError: no such environment, or another application's `appName`.
        """
        return await self._database.run(lambda db: patch_application(db, id_, changes))

    async def providers(self, kind: str) -> list[Record]:
        sql = "SELECT doc FROM provider WHERE kind = ? ORDER BY seq"
        return await self._database.records(sql, kind)

    async def provider(self, kind: str, id_: str) -> Record | None:
        """Return one Git provider, with its secrets."""
        sql = "SELECT doc FROM provider WHERE kind = ? AND id = ?"
        return next(iter(await self._database.records(sql, kind, id_)), None)

    async def remove(self, table: str, id_: str) -> None:
        """Delete a "project", "environment" or "application" and all that belongs to it."""
        if table not in {"project", "environment", "application"}:
            raise ValueError(f"no table {table!r} to remove from")
        await self._database.run(lambda db: db.execute(f"DELETE FROM {table} WHERE id = ?", (id_,)))


def _insert_environment(db: sqlite3.Connection, environment: Record) -> None:
    id_, project_id = environment["environmentId"], environment["projectId"]
    insert(db, "environment", id=id_, project_id=project_id, doc=dump(environment))


def _with_parents(row: sqlite3.Row) -> Record:
    environment: Record = json.loads(row["environment"])
    environment["project"] = json.loads(row["project"])
    return load(row) | {"environment": environment}


def _tree(db: sqlite3.Connection) -> list[Record]:
    applications = _grouped(
        db.execute("SELECT environment_id AS parent, doc FROM application ORDER BY seq")
    )
    environments = _grouped(
        db.execute("SELECT project_id AS parent, doc FROM environment ORDER BY seq")
    )
    projects = [load(row) for row in db.execute("SELECT doc FROM project ORDER BY seq")]
    for project in projects:
        project["environments"] = environments.get(project["projectId"], [])
        for environment in project["environments"]:
            environment["applications"] = applications.get(environment["environmentId"], [])
    return projects


def _grouped(rows: Iterable[sqlite3.Row]) -> dict[str, list[Record]]:
    groups: dict[str, list[Record]] = {}
    for row in rows:
        groups.setdefault(row["parent"], []).append(load(row))
    return groups


# ── Domains ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Domains:
    """Read and write domains; those of an application go with it."""

    _database: Database

    async def add(self, domain: Record) -> Record:
        """Add a domain; return it with its number.

        Raises:
            sqlite3.IntegrityError: its application does not exist.
        """

        def work(db: sqlite3.Connection) -> Record:
            id_, host = domain["domainId"], domain["host"].lower()
            app_id = domain["applicationId"]
            number = insert(db, "domain", id=id_, host=host, application_id=app_id, doc="")
            numbered = domain | {"uniqueConfigKey": number}
            db.execute("UPDATE domain SET doc = ? WHERE id = ?", (dump(numbered), id_))
            return numbered

        return await self._database.run(work)

    async def of(self, application_id: str) -> list[Record]:
        sql = "SELECT doc FROM domain WHERE application_id = ? ORDER BY seq"
        return await self._database.records(sql, application_id)

    async def at(self, host: str) -> list[Record]:
        """Return the domains with a host, oldest first."""
        sql = "SELECT doc FROM domain WHERE host = ? ORDER BY seq"
        return await self._database.records(sql, host)

    async def remove(self, id_: str) -> Record | None:
        """Remove a domain, and return it; None if there is none."""
        sql = "DELETE FROM domain WHERE id = ? RETURNING doc"
        return next(iter(await self._database.records(sql, id_)), None)
