"""The API's names of the fields in which an app's source is stored.

Every backend that speaks Dokploy's API has them, the embedded one included.

Source: openapi-subset.json, `application.one` and `application.update`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import SecretStr

from bridge.core.configuring.row import SourceRow, row_of

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
    """The stored source in a record; a compose stack lacks images and build paths."""
    return row_of({name: record.get(column) for name, column in COLUMNS.items()})


def columns_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields by our names as JSON for `application.update`; secrets in the clear."""
    return {COLUMNS[name]: _plain(value) for name, value in fields.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return list(value) if isinstance(value, tuple) else value
