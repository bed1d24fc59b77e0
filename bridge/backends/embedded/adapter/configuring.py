"""Configuring apps of the embedded backend."""

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from bridge.backends.embedded.adapter.calling import Calling
from bridge.backends.embedded.adapter.reading import read_saved
from bridge.backends.embedded.http import inputs
from bridge.backends.embedded.http.procedures import applications, deployments, sources
from bridge.backends.embedded.records.database import Record
from bridge.core.configuring.columns import columns_of
from bridge.core.configuring.configuration import (
    BuildType,
    DockerSource,
    Environment,
    GithubSource,
    GitlabSource,
    GitSource,
    ProviderSettings,
    Saved,
)
from bridge.core.watch import App


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
