"""The small Dokploy's applications, and all their configurations over time."""

import time
from dataclasses import dataclass, field, replace
from typing import Any

PROJECT = {"projectId": "p", "name": "shop"}
ENVIRONMENT = {"name": "production", "environmentId": "e", "isDefault": True, "projectId": "p"}


@dataclass(frozen=True)
class Config:
    """How an application is deployed.

    Attributes:
        repository: its path, e.g. "my-org/mono".
        trigger: `push` or `tag`; only apps of the host `github` follow it.
        host: `git` for a plain address, `github`, or `gitlab`.
        project: GitLab's number of the repository.
    """

    repository: str = "my-org/mono"
    branch: str = "main"
    watch_paths: tuple[str, ...] = ()
    trigger: str = "push"
    host: str = "git"
    project: int | None = None

    def source(self, git: str) -> dict[str, Any]:
        """Return it as in `application.one`; `git` is the start of a plain address."""
        owner, _, name = self.repository.rpartition("/")
        match self.host:
            case "github":
                where: dict[str, Any] = {"owner": owner, "repository": name, "branch": self.branch}
            case "gitlab":
                where = {
                    "gitlabProjectId": self.project,
                    "gitlabPathNamespace": self.repository,
                    "gitlabOwner": owner,
                    "gitlabRepository": name,
                    "gitlabBranch": self.branch,
                }
            case _:
                url = f"{git}/{self.repository}.git"
                where = {"customGitUrl": url, "customGitBranch": self.branch}
        return {"sourceType": self.host} | where


@dataclass
class Service:
    """An application.

    Attributes:
        configs: each configuration with the time from which it applies.
        reads: the times at which the configuration was read.
    """

    id: str
    configs: list[tuple[float, Config]] = field(default_factory=list)
    reads: list[float] = field(default_factory=list)
    status: str = "idle"
    last_deploy: str | None = None

    @property
    def now(self) -> Config:
        return self.configs[-1][1]

    def change(self, **fields: Any) -> None:
        """Change it in the dashboard, as a person does."""
        self.configs.append((time.time(), replace(self.now, **fields)))

    def between(self, since: float, until: float) -> list[Config]:
        """Return all configurations that applied at some moment from `since` to `until`."""
        ends = [at for at, _ in self.configs[1:]] + [float("inf")]
        return [
            config
            for (began, config), ended in zip(self.configs, ends, strict=True)
            if began <= until and ended >= since
        ] or [self.configs[0][1]]

    def read_between(self, since: float, until: float) -> list[Config]:
        """Return the configurations that were read from `since` to `until`."""
        times = [at for at in self.reads if since <= at <= until]
        return [self.between(at, at)[0] for at in times]

    def listed(self) -> dict[str, Any]:
        """As `project.all` lists it: without its source."""
        return {"applicationId": self.id, "name": self.id, "applicationStatus": self.status}

    def told(self, git: str, *, keeps: bool = False) -> dict[str, Any]:
        """As `application.one` tells it; `keeps`: its builds are kept, to go back to."""
        config = self.now
        return config.source(git) | {
            "applicationId": self.id,
            "name": self.id,
            "applicationStatus": self.status,
            "triggerType": config.trigger,
            "buildType": "nixpacks",
            "watchPaths": list(config.watch_paths) or None,
            "autoDeploy": False,
            "rollbackActive": keeps,
            "rollbackRegistryId": "a-registry" if keeps else None,
            "environmentId": "e",
            "environment": ENVIRONMENT | {"project": PROJECT},
        }


def projects(services: list[Service], others: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The answer of `project.all`: one project; `others`: its further environments."""
    inside = {"applications": [one.listed() for one in services], "compose": []}
    return [PROJECT | {"environments": [ENVIRONMENT | inside, *others]}]


def overview(services: list[Service], others: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The answer of `overview.services`; `others`: the services of further environments."""
    place = {
        "projectId": PROJECT["projectId"],
        "projectName": PROJECT["name"],
        "environmentId": ENVIRONMENT["environmentId"],
        "environmentName": ENVIRONMENT["name"],
        "type": "application",
    }
    listed = [
        {"id": one.id, "name": one.id, "status": one.status, "lastDeployAt": one.last_deploy}
        for one in services
    ]
    return [one | place for one in listed] + others
