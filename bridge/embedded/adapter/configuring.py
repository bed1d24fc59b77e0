"""Configuring apps of the embedded backend."""

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from bridge.core.apps import App
from bridge.core.configuration.configuration import (
    BuildType,
    DockerSource,
    Environment,
    GithubSource,
    GitlabSource,
    GitSource,
    ProviderSettings,
    Saved,
)
from bridge.core.configuration.row import columns_of
from bridge.core.errors import NotFound
from bridge.embedded.adapter.deploying import Calling, Deploying, read_app, read_saved
from bridge.embedded.http import applications, deployments, inputs, projects, shapes
from bridge.embedded.http import applications as sources
from bridge.embedded.http import projects as providers
from bridge.embedded.records.database import Record


class Configuring(Calling):
    """How apps are configured: `Configures`."""

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

    async def write_source(self, app: App, fields: Mapping[str, Any]) -> None:
        """Set single fields of the stored source, and no others."""
        data = {"applicationId": app.id} | columns_of(fields)
        await self._call(applications.update, inputs.ApplicationUpdate, data)

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


# ── Making projects, apps and providers, for the command line and the demo ──────────────────────


class Making(Configuring):
    """What no other backend lets us do: make and delete what is configured."""

    async def create_project(self, name: str, description: str | None = None) -> str:
        """Make a project; returns its id."""
        data = {"name": name, "description": description}
        answer = await self._call(projects.create, inputs.ProjectCreate, data)
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
        record = await self._call(applications.create, inputs.ApplicationCreate, data)
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
        return read_app(record, self.name, self._parts.public_site(record))

    async def site_url(self, app: App) -> str:
        """Where the app's static site is served."""
        record = await self._reading(self._parts.catalog.application(app.id))
        if record is None:
            raise NotFound(f"the embedded backend has no app {app.id!r}")
        return self._server.site_url(record["appName"])

    async def create_github_provider(self, name: str, url: str = "https://github.com") -> str:
        """Make a GitHub provider; returns its id."""
        provider = await self._reading(providers.add_github(self._parts, name, url))
        return str(provider["githubId"])

    async def create_gitlab_provider(self, name: str, url: str = "https://gitlab.com") -> str:
        """Make a GitLab provider; returns its id."""
        data = {"name": name, "gitlabUrl": url, "authId": shapes.ORGANIZATION}
        provider = await self._call(providers.add_gitlab, inputs.GitlabCreate, data)
        return str(provider["gitlabId"])

    async def _default_environment(self, project: str) -> str:
        for one in await self._reading(self._parts.catalog.projects()):
            if project in (one["name"], one["projectId"]):
                defaults = [env for env in one["environments"] if env["isDefault"]]
                return str(defaults[0]["environmentId"])
        data = {"name": project}
        answer = await self._call(projects.create, inputs.ProjectCreate, data)
        return str(answer["environment"]["environmentId"])


# ── The embedded backend as the bridge knows it ─────────────────────────────────────────────────


class EmbeddedBackend(Deploying, Making):
    """`Backend` and `Configures` over a started `EmbeddedServer`, which it does not own."""
