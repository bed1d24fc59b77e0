"""Deploying, cancelling, and reading what became of it."""

import asyncio
import shutil
from pathlib import Path

from bridge.embedded.building.logs import tail
from bridge.embedded.http import inputs, shapes
from bridge.embedded.http.applications import known
from bridge.embedded.http.procedure import EMPTY, Empty
from bridge.embedded.http.validation import bad_request, not_found
from bridge.embedded.parts import Parts
from bridge.embedded.records.database import Record
from bridge.embedded.records.history import Deployment, JobKind

CANCEL_REQUESTED = "Deployment cancellation requested"
_ONLY_CLOUD = "Deployment cancellation only available in cloud version"


async def deploy(parts: Parts, input_: inputs.Deploy) -> Empty:
    """`application.deploy`: the head of the branch, when its turn has come."""
    return await _ask(parts, "deploy", input_)


async def redeploy(parts: Parts, input_: inputs.Deploy) -> Empty:
    """`application.redeploy`: the checkout that is there."""
    return await _ask(parts, "redeploy", input_)


async def _ask(parts: Parts, kind: JobKind, input_: inputs.Deploy) -> Empty:
    asked = await parts.engine.ask(input_.application_id, kind, input_.title, input_.description)
    if asked is None:
        raise not_found("Application")
    return EMPTY


async def cancel(parts: Parts, input_: inputs.ApplicationId) -> Record:
    """`application.cancelDeployment`: unlike a self-hosted Dokploy, this one can."""
    await known(parts, input_.application_id)
    if parts.self_hosted_cancel:
        raise bad_request(_ONLY_CLOUD)
    if not parts.engine.cancel(input_.application_id):
        raise bad_request("No deployment of this application is running")
    return {"success": True, "message": CANCEL_REQUESTED}


async def clean_queues(parts: Parts, input_: inputs.ApplicationId) -> Empty:
    """`application.cleanQueues`: what waits leaves no trace; what runs goes on.

    An unknown application has nothing that waits (recorded-2.jsonl, group 217).
    """
    await parts.engine.drop_waiting(input_.application_id)
    return EMPTY


async def kill_build(parts: Parts, input_: inputs.ApplicationId) -> Empty:
    """`application.killBuild`: of this application only, unlike the original."""
    await known(parts, input_.application_id)
    parts.engine.cancel(input_.application_id)
    return EMPTY


async def kill_process(parts: Parts, input_: inputs.DeploymentId) -> bool:
    """`deployment.killProcess`."""
    deployment = await _deployment(parts, input_.deployment_id)
    if not parts.engine.cancel(deployment.application_id, deployment.id):
        raise bad_request("Deployment is not running")
    return True


async def clear(parts: Parts, input_: inputs.ApplicationId) -> bool:
    """`application.clearDeployments`: only the logs go, the records stay (facts.md)."""
    await known(parts, input_.application_id)
    deployments = await parts.history.of(input_.application_id)
    kept = {one.log_path for one in deployments if one.status == "running"}
    await asyncio.to_thread(_clear_logs, parts.places.logs_of(input_.application_id), kept)
    return True


async def remove(parts: Parts, input_: inputs.DeploymentId) -> Record:
    """`deployment.removeDeployment`: a record and its log."""
    deployment = await _deployment(parts, input_.deployment_id)
    if deployment.status == "running":
        raise bad_request("Deployment is running")
    await parts.history.remove(deployment.id)
    await asyncio.to_thread(Path(deployment.log_path).unlink, missing_ok=True)
    return shapes.deployment_one(deployment)


async def all_of(parts: Parts, input_: inputs.ApplicationId) -> list[Record]:
    """`deployment.all`, newest first; an unknown application has none."""
    return [shapes.deployment_one(one) for one in await parts.history.of(input_.application_id)]


async def all_by_type(parts: Parts, input_: inputs.DeploymentsByType) -> list[Record]:
    """`deployment.allByType`; only applications have deployments here."""
    if input_.type != "application":
        return []
    deployments = await parts.history.of(input_.id)
    return [shapes.deployment_one(one) | {"rollback": None} for one in deployments]


async def all_centralized(parts: Parts, _input: inputs.Nothing) -> list[Record]:
    """`deployment.allCentralized`: everything, newest first."""
    deployments = await parts.history.all()
    applications = await _applications(parts, {one.application_id for one in deployments})
    return [
        shapes.deployment_with_application(one, applications[one.application_id])
        for one in deployments
        if one.application_id in applications
    ]


async def queue_list(parts: Parts, _input: inputs.Nothing) -> list[Record]:
    """`deployment.queueList`: what waits and what is active, newest first."""
    jobs = await parts.engine.jobs()
    applications = await _applications(parts, {job.application_id for job in jobs})
    return [
        shapes.job_listed(job, applications[job.application_id])
        for job in reversed(jobs)
        if job.application_id in applications
    ]


async def read_logs(parts: Parts, input_: inputs.ReadLogs) -> str:
    """`deployment.readLogs`: the last lines."""
    deployment = await _deployment(parts, input_.deployment_id)
    return await tail(Path(deployment.log_path), input_.tail)


async def _deployment(parts: Parts, id_: str) -> Deployment:
    deployment = await parts.history.one(id_)
    if deployment is None:
        raise not_found("Deployment")
    return deployment


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
