"""The inputs of the procedures, with Dokploy's rules for each field; some are in `serving`."""

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    create_model,
)
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict

from bridge.embedded.storage.paths import words

APP_NAME_PATTERN = r"^[a-zA-Z0-9._-]+$"
CONTAINER_PATTERN = r"^[a-zA-Z0-9.\-_]+$"
BRANCH_PATTERN = r"^[a-zA-Z0-9._\-/#]+$"


HALF_A_PAIR = "must not contain half of a surrogate pair"
_SURROGATE = re.compile("[\ud800-\udfff]")


def _storable(text: str) -> str:
    """Refuse what a command line or UTF-8 can't hold."""
    if "\0" in text:
        raise ValueError("must not contain a NUL character")
    if _SURROGATE.search(text):
        raise ValueError(HALF_A_PAIR)
    return text


def _no_option(branch: str) -> str:
    """Refuse a branch that could be read as an option; Git forbids it too."""
    if branch.startswith("-"):
        raise ValueError("Invalid branch name")
    return branch


# Constraints come before validators, so their messages are about strings. The API's description
# needs a pattern for checks that only a validator does.
STORABLE = AfterValidator(_storable)
_NO_NUL: JsonDict = {"pattern": r"^[^\u0000]*$"}
Text = Annotated[str, STORABLE, Field(json_schema_extra=_NO_NUL)]
Id = Annotated[str, Field(min_length=1, json_schema_extra=_NO_NUL), STORABLE]
Name = Id
AppName = Annotated[str, Field(min_length=1, max_length=63, pattern=APP_NAME_PATTERN), STORABLE]
Branch = Annotated[
    str,
    Field(
        min_length=1,
        pattern=BRANCH_PATTERN,
        json_schema_extra={"pattern": r"^[a-zA-Z0-9._/#][a-zA-Z0-9._\-/#]*$"},
    ),
    STORABLE,
    AfterValidator(_no_option),
]


def _number(value: object) -> object:
    """Coerce a text of digits to a number, as Dokploy does."""
    return int(value) if isinstance(value, str) and re.fullmatch(_DIGITS, value) else value


_DIGITS = r"-?[0-9]{1,9}"
Number = Annotated[
    int,
    BeforeValidator(_number),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string", "pattern": f"^{_DIGITS}$"}]}),
]

WatchPaths = list[Text] | None
SourceTypes = Literal["github", "docker", "git", "gitlab", "bitbucket", "gitea", "drop"]
BuildTypes = Literal[
    "dockerfile", "heroku_buildpacks", "paketo_buildpacks", "nixpacks", "static", "railpack"
]
Triggers = Literal["push", "tag"]
DeploymentTypes = Literal[
    "application", "compose", "server", "schedule", "previewDeployment", "backup", "volumeBackup"
]
Limit = Annotated[float, Field(ge=1, le=100, strict=False, allow_inf_nan=False)]
Offset = Annotated[float, Field(ge=0, strict=False, allow_inf_nan=False)]


class Input(BaseModel):
    """Base of all inputs. Nothing is converted: a number is not a string."""

    model_config = ConfigDict(
        strict=True,
        extra="ignore",
        frozen=True,
        alias_generator=to_camel,
        hide_input_in_errors=True,
    )


class Nothing(Input):
    """A query without parameters."""


# ── Applications ────────────────────────────────────────────────────────────────────────────────


class ApplicationId(Input):
    """The id of an application."""

    application_id: Id


class ApplicationCreate(Input):
    """`application.create`."""

    name: Name
    app_name: AppName | None = Field(default=None)
    description: Text | None = None
    environment_id: Text
    server_id: Text | None = None
    source_type: SourceTypes = "github"


class ApplicationMove(Input):
    """`application.move`."""

    application_id: Text
    target_environment_id: Text


class ApplicationSearch(Input):
    """`application.search`."""

    q: Text | None = None
    name: Text | None = None
    app_name: Text | None = None
    description: Text | None = None
    repository: Text | None = None
    owner: Text | None = None
    docker_image: Text | None = None
    project_id: Text | None = None
    environment_id: Text | None = None
    limit: Limit = 20
    offset: Offset = 0


# ── Deployments ─────────────────────────────────────────────────────────────────────────────────


class Deploy(Input):
    """`application.deploy` and `.redeploy`; an empty title means the default title."""

    application_id: Id
    title: Text = ""
    description: Text = ""


class DeploymentId(Input):
    """The id of a deployment."""

    deployment_id: Id


class DeploymentsByType(Input):
    """`deployment.allByType`."""

    id: Id
    type: DeploymentTypes


class ReadLogs(Input):
    """`deployment.readLogs`: the last `tail` lines."""

    deployment_id: Id
    tail: Annotated[int, Field(ge=1, le=10_000, strict=False)] = 100


class PreviewDeploymentId(Input):
    """The id of a preview that Dokploy makes by itself."""

    preview_deployment_id: Text


# ── Projects and environments ───────────────────────────────────────────────────────────────────


class ProjectCreate(Input):
    """`project.create`."""

    name: Name
    description: Text | None = None
    env: Text = ""


class ProjectId(Input):
    """The id of a project."""

    project_id: Id


class EnvironmentCreate(Input):
    """`environment.create`."""

    name: Name
    description: Text = ""
    project_id: Id


class EnvironmentUpdate(Input):
    """`environment.update`: only fields that are sent are changed."""

    environment_id: Id
    name: Name = ""
    description: Text = ""
    project_id: Text = ""
    env: Text = ""


class EnvironmentId(Input):
    """The id of an environment."""

    environment_id: Id


class Search(Input):
    """`project.search` and `environment.search`."""

    q: Text | None = None
    name: Text | None = None
    description: Text | None = None
    project_id: Text | None = None
    limit: Limit = 20
    offset: Offset = 0


# ── Git providers ───────────────────────────────────────────────────────────────────────────────


class GithubId(Input):
    """The id of a GitHub provider."""

    github_id: Id


class GitlabId(Input):
    """The id of a GitLab provider."""

    gitlab_id: Id


class GithubRepository(Input):
    """`github.getGithubBranches`."""

    repo: Id
    owner: Id
    github_id: Text | None = None


class GitlabRepository(Input):
    """`gitlab.getGitlabBranches`."""

    id: Annotated[float, Field(strict=False, allow_inf_nan=False)] | None = None
    owner: Text
    repo: Text
    gitlab_id: Text | None = None


class GitlabCreate(Input):
    """`gitlab.create`."""

    application_id: Text | None = None
    secret: Text | None = None
    group_name: Text | None = None
    redirect_uri: Text | None = None
    auth_id: Id
    name: Name
    gitlab_url: Id
    gitlab_internal_url: Text | None = None


# ── Sources, builds and variables ───────────────────────────────────────────────────────────────


class GithubProvider(Input):
    """`application.saveGithubProvider`; the trigger defaults to push."""

    application_id: Text
    repository: Text | None
    owner: Text | None
    build_path: Text | None
    github_id: Text | None
    branch: Branch
    trigger_type: Triggers = "push"
    enable_submodules: bool = False
    watch_paths: WatchPaths = None


class GitlabProvider(Input):
    """`application.saveGitlabProvider`."""

    application_id: Text
    gitlab_build_path: Text | None
    gitlab_owner: Text | None
    gitlab_repository: Text | None
    gitlab_id: Text | None
    gitlab_project_id: int | None
    gitlab_path_namespace: Text | None
    gitlab_branch: Branch
    enable_submodules: bool = False
    watch_paths: WatchPaths = None


class GiteaProvider(Input):
    """`application.saveGiteaProvider`; of what is not sent, the stored value stays."""

    application_id: Text
    gitea_build_path: Text | None
    gitea_owner: Text | None
    gitea_repository: Text | None
    gitea_id: Text | None
    gitea_branch: Branch
    enable_submodules: bool = False
    watch_paths: WatchPaths = None


class GitProvider(Input):
    """`application.saveGitProvider`."""

    application_id: Text
    custom_git_build_path: Text | None
    custom_git_url: Text | None
    watch_paths: WatchPaths
    enable_submodules: bool = False
    custom_git_branch: Branch
    custom_git_ssh_key_id: Text | None = Field(default=None, alias="customGitSSHKeyId")


class DockerProvider(Input):
    """`application.saveDockerProvider`."""

    docker_image: Text | None
    application_id: Text
    username: Text | None
    password: Text | None
    registry_url: Text | None


class BuildTypeInput(Input):
    """`application.saveBuildType`."""

    application_id: Text
    build_type: BuildTypes
    dockerfile: Text | None
    docker_context_path: Text | None
    docker_build_stage: Text | None
    heroku_version: Text | None
    railpack_version: Text | None
    publish_directory: Text | None = None
    is_static_spa: bool | None = None


class EnvironmentVariables(Input):
    """`application.saveEnvironment`."""

    application_id: Text
    env: Text | None
    build_args: Text | None
    build_secrets: Text | None
    create_env_file: bool


# ── The input of `application.update`, which takes nearly all fields of an application ────────────


def _truth(value: Any) -> bool:
    """Coerce a value as JavaScript does: `"false"`, `[]` and `{}` are true."""
    return bool(value) or isinstance(value, list | dict)


Flag = Annotated[bool, BeforeValidator(_truth), WithJsonSchema({})]
"""Coerced as in Dokploy, where `"false"` becomes true (docs/dokploy.md)."""

_UPDATE_NULLABLE_TEXT = words(
    "description env previewEnv previewBuildArgs previewBuildSecrets previewWildcard"
    " previewPath previewCustomCertResolver buildArgs buildSecrets memoryReservation"
    " memoryLimit cpuReservation cpuLimit title subtitle command icon repository owner branch"
    " buildPath gitlabRepository gitlabOwner gitlabBranch gitlabBuildPath gitlabPathNamespace"
    " giteaRepository giteaOwner giteaBranch giteaBuildPath bitbucketRepository"
    " bitbucketRepositorySlug bitbucketOwner bitbucketBranch bitbucketBuildPath username"
    " password dockerImage registryUrl customGitUrl customGitBranch customGitBuildPath"
    " dockerfile dockerContextPath dockerBuildStage dropBuildPath railpackVersion"
    " herokuVersion publishDirectory githubId gitlabId giteaId bitbucketId"
    " customGitSSHKeyId"
)
_UPDATE_NULLABLE_FLAGS = words(
    "isPreviewDeploymentsActive previewRequireCollaboratorPermissions rollbackActive enabled"
    " cleanCache autoDeploy isStaticSpa"
)
_UPDATE_REST: dict[str, Any] = {
    "name": Name,
    "appName": AppName,
    "watchPaths": WatchPaths,
    "previewLabels": list[Text] | None,
    "previewPort": Number | None,
    "previewHttps": Flag,
    "previewCertificateType": Literal["letsencrypt", "none", "custom"],
    "previewLimit": Number | None,
    "args": list[Text] | None,
    "sourceType": SourceTypes,
    "triggerType": Triggers | None,
    "gitlabProjectId": Number | None,
    "enableSubmodules": Flag,
    "replicas": Number,
    "applicationStatus": Literal["idle", "running", "done", "error"],
    "buildType": BuildTypes,
    "createEnvFile": Flag,
    "environmentId": Text,
    "networkIds": list[Text] | None,
    "detachDokployNetwork": Flag,
}
_UPDATE_TYPES: dict[str, Any] = (
    dict.fromkeys(_UPDATE_NULLABLE_TEXT, Text | None)
    | dict.fromkeys(_UPDATE_NULLABLE_FLAGS, Flag | None)
    | _UPDATE_REST
)

_UPDATE_FIELDS: dict[str, Any] = {
    # The defaults are never used: only what was sent is written (`model_fields_set`).
    name: (type_, Field(default=None, alias=name))
    for name, type_ in _UPDATE_TYPES.items()
}

ApplicationUpdate: type[ApplicationId] = create_model(
    "ApplicationUpdate",
    __base__=ApplicationId,
    __doc__="`application.update`: only fields that are sent are changed.",
    **_UPDATE_FIELDS,
)
