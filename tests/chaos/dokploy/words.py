"""The small Dokploy's texts about its jobs, in the real one's words (docs/dokploy.md)."""

from datetime import UTC, datetime
from typing import Any

from tests.chaos.dokploy.jobs import Job

CLOSING = "Error occurred ❌, check the logs for details."
"""The last line of a failed deployment's log."""

FAILURES = {
    "clone": "fatal: Remote branch gone not found in upstream origin",
    "build": 'ERROR: failed to solve: process "/bin/sh -c make" did not complete: exit code: 2',
    "pull": "Error response from daemon: pull access denied for base-image",
}
"""Causes of failures by step; after a failed clone the record keeps its title."""

FAILED_QUERY = 'Failed query: update "deployment" set "status" = $1 params: done,'
"""The log of a build that ended while the database was away."""


def kept_as(job: Job) -> str | None:
    """Return what a build is called to go back to it; None if it did not succeed."""
    return f"r{job.id}" if job.status == "done" else None


def record(job: Job, *, keeps: bool = False) -> dict[str, Any]:
    """A row of `deployment.all`; `errorMessage` is always null."""
    return {
        "deploymentId": job.id,
        "title": job.title,
        "description": job.description,
        "status": job.status,
        "logPath": f"/etc/dokploy/logs/{job.app}/{job.id}.log",
        "applicationId": job.app,
        "createdAt": iso(job.created),
        "startedAt": iso(job.created),
        "finishedAt": job.finished and iso(job.finished),
        "errorMessage": None,
        "rollbackId": kept_as(job) if keeps else None,
    }


def queued(job: Job) -> dict[str, Any]:
    """A row of `deployment.queueList`."""
    return {
        "id": job.id,
        "name": "deployments",
        "data": {
            "applicationId": job.app,
            "titleLog": job.title,
            "descriptionLog": job.description,
            "type": "deploy" if job.clones else "redeploy",
            "applicationType": "application",
        },
        "timestamp": int(job.created * 1000),
        "state": "active" if job.status == "running" else "waiting",
    }


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
