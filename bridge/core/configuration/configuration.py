"""The configuration of an app: its source, its build and its environment.

Field names are ours; adapters translate them. The rules are the server's own, checked
before anything is sent (docs/dokploy.md, "Inputs").
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, create_model

from bridge.core.apps import SourceType, Trigger
from bridge.core.configuration import fields as table
from bridge.core.configuration.fields import COLUMNS, FIELDS, KINDS, SHARED, SOURCE

# ── All stored fields of a source ────────────────────────────────────────────────────────────────


class _Fields(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


Model = TypeVar("Model", bound=BaseModel)


def stored_as(one: table.Field) -> Any:
    """Return the stored type of a field, which may be null."""
    return (SecretStr if one.secret else one.type) | None


def extended(model: type[Model], **fields: Any) -> type[Model]:
    """Extend a model by fields, each with its type and default."""
    made: type[Model] = create_model(
        model.__name__, __base__=model, __doc__=model.__doc__, __module__=model.__module__, **fields
    )
    return made


def _with_kinds(model: type[Model]) -> type[Model]:
    """Add a model of the stored fields of each kind of source."""
    kinds = {
        kind: extended(
            _Fields, **{one.name: (stored_as(one), None) for one in SOURCE if kind in one.columns}
        )
        for kind in KINDS
    }
    return extended(model, **{kind: (made, made()) for kind, made in kinds.items()})


@_with_kinds
class SourceRow(_Fields):
    """The stored source of an app; here null and "" differ, as in the backend.

    It also has the fields of each kind of source; see `fields_of`.

    Attributes:
        source: the kind in use, by the backend's own name.
        watch_paths, submodules, trigger: shared by all kinds.
    """

    source: str | None = None
    watch_paths: tuple[str, ...] | None = None
    submodules: bool | None = None
    trigger: str | None = None


def fields_of(row: SourceRow) -> dict[str, Any]:
    """Return all fields by name, such as `git.url`; secrets stay sealed."""
    found = {}
    for name in COLUMNS:
        kind, _, inner = name.rpartition(".")
        found[name] = getattr(getattr(row, kind) if kind else row, inner)
    return found


def row_of(fields: Mapping[str, Any]) -> SourceRow:
    """Build a row from fields by name; raise pydantic.ValidationError if one is invalid."""
    nested: dict[str, Any] = {}
    for name, value in fields.items():
        kind, _, inner = name.rpartition(".")
        (nested.setdefault(kind, {}) if kind else nested)[inner] = value
    return SourceRow.model_validate(nested)


NOTHING_ASKED: Mapping[str, Any] = {}

OF_A_REGISTRY = ("username", "password")


def used_again(
    row: SourceRow, kind: str, asked: Mapping[str, Any] = NOTHING_ASKED
) -> dict[str, Any]:
    """Return the fields of a kind of source that can be reused without being named.

    Repository, branch and address must be named each time: a mixture of an old source and a new
    one is never wanted. The credentials of one registry are not sent to another.

    Args:
        asked: the fields that are named.
    """
    stored = getattr(row, kind)
    found = {name: getattr(stored, name) for name in type(stored).model_fields}
    registry = found.get("registry_url") or None
    if (asked.get("registry_url", registry) or None) != registry:
        found = {name: value for name, value in found.items() if name not in OF_A_REGISTRY}
    return {
        name: value
        for name, value in found.items()
        if says_something(value) and not FIELDS[name].required
    }


def says_something(value: Any) -> bool:
    """Return whether a stored value is set; an empty secret is not."""
    return bool(value.get_secret_value() if isinstance(value, SecretStr) else value)


def row_in(record: Mapping[str, Any]) -> SourceRow:
    """Return the stored source in a record; a compose stack lacks images and build paths."""
    return row_of({name: record.get(column) for name, column in COLUMNS.items()})


def columns_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields by our names as JSON for `application.update`; secrets in the clear."""
    return {COLUMNS[name]: plain(value) for name, value in fields.items()}


def plain(value: Any) -> Any:
    """Return a value for JSON; a secret in the clear."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return list(value) if isinstance(value, tuple) else value


# ── What can be set ──────────────────────────────────────────────────────────────────────────────

BRANCH = r"^[\w.\-/#+@=,%]+$"
"""The branches that can be built: letters and digits of every script, and the signs of Git's names
that no shell of a backend takes for its own."""

BRANCH_SIGNS = "letters, digits and . _ - / # + @ = , %"

Branch = Annotated[str, Field(pattern=BRANCH, max_length=255)]
WatchPaths = tuple[str, ...] | None


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GithubSource(_Settings):
    """`application.saveGithubProvider`. Leaving `trigger` out would reset it, so it is required."""

    type: Literal[SourceType.GITHUB] = SourceType.GITHUB
    owner: str
    repository: str
    branch: Branch
    provider_id: str | None
    build_path: str = "/"
    watch_paths: WatchPaths = None
    submodules: bool = False
    trigger: Trigger


class GitlabSource(_Settings):
    """`application.saveGitlabProvider`; the server keeps no trigger type for it."""

    type: Literal[SourceType.GITLAB] = SourceType.GITLAB
    owner: str
    repository: str
    branch: Branch
    provider_id: str
    project_id: int
    path: str
    build_path: str = "/"
    watch_paths: WatchPaths = None
    submodules: bool = False


class GiteaSource(_Settings):
    """`application.saveGiteaProvider`; the server keeps no trigger type for it."""

    type: Literal[SourceType.GITEA] = SourceType.GITEA
    owner: str
    repository: str
    branch: Branch
    provider_id: str
    build_path: str = "/"
    watch_paths: WatchPaths = None
    submodules: bool = False


class GitSource(_Settings):
    """`application.saveGitProvider`: any repository by its address."""

    type: Literal[SourceType.GIT] = SourceType.GIT
    url: str
    branch: Branch
    ssh_key_id: str | None = None
    build_path: str = "/"
    watch_paths: WatchPaths = None
    submodules: bool = False


class DockerSource(_Settings):
    """`application.saveDockerProvider`: an image from a registry."""

    type: Literal[SourceType.DOCKER] = SourceType.DOCKER
    image: str
    username: str | None = None
    password: SecretStr | None = None
    registry_url: str | None = None


ProviderSettings = Annotated[
    GithubSource | GitlabSource | GiteaSource | GitSource | DockerSource,
    Field(discriminator="type"),
]

MODELS: Mapping[str, type[GithubSource | GitlabSource | GiteaSource | GitSource | DockerSource]] = {
    "github": GithubSource,
    "gitlab": GitlabSource,
    "gitea": GiteaSource,
    "git": GitSource,
    "docker": DockerSource,
}
"""The models by kind of source."""


class BuildType(_Settings):
    """`application.saveBuildType`; nullable fields are also sent."""

    build_type: Literal[
        "dockerfile", "nixpacks", "heroku_buildpacks", "paketo_buildpacks", "railpack", "static"
    ]
    dockerfile: str | None = None
    docker_context_path: str | None = None
    docker_build_stage: str | None = None
    publish_directory: str | None = None
    static_spa: bool | None = None
    heroku_version: str | None = None
    railpack_version: str | None = None


class Environment(_Settings):
    """`application.saveEnvironment`; each is newline-separated KEY=VALUE pairs."""

    env: SecretStr | None = None
    build_args: SecretStr | None = None
    build_secrets: SecretStr | None = None
    create_env_file: bool = True


@dataclass(frozen=True, slots=True)
class Saved:
    """The present configuration of an app, in the forms that a save takes.

    Attributes:
        provider: None without a source, or with one that can't be saved from here.
        build: None for a compose stack.
        watch_paths, submodules: the backend's; it stores one of each for all kinds of source.
        trigger: what deploys it. A stored trigger counts only for GitHub, since the backend reads
            it for nothing else (docs/dokploy.md, "Dokploy's own webhooks").
        row: all stored fields of the source; None in records of an earlier release.
    """

    provider: ProviderSettings | None
    build: BuildType | None
    environment: Environment
    watch_paths: WatchPaths = None
    submodules: bool = False
    trigger: Trigger = Trigger.PUSH
    row: SourceRow | None = None


# ── The columns that a change of an app's source writes into its row ──────────────────────────────

FORGETS: Mapping[str, Any] = {
    **{
        name: None
        for name in fields_of(SourceRow())
        if not name.startswith("docker.") and name != "bitbucket.slug"
    },
    "source": SourceType.GITHUB.value,
    "github.build_path": "/",
    "submodules": False,
    "trigger": Trigger.PUSH.value,
}
"""The columns that `disconnectGitProvider` writes; image, credentials and Bitbucket's slug stay.

A compose stack has no build paths. Source: docs/dokploy.md, "Inputs".
"""


def changes(before: SourceRow, after: SourceRow) -> dict[str, Any]:
    """Return the fields to write to turn one row into the other."""
    old = fields_of(before)
    return {name: value for name, value in fields_of(after).items() if value != old[name]}


def stored_fields(source: ProviderSettings) -> dict[str, Any]:
    """Return the fields of a source by their stored names, such as `git.url`."""
    return {
        _stored_name(source.type, name): str(value) if isinstance(value, Trigger) else value
        for name, value in source
        if name != "type"
    }


def _stored_name(kind: str, name: str) -> str:
    return name if name in SHARED else f"{kind}.{name}"


def with_provider(row: SourceRow, old: ProviderSettings | None, new: ProviderSettings) -> SourceRow:
    """Return the row once the source has become `new`.

    A change within one kind writes the fields that differ. A change to another kind writes all
    of that kind's fields, shared ones included.
    """
    same = stored_fields(old) if old is not None and old.type is new.type else {}
    written = {
        name: value
        for name, value in stored_fields(new).items()
        if name not in same or value != same[name]
    }
    return row_of(fields_of(row) | written | {"source": new.type.value})


def source_in(row: SourceRow) -> ProviderSettings | None:
    """Return the source in use; None if there is none, or if a save can't repeat it."""
    kind = row.source or ""
    if kind not in MODELS:
        return None
    model = MODELS[kind]
    stored = fields_of(row) | {"trigger": row.trigger or Trigger.PUSH.value}
    fields: dict[str, Any] = {}
    for name in model.model_fields.keys() - {"type"}:
        value, empty = stored[_stored_name(kind, name)], FIELDS[name].empty
        fields[name] = value if empty is None else value or empty
    try:
        return model.model_validate(fields)
    except ValidationError:
        return None  # incomplete: a save could not repeat it


def forgotten(row: SourceRow, *, build_paths: bool) -> SourceRow:
    """Return the row once its source is disconnected; a compose stack has no build paths."""
    wiped = {
        name: value
        for name, value in FORGETS.items()
        if build_paths or not name.endswith(".build_path")
    }
    return row_of(fields_of(row) | wiped)
