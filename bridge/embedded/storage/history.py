"""Deployments, the queue of jobs, and the releases that deployments have made."""

import itertools
import json
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Literal

from bridge.embedded.storage.paths import Places, write_private
from bridge.embedded.storage.records import Database, insert, patch_application

JobKind = Literal["deploy", "redeploy"]
Status = Literal["running", "done", "error", "cancelled"]

RETENTION = 10
"""The number of deployments to keep for each application, as in Dokploy (docs/dokploy.md).

Beyond them, those that can be served again are kept.
"""

# The `applicationStatus` after a deployment; "cancelled" is not one of its values.
_APPLICATION_STATUS = {"done": "done", "error": "error", "cancelled": "idle"}


@dataclass(frozen=True, slots=True)
class Job:
    """A requested deployment that has not ended; times in seconds since 1970."""

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
    """A deployment in an application's history; times in seconds since 1970."""

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
        title, description: replace those of the request; None keeps them.
    """

    status: Status
    error: str | None = None
    title: str | None = None
    description: str | None = None


_JOB, _DEPLOYMENT = (", ".join(one.name for one in fields(kind)) for kind in (Job, Deployment))


class History:
    """Read and write deployments and jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ask(
        self, application_id: str, kind: JobKind, title: str, description: str, *, now: float
    ) -> Job | None:
        """Append a job to the queue; return None if there is no such application."""

        def work(db: sqlite3.Connection) -> Job | None:
            there = db.execute("SELECT 1 FROM application WHERE id = ?", (application_id,))
            if there.fetchone() is None:
                return None
            job = Job(0, application_id, kind, title, description, now)
            return replace(job, seq=insert(db, "job", **asdict(job) | {"seq": None}))

        return await self._database.run(work)

    async def jobs(self) -> list[Job]:
        return await self._database.run(
            lambda db: [Job(*row) for row in db.execute(f"SELECT {_JOB} FROM job ORDER BY seq")]
        )

    async def drop_waiting(self, application_id: str) -> int:
        sql = "DELETE FROM job WHERE application_id = ? AND started_at IS NULL"
        return await self._database.run(lambda db: db.execute(sql, (application_id,)).rowcount)

    async def begin(
        self, job: Job, deployment: Deployment, kept: Sequence[str] = ()
    ) -> list[str] | None:
        """Start a job, which gets its deployment record only now (docs/dokploy.md).

        Args:
            kept: the deployments whose records stay, however old: they can be served again.

        Returns:
            The logs of deployments that are too old to keep; None if the job has been dropped
            in the meantime.
        """

        def work(db: sqlite3.Connection) -> list[str] | None:
            started = db.execute(
                "UPDATE job SET started_at = ?, deployment_id = ?"
                " WHERE seq = ? AND started_at IS NULL",
                (deployment.started_at, deployment.id, job.seq),
            )
            if not started.rowcount:
                return None
            insert(db, "deployment", **asdict(deployment))
            patch_application(db, job.application_id, {"applicationStatus": "running"})
            return _forget_old(db, job.application_id, kept)

        return await self._database.run(work)

    async def finish(
        self, job: Job, deployment_id: str, ending: Ending, *, now: float | None
    ) -> None:
        """Record the end of a deployment, and delete its job.

        Args:
            now: None if the server's end broke it off.
        """

        def work(db: sqlite3.Connection) -> None:
            _end(db, deployment_id, ending, now)
            status = {"applicationStatus": _APPLICATION_STATUS[ending.status]}
            patch_application(db, job.application_id, status)
            db.execute("DELETE FROM job WHERE seq = ?", (job.seq,))

        await self._database.run(work)

    async def end_interrupted(self) -> list[str]:
        """Record deployments that ran when the process died as cancelled; waiting jobs stay.

        They get no end time, as at Dokploy: nobody has cancelled them.

        Returns:
            The ids of these deployments.
        """
        ending = Ending("cancelled", "The server was restarted while this deployment ran")

        def work(db: sqlite3.Connection) -> list[str]:
            rows = db.execute("SELECT id, application_id FROM deployment WHERE status = 'running'")
            ended = [(row["id"], row["application_id"]) for row in rows]
            for deployment_id, application_id in ended:
                _end(db, deployment_id, ending, None)
                patch_application(db, application_id, {"applicationStatus": "idle"})
            db.execute("DELETE FROM job WHERE started_at IS NOT NULL")
            return [deployment_id for deployment_id, _ in ended]

        return await self._database.run(work)

    async def of(self, application_id: str) -> list[Deployment]:
        """Return an application's deployments, newest first."""
        return await self._deployments("WHERE application_id = ? ORDER BY seq DESC", application_id)

    async def all(self) -> list[Deployment]:
        return await self._deployments("ORDER BY seq DESC")

    async def one(self, deployment_id: str) -> Deployment | None:
        return next(iter(await self._deployments("WHERE id = ?", deployment_id)), None)

    async def by_log(self, log_path: str) -> Deployment | None:
        return next(iter(await self._deployments("WHERE log_path = ?", log_path)), None)

    async def _deployments(self, which: str, *values: str) -> list[Deployment]:
        sql = f"SELECT {_DEPLOYMENT} FROM deployment {which}"
        return await self._database.run(
            lambda db: [Deployment(*row) for row in db.execute(sql, values)]
        )

    async def newest(self) -> dict[str, float]:
        """Return when the newest deployment of each application began, by its id."""
        sql = "SELECT application_id, max(started_at) FROM deployment GROUP BY application_id"
        return await self._database.run(lambda db: dict(db.execute(sql).fetchall()))

    async def remove(self, deployment_id: str) -> None:
        sql = "DELETE FROM deployment WHERE id = ?"
        await self._database.run(lambda db: db.execute(sql, (deployment_id,)))


def _end(db: sqlite3.Connection, deployment_id: str, ending: Ending, at: float | None) -> None:
    db.execute(
        "UPDATE deployment SET status = ?, finished_at = ?, error = ?,"
        " title = coalesce(?, title), description = coalesce(?, description) WHERE id = ?",
        (ending.status, at, ending.error, ending.title, ending.description, deployment_id),
    )


def _forget_old(db: sqlite3.Connection, application_id: str, kept: Sequence[str]) -> list[str]:
    old = db.execute(
        "DELETE FROM deployment WHERE application_id = ? AND status != 'running' AND seq NOT IN"
        " (SELECT seq FROM deployment WHERE application_id = ? ORDER BY seq DESC LIMIT ?)"
        " AND id NOT IN (SELECT value FROM json_each(?)) RETURNING log_path",
        (application_id, application_id, RETENTION, json.dumps(kept)),
    )
    return [row["log_path"] for row in old.fetchall()]


# ── Releases: what an application serves, and what it has served and can serve again ──────────────

KEPT = 6
"""Releases to keep for each application: the served one, and those served last before it.

A request may still be reading the one before.
"""

LASTED = 600.0
"""Seconds of service after which a release is kept beyond `KEPT`, however many follow it quickly.

So a burst of broken pushes does not remove the last one that worked.
"""

_FACTS = "release.json"
_VARIABLES = "variables.json"


@dataclass(frozen=True, slots=True)
class Facts:
    """How a release is served.

    Attributes:
        spa: a site answers unknown paths with its first page.
        image: the image's own tag, e.g. "web-jwkg6q:v-ZT6A95NobTiob085n0lpt"; None for a site.
        memory, cpus: limits of the container, in bytes and billionths of a CPU.
    """

    spa: bool = False
    image: str | None = None
    memory: str | None = None
    cpus: str | None = None


@dataclass(frozen=True, slots=True)
class Releases:
    """The releases of one application. Everything blocks: call it in a thread.

    A release is named by its deployment. Its folder holds a site's files and, once it is complete,
    `release.json`, which tells how to serve it. The link `current` names the release that is
    served; it is replaced in one step. The variables of a container are kept apart, outside the
    folders of sites.
    """

    root: Path
    variables_root: Path

    @classmethod
    def of(cls, places: Places, application_id: str) -> "Releases":
        """Return the releases of an application, of which there may be none."""
        return cls(places.site(application_id), places.variables(application_id))

    def folder(self, id_: str) -> Path:
        return self.root / "releases" / id_

    def folders(self, id_: str) -> tuple[Path, Path]:
        """Return all folders of a release, to remove them."""
        return self.folder(id_), self.variables_root / id_

    def complete(self, id_: str, facts: Facts, variables: Mapping[str, str] | None = None) -> None:
        """Write how a release is served, which completes it."""
        if variables:
            write_private(self.variables_root / id_ / _VARIABLES, json.dumps(dict(variables)))
        write_private(self.folder(id_) / _FACTS, json.dumps(asdict(facts)))

    def facts(self, id_: str) -> Facts | None:
        """Return how a release is served; None if it is not kept, or not complete."""
        return facts_in(self.folder(id_))

    def variables(self, id_: str) -> dict[str, str]:
        try:
            found: dict[str, str] = json.loads((self.variables_root / id_ / _VARIABLES).read_text())
        except FileNotFoundError:
            return {}
        return found

    def serve(self, id_: str) -> None:
        """Switch to a release in one step: a request gets the old one or the new one."""
        os.utime(self.folder(id_))  # served last, so kept longest
        link = self.root / f"current.{id_}"
        link.unlink(missing_ok=True)
        link.symlink_to(Path("releases", id_))
        link.replace(self.root / "current")

    def served(self) -> str | None:
        """Return the release that is served; None if there is none."""
        try:
            return (self.root / "current").readlink().name
        except OSError:
            return None

    def served_facts(self) -> Facts | None:
        """Return how the served release is served; None if there is none."""
        served = self.served()
        return None if served is None else self.facts(served)

    def all(self) -> list[Path]:
        """Return the folders of all releases, the one that was served last first."""
        found, served = (self.root / "releases").glob("*"), self.served()
        order = {one: (one.name == served, _served_at(one)) for one in found}
        return sorted(order, key=order.__getitem__, reverse=True)

    def superfluous(self) -> list[str]:
        found = self.all()
        lasted = (
            one
            for after, one in itertools.pairwise(found)
            if _served_at(after) - _served_at(one) >= LASTED
        )
        kept = {*found[:KEPT], next(lasted, None)}
        return [one.name for one in found if one not in kept]


def _served_at(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:  # it is just being removed
        return 0.0


def facts_in(folder: Path) -> Facts | None:
    """Return how the release in a folder is served; None if it is not complete."""
    try:
        found = json.loads((folder / _FACTS).read_text())
        return Facts(**{name: found.get(name, value) for name, value in asdict(Facts()).items()})
    except (OSError, ValueError, AttributeError):
        return None


def kept_of(places: Places, deployments: Iterable[Deployment]) -> frozenset[str]:
    """Return which deployments have a release that can be served again. It blocks."""
    return frozenset(
        one.id
        for one in deployments
        if one.status == "done" and Releases.of(places, one.application_id).facts(one.id)
    )
