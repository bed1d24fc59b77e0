"""`application.save*`: where the code comes from, how it is built, and with what variables."""

from bridge.backends.embedded.http import inputs
from bridge.backends.embedded.http.procedures.applications import change
from bridge.backends.embedded.parts import Parts
from bridge.backends.embedded.records.database import Record

# What a disconnected application has; its build path keeps the default (recorded, line 73).
_DISCONNECTED: Record = {
    **dict.fromkeys(("repository", "branch", "owner", "githubId", "watchPaths")),
    **dict.fromkeys(("gitlabProjectId", "gitlabRepository", "gitlabOwner", "gitlabBranch")),
    **dict.fromkeys(("gitlabBuildPath", "gitlabPathNamespace", "gitlabId")),
    **dict.fromkeys(("giteaRepository", "giteaOwner", "giteaBranch", "giteaBuildPath", "giteaId")),
    **dict.fromkeys(("bitbucketRepository", "bitbucketOwner", "bitbucketBranch")),
    **dict.fromkeys(("bitbucketBuildPath", "bitbucketId")),
    **dict.fromkeys(("customGitUrl", "customGitBranch", "customGitBuildPath")),
    "customGitSSHKeyId": None,
    "buildPath": "/",
    "sourceType": "github",
    "triggerType": "push",
    "enableSubmodules": False,
    "applicationStatus": "idle",
}


async def save_github(parts: Parts, input_: inputs.GithubProvider) -> bool:
    """`application.saveGithubProvider`; a trigger type that is left out becomes push."""
    changes = _sent(input_) | {"triggerType": input_.trigger_type}
    return await _save_source(parts, input_.application_id, "github", changes)


async def save_gitlab(parts: Parts, input_: inputs.GitlabProvider) -> bool:
    """`application.saveGitlabProvider`."""
    return await _save_source(parts, input_.application_id, "gitlab", _sent(input_))


async def save_git(parts: Parts, input_: inputs.GitProvider) -> bool:
    """`application.saveGitProvider`; there are no SSH keys here but those of ssh itself."""
    return await _save_source(parts, input_.application_id, "git", _sent(input_))


async def save_docker(parts: Parts, input_: inputs.DockerProvider) -> bool:
    """`application.saveDockerProvider`."""
    return await _save_source(parts, input_.application_id, "docker", _sent(input_))


async def disconnect(parts: Parts, input_: inputs.ApplicationId) -> bool:
    """`application.disconnectGitProvider`."""
    await change(parts, input_.application_id, _DISCONNECTED)
    return True


async def save_build_type(parts: Parts, input_: inputs.BuildTypeInput) -> bool:
    """`application.saveBuildType`."""
    await change(parts, input_.application_id, _sent(input_))
    return True


async def save_environment(parts: Parts, input_: inputs.EnvironmentVariables) -> bool:
    """`application.saveEnvironment`."""
    await change(parts, input_.application_id, _sent(input_))
    return True


async def _save_source(parts: Parts, id_: str, kind: str, changes: Record) -> bool:
    # Saving a source resets the status, even in the middle of a build (facts.md).
    await change(parts, id_, changes | {"sourceType": kind, "applicationStatus": "idle"})
    return True


def _sent(input_: inputs.Input) -> Record:
    """What was sent, by the server's names; what was left out is kept as it is."""
    changes = input_.model_dump(by_alias=True, exclude_unset=True)
    del changes["applicationId"]
    return changes
