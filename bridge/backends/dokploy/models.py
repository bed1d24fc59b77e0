"""The fields of Dokploy's answers that the bridge uses.

All others are dropped while parsing, and with them the secrets in the answers of `compose.one`,
`github.one` and `gitlab.one`. Values that a newer server may add (a source, a status) are
parsed as text, so that an unknown one does not fail the whole answer.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
)
from pydantic.alias_generators import to_camel

from bridge.core.configuration.configuration import Model, extended, stored_as
from bridge.core.configuration.fields import BUILD, COLUMNS, FIELDS, SHARED, SOURCE
from bridge.core.masking import Mask, mask_of
from bridge.core.variables import resolve, variables_in


def _epoch(value: object) -> object:
    """Parse the server's two forms of a time to seconds since 1970; without a zone it is UTC."""
    if not isinstance(value, str) or not value:
        return None if value == "" else value
    moment = datetime.fromisoformat(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _epoch_or_none(value: object) -> object:
    """Parse a time; return None if it is unreadable."""
    try:
        return _epoch(value)
    except ValueError:
        return None


Epoch = Annotated[float, BeforeValidator(_epoch)]
MaybeEpoch = Annotated[float | None, BeforeValidator(_epoch)]
Told = Annotated[float | None, BeforeValidator(_epoch_or_none)]
One = TypeVar("One")
Several = Annotated[tuple[One, ...], Field(fail_fast=True)]
"""Some, of which the first fault is enough: each of a million would take a kilobyte."""
Flag = Annotated[bool, BeforeValidator(bool)]
"""A boolean column that may be null."""


class Record(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        hide_input_in_errors=True,  # an invalid value may be a secret
    )


class ListedApplication(Record):
    """An application, as `project.all` and `project.one` list it: without its source."""

    id: str = Field(validation_alias="applicationId")
    name: str
    status: str | None = Field(None, validation_alias="applicationStatus")
    description: str | None = None  # from here on only in `project.one`
    app_name: str | None = None
    server_id: str | None = None
    created_at: Told = None


class ListedCompose(Record):
    """A compose stack, see `ListedApplication`."""

    id: str = Field(validation_alias="composeId")
    name: str
    status: str | None = Field(None, validation_alias="composeStatus")


class _WithServices(Record):
    applications: Several[ListedApplication] = ()
    compose: Several[ListedCompose] = ()


class ProjectEnvironment(_WithServices):
    """An environment of a project."""

    id: str | None = Field(None, validation_alias="environmentId")
    name: str
    is_default: bool = False
    created_at: Told = None  # only in `project.one`


class Project(_WithServices):
    """A project; servers without environments list services directly in it."""

    id: str | None = Field(None, validation_alias="projectId")
    name: str
    environments: Several[ProjectEnvironment] = ()


class ListedService(Record):
    """An entry of `overview.services`: an application, a compose stack or a database."""

    id: str
    name: str
    type: str
    status: str | None = None
    app_name: str | None = None
    server_id: str | None = None
    created_at: Told = None
    project_id: str
    project_name: str
    environment_id: str
    environment_name: str
    last_deploy_at: Told = None


class Domain(Record):
    """An address at which the server's proxy serves an app; its `port` is the container's."""

    host: str | None = None
    https: Flag = False
    path: str | None = None
    created_at: str | None = None
    preview_deployment_id: str | None = None


def _with_columns(*names: str) -> Callable[[type[Model]], type[Model]]:
    """Add the columns of these fields, except those that all kinds of source share."""
    columns = {
        column: (stored_as(FIELDS[name]), None)
        for name in names
        if name not in SHARED
        for column in FIELDS[name].columns.values()
    }
    return lambda model: extended(model, **columns)


@_with_columns(*(field.name for field in SOURCE if field.required))
class Service(Record):
    """The source, trigger and domains in `application.one` and `compose.one`."""

    source_type: str | None = None
    trigger_type: str | None = None
    watch_paths: Several[str] | None = None
    auto_deploy: Flag = False
    is_preview_deployments_active: Flag = False
    enable_submodules: Flag = False
    description: str | None = None
    app_name: str | None = None
    server_id: str | None = None
    created_at: Told = None
    domains: Several[Domain] | None = None
    gitea_url: str | None = Field(None, validation_alias=AliasPath("gitea", "giteaUrl"))

    def stored(self, name: str) -> Any:
        """Return a required field of a source, such as `git.url`; None if its kind lacks it."""
        return getattr(self, COLUMNS[name]) if name in COLUMNS else None


@_with_columns(*FIELDS)
class Settings(Service):
    """`Service` with the other fields of a read-merge-write; secrets stay sealed."""


class Batched(Record):
    """One answer of a batch, in the order of the queries; without a service it is an error.

    It comes in tRPC's envelope; superjson's `meta` is only about dates.
    """

    service: Service | None = Field(None, validation_alias=AliasPath("result", "data", "json"))


class DeploymentRecord(Record):
    """An entry of `deployment.all` or `deployment.allByCompose`."""

    id: str = Field(validation_alias="deploymentId")
    title: str | None = None
    description: str | None = None
    status: str | None = None
    created_at: Epoch
    started_at: MaybeEpoch = None
    finished_at: MaybeEpoch = None
    error_message: str | None = None
    rollback_id: str | None = None


class PreviewBuild(Record):
    """A build of a preview; its description names the commit, e.g. "Hash: 18f234f…"."""

    status: str | None = None
    description: str | None = None
    created_at: Epoch


class PreviewRecord(Record):
    """An entry of `previewDeployment.all`: a preview that Dokploy has made by itself."""

    id: str = Field(validation_alias="previewDeploymentId")
    branch: str = ""
    number: int = Field(validation_alias="pullRequestNumber")
    title: str = Field("", validation_alias="pullRequestTitle")
    pull_url: str = Field("", validation_alias="pullRequestURL")
    created_at: Epoch
    deployments: Several[PreviewBuild] = ()
    domain: Domain | None = None


class Running(Record):
    """An entry of `docker.getContainersByAppNameMatch`, in Docker's own words."""

    id: str = Field("", validation_alias="containerId")
    name: str
    state: str | None = None
    status: str | None = None


class Inspected(Record):
    """`docker.getConfig`: all of `docker inspect`, with every variable; only this is kept."""

    image: str | None = Field(None, validation_alias="Image")


class Task(Record):
    """An entry of `docker.getServiceContainersByAppName`: a task of a service, on any node."""

    name: str
    state: str | None = None
    current_state: str | None = None


class NamedApp(Record):
    """A service in `application.one`: its name, its server, and what it is built from."""

    app_name: str | None = None
    server_id: str | None = None
    build_type: str | None = None
    source_type: str | None = None
    rollback_active: bool | None = None
    rollback_registry_id: str | None = None


class Status(Record):
    """The status of a service in `application.one` or `compose.one`."""

    status: str | None = Field(
        None, validation_alias=AliasChoices("applicationStatus", "composeStatus")
    )


@_with_columns(*(field.name for field in (*SOURCE, *BUILD) if not field.secret))
class ModelApp(Record):
    """An application that others are made like: where it is, its source and its build.

    What else `application.one` tells is dropped here: its variables, passwords, volumes, ports and
    domains.
    """

    source_type: str | None = None
    enable_submodules: bool | None = None
    create_env_file: bool | None = None
    server_id: str | None = None
    project_id: str = Field(validation_alias=AliasPath("environment", "projectId"))


@_with_columns(*FIELDS)
class OwnApp(Record):
    """An application of the bridge's own: what was asked for it, as it is stored."""

    app_name: str
    server_id: str | None = None
    description: str | None = None
    source_type: str | None = None
    enable_submodules: StrictBool | None = None
    auto_deploy: StrictBool | None = None
    is_preview_deployments_active: StrictBool | None = None
    memory_limit: str | None = None
    cpu_limit: str | None = None
    replicas: int | None = None


class OwnDomain(Record):
    """An entry of `domain.byApplicationId`."""

    id: str = Field(validation_alias="domainId")
    host: str
    port: int | None = None
    https: Flag = False
    path: str | None = None
    certificate_type: str | None = None
    custom_cert_resolver: str | None = None
    created_at: str | None = None


class JobData(Record):
    """The app of a job, and our title and description."""

    application_id: str | None = None
    compose_id: str | None = None
    application_type: str | None = None
    title_log: str | None = None
    description_log: str | None = None


class Job(Record):
    """An entry of `deployment.queueList`."""

    data: JobData
    state: str
    timestamp: float = 0.0  # of the request, in milliseconds since 1970


class Named(Record):
    """Anything with a name, e.g. a provider or a branch."""

    name: str


class ApiKey(Record):
    """A key in `user.get`, without the key itself and its rate limit."""

    prefix: str | None = None
    expires_at: Told = None


class Whose(Record):
    """`user.get`: whose the key is; an empty answer if that user is in no organisation."""

    role: str
    api_keys: Several[ApiKey] = Field((), validation_alias=AliasPath("user", "apiKeys"))


class Health(Record):
    """`/api/health`."""

    ok: bool


# ── Variables, only to hide their values ──────────────────────────────────────────────────────────


class _Secret(Record):
    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Shared(_Secret):
    """The environment of an app's variables, or its project: what its own may refer to."""

    env: str | None = None
    project: "Shared | None" = None


class Variables(_Secret):
    """An app's own variables, those of its previews, and what the registry asks for."""

    env: str | None = None
    build_args: str | None = None
    build_secrets: str | None = None
    preview_env: str | None = None
    preview_build_args: str | None = None
    preview_build_secrets: str | None = None
    password: str | None = None
    environment: Shared | None = None

    def mask(self) -> Mask:
        """Return what hides their values."""
        shared = self.environment or Shared()
        project = shared.project or Shared()
        own = (self.env, self.build_args, self.build_secrets)
        of_previews = (self.preview_env, self.preview_build_args, self.preview_build_secrets)
        resolved = (
            one
            for text in (*own, *of_previews)
            for one in resolve(
                variables_in(text),
                project=variables_in(project.env),
                environment=variables_in(shared.env),
            ).items()
        )
        texts = (*own, *of_previews, shared.env, project.env)
        return mask_of(texts, (self.password,), resolved)
