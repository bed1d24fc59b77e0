"""What there is to deploy, and what each app waits for."""

from dataclasses import dataclass
from enum import StrEnum


class AppKind(StrEnum):
    """The two things that Dokploy deploys from a source."""

    APPLICATION = "application"
    COMPOSE = "compose"


class Trigger(StrEnum):
    """What makes an app deploy."""

    PUSH = "push"  # a push to its branch
    TAG = "tag"  # a new or moved tag


class SourceType(StrEnum):
    """Where an app's code comes from, in the backend's own words."""

    GITHUB = "github"
    GITLAB = "gitlab"
    GIT = "git"
    DOCKER = "docker"
    BITBUCKET = "bitbucket"
    GITEA = "gitea"
    DROP = "drop"
    RAW = "raw"


@dataclass(frozen=True, slots=True)
class Source:
    """Where an app's code comes from.

    Attributes:
        repository_id: the host's numeric id as text, where the backend knows it (GitLab).
        repository: path with owner, e.g. "my-org/mono"; None for custom Git and Docker.
        url: normalised clone address of a custom Git source (see `refs.normalise_url`).
        branch: short name, e.g. "main" or "feature/a".
        image: of a Docker source, e.g. "nginx:1.27".
    """

    type: SourceType
    repository: str | None = None
    repository_id: str | None = None
    url: str | None = None
    branch: str | None = None
    image: str | None = None


@dataclass(frozen=True, slots=True)
class App:
    """An application or compose stack of a backend.

    Attributes:
        id: the backend's own id, e.g. "ZT6A95NobTiob085n0lpt".
        backend: which of our backends has it.
        environment: its name; None when it is its project's default one.
        watch_paths: as stored; None or empty deploys on every push.
        auto_deploy: the backend deploys pushes by itself too (then every push deploys twice).
    """

    id: str
    name: str
    project: str
    backend: str = "dokploy"
    environment: str | None = None
    kind: AppKind = AppKind.APPLICATION
    source: Source | None = None
    trigger: Trigger = Trigger.PUSH
    watch_paths: tuple[str, ...] | None = None
    auto_deploy: bool = False

    @property
    def label(self) -> str:
        """The name that people use: `project/app`, or `project/environment/app`."""
        parts = (self.project, self.environment, self.name)
        return "/".join(part for part in parts if part)
