"""`application.*`: making, reading, changing and deleting applications."""

import asyncio
import sqlite3

from bridge.embedded.building.docker import remove_containers
from bridge.embedded.http import inputs, shapes
from bridge.embedded.http.procedure import found, page
from bridge.embedded.http.validation import Failure, bad_request, not_found
from bridge.embedded.parts import Parts
from bridge.embedded.places import remove
from bridge.embedded.records.database import Record, moment, new_app_name

_NONE_OF_THESE = {
    "giteaId": "Gitea Provider",
    "bitbucketId": "Bitbucket Provider",
    "customGitSSHKeyId": "SSH Key",
}
"""Columns that can't name anything here, and how the real server calls what they name."""


async def create(parts: Parts, input_: inputs.ApplicationCreate) -> Record:
    """`application.create`."""
    if await parts.catalog.environment(input_.environment_id) is None:
        raise not_found("Environment")
    application = shapes.new_application(
        {
            "applicationId": parts.new_id(),
            "name": input_.name,
            "appName": new_app_name(input_.app_name or input_.name),
            "description": input_.description,
            "sourceType": input_.source_type,
            "environmentId": input_.environment_id,
            "serverId": input_.server_id,
            "createdAt": moment(parts.clock()),
            "refreshToken": parts.new_id(),
        }
    )
    await parts.catalog.add_application(application)
    return application


async def one(parts: Parts, input_: inputs.ApplicationId) -> Record:
    """`application.one`."""
    application = await known(parts, input_.application_id)
    github_id, gitlab_id = application["githubId"], application["gitlabId"]
    deployments = await parts.history.of(input_.application_id)
    return shapes.application_one(
        application,
        reversed(deployments),
        github=await parts.catalog.provider("github", github_id) if github_id else None,
        gitlab=await parts.catalog.provider("gitlab", gitlab_id) if gitlab_id else None,
        url=parts.public_site(application),
    )


async def update(parts: Parts, input_: inputs.ApplicationId) -> bool:
    """`application.update`: the fields that were sent; `appName` never changes."""
    changes = input_.model_dump(by_alias=True, include=input_.model_fields_set)
    for name in ("applicationId", "appName"):
        changes.pop(name, None)
    if not changes:
        raise Failure("INTERNAL_SERVER_ERROR", "No values to set")
    if await parts.catalog.application(input_.application_id) is None:
        raise bad_request("Error updating application")
    await change(parts, input_.application_id, changes)
    return True


async def move(parts: Parts, input_: inputs.ApplicationMove) -> Record:
    """`application.move` to another environment."""
    known_ids = (
        await parts.catalog.environment(input_.target_environment_id),
        await parts.catalog.application(input_.application_id),
    )
    if None in known_ids:
        raise Failure("INTERNAL_SERVER_ERROR", "Failed to move application")
    changes = {"environmentId": input_.target_environment_id}
    return await change(parts, input_.application_id, changes)


async def delete(parts: Parts, input_: inputs.ApplicationId) -> Record:
    """`application.delete`: its site, checkout, logs and containers go with it."""
    as_it_was = await one(parts, input_)
    await erase(parts, input_.application_id)
    return shapes.application_deleted(as_it_was)


async def search(parts: Parts, input_: inputs.ApplicationSearch) -> Record:
    """`application.search`."""
    wanted = input_.model_dump(
        by_alias=True, exclude={"q", "limit", "offset", "project_id", "environment_id"}
    )
    applications = [
        one
        for one in await parts.catalog.applications()
        if input_.environment_id in (None, one["environmentId"])
        and input_.project_id in (None, one["environment"]["projectId"])
    ]
    result = page(found(applications, input_.q, wanted), input_.limit, input_.offset)
    return result | {"items": [shapes.application_found(one) for one in result["items"]]}


async def refresh_token(parts: Parts, input_: inputs.ApplicationId) -> bool:
    """`application.refreshToken`."""
    await change(parts, input_.application_id, {"refreshToken": parts.new_id()})
    return True


async def known(parts: Parts, application_id: str) -> Record:
    """An application that is there; raises Failure where it is not."""
    application = await parts.catalog.application(application_id)
    if application is None:
        raise not_found("Application")
    return application


async def change(parts: Parts, application_id: str, changes: Record) -> Record:
    """Change an application; raises Failure where that can't be.

    The application is looked for before the Git accounts that it would use.
    """
    await known(parts, application_id)
    await _check_accounts(parts, changes)
    try:
        application = await parts.catalog.update_application(application_id, changes)
    except sqlite3.IntegrityError as error:
        raise not_found("Environment") from error
    if application is None:
        raise not_found("Application")
    return application


async def _check_accounts(parts: Parts, changes: Record) -> None:
    """Raise Failure for a Git account or SSH key that does not exist; there are no SSH keys."""
    for kind, column in (("github", "githubId"), ("gitlab", "gitlabId")):
        id_ = changes.get(column)
        if id_ is not None and await parts.catalog.provider(kind, id_) is None:
            raise not_found(f"{kind.title()} Provider")
    for column, what in _NONE_OF_THESE.items():
        if changes.get(column) is not None:
            raise not_found(what)


async def erase(parts: Parts, application_id: str) -> None:
    """End what runs for an application, then remove everything it has."""
    await parts.engine.drop_waiting(application_id)
    parts.engine.cancel(application_id)
    await parts.engine.ended(application_id)
    await parts.catalog.remove("application", application_id)
    places = parts.places
    folders = (
        places.application(application_id),
        places.site(application_id),
        places.logs_of(application_id),
    )
    for folder in folders:
        await asyncio.to_thread(remove, folder)
    await remove_containers(application_id, parts.search_path)


# ── `application.save*`: where the code comes from, how it is built, and with what variables ────

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
