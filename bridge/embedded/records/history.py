"""Deployments and the queue of jobs, on disk."""

import sqlite3
from dataclasses import dataclass
from typing import Literal

from bridge.embedded.records.database import Database, patch_application

JobKind = Literal["deploy", "redeploy"]
Status = Literal["running", "done", "error", "cancelled"]

RETENTION = 10
"""So many deployments of an application are kept, as the real server does (facts.md)."""

# What `applicationStatus` becomes at a deployment's end; there is no "cancelled" among its values.
_APPLICATION_STATUS = {"done": "done", "error": "error", "cancelled": "idle"}


@dataclass(frozen=True, slots=True)
class Job:
    """Something asked for that is not finished; times in seconds since 1970."""

    seq: int
    application_id: str
    kind: JobKind
    title: str
    description: str
    asked_at: float
    started_at: float | None = None
    deployment_id: str | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """One line of an application's history; times in seconds since 1970."""

    id: str
    application_id: str
    title: str
    description: str
    status: Status
    log_path: str
    started_at: float
    finished_at: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """How a deployment ended.

    Attributes:
        title, description: what to write over the given ones; None keeps those.
    """

    status: Status
    error: str | None = None
    title: str | None = None
    description: str | None = None


_JOB = "seq, application_id, kind, title, description, asked_at, started_at, deployment_id"
_DEPLOYMENT = (
    "id, application_id, title, description, status, log_path, started_at, finished_at, error"
)


class History:
    """Reads and writes deployments and jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ask(
        self, application_id: str, kind: JobKind, title: str, description: str, *, now: float
    ) -> Job | None:
        """Put a job at the end of the queue; None when there is no such application."""

        def work(db: sqlite3.Connection) -> Job | None:
            if not db.execute(
                "SELECT 1 FROM application WHERE id = ?", (application_id,)
            ).fetchone():
                return None
            cursor = db.execute(
                "INSERT INTO job (application_id, kind, title, description, asked_at)"
                " VALUES (?, ?, ?, ?, ?)",
                (application_id, kind, title, description, now),
            )
            return Job(cursor.lastrowid or 0, application_id, kind, title, description, now)

        return await self._database.run(work)

    async def jobs(self) -> list[Job]:
        """All jobs, oldest first."""
        return await self._database.run(
            lambda db: [Job(*row) for row in db.execute(f"SELECT {_JOB} FROM job ORDER BY seq")]
        )

    async def drop_waiting(self, application_id: str) -> int:
        """Forget what waits for an application; returns how many jobs that were."""
        return await self._database.run(
            lambda db: (
                db.execute(
                    "DELETE FROM job WHERE application_id = ? AND started_at IS NULL",
                    (application_id,),
                ).rowcount
            )
        )

    async def begin(self, job: Job, deployment: Deployment) -> list[str] | None:
        """Start a job: only now it gets a deployment record (facts.md).

        Returns:
            The logs of the deployments that are too old to keep; None when the job was
            dropped in the meantime.
        """

        def work(db: sqlite3.Connection) -> list[str] | None:
            started = db.execute(
                "UPDATE job SET started_at = ?, deployment_id = ?"
                " WHERE seq = ? AND started_at IS NULL",
                (deployment.started_at, deployment.id, job.seq),
            )
            if not started.rowcount:
                return None
            _insert(db, deployment)
            patch_application(db, job.application_id, {"applicationStatus": "running"})
            return _forget_old(db, job.application_id)

        return await self._database.run(work)

    async def finish(self, job: Job, deployment_id: str, ending: Ending, *, now: float) -> None:
        """End a deployment and its job."""

        def work(db: sqlite3.Connection) -> None:
            _end(db, deployment_id, ending, now)
            status = {"applicationStatus": _APPLICATION_STATUS[ending.status]}
            patch_application(db, job.application_id, status)
            db.execute("DELETE FROM job WHERE seq = ?", (job.seq,))

        await self._database.run(work)

    async def end_interrupted(self, *, now: float) -> list[str]:
        """End as cancelled what ran when the process died; what waited is kept.

        Returns:
            The ids of the ended deployments.
        """
        ending = Ending("cancelled", "The server was restarted while this deployment ran")

        def work(db: sqlite3.Connection) -> list[str]:
            rows = db.execute("SELECT id, application_id FROM deployment WHERE status = 'running'")
            ended = [(row["id"], row["application_id"]) for row in rows]
            for deployment_id, application_id in ended:
                _end(db, deployment_id, ending, now)
                patch_application(db, application_id, {"applicationStatus": "idle"})
            db.execute("DELETE FROM job WHERE started_at IS NOT NULL")
            return [deployment_id for deployment_id, _ in ended]

        return await self._database.run(work)

    async def of(self, application_id: str) -> list[Deployment]:
        """An application's deployments, newest first."""
        return await self._database.run(
            lambda db: [
                Deployment(*row)
                for row in db.execute(
                    f"SELECT {_DEPLOYMENT} FROM deployment"
                    " WHERE application_id = ? ORDER BY seq DESC",
                    (application_id,),
                )
            ]
        )

    async def all(self) -> list[Deployment]:
        """Every deployment, newest first."""
        return await self._database.run(
            lambda db: [
                Deployment(*row)
                for row in db.execute(f"SELECT {_DEPLOYMENT} FROM deployment ORDER BY seq DESC")
            ]
        )

    async def one(self, deployment_id: str) -> Deployment | None:
        """A deployment by its id."""
        return await self._one("id", deployment_id)

    async def by_log(self, log_path: str) -> Deployment | None:
        """The deployment that a log belongs to."""
        return await self._one("log_path", log_path)

    async def _one(self, column: str, value: str) -> Deployment | None:
        def work(db: sqlite3.Connection) -> Deployment | None:
            found = db.execute(
                f"SELECT {_DEPLOYMENT} FROM deployment WHERE {column} = ?",
                (value,),
            )
            row = found.fetchone()
            return Deployment(*row) if row else None

        return await self._database.run(work)

    async def remove(self, deployment_id: str) -> None:
        """Forget a deployment."""
        await self._database.run(
            lambda db: db.execute("DELETE FROM deployment WHERE id = ?", (deployment_id,))
        )


def _insert(db: sqlite3.Connection, deployment: Deployment) -> None:
    db.execute(
        "INSERT INTO deployment (id, application_id, title, description, status, log_path,"
        " started_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            deployment.id,
            deployment.application_id,
            deployment.title,
            deployment.description,
            deployment.status,
            deployment.log_path,
            deployment.started_at,
        ),
    )


def _end(db: sqlite3.Connection, deployment_id: str, ending: Ending, now: float) -> None:
    db.execute(
        "UPDATE deployment SET status = ?, finished_at = ?, error = ?,"
        " title = coalesce(?, title), description = coalesce(?, description) WHERE id = ?",
        (ending.status, now, ending.error, ending.title, ending.description, deployment_id),
    )


def _forget_old(db: sqlite3.Connection, application_id: str) -> list[str]:
    old = db.execute(
        "DELETE FROM deployment WHERE application_id = ? AND status != 'running' AND seq NOT IN"
        " (SELECT seq FROM deployment WHERE application_id = ? ORDER BY seq DESC LIMIT ?)"
        " RETURNING log_path",
        (application_id, application_id, RETENTION),
    )
    return [row["log_path"] for row in old.fetchall()]
