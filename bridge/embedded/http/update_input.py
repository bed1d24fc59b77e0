"""The input of `application.update`, which takes nearly all fields of an application."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, create_model

from bridge.embedded.http.inputs import (
    ApplicationId,
    AppName,
    BuildTypes,
    Name,
    Number,
    SourceTypes,
    Text,
    Triggers,
    WatchPaths,
)
from bridge.embedded.paths import words


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
