"""What each procedure accepts, with the real server's rules (facts.md, "Inputs").

Fields have the server's names outside and ours inside. A field without a default must be
sent, even where it may be null. Unknown fields are ignored, as there.
"""

from bridge.backends.embedded.http.inputs.applications import (
    ApplicationCreate,
    ApplicationId,
    ApplicationMove,
    ApplicationSearch,
)
from bridge.backends.embedded.http.inputs.deployments import (
    Deploy,
    DeploymentId,
    DeploymentsByType,
    ReadLogs,
)
from bridge.backends.embedded.http.inputs.projects import (
    EnvironmentCreate,
    EnvironmentId,
    EnvironmentUpdate,
    ProjectCreate,
    ProjectId,
    Search,
)
from bridge.backends.embedded.http.inputs.providers import (
    GithubId,
    GithubRepository,
    GitlabCreate,
    GitlabId,
    GitlabRepository,
)
from bridge.backends.embedded.http.inputs.sources import (
    BuildTypeInput,
    DockerProvider,
    EnvironmentVariables,
    GithubProvider,
    GitlabProvider,
    GitProvider,
)
from bridge.backends.embedded.http.inputs.update import ApplicationUpdate
from bridge.backends.embedded.http.inputs.values import (
    APP_NAME_PATTERN,
    BRANCH_PATTERN,
    Input,
    Nothing,
)

__all__ = [
    "APP_NAME_PATTERN",
    "BRANCH_PATTERN",
    "ApplicationCreate",
    "ApplicationId",
    "ApplicationMove",
    "ApplicationSearch",
    "ApplicationUpdate",
    "BuildTypeInput",
    "Deploy",
    "DeploymentId",
    "DeploymentsByType",
    "DockerProvider",
    "EnvironmentCreate",
    "EnvironmentId",
    "EnvironmentUpdate",
    "EnvironmentVariables",
    "GitProvider",
    "GithubId",
    "GithubProvider",
    "GithubRepository",
    "GitlabCreate",
    "GitlabId",
    "GitlabProvider",
    "GitlabRepository",
    "Input",
    "Nothing",
    "ProjectCreate",
    "ProjectId",
    "ReadLogs",
    "Search",
]
