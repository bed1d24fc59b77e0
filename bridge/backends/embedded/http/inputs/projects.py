"""Inputs of projects and environments."""

from bridge.backends.embedded.http.inputs.values import Id, Input, Limit, Name, Offset, Text


class ProjectCreate(Input):
    """`project.create`."""

    name: Name
    description: Text | None = None
    env: Text = ""


class ProjectId(Input):
    """Names one project."""

    project_id: Id


class EnvironmentCreate(Input):
    """`environment.create`."""

    name: Name
    description: Text = ""
    project_id: Id


class EnvironmentUpdate(Input):
    """`environment.update`: changes only what is sent."""

    environment_id: Id
    name: Name = ""
    description: Text = ""
    project_id: Text = ""
    env: Text = ""


class EnvironmentId(Input):
    """Names one environment."""

    environment_id: Id


class Search(Input):
    """`project.search` and `environment.search`."""

    q: Text | None = None
    name: Text | None = None
    description: Text | None = None
    project_id: Text | None = None
    limit: Limit = 20
    offset: Offset = 0
