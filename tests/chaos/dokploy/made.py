"""The small Dokploy's applications that the bridge makes and removes by itself.

They are made as in all tests of previews (`tests/fakes/dokploy_making.py`); what is built of them
is a job among the others (`building.py`).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.dokploy.jobs import BUILT, Job
from tests.chaos.dokploy.services import PROJECT
from tests.fakes.dokploy_making import MakingDokploy

READS = (
    "project.one",
    "domain.byApplicationId",
    "docker.getContainersByAppNameMatch",
    "docker.getServiceContainersByAppName",
)
CHANGES = (
    "environment.create",
    "application.create",
    "application.update",
    "application.delete",
    "domain.create",
    "domain.delete",
    "domain.generateDomain",
)
"""The procedures that are only about these applications."""


@dataclass
class MadeApps(MakingDokploy):
    """They are in the project of people's own applications."""

    projects: dict[str, str] = field(
        default_factory=lambda: {PROJECT["projectId"]: PROJECT["name"]}
    )

    def __contains__(self, app: str) -> bool:
        return app in self.rows

    def told(self, app: str) -> dict[str, Any]:
        """Return what `application.one` tells of one."""
        told: dict[str, Any] = self._application_one({"applicationId": app})[1]
        return told

    def environments_listed(self) -> list[dict[str, Any]]:
        """Return the environments with these applications, as `project.all` lists them."""
        (project,) = self._project_all({})[1]
        return [one for one in project["environments"] if not one["isDefault"]]

    def services_listed(self) -> list[dict[str, Any]]:
        """Return these applications, as `overview.services` lists them."""
        found: list[dict[str, Any]] = self._overview_services({})[1]
        return found

    def source(self, app: str) -> tuple[str, str]:
        """Return the repository and the branch that one is built from."""
        row = self.rows[app]
        return f"{row['owner']}/{row['repository']}", row["branch"]

    @property
    def alive(self) -> Mapping[str, Sequence[str]]:
        """The ids of those with each marker."""
        found = defaultdict(list)
        for row in self.rows.values():
            found[str(row["description"])].append(str(row["applicationId"]))
        return found

    @property
    def orphans(self) -> list[str]:
        """The services that run though their application is gone."""
        known = {row["appName"] for row in self.rows.values()}
        names = [one["name"].partition(".")[0] for one in self.containers]
        return [name for name in names if name not in known]

    def begins(self, job: Job) -> None:
        """Begin a build, if it is one of these."""
        if job.app in self.rows:
            self.building.add(job.app)
            self.rows[job.app]["applicationStatus"] = job.status

    def ends(self, job: Job) -> None:
        """End a build, if it is one of these; what is built runs, be its application gone."""
        if job.app in self.rows:
            shown = {"cancelled": "idle"}.get(job.status, job.status)
            self.rows[job.app]["applicationStatus"] = shown
        if job.app in self.building and job.fate in BUILT:
            self.end_build(job.app)
        self.building.discard(job.app)
        self._orphans.pop(job.app, None)
