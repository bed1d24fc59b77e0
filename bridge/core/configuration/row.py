"""Every field that a backend keeps of an app's source, those of sources not in use included.

A backend keeps the fields of each kind of source beside each other, and one kind is in use. A
change of the source may touch fields of the others, so a difference is made of the whole row
and an undo writes the row back field by field (facts.md, "Environments and applications").
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ConfigDict, SecretStr


class _Fields(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class GithubRow(_Fields):
    """The stored fields of a GitHub source."""

    owner: str | None = None
    repository: str | None = None
    branch: str | None = None
    provider_id: str | None = None
    build_path: str | None = None


class GitlabRow(_Fields):
    """The stored fields of a GitLab source."""

    owner: str | None = None
    repository: str | None = None
    branch: str | None = None
    provider_id: str | None = None
    project_id: int | None = None
    path: str | None = None
    build_path: str | None = None


class GiteaRow(_Fields):
    """The stored fields of a Gitea source."""

    owner: str | None = None
    repository: str | None = None
    branch: str | None = None
    provider_id: str | None = None
    build_path: str | None = None


class BitbucketRow(_Fields):
    """The stored fields of a Bitbucket source."""

    owner: str | None = None
    repository: str | None = None
    slug: str | None = None
    branch: str | None = None
    provider_id: str | None = None
    build_path: str | None = None


class GitRow(_Fields):
    """The stored fields of a Git source by its address."""

    url: str | None = None
    branch: str | None = None
    ssh_key_id: str | None = None
    build_path: str | None = None


class DockerRow(_Fields):
    """The stored fields of an image."""

    image: str | None = None
    username: str | None = None
    password: SecretStr | None = None
    registry_url: str | None = None


class SourceRow(_Fields):
    """The stored source of an app, as the backend has it: null and "" are two values here.

    Attributes:
        source: the kind in use, in the backend's own word.
        watch_paths, submodules, trigger: one of each, whatever the kind in use.
    """

    source: str | None = None
    watch_paths: tuple[str, ...] | None = None
    submodules: bool | None = None
    trigger: str | None = None
    github: GithubRow = GithubRow()
    gitlab: GitlabRow = GitlabRow()
    gitea: GiteaRow = GiteaRow()
    bitbucket: BitbucketRow = BitbucketRow()
    git: GitRow = GitRow()
    docker: DockerRow = DockerRow()


SHARED = ("watch_paths", "submodules", "trigger")
"""Fields that all kinds of source have in common."""

_KINDS = ("github", "gitlab", "gitea", "bitbucket", "git", "docker")


def fields_of(row: SourceRow) -> dict[str, Any]:
    """Return all fields by name, such as `git.url`; secrets stay sealed."""
    return dict(_fields(row))


def _fields(row: SourceRow) -> Iterator[tuple[str, Any]]:
    yield "source", row.source
    for kind in _KINDS:
        stored = getattr(row, kind)
        for name in type(stored).model_fields:
            yield f"{kind}.{name}", getattr(stored, name)
    for name in SHARED:
        yield name, getattr(row, name)


def row_of(fields: Mapping[str, Any]) -> SourceRow:
    """Build a row from fields by name; raises pydantic.ValidationError where one does not fit."""
    nested: dict[str, Any] = {}
    for name, value in fields.items():
        kind, _, inner = name.rpartition(".")
        (nested.setdefault(kind, {}) if kind else nested)[inner] = value
    return SourceRow.model_validate(nested)


def stored_of(row: SourceRow, kind: str) -> dict[str, Any]:
    """Return the fields that are stored for one kind of source, where they say something."""
    if kind not in _KINDS:
        return {}
    stored = getattr(row, kind)
    found = {name: getattr(stored, name) for name in type(stored).model_fields}
    return {name: value for name, value in found.items() if says_something(value)}


def says_something(value: Any) -> bool:
    """Tell whether a stored value differs from an empty one; an empty secret is empty too."""
    return bool(value.get_secret_value() if isinstance(value, SecretStr) else value)


# ── The API's names of the fields in which an app's source is stored ────────────────────────────

COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "source": "sourceType",
        "watch_paths": "watchPaths",
        "submodules": "enableSubmodules",
        "trigger": "triggerType",
        "github.owner": "owner",
        "github.repository": "repository",
        "github.branch": "branch",
        "github.provider_id": "githubId",
        "github.build_path": "buildPath",
        "gitlab.owner": "gitlabOwner",
        "gitlab.repository": "gitlabRepository",
        "gitlab.branch": "gitlabBranch",
        "gitlab.provider_id": "gitlabId",
        "gitlab.project_id": "gitlabProjectId",
        "gitlab.path": "gitlabPathNamespace",
        "gitlab.build_path": "gitlabBuildPath",
        "gitea.owner": "giteaOwner",
        "gitea.repository": "giteaRepository",
        "gitea.branch": "giteaBranch",
        "gitea.provider_id": "giteaId",
        "gitea.build_path": "giteaBuildPath",
        "bitbucket.owner": "bitbucketOwner",
        "bitbucket.repository": "bitbucketRepository",
        "bitbucket.slug": "bitbucketRepositorySlug",
        "bitbucket.branch": "bitbucketBranch",
        "bitbucket.provider_id": "bitbucketId",
        "bitbucket.build_path": "bitbucketBuildPath",
        "git.url": "customGitUrl",
        "git.branch": "customGitBranch",
        "git.ssh_key_id": "customGitSSHKeyId",
        "git.build_path": "customGitBuildPath",
        "docker.image": "dockerImage",
        "docker.username": "username",
        "docker.password": "password",
        "docker.registry_url": "registryUrl",
    }
)
"""By our names, see `SourceRow`."""


def row_in(record: Mapping[str, Any]) -> SourceRow:
    """Return the stored source in a record; a compose stack lacks images and build paths."""
    return row_of({name: record.get(column) for name, column in COLUMNS.items()})


def columns_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields by our names as JSON for `application.update`; secrets in the clear."""
    return {COLUMNS[name]: _plain(value) for name, value in fields.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return list(value) if isinstance(value, tuple) else value
