"""Projects, environments, applications and Git providers, on disk."""

import json
import sqlite3
from collections.abc import Iterable

from bridge.embedded.records.database import Database, Record, dump, load, patch_application


class Catalog:
    """Reads and writes what there is to deploy; records have the server's own field names."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_project(self, project: Record, environment: Record) -> None:
        """Keep a new project with its default environment."""

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO project (id, doc) VALUES (?, ?)", (project["projectId"], dump(project))
            )
            _insert_environment(db, environment)

        await self._database.run(work)

    async def add_environment(self, environment: Record) -> None:
        """Keep a new environment; raises sqlite3.IntegrityError without its project."""
        await self._database.run(lambda db: _insert_environment(db, environment))

    async def add_application(self, application: Record) -> None:
        """Keep a new application; raises sqlite3.IntegrityError without its environment."""
        await self._database.run(
            lambda db: db.execute(
                "INSERT INTO application (id, environment_id, app_name, doc) VALUES (?, ?, ?, ?)",
                (
                    application["applicationId"],
                    application["environmentId"],
                    application["appName"],
                    dump(application),
                ),
            )
        )

    async def add_provider(self, id_: str, kind: str, record: Record) -> None:
        """Keep a new Git provider of kind "github" or "gitlab"."""
        await self._database.run(
            lambda db: db.execute(
                "INSERT INTO provider (id, kind, doc) VALUES (?, ?, ?)", (id_, kind, dump(record))
            )
        )

    async def projects(self) -> list[Record]:
        """Projects, each with `environments`, each with `applications`, oldest first."""
        return await self._database.run(_tree)

    async def project(self, id_: str) -> Record | None:
        """One project as in `projects`."""
        return next((one for one in await self.projects() if one["projectId"] == id_), None)

    async def environment(self, id_: str) -> Record | None:
        """One environment, without what is in it."""
        return await self._doc("SELECT doc FROM environment WHERE id = ?", id_)

    async def update_environment(self, id_: str, changes: Record) -> None:
        """Change fields of an environment's record."""

        def work(db: sqlite3.Connection) -> None:
            row = db.execute("SELECT doc FROM environment WHERE id = ?", (id_,)).fetchone()
            if row is not None:
                record = dump(load(row) | changes)
                db.execute("UPDATE environment SET doc = ? WHERE id = ?", (record, id_))

        await self._database.run(work)

    async def application(self, id_: str) -> Record | None:
        """One application, with its `environment` and that one's `project`."""

        def work(db: sqlite3.Connection) -> Record | None:
            row = db.execute(
                "SELECT a.doc AS doc, e.doc AS environment, p.doc AS project FROM application a"
                " JOIN environment e ON e.id = a.environment_id"
                " JOIN project p ON p.id = e.project_id WHERE a.id = ?",
                (id_,),
            ).fetchone()
            return _with_parents(row) if row else None

        return await self._database.run(work)

    async def applications(self) -> list[Record]:
        """Every application as `application` gives it, oldest first."""
        return await self._database.run(
            lambda db: [
                _with_parents(row)
                for row in db.execute(
                    "SELECT a.doc AS doc, e.doc AS environment, p.doc AS project"
                    " FROM application a JOIN environment e ON e.id = a.environment_id"
                    " JOIN project p ON p.id = e.project_id ORDER BY a.seq"
                )
            ]
        )

    async def application_named(self, app_name: str) -> str | None:
        """The id of the application with that `appName`."""

        def work(db: sqlite3.Connection) -> str | None:
            row = db.execute(
                "SELECT id FROM application WHERE app_name = ?", (app_name,)
            ).fetchone()
            return str(row["id"]) if row else None

        return await self._database.run(work)

    async def update_application(self, id_: str, changes: Record) -> Record | None:
        """Change fields of an application's record; None when there is none.

        Raises:
            sqlite3.IntegrityError: no such environment, or the `appName` is another's.
        """
        return await self._database.run(lambda db: patch_application(db, id_, changes))

    async def providers(self, kind: str) -> list[Record]:
        """Git providers of a kind, oldest first."""
        return await self._database.run(
            lambda db: [
                load(row)
                for row in db.execute(
                    "SELECT doc FROM provider WHERE kind = ? ORDER BY seq", (kind,)
                )
            ]
        )

    async def provider(self, kind: str, id_: str) -> Record | None:
        """One Git provider, with its secrets."""
        return await self._doc("SELECT doc FROM provider WHERE kind = ? AND id = ?", kind, id_)

    async def remove(self, table: str, id_: str) -> None:
        """Forget a "project", "environment" or "application" with all that hangs on it."""
        if table not in {"project", "environment", "application"}:
            raise ValueError(f"no table {table!r} to remove from")
        await self._database.run(lambda db: db.execute(f"DELETE FROM {table} WHERE id = ?", (id_,)))

    async def _doc(self, sql: str, *values: str) -> Record | None:
        def work(db: sqlite3.Connection) -> Record | None:
            row = db.execute(sql, values).fetchone()
            return load(row) if row else None

        return await self._database.run(work)


def _insert_environment(db: sqlite3.Connection, environment: Record) -> None:
    db.execute(
        "INSERT INTO environment (id, project_id, doc) VALUES (?, ?, ?)",
        (environment["environmentId"], environment["projectId"], dump(environment)),
    )


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
