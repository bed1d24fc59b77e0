"""Inputs of applications."""

from pydantic import Field

from bridge.backends.embedded.http.inputs.values import (
    AppName,
    Id,
    Input,
    Limit,
    Name,
    Offset,
    SourceTypes,
    Text,
)


class ApplicationId(Input):
    """Names one application."""

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
