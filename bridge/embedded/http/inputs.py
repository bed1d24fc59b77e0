"""The inputs of all procedures but `application.update`, with Dokploy's rules for each field."""

import re
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict

APP_NAME_PATTERN = r"^[a-zA-Z0-9._-]+$"
CONTAINER_PATTERN = r"^[a-zA-Z0-9.\-_]+$"
BRANCH_PATTERN = r"^[a-zA-Z0-9._\-/#]+$"


_SURROGATE = re.compile("[\ud800-\udfff]")


def _storable(text: str) -> str:
    """Refuse what a command line or UTF-8 can't hold."""
    if "\0" in text:
        raise ValueError("must not contain a NUL character")
    if _SURROGATE.search(text):
        raise ValueError("must not contain half of a surrogate pair")
    return text


def _no_option(branch: str) -> str:
    """Refuse a branch that could be read as an option; Git forbids it too."""
    if branch.startswith("-"):
        raise ValueError("Invalid branch name")
    return branch


# Constraints come before validators, so their messages are about strings. The API's description
# needs a pattern for checks that only a validator does.
_STORABLE = AfterValidator(_storable)
_NO_NUL: JsonDict = {"pattern": r"^[^\u0000]*$"}
Text = Annotated[str, _STORABLE, Field(json_schema_extra=_NO_NUL)]
Id = Annotated[str, Field(min_length=1, json_schema_extra=_NO_NUL), _STORABLE]
Name = Id
AppName = Annotated[str, Field(min_length=1, max_length=63, pattern=APP_NAME_PATTERN), _STORABLE]
_Container = Annotated[str, Field(min_length=1, pattern=CONTAINER_PATTERN), _STORABLE]
Branch = Annotated[
    str,
    Field(
        min_length=1,
        pattern=BRANCH_PATTERN,
        json_schema_extra={"pattern": r"^[a-zA-Z0-9._/#][a-zA-Z0-9._\-/#]*$"},
    ),
    _STORABLE,
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


class ReadOutput(Input):
    """`application.readLogs`: the last `tail` lines that a container printed."""

    application_id: Id
    tail: Annotated[int, Field(ge=1, le=10_000, strict=False)] = 100


class RollbackId(Input):
    """The id of an earlier build that is kept; here it is that of its deployment."""

    rollback_id: Id


class ContainersOf(Input):
    """`docker.getContainersByAppNameMatch`."""

    app_name: _Container
    app_type: Literal["stack", "docker-compose"] | None = None
    server_id: Text | None = None


class Containers(Input):
    """`docker.getContainers`."""

    server_id: Text | None = None


class ContainerId(Input):
    """`docker.getConfig`."""

    container_id: _Container
    server_id: Text | None = None


# ── Domains ─────────────────────────────────────────────────────────────────────────────────────


def _host(host: str) -> str:
    """Refuse what Dokploy does not take as a host name."""
    if not re.fullmatch(HOST_PATTERN, host):
        raise ValueError(
            "Invalid domain name. Use only letters, numbers, hyphens and dots (e.g. example.com)."
            " Underscores are not allowed."
        )
    return host


_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
HOST_PATTERN = rf"(?:{_LABEL}\.)*{_LABEL}"


def _port(port: int) -> int:
    if not 1 <= port <= _LAST_PORT:
        raise ValueError(f"Port must be {_LAST_PORT} or below" if port > 1 else _TOO_SMALL)
    return port


_LAST_PORT = 65535
_TOO_SMALL = "Port must be at least 1"


class DomainCreate(Input):
    """`domain.create`; a compose stack, a preview and a service's name are of no use here."""

    host: Annotated[
        str, AfterValidator(_host), Field(json_schema_extra={"pattern": f"^{HOST_PATTERN}$"})
    ]
    path: Annotated[Text, Field(min_length=1)] = "/"
    port: Annotated[
        Number,
        AfterValidator(_port),
        Field(json_schema_extra={"minimum": 1, "maximum": _LAST_PORT}),
    ] = 3000
    https: bool = False
    application_id: Text | None = None
    domain_type: Literal["application"] = "application"
    certificate_type: Literal["letsencrypt", "none", "custom"] = "none"
    custom_cert_resolver: Text | None = None
    internal_path: Text = "/"
    strip_path: bool = False


class PreviewDeploymentId(Input):
    """The id of a preview that Dokploy makes by itself."""

    preview_deployment_id: Text


class DomainId(Input):
    """The id of a domain."""

    domain_id: Id


class DomainSuggestion(Input):
    """`domain.generateDomain`."""

    app_name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9-]*$"), _STORABLE]
    server_id: Text | None = None


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
