"""Inputs of deployments."""

from typing import Annotated

from pydantic import Field

from bridge.backends.embedded.http.inputs.values import DeploymentTypes, Id, Input, Text


class Deploy(Input):
    """`application.deploy` and `.redeploy`; an empty title means the default one."""

    application_id: Id
    title: Text = ""
    description: Text = ""


class DeploymentId(Input):
    """Names one deployment."""

    deployment_id: Id


class DeploymentsByType(Input):
    """`deployment.allByType`."""

    id: Id
    type: DeploymentTypes


class ReadLogs(Input):
    """`deployment.readLogs`: the last `tail` lines."""

    deployment_id: Id
    tail: Annotated[int, Field(ge=1, le=10_000, strict=False)] = 100
