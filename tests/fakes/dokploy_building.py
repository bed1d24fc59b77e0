"""A `MakingDokploy` that builds what it is asked to, one app after the other, when it is told to.

A job waits until `begin` starts it, and its build goes on until `end` ends it, whatever happens to
its app meanwhile.
"""

import itertools
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.dokploy_making import MakingDokploy

Row = dict[str, Any]
_AT = "2026-11-24T22:39:17.273Z"


@dataclass
class BuildingDokploy(MakingDokploy):
    """One worker, as a Dokploy has for its own server.

    Attributes:
        waiting: the ids of apps whose jobs wait, with the commits to build.
        current: the app and the commit that are built.
        built: what was built, in order.
        records: of deployments, by app, newest first.
    """

    waiting: list[tuple[str, str]] = field(default_factory=list)
    current: tuple[str, str] | None = None
    built: list[tuple[str, str]] = field(default_factory=list)
    records: dict[str, list[Row]] = field(default_factory=dict)
    _builds: Any = field(default_factory=itertools.count)

    def ask(self, app_id: str, commit: str) -> None:
        """Have an app deployed, as the bridge or a person does."""
        if app_id in self.rows:
            self.waiting.append((app_id, commit))

    def begin(self) -> None:
        """Begin the next build, unless one runs."""
        while self.current is None and self.waiting:
            app_id, commit = self.waiting.pop(0)
            if app_id not in self.rows:
                continue
            self.current = app_id, commit
            self.building.add(app_id)
            record: Row = {"deploymentId": f"b{next(self._builds)}", "title": "a build"}
            record |= {"description": "", "status": "running", "createdAt": _AT}
            record |= {"startedAt": _AT, "finishedAt": None}
            self.records.setdefault(app_id, []).insert(0, record)

    def end(self) -> None:
        """End the build that runs."""
        if self.current is None:
            return
        app_id, commit = self.current
        self.records[app_id][0] |= {"status": "done", "finishedAt": _AT}
        self.records[app_id][0] |= {"description": f"Commit: {commit}"}
        self.built.append(self.current)
        self.current = None
        self.end_builds()

    def lose_end(self) -> None:
        """End the build that runs while the database is away: its record never says so."""
        assert self.current is not None
        app_id, _ = self.current
        record = dict(self.records[app_id][0])
        self.end()
        self.records[app_id][0] = record

    def own(self) -> list[str]:
        """The ids of the apps that the bridge has made."""
        rows = self.rows.values()
        return [
            row["applicationId"]
            for row in rows
            if str(row.get("description")).startswith("bridge:")
        ]

    def _last_deploy_at(self, row: Row) -> str | None:
        records = self.records.get(row["applicationId"])
        return records[0]["createdAt"] if records else None

    def _one(self, id_: str) -> Row:
        return dict(self._application_one({"applicationId": id_})[1])

    def _application_deploy(self, body: Row) -> tuple[int, Any]:
        if body["applicationId"] not in self.rows:
            return self._gone("Application")
        self.ask(body["applicationId"], "")
        return 200, None

    def _application_cleanQueues(self, body: Row) -> tuple[int, Any]:  # noqa: N802
        self.waiting = [one for one in self.waiting if one[0] != body["applicationId"]]
        return super()._application_cleanQueues(body)

    def _deployment_queueList(self, _query: Row) -> tuple[int, Any]:  # noqa: N802
        active = [(self.current, "active")] if self.current else []
        jobs = active + [(one, "waiting") for one in self.waiting]
        return 200, [
            {"data": {"applicationId": job[0], "applicationType": "application"}, "state": state}
            for job, state in jobs
        ]

    def _deployment_all(self, query: Row) -> tuple[int, Any]:
        if query["applicationId"] not in self.rows:
            return self._gone("Application")
        return 200, self.records.get(query["applicationId"], [])
