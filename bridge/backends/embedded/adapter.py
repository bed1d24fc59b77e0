"""The embedded backend as the bridge's `Backend`: the same procedures, without HTTP."""

import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pydantic import SecretStr

from bridge.backends.embedded import inputs, shapes
from bridge.backends.embedded.database import Record
from bridge.backends.embedded.failures import Failure
from bridge.backends.embedded.logs import tail
from bridge.backends.embedded.parts import Parts
from bridge.backends.embedded.procedures import (
    applications,
    deployments,
    projects,
    providers,
    sources,
)
from bridge.backends.embedded.procedures.server import VERSION
from bridge.backends.embedded.reading import read_app, read_deployment, read_saved
from bridge.backends.embedded.server import EmbeddedServer
from bridge.backends.embedded.validation import InvalidInput, parse
from bridge.core.configuration import (
    BuildType,
    DockerSource,
    Environment,
    GithubSource,
    GitlabSource,
    GitSource,
    ProviderSettings,
    Saved,
)
from bridge.core.errors import NotFound, Refused, Unreachable
from bridge.core.watch import App
from bridge.ports.backends import BackendDeployment, QueuedJob

T = TypeVar("T", bound=inputs.Input)
R = TypeVar("R")
_SERVICE = "embedded"


class EmbeddedBackend:
    """`Backend` and `Configures` over a started `EmbeddedServer`, which it does not own.

    Args:
        name: what the apps of this backend say in `App.backend`.
    """

    def __init__(self, server: EmbeddedServer, *, name: str = "embedded") -> None:
        self.name = name
        self._server = server

    @property
    def _parts(self) -> Parts:
        return self._server.parts

    # ── Backend ──────────────────────────────────────────────────────────────

    async def apps(self) -> list[App]:
        """Every application, oldest first."""
        records = await self._reading(self._parts.catalog.applications())
        return [read_app(record, self.name) for record in records]

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
        answer: Record = await self._call(deployments.cancel, inputs.ApplicationId, data)
        return str(answer["message"])

    async def version(self) -> str | None:
        """The Dokploy version whose API this backend speaks."""
        return VERSION

    async def healthy(self) -> bool:
        """Whether its server runs."""
        return self._server.running

    async def close(self) -> None:
        """Nothing to let go of: the server is stopped by whoever started it."""

    # ── Configures ───────────────────────────────────────────────────────────

    async def saved(self, app: App) -> Saved:
        """How the app is configured now; secrets stay sealed."""
        data = {"applicationId": app.id}
        return read_saved(await self._call(applications.one, inputs.ApplicationId, data))

    async def save_provider(self, app: App, settings: ProviderSettings) -> None:
        """Set where the app's code comes from."""
        match settings:
            case GithubSource():
                await self._call(sources.save_github, inputs.GithubProvider, _github(app, settings))
            case GitlabSource():
                await self._call(sources.save_gitlab, inputs.GitlabProvider, _gitlab(app, settings))
            case GitSource():
                await self._call(sources.save_git, inputs.GitProvider, _git(app, settings))
            case DockerSource():
                await self._call(sources.save_docker, inputs.DockerProvider, _docker(app, settings))

    async def disconnect_provider(self, app: App) -> None:
        """Forget the app's source."""
        await self._call(sources.disconnect, inputs.ApplicationId, {"applicationId": app.id})

    async def save_build_type(self, app: App, settings: BuildType) -> None:
        """Set how it is built."""
        data = {
            "applicationId": app.id,
            "buildType": settings.build_type,
            "dockerfile": settings.dockerfile,
            "dockerContextPath": settings.docker_context_path,
            "dockerBuildStage": settings.docker_build_stage,
            "publishDirectory": settings.publish_directory,
            "isStaticSpa": settings.static_spa,
            "herokuVersion": settings.heroku_version,
            "railpackVersion": settings.railpack_version,
        }
        await self._call(sources.save_build_type, inputs.BuildTypeInput, data)

    async def save_environment(self, app: App, settings: Environment) -> None:
        """Set its environment, build arguments and build secrets."""
        data = {
            "applicationId": app.id,
            "env": _shown(settings.env),
            "buildArgs": _shown(settings.build_args),
            "buildSecrets": _shown(settings.build_secrets),
            "createEnvFile": settings.create_env_file,
        }
        await self._call(sources.save_environment, inputs.EnvironmentVariables, data)

    async def clear_deployments(self, app: App) -> None:
        """Remove old deployments' logs; the records stay."""
        await self._call(deployments.clear, inputs.ApplicationId, {"applicationId": app.id})

    # ── For the command line and the demo ────────────────────────────────────

    async def create_project(self, name: str, description: str | None = None) -> str:
        """Make a project; returns its id."""
        data = {"name": name, "description": description}
        answer: Record = await self._call(projects.create, inputs.ProjectCreate, data)
        return str(answer["project"]["projectId"])

    async def create_app(
        self,
        name: str,
        *,
        project: str,
        source: ProviderSettings | None = None,
        build: BuildType | None = None,
        environment: Environment | None = None,
    ) -> App:
        """Make an app in the default environment of a project, which is made where it is missing.

        Args:
            project: its name or id.
        """
        data = {"name": name, "environmentId": await self._default_environment(project)}
        record: Record = await self._call(applications.create, inputs.ApplicationCreate, data)
        app = await self.app(record["applicationId"])
        if source is not None:
            await self.save_provider(app, source)
        if build is not None:
            await self.save_build_type(app, build)
        if environment is not None:
            await self.save_environment(app, environment)
        return await self.app(app.id)

    async def delete_app(self, app: App) -> None:
        """Delete an app with its site, checkout, logs and containers."""
        await self._call(applications.delete, inputs.ApplicationId, {"applicationId": app.id})

    async def app(self, id_: str) -> App:
        """One app; raises NotFound."""
        record = await self._reading(self._parts.catalog.application(id_))
        if record is None:
            raise NotFound(f"the embedded backend has no app {id_!r}")
        return read_app(record, self.name)

    async def site_url(self, app: App) -> str:
        """Where the app's static site is served."""
        record = await self._reading(self._parts.catalog.application(app.id))
        if record is None:
            raise NotFound(f"the embedded backend has no app {app.id!r}")
        return self._server.site_url(record["appName"])

    async def create_github_provider(self, name: str, url: str = "https://github.com") -> str:
        """Make a GitHub provider; returns its id."""
        provider: Record = await self._reading(providers.add_github(self._parts, name, url))
        return str(provider["githubId"])

    async def create_gitlab_provider(self, name: str, url: str = "https://gitlab.com") -> str:
        """Make a GitLab provider; returns its id."""
        data = {"name": name, "gitlabUrl": url, "authId": shapes.ORGANIZATION}
        provider: Record = await self._call(providers.add_gitlab, inputs.GitlabCreate, data)
        return str(provider["gitlabId"])

    async def _default_environment(self, project: str) -> str:
        for one in await self._reading(self._parts.catalog.projects()):
            if project in (one["name"], one["projectId"]):
                defaults = [env for env in one["environments"] if env["isDefault"]]
                return str(defaults[0]["environmentId"])
        data = {"name": project}
        answer: Record = await self._call(projects.create, inputs.ProjectCreate, data)
        return str(answer["environment"]["environmentId"])

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


def _shown(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _paths(paths: tuple[str, ...] | None) -> list[str] | None:
    return None if paths is None else list(paths)


def _github(app: App, settings: GithubSource) -> Record:
    return {
        "applicationId": app.id,
        "owner": settings.owner,
        "repository": settings.repository,
        "branch": settings.branch,
        "githubId": settings.provider_id,
        "buildPath": settings.build_path,
        "watchPaths": _paths(settings.watch_paths),
        "enableSubmodules": settings.submodules,
        "triggerType": settings.trigger.value,
    }


def _gitlab(app: App, settings: GitlabSource) -> Record:
    return {
        "applicationId": app.id,
        "gitlabOwner": settings.owner,
        "gitlabRepository": settings.repository,
        "gitlabBranch": settings.branch,
        "gitlabId": settings.provider_id,
        "gitlabProjectId": settings.project_id,
        "gitlabPathNamespace": settings.path,
        "gitlabBuildPath": settings.build_path,
        "watchPaths": _paths(settings.watch_paths),
        "enableSubmodules": settings.submodules,
    }


def _git(app: App, settings: GitSource) -> Record:
    return {
        "applicationId": app.id,
        "customGitUrl": settings.url,
        "customGitBranch": settings.branch,
        "customGitSSHKeyId": settings.ssh_key_id,
        "customGitBuildPath": settings.build_path,
        "watchPaths": _paths(settings.watch_paths),
        "enableSubmodules": settings.submodules,
    }


def _docker(app: App, settings: DockerSource) -> Record:
    return {
        "applicationId": app.id,
        "dockerImage": settings.image,
        "username": settings.username,
        "password": _shown(settings.password),
        "registryUrl": settings.registry_url,
    }
