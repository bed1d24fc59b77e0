"""Deploy backends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from bridge.core.apps import App, SourceType
from bridge.core.configuration.configuration import BuildType, Environment, Saved
from bridge.core.health.containers import Container
from bridge.core.masking import NOTHING, Mask
from bridge.core.previews.native import NativePreview


class Progress(StrEnum):
    """A deployment's status in the backend's own words."""

    RUNNING = "running"
    DONE = "done"
    ERROR = "error"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class BackendDeployment:
    """One record of the backend's deployment history; times are seconds since 1970.

    Attributes:
        title, description: ours while it runs; a Git deploy overwrites them at its end with the
            commit message and `Commit: <sha>` (docs/dokploy.md).
        commit: the deployed one, read from the description, once the backend reports it.
        restores: names the point that `RollsBack.roll_back` restores; None if it kept none.
    """

    id: str
    title: str
    description: str
    status: Progress
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    error: str | None = None
    commit: str | None = None
    restores: str | None = None


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """A job that waits or is active in the backend's queue.

    Attributes:
        added_at: seconds since 1970 by the backend's clock; None if unknown.
    """

    app: str
    title: str
    description: str
    active: bool
    added_at: float | None = None


class Backend(Protocol):
    """What the pipeline needs from a deploy backend.

    Every method raises `Refused` (the backend said no), `Unreachable` (nothing was requested)
    or `Unanswered` (something may have been requested).
    """

    name: str

    async def apps(self) -> list[App]:
        """Return every application and compose stack visible to the key, with its source."""

    async def deploy(self, app: App, *, title: str, description: str) -> None:
        """Request a deployment of the head of the app's branch; return once it is accepted."""

    async def redeploy(self, app: App, *, title: str, description: str) -> None:
        """Request a build of the existing checkout; nothing is fetched."""

    async def deployments(self, app: App) -> list[BackendDeployment]:
        """Return the app's newest deployments (about ten), newest first."""

    async def queue(self) -> list[QueuedJob] | None:
        """Return waiting and running jobs; None if the backend is too old to list them."""

    async def log_tail(self, deployment: BackendDeployment, lines: int) -> str:
        """Return the last lines of a deployment's log; "" if the backend can't read logs."""

    async def drop_waiting(self, app: App) -> None:
        """Drop this app's waiting jobs from the backend's queue; running builds continue."""

    async def cancel(self, app: App) -> str:
        """Cancel the running deployment; return the backend's message. Refused if self-hosted."""

    async def version(self) -> str | None:
        """Return the version, e.g. "v0.30.2"; None if the backend does not report it."""

    async def healthy(self) -> bool:
        """Return whether it answers at all; never raise."""

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Listed:
    """An app in a backend's listing, which shows its state but not its configuration.

    Attributes:
        app: without source, trigger, watch paths and URL.
        signal: any text; if it differs from the last one, the configuration may have changed.
        deployed_at: when its newest deployment began, whoever requested it, in seconds since 1970
            by the backend's clock; None if it has none, or the backend does not say.
    """

    app: App
    signal: str
    deployed_at: float | None = None


@runtime_checkable
class ReadsApps(Protocol):
    """A backend that lists its apps cheaply, and reads some of them without the others."""

    @property
    def apps_per_request(self) -> int: ...

    async def listing(self) -> list[Listed]:
        """List every app visible to the key, with one request."""

    async def read_apps(self, apps: Sequence[App]) -> list[App]:
        """Read these apps, named as given or listed.

        Omit apps that are gone, or that the key may not read; raise any other error.
        """


async def read_apps(backend: Backend, apps: Sequence[App]) -> list[App]:
    """Read these apps of a backend, without the others if the backend can."""
    if isinstance(backend, ReadsApps):
        return await backend.read_apps(apps)
    asked = {app.id for app in apps}
    return [app for app in await backend.apps() if app.id in asked]


@runtime_checkable
class TellsTime(Protocol):
    """A backend whose clock is known; the times of its records are by that clock."""

    def clock_ahead(self, moment: float) -> float | None:
        """Return how many seconds its clock was ahead of ours at a moment of our clock.

        The result never exceeds the true offset. None before its first answer.
        """


@runtime_checkable
class KillsBuilds(Protocol):
    """A backend that can interrupt builds, but not single ones."""

    async def kill_build(self, app: App) -> None:
        """Interrupt every Docker build on the app's host, including other apps'."""


@runtime_checkable
class ShowsContainers(Protocol):
    """A backend that shows the containers of its apps."""

    async def containers(self, app: App) -> list[Container] | None:
        """Return an app's containers; None if it has none to show, or the key may not see them."""

    async def output(self, app: App, lines: int) -> str:
        """Return the last lines that an app's container printed; "" if there are none."""


@runtime_checkable
class ShowsImages(Protocol):
    """A backend that shows what its apps run, which a record of a deployment does not prove."""

    async def images(self, app: App) -> tuple[str, ...] | None:
        """Return the ids of the images that the running containers of an app were made from.

        Sorted, each once, e.g. "sha256:3f4e…"; a site without a container has the id of its
        release. () if nothing runs; None if that can't be told, or may change by itself, as while
        it crashes and restarts.
        """

    async def fingerprints(self, apps: Sequence[App]) -> Mapping[str, str]:
        """Return texts by app id; one differs once other containers run of its app.

        "" for an app of which nothing is seen to run; omit those of which that can't be told. One
        request for all apps, and one more for each further server.
        """


@runtime_checkable
class TellsStopped(Protocol):
    """A backend whose apps people can stop."""

    async def stopped(self, app: App) -> bool | None:
        """Return whether an app is surely stopped; None if it is idle, and may be."""


async def is_stopped(backend: Backend, app: App) -> bool | None:
    """Return whether somebody has stopped an app at its backend; None if that may be."""
    return await backend.stopped(app) if isinstance(backend, TellsStopped) else False


@runtime_checkable
class ReachesSites(Protocol):
    """A backend whose sites this process can reach, also where people have no address of them."""

    async def local_url(self, app: App) -> str | None:
        """Return where to reach an app from here; None if there is no such address."""


@runtime_checkable
class RollsBack(Protocol):
    """A backend that keeps what earlier deployments built."""

    async def roll_back(self, app: App, point: str) -> None:
        """Serve an earlier build again, without a record of it; repeating it changes nothing.

        Args:
            point: `BackendDeployment.restores` of the deployment that made it.
        """


@runtime_checkable
class WritesSource(Protocol):
    """A backend in which single fields of an app's source can be set."""

    async def write_source(self, app: App, fields: Mapping[str, Any]) -> None:
        """Set these fields of the stored source, by their names in `SourceRow`, and no others."""


@runtime_checkable
class ShowsSaved(Protocol):
    """A backend that shows how its apps are configured."""

    async def saved(self, app: App) -> Saved:
        """Return how the app is configured now; secrets stay sealed."""


@runtime_checkable
class KnowsSecrets(Protocol):
    """A backend that keeps the variables of its apps."""

    async def mask(self, app: App) -> Mask:
        """Return what hides the values of an app's variables; it is never stored."""


async def mask_for(backend: Backend, app: App) -> Mask:
    """Return what must be hidden in what an app, or a build of it, has printed."""
    return await backend.mask(app) if isinstance(backend, KnowsSecrets) else NOTHING


@runtime_checkable
class Configures(WritesSource, ShowsSaved, Protocol):
    """A backend whose apps can be configured; calls are sent as they are, without merging."""

    async def save_build_type(self, app: App, settings: BuildType) -> None: ...

    async def save_environment(self, app: App, settings: Environment) -> None:
        """Set its environment, build arguments and build secrets."""

    async def clear_deployments(self, app: App) -> None:
        """Delete the logs of all its deployments; a running build may lose its own."""


@dataclass(frozen=True, slots=True)
class Build:
    """How an app of the bridge's own is built and run; it has nothing else of its model.

    Attributes:
        model: the app whose account, repository, build path, build type and its settings it takes
            over. Never its environment, build arguments, build secrets, registry passwords,
            volumes, ports, domains or Auto Deploy.
        ref: the branch to clone, or a commit where the backend can build one.
        environment, build_args: whole, as lines of NAME=value.
        memory: the most bytes that it may have.
        cpus: the most cores that it may use; None for no limit.
        mirror: the repository to clone in place of the model's, on the same Git host, e.g.
            "my-org/forks"; only for a model with a GitHub account.
    """

    model: App
    ref: str
    environment: str
    build_args: str
    memory: int
    cpus: float | None = None
    mirror: str | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """A host name under which an app is served.

    Attributes:
        host: with a port only where visitors need another one than that of the scheme.
        port: the port of its container.
        certificate: "letsencrypt", "none", or the name of a custom resolver.
    """

    host: str
    port: int = 3000
    https: bool = False
    certificate: str = "none"
    path: str = "/"


@runtime_checkable
class MakesApps(Protocol):
    """A backend in which the bridge makes and removes apps of its own.

    Each method can be repeated: it looks first whether it is done already. Names are not unique in
    a backend, so an app of ours is known by its marker, which begins with `apps.MARKER` and is
    written with its creation; what has none is refused. Errors are those of `Backend`; a refusal
    names the right that the key lacks.
    """

    @property
    def builds_commits(self) -> bool:
        """Whether it can build a commit to which no branch leads."""

    async def made(self, marker: str) -> list[App]:
        """Return the apps with exactly this marker, oldest first; more than one were raced.

        They come as listed, without source, trigger, watch paths and URL.
        """

    async def all_made(self, beginning: str) -> dict[str, list[App]]:
        """Return all apps whose marker begins like this, by marker; see `made`."""

    async def make(self, name: str, marker: str, model: App, environment: str) -> App:
        """Return the oldest app with a marker, made if there is none; as `made`.

        Store its `service` before it is removed: `left_behind` needs it.

        Args:
            environment: of its model's project, to make it in; made if missing, and never
                "production".
        """

    async def set_build(self, app: App, build: Build) -> None:
        """Have an app built and run like this, with Auto Deploy off; read back that it is."""

    async def set_addresses(self, app: App, addresses: Sequence[Address]) -> None: ...

    async def suggest_host(self, app: App) -> str | None:
        """Return a host name that leads to the backend without DNS of one's own; None if none.

        It may be another one at each call, so keep the first.
        """

    def url_at(self, host: str, *, https: bool) -> str: ...

    async def remove(self, app: App) -> None:
        """Delete an app with its addresses and waiting jobs; one that is gone is fine.

        No build of it may be running: it would leave its service behind.
        """

    async def left_behind(self, app: App) -> list[Container] | None:
        """Return what still runs of a removed app.

        None if the key may not see it, or the app's `service` is not known.
        """


@runtime_checkable
class MakesPreviews(Protocol):
    """A backend that may make previews of pull requests by itself, app by app."""

    async def native_previews(self, app: App) -> list[NativePreview]:
        """Return the previews that it has made by itself for an app, the last built one first.

        It costs a request: `App.native_previews` says whether an app may have some.
        """


@runtime_checkable
class DeploysPushes(Protocol):
    """A backend that may deploy pushes by itself, app by app."""

    async def set_auto_deploy(self, app: App, *, on: bool) -> None:
        """Switch the backend's own deploys of an app's pushes; change nothing else."""


@dataclass(frozen=True, slots=True)
class GitAccount:
    """A Git account that is connected in the backend; `id` is its githubId or gitlabId."""

    id: str
    name: str
    type: SourceType


@dataclass(frozen=True, slots=True)
class GitRepository:
    """A repository that a Git account can see.

    Attributes:
        id: the host's numeric id; a GitLab source needs it.
        path: with its whole namespace, e.g. "my-group/sub/my-project".
    """

    id: int
    owner: str
    name: str
    path: str


class Choices(Protocol):
    """Lists to choose from; the backend queries the Git host for them, so they may be slow."""

    async def git_providers(self) -> list[GitAccount]:
        """Return the connected Git accounts that the key may use."""

    async def repositories(self, provider: GitAccount) -> list[GitRepository]: ...
    async def branches(self, provider: GitAccount, repository: GitRepository) -> list[str]: ...


@runtime_checkable
class OffersChoices(Protocol):
    """A backend that lists the choices for a source."""

    pickers: Choices
