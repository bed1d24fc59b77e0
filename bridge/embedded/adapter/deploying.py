"""Deploying with the embedded backend."""

import re
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from bridge.core.apps import App, Source, SourceType, Trigger
from bridge.core.configuration.configuration import BuildType, Environment, ProviderSettings, Saved
from bridge.core.configuration.row import COLUMNS, row_in
from bridge.core.errors import Refused, Unreachable
from bridge.core.refs import normalise_url
from bridge.embedded.building.logs import tail
from bridge.embedded.http import deployments, inputs
from bridge.embedded.http.procedure import VERSION
from bridge.embedded.http.validation import Failure, InvalidInput, parse
from bridge.embedded.parts import Parts
from bridge.embedded.records.database import Record
from bridge.embedded.records.history import Deployment
from bridge.embedded.server import EmbeddedServer
from bridge.ports.backends import BackendDeployment, Progress, QueuedJob

T = TypeVar("T", bound=inputs.Input)
R = TypeVar("R")
_SERVICE = "embedded"


class Calling:
    """What every part of the adapter works with.

    Args:
        name: what the apps of this backend say in `App.backend`.
    """

    def __init__(self, server: EmbeddedServer, *, name: str = "embedded") -> None:
        self.name = name
        self._server = server

    @property
    def _parts(self) -> Parts:
        return self._server.parts

    async def _call(
        self, run: Callable[[Parts, T], Awaitable[Any]], model: type[T], data: Record
    ) -> Any:
        """Do what the HTTP API would do, and say no as a client would say it."""
        try:
            return await self._reading(run(self._parts, parse(model, data)))
        except Failure as failure:
            raise Refused(_SERVICE, failure.message, status=failure.status) from failure
        except InvalidInput as error:
            words = "; ".join(f"{_where(one)}{one['message']}" for one in error.issues)
            raise Refused(_SERVICE, f"Input validation failed: {words}", status=400) from error

    async def _reading(self, work: Awaitable[R]) -> R:
        try:
            return await work
        except sqlite3.Error as error:  # each piece of work is a transaction: nothing has happened
            raise Unreachable(_SERVICE, f"its database says: {error}") from error


def _where(issue: Record) -> str:
    return "".join(f"{part}: " for part in issue["path"][:1])


# ── Records as the bridge knows them: `App`, `Saved` and `BackendDeployment`. Pure ──────────────

_PROVIDER: TypeAdapter[ProviderSettings] = TypeAdapter(ProviderSettings)
_COMMIT = re.compile(r"Commit: ([0-9a-f]{40}(?:[0-9a-f]{24})?)")


def read_app(record: Record, backend: str, url: str | None = None) -> App:
    """An application's record, with its environment and project, as an App.

    Args:
        url: where people see it.
    """
    environment = record["environment"]
    paths = record["watchPaths"]
    return App(
        id=record["applicationId"],
        name=record["name"],
        project=environment["project"]["name"],
        backend=backend,
        environment=None if environment["isDefault"] else environment["name"],
        source=read_source(record),
        trigger=_trigger(record),
        watch_paths=None if paths is None else tuple(paths),
        auto_deploy=bool(record["autoDeploy"]),
        url=url,
    )


def read_source(record: Record) -> Source | None:
    """Where an application's code comes from; None when nothing is configured."""
    kind = SourceType(record["sourceType"])
    if kind is SourceType.GITHUB and record["owner"] and record["repository"]:
        repository = f"{record['owner']}/{record['repository']}"
        return Source(kind, repository=repository, branch=record["branch"])
    if kind is SourceType.GITLAB:
        return _gitlab(record)
    if kind is SourceType.GIT and record["customGitUrl"]:
        url = normalise_url(record["customGitUrl"])
        return Source(kind, url=url, branch=record["customGitBranch"])
    if kind is SourceType.DOCKER and record["dockerImage"]:
        return Source(kind, image=record["dockerImage"])
    return None


def read_saved(record: Record) -> Saved:
    """How an application is configured, in the forms that the saves take."""
    paths = record["watchPaths"]
    return Saved(
        provider=_provider(record),
        build=BuildType(
            build_type=record["buildType"],
            dockerfile=record["dockerfile"],
            docker_context_path=record["dockerContextPath"],
            docker_build_stage=record["dockerBuildStage"],
            publish_directory=record["publishDirectory"],
            static_spa=record["isStaticSpa"],
            heroku_version=record["herokuVersion"],
            railpack_version=record["railpackVersion"],
        ),
        environment=Environment(
            env=record["env"],
            build_args=record["buildArgs"],
            build_secrets=record["buildSecrets"],
            create_env_file=record["createEnvFile"] is not False,
        ),
        watch_paths=None if paths is None else tuple(paths),
        submodules=bool(record["enableSubmodules"]),
        trigger=_trigger(record),
        row=row_in(record),
    )


def _trigger(record: Record) -> Trigger:
    """A stored trigger counts for GitHub alone, as at the original."""
    tag = record["sourceType"] == SourceType.GITHUB and record["triggerType"] == Trigger.TAG
    return Trigger.TAG if tag else Trigger.PUSH


def _provider(record: Record) -> ProviderSettings | None:
    kind = record["sourceType"]
    fields: dict[str, Any] = {
        name.partition(".")[2]: record[column]
        for name, column in COLUMNS.items()
        if name.startswith(f"{kind}.")
    }
    if "build_path" in fields:
        fields["build_path"] = fields["build_path"] or "/"
        fields["watch_paths"] = record["watchPaths"]
        fields["submodules"] = bool(record["enableSubmodules"])
    if kind == SourceType.GITHUB:
        fields["trigger"] = record["triggerType"] or Trigger.PUSH
    try:
        return _PROVIDER.validate_python({"type": kind} | fields)
    except ValidationError:
        return None  # half configured: there is nothing that a save could repeat


def read_deployment(deployment: Deployment) -> BackendDeployment:
    """A deployment; its commit is what its description tells after a Git deploy."""
    found = _COMMIT.fullmatch(deployment.description)
    return BackendDeployment(
        id=deployment.id,
        title=deployment.title,
        description=deployment.description,
        status=Progress(deployment.status),
        created_at=deployment.started_at,
        started_at=deployment.started_at,
        finished_at=deployment.finished_at,
        error=deployment.error,
        commit=found[1] if found else None,
    )


def _gitlab(record: Record) -> Source | None:
    path = record["gitlabPathNamespace"]
    if not path and record["gitlabOwner"] and record["gitlabRepository"]:
        path = f"{record['gitlabOwner']}/{record['gitlabRepository']}"
    if not path:
        return None
    number = record["gitlabProjectId"]
    return Source(
        SourceType.GITLAB,
        repository=path,
        repository_id=None if number is None else str(number),
        branch=record["gitlabBranch"],
    )


# ── Deploying with the embedded backend ─────────────────────────────────────────────────────────


class Deploying(Calling):
    """What the bridge asks of every backend: `Backend`."""

    async def apps(self) -> list[App]:
        """Every application, oldest first."""
        records = await self._reading(self._parts.catalog.applications())
        return [read_app(one, self.name, self._parts.public_site(one)) for one in records]

    async def deploy(self, app: App, *, title: str, description: str) -> None:
        """Put a deployment in the queue; it is on disk when this returns."""
        data = {"applicationId": app.id, "title": title, "description": description}
        await self._call(deployments.deploy, inputs.Deploy, data)

    async def redeploy(self, app: App, *, title: str, description: str) -> None:
        """Put a rebuild of the existing checkout in the queue."""
        data = {"applicationId": app.id, "title": title, "description": description}
        await self._call(deployments.redeploy, inputs.Deploy, data)

    async def deployments(self, app: App) -> list[BackendDeployment]:
        """The app's newest deployments (at most ten and what runs), newest first."""
        found = await self._reading(self._parts.history.of(app.id))
        return [read_deployment(one) for one in found]

    async def queue(self) -> list[QueuedJob]:
        """What waits and runs, oldest first."""
        jobs = await self._reading(self._parts.engine.jobs())
        return [
            QueuedJob(job.application_id, job.title, job.description, job.started_at is not None)
            for job in jobs
        ]

    async def log_tail(self, deployment: BackendDeployment, lines: int) -> str:
        """The last lines of a deployment's log; "" when it is not kept any more."""
        found = await self._reading(self._parts.history.one(deployment.id))
        if found is None:
            return ""
        text = await tail(self._parts.places.root / found.log_path, max(1, lines))
        return "" if text == "\n" else text

    async def drop_waiting(self, app: App) -> None:
        """Drop what waits for this app; what runs goes on."""
        await self._call(deployments.clean_queues, inputs.ApplicationId, {"applicationId": app.id})

    async def cancel(self, app: App) -> str:
        """End the running deployment as cancelled; Refused when none runs."""
        data = {"applicationId": app.id}
        answer = await self._call(deployments.cancel, inputs.ApplicationId, data)
        return str(answer["message"])

    async def version(self) -> str | None:
        """The Dokploy version whose API this backend speaks."""
        return VERSION

    async def healthy(self) -> bool:
        """Whether its server runs."""
        return self._server.running

    async def close(self) -> None:
        """Nothing to let go of: the server is stopped by whoever started it."""
