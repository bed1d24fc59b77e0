"""`application.*` and `deployment.*`: create and change applications, deploy, read the history.

What runs of an application is in `serving`.
"""

import asyncio
import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from bridge.embedded.building.containers import remove_containers
from bridge.embedded.building.logs import tail
from bridge.embedded.http import answers, inputs
from bridge.embedded.http.procedure import (
    EMPTY,
    Empty,
    Failure,
    Parts,
    bad_request,
    existing,
    found,
    not_found,
    page,
)
from bridge.embedded.storage.history import Deployment, JobKind, Releases, kept_of
from bridge.embedded.storage.paths import ToolSilent, remove
from bridge.embedded.storage.records import Record, moment, new_app_name

_NONE_OF_THESE = {
    "giteaId": "Gitea Provider",
    "bitbucketId": "Bitbucket Provider",
    "customGitSSHKeyId": "SSH Key",
}
"""Columns whose objects don't exist here, and Dokploy's names of these objects."""


async def create(parts: Parts, input_: inputs.ApplicationCreate) -> Record:
    """`application.create`."""
    existing("Environment", await parts.catalog.environment(input_.environment_id))
    application = answers.NEW_APPLICATION | {
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
    await parts.catalog.add_application(application)
    return application


async def one(parts: Parts, input_: inputs.ApplicationId) -> Record:
    """`application.one`."""
    application = await known(parts, input_.application_id)
    github_id, gitlab_id = application["githubId"], application["gitlabId"]
    deployments = await parts.history.of(input_.application_id)
    return answers.application_one(
        application,
        reversed(deployments),
        kept=await _kept(parts, deployments),
        github=await parts.catalog.provider("github", github_id) if github_id else None,
        gitlab=await parts.catalog.provider("gitlab", gitlab_id) if gitlab_id else None,
        domains=await parts.domains.of(input_.application_id),
        url=parts.public_site(application),
    )


async def update(parts: Parts, input_: inputs.ApplicationId) -> bool:
    """`application.update`: set the fields that were sent; `appName` never changes."""
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
    return await change(
        parts, input_.application_id, {"environmentId": input_.target_environment_id}
    )


async def delete(parts: Parts, input_: inputs.ApplicationId) -> Record:
    """`application.delete`, with its site, checkout, logs and containers."""
    as_it_was = await one(parts, input_)
    await erase(parts, input_.application_id)
    return answers.without(("hasGitProviderAccess", "unauthorizedProvider"), as_it_was)


async def search(parts: Parts, input_: inputs.ApplicationSearch) -> Record:
    """`application.search`."""
    wanted = input_.model_dump(
        by_alias=True, exclude={"q", "limit", "offset", "project_id", "environment_id"}
    )
    applications = [
        application
        for application in await parts.catalog.applications()
        if input_.environment_id in (None, application["environmentId"])
        and input_.project_id in (None, application["environment"]["projectId"])
    ]
    result = page(found(applications, input_.q, wanted), input_.limit, input_.offset)
    return result | {"items": [answers.only(answers.FOUND, one) for one in result["items"]]}


async def refresh_token(parts: Parts, input_: inputs.ApplicationId) -> bool:
    """`application.refreshToken`."""
    await change(parts, input_.application_id, {"refreshToken": parts.new_id()})
    return True


async def known(parts: Parts, application_id: str) -> Record:
    """Return an application; raise Failure if it does not exist."""
    return existing("Application", await parts.catalog.application(application_id))


async def known_provider(parts: Parts, kind: str, id_: str) -> Record:
    """Return a "github" or "gitlab" provider; raise Failure if it does not exist."""
    return existing(f"{kind.title()} Provider", await parts.catalog.provider(kind, id_))


async def change(parts: Parts, application_id: str, changes: Record) -> Record:
    """Change an application, and check that it and its Git accounts exist.

    Raises:
        Failure: one of them does not exist; a missing application is reported first.
    """
    await known(parts, application_id)
    for kind, column in (("github", "githubId"), ("gitlab", "gitlabId")):
        if (id_ := changes.get(column)) is not None:
            await known_provider(parts, kind, id_)
    for column, what in _NONE_OF_THESE.items():
        if changes.get(column) is not None:
            raise not_found(what)
    try:
        application = await parts.catalog.update_application(application_id, changes)
    except sqlite3.IntegrityError as error:
        raise not_found("Environment") from error
    return existing("Application", application)


async def erase(parts: Parts, application_id: str) -> None:
    """Cancel the deployments of an application, then delete it with all its files.

    None of its deployments begins meanwhile: unlike in Dokploy nothing is left behind of a build.

    Raises:
        Failure: it runs in a container and Docker does not answer, so it stays.
    """
    application = await parts.catalog.application(application_id)
    if application is None:
        return
    places = parts.places
    folders = (
        places.application(application_id),
        places.site(application_id),
        places.logs_of(application_id),
    )
    with parts.engine.barred(application_id):
        await parts.history.drop_waiting(application_id)
        parts.engine.cancel(application_id)
        await parts.engine.ended(application_id)
        async with parts.engine.pipeline.serving[application_id]:
            await _remove_containers(parts, application)
            await parts.catalog.remove("application", application_id)
            for folder in folders:
                await asyncio.to_thread(remove, folder)


async def _remove_containers(parts: Parts, application: Record) -> None:
    id_ = application["applicationId"]
    try:
        await remove_containers(id_, application["appName"], parts.search_path)
    except ToolSilent as error:
        facts = await asyncio.to_thread(Releases.of(parts.places, id_).served_facts)
        if facts is not None and facts.image is not None:
            raise Failure("SERVICE_UNAVAILABLE", str(error)) from error


# ── Sources, builds and variables ───────────────────────────────────────────────────────────────

# The fields of a disconnected application (recorded, line 73).
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
    """`application.saveGithubProvider`; the trigger defaults to push."""
    return await _save_source(parts, input_, "github", triggerType=input_.trigger_type)


async def save_gitlab(parts: Parts, input_: inputs.GitlabProvider) -> bool:
    """`application.saveGitlabProvider`."""
    return await _save_source(parts, input_, "gitlab")


async def save_gitea(parts: Parts, input_: inputs.GiteaProvider) -> bool:
    """`application.saveGiteaProvider`: this server has no Gitea account, so an id is unknown."""
    return await _save_source(parts, input_, "gitea")


async def save_git(parts: Parts, input_: inputs.GitProvider) -> bool:
    """`application.saveGitProvider`; SSH uses the keys of the machine's user."""
    return await _save_source(parts, input_, "git")


async def save_docker(parts: Parts, input_: inputs.DockerProvider) -> bool:
    """`application.saveDockerProvider`."""
    return await _save_source(parts, input_, "docker")


async def disconnect(parts: Parts, input_: inputs.ApplicationId) -> bool:
    """`application.disconnectGitProvider`."""
    await change(parts, input_.application_id, _DISCONNECTED)
    return True


async def save_build_type(parts: Parts, input_: inputs.BuildTypeInput) -> bool:
    """`application.saveBuildType`."""
    return await _save(parts, input_)


async def save_environment(parts: Parts, input_: inputs.EnvironmentVariables) -> bool:
    """`application.saveEnvironment`."""
    return await _save(parts, input_)


async def _save_source(parts: Parts, input_: inputs.Input, kind: str, **more: str) -> bool:
    # Saving a source resets the status, even in the middle of a build (docs/dokploy.md).
    return await _save(parts, input_, sourceType=kind, applicationStatus="idle", **more)


async def _save(parts: Parts, input_: inputs.Input, **more: str) -> bool:
    """Save the fields of an application that were sent, by Dokploy's names, and more."""
    changes = input_.model_dump(by_alias=True, exclude_unset=True) | more
    await change(parts, changes.pop("applicationId"), changes)
    return True


# ── Deployments ─────────────────────────────────────────────────────────────────────────────────


async def deploy(parts: Parts, input_: inputs.Deploy) -> Empty:
    """`application.deploy`: queue a deployment of the head of the branch."""
    return await _ask(parts, "deploy", input_)


async def redeploy(parts: Parts, input_: inputs.Deploy) -> Empty:
    """`application.redeploy`: queue a build of the existing checkout."""
    return await _ask(parts, "redeploy", input_)


async def _ask(parts: Parts, kind: JobKind, input_: inputs.Deploy) -> Empty:
    id_, title, description = input_.application_id, input_.title, input_.description
    existing("Application", await parts.engine.ask(id_, kind, title, description))
    return EMPTY


async def cancel(parts: Parts, input_: inputs.ApplicationId) -> Record:
    """`application.cancelDeployment`, which a self-hosted Dokploy refuses."""
    await known(parts, input_.application_id)
    if parts.self_hosted_cancel:
        raise bad_request("Deployment cancellation only available in cloud version")
    if not parts.engine.cancel(input_.application_id):
        raise bad_request("No deployment of this application is running")
    return {"success": True, "message": "Deployment cancellation requested"}


async def clean_queues(parts: Parts, input_: inputs.ApplicationId) -> Empty:
    """`application.cleanQueues`: drop the waiting jobs; a running one continues.

    An unknown application is not an error (tests/fixtures/dokploy/recorded-2.jsonl, group 217).
    """
    await parts.history.drop_waiting(input_.application_id)
    return EMPTY


async def kill_build(parts: Parts, input_: inputs.ApplicationId) -> Empty:
    """`application.killBuild`: unlike Dokploy, of this application only."""
    await known(parts, input_.application_id)
    parts.engine.cancel(input_.application_id)
    return EMPTY


async def kill_process(parts: Parts, input_: inputs.DeploymentId) -> bool:
    """`deployment.killProcess`."""
    deployment = await _deployment(parts, input_.deployment_id)
    if not parts.engine.cancel(deployment.application_id, deployment.id):
        raise bad_request("Deployment is not running")
    return True


async def clear_deployments(parts: Parts, input_: inputs.ApplicationId) -> bool:
    """`application.clearDeployments`: delete the logs; the records stay (docs/dokploy.md)."""
    await known(parts, input_.application_id)
    deployments = await parts.history.of(input_.application_id)
    kept = {deployment.log_path for deployment in deployments if deployment.status == "running"}
    await asyncio.to_thread(_clear_logs, parts.places.logs_of(input_.application_id), kept)
    return True


async def remove_deployment(parts: Parts, input_: inputs.DeploymentId) -> Record:
    """`deployment.removeDeployment`: delete a record and its log."""
    deployment = await _deployment(parts, input_.deployment_id)
    if deployment.status == "running":
        raise bad_request("Deployment is running")
    await parts.history.remove(deployment.id)
    await asyncio.to_thread(Path(deployment.log_path).unlink, missing_ok=True)
    return answers.deployment_one(deployment)


async def all_of(parts: Parts, input_: inputs.ApplicationId) -> list[Record]:
    """`deployment.all`, newest first; an unknown application has none."""
    deployments = await parts.history.of(input_.application_id)
    kept = await _kept(parts, deployments)
    return [answers.deployment_one(deployment, kept) for deployment in deployments]


async def previews_of(_parts: Parts, _input: inputs.ApplicationId) -> list[Record]:
    """`previewDeployment.all`: none, since it makes no previews by itself."""
    return []


async def preview(_parts: Parts, _input: inputs.PreviewDeploymentId) -> Record:
    """`previewDeployment.one`: there is none."""
    raise not_found("Preview Deployment")


async def all_by_type(parts: Parts, input_: inputs.DeploymentsByType) -> list[Record]:
    """`deployment.allByType`; here only applications have deployments."""
    if input_.type != "application":
        return []
    deployments = await parts.history.of(input_.id)
    kept = await _kept(parts, deployments)
    return [answers.deployment_by_type(deployment, kept) for deployment in deployments]


async def all_centralized(parts: Parts, _input: inputs.Nothing) -> list[Record]:
    """`deployment.allCentralized`: all deployments, newest first."""
    deployments = await parts.history.all()
    applications = await _applications(parts, {one.application_id for one in deployments})
    kept = await _kept(parts, deployments)
    return [
        answers.deployment_with_application(one, kept, applications[one.application_id])
        for one in deployments
        if one.application_id in applications
    ]


async def queue_list(parts: Parts, _input: inputs.Nothing) -> list[Record]:
    """`deployment.queueList`: the waiting and active jobs, newest first."""
    jobs = await parts.history.jobs()
    applications = await _applications(parts, {job.application_id for job in jobs})
    return [
        answers.job_listed(job, applications[job.application_id])
        for job in reversed(jobs)
        if job.application_id in applications
    ]


async def read_logs(parts: Parts, input_: inputs.ReadLogs) -> str:
    """`deployment.readLogs`: the last lines of a log."""
    deployment = await _deployment(parts, input_.deployment_id)
    return await tail(Path(deployment.log_path), input_.tail)


async def _kept(parts: Parts, deployments: Sequence[Deployment]) -> frozenset[str]:
    """Return which deployments can be served again."""
    return await asyncio.to_thread(kept_of, parts.places, deployments)


async def _deployment(parts: Parts, id_: str) -> Deployment:
    return existing("Deployment", await parts.history.one(id_))


async def _applications(parts: Parts, ids: set[str]) -> dict[str, Record]:
    found = [await parts.catalog.application(id_) for id_ in ids]
    return {one["applicationId"]: one for one in found if one is not None}


def _clear_logs(folder: Path, kept: set[str]) -> None:
    if not kept:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for log in folder.iterdir():
        if str(log) not in kept:
            log.unlink(missing_ok=True)
