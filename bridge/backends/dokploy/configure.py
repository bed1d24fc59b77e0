"""Convert settings to the bodies of saves, and saved settings back. Pure.

A save resets the fields that it does not name, so every field is sent each time. An update
changes only the fields that it names.
Field tables: facts.md, "Inputs"; openapi-subset.json.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr, TypeAdapter, ValidationError

from bridge.backends.dokploy.models import Settings
from bridge.backends.dokploy.reads import trigger_of
from bridge.core.apps import App, AppKind, SourceType
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
from bridge.core.configuration.row import columns_of, row_in
from bridge.core.errors import Refused

_PROVIDER: TypeAdapter[ProviderSettings] = TypeAdapter(ProviderSettings)
_NO_IMAGE = "a compose stack can't come from an image; save a Git source"
_NO_BUILD_PATH = "a compose stack has no build path, only its compose file"
_NO_BUILD = "a compose stack has no build settings; its compose file says how it is built"


def id_of(app: App) -> dict[str, str]:
    """Return `{"applicationId": …}` or `{"composeId": …}`."""
    return {f"{app.kind.value}Id": app.id}


def provider_call(app: App, settings: ProviderSettings) -> tuple[str, dict[str, Any]]:
    """Return the path and the body that set an app's source."""
    if app.kind is AppKind.COMPOSE:
        return "compose.update", id_of(app) | _compose_provider(app, settings)
    match settings:
        case GithubSource():
            path, fields = "saveGithubProvider", _github(settings)
        case GitlabSource():
            path, fields = "saveGitlabProvider", _gitlab(settings)
        case GitSource():
            path, fields = "saveGitProvider", _git(settings)
        case DockerSource():
            path, fields = "saveDockerProvider", _docker(settings)
    return f"application.{path}", id_of(app) | fields


def source_call(app: App, fields: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the path and the body that set single fields of the stored sources."""
    if app.kind is AppKind.APPLICATION:
        return "application.update", id_of(app) | columns_of(fields)
    if fields.get("source") == SourceType.DOCKER or _says(fields, "docker."):
        raise Refused(app.backend, _NO_IMAGE)
    if any(str(value).strip("/") for value in _ending(fields, ".build_path") if value):
        raise Refused(app.backend, _NO_BUILD_PATH)
    there = {name: value for name, value in fields.items() if not name.endswith(".build_path")}
    return "compose.update", id_of(app) | columns_of(there)


def build_call(app: App, settings: BuildType) -> tuple[str, dict[str, Any]]:
    """Return the path and the body that set how an application is built."""
    if app.kind is AppKind.COMPOSE:
        raise Refused(app.backend, _NO_BUILD)
    return "application.saveBuildType", id_of(app) | {
        "buildType": settings.build_type,
        "dockerfile": settings.dockerfile,
        "dockerContextPath": settings.docker_context_path,
        "dockerBuildStage": settings.docker_build_stage,
        "publishDirectory": settings.publish_directory,
        "isStaticSpa": settings.static_spa,
        "herokuVersion": settings.heroku_version,
        "railpackVersion": settings.railpack_version,
    }


def environment_call(app: App, settings: Environment) -> tuple[str, dict[str, Any]]:
    """Return the path and the body that set an app's environment; the body is secret."""
    fields = {"env": _open(settings.env), "createEnvFile": settings.create_env_file}
    build = {
        "buildArgs": _open(settings.build_args),
        "buildSecrets": _open(settings.build_secrets),
    }
    if app.kind is AppKind.APPLICATION:
        return "application.saveEnvironment", id_of(app) | fields | build
    if any(build.values()):
        raise Refused(app.backend, f"{_NO_BUILD}, build arguments and build secrets included")
    return "compose.update", id_of(app) | fields


def saved_in(app: App, settings: Settings) -> Saved:
    """Return saved settings in the forms that the saves take."""
    application = app.kind is AppKind.APPLICATION
    try:
        build = _build_in(settings) if application else None
    except ValidationError:  # not chained: pydantic's message repeats the input
        raise Refused(
            app.backend, f"the build type {settings.build_type!r} of {app.label} is unknown here"
        ) from None
    return Saved(
        provider=_provider_in(app, settings),
        build=build,
        environment=Environment(
            env=settings.env,
            build_args=settings.build_args if application else None,
            build_secrets=settings.build_secrets if application else None,
            create_env_file=settings.create_env_file is not False,
        ),
        watch_paths=settings.watch_paths,
        submodules=settings.enable_submodules,
        trigger=trigger_of(settings),
        row=row_in(settings.model_dump(by_alias=True)),
    )


def _github(settings: GithubSource) -> dict[str, Any]:
    return {
        "owner": settings.owner,
        "repository": settings.repository,
        "branch": settings.branch,
        "buildPath": settings.build_path,
        "githubId": settings.provider_id,
        "watchPaths": _paths(settings.watch_paths),
        "enableSubmodules": settings.submodules,
        "triggerType": settings.trigger.value,
    }


def _gitlab(settings: GitlabSource) -> dict[str, Any]:
    return {
        "gitlabOwner": settings.owner,
        "gitlabRepository": settings.repository,
        "gitlabBranch": settings.branch,
        "gitlabBuildPath": settings.build_path,
        "gitlabId": settings.provider_id,
        "gitlabProjectId": settings.project_id,
        "gitlabPathNamespace": settings.path,
        "watchPaths": _paths(settings.watch_paths),
        "enableSubmodules": settings.submodules,
    }


def _git(settings: GitSource) -> dict[str, Any]:
    return {
        "customGitUrl": settings.url,
        "customGitBranch": settings.branch,
        "customGitBuildPath": settings.build_path,
        "customGitSSHKeyId": settings.ssh_key_id,
        "watchPaths": _paths(settings.watch_paths),
        "enableSubmodules": settings.submodules,
    }


def _docker(settings: DockerSource) -> dict[str, Any]:
    return {
        "dockerImage": settings.image,
        "username": settings.username,
        "password": _open(settings.password),
        "registryUrl": settings.registry_url,
    }


def _compose_provider(app: App, settings: ProviderSettings) -> dict[str, Any]:
    """Return the fields of a compose stack, which has no build paths and is set by an update."""
    if isinstance(settings, DockerSource):
        raise Refused(app.backend, _NO_IMAGE)
    if settings.build_path.strip("/"):
        raise Refused(app.backend, _NO_BUILD_PATH)
    match settings:
        case GithubSource():
            fields = _github(settings)
        case GitlabSource():
            fields = _gitlab(settings)
        case GitSource():
            fields = _git(settings)
    without = ("buildPath", "gitlabBuildPath", "customGitBuildPath")
    return {"sourceType": settings.type.value} | {
        name: value for name, value in fields.items() if name not in without
    }


def _provider_in(app: App, settings: Settings) -> ProviderSettings | None:
    common: dict[str, Any] = {
        "type": settings.source_type,
        "watch_paths": settings.watch_paths,
        "submodules": settings.enable_submodules,
    }
    match settings.source_type:
        case "github":
            fields = common | {
                "owner": settings.owner,
                "repository": settings.repository,
                "branch": settings.branch,
                "provider_id": settings.github_id,
                "build_path": settings.build_path or "/",
                "trigger": settings.trigger_type or "push",
            }
        case "gitlab":
            fields = common | {
                "owner": settings.gitlab_owner,
                "repository": settings.gitlab_repository,
                "branch": settings.gitlab_branch,
                "provider_id": settings.gitlab_id,
                "project_id": settings.gitlab_project_id,
                "path": settings.gitlab_path_namespace,
                "build_path": settings.gitlab_build_path or "/",
            }
        case "git":
            fields = common | {
                "url": settings.custom_git_url,
                "branch": settings.custom_git_branch,
                "ssh_key_id": settings.custom_git_ssh_key_id,
                "build_path": settings.custom_git_build_path or "/",
            }
        case "docker" if app.kind is AppKind.APPLICATION:
            fields = {
                "type": "docker",
                "image": settings.docker_image,
                "username": settings.username,
                "password": settings.password,
                "registry_url": settings.registry_url,
            }
        case _:
            return None
    try:
        return _PROVIDER.validate_python(fields)
    except ValidationError:
        return None  # incomplete: there is nothing that a save could repeat


def _build_in(settings: Settings) -> BuildType:
    return BuildType.model_validate(
        {
            "build_type": settings.build_type,
            "dockerfile": settings.dockerfile,
            "docker_context_path": settings.docker_context_path,
            "docker_build_stage": settings.docker_build_stage,
            "publish_directory": settings.publish_directory,
            "static_spa": settings.is_static_spa,
            "heroku_version": settings.heroku_version,
            "railpack_version": settings.railpack_version,
        }
    )


def _says(fields: Mapping[str, Any], beginning: str) -> bool:
    return any(value for name, value in fields.items() if name.startswith(beginning))


def _ending(fields: Mapping[str, Any], end: str) -> list[Any]:
    return [value for name, value in fields.items() if name.endswith(end)]


def _paths(paths: tuple[str, ...] | None) -> list[str] | None:
    return None if paths is None else list(paths)


def _open(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
