"""Clearing an app's logs: only while nothing of it is deployed.

The backend deletes the app's whole log folder, the log of a running build included. A build
that fails after that can't write its last line, and its record stays `running` until the backend
restarts (facts.md, "clear, cleanQueues, killBuild").
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.core.errors import Rejected
from bridge.core.lifecycle import Deployment
from bridge.core.watch import App
from bridge.ports.backends import BackendDeployment, Progress, QueuedJob

_HARM = (
    "clearing deletes the app's whole log folder, and a build that fails without its log stays"
    " `running` in the backend until that restarts"
)


@dataclass(frozen=True, slots=True)
class Cleared:
    """What clearing an app's deployments did: their records always stay.

    Attributes:
        removed: ids of the deployments whose logs were there before and are gone now.
        kept: ids of those whose logs are still there.
    """

    removed: tuple[str, ...]
    kept: tuple[str, ...]


def check_nothing_open(
    app: App,
    ours: Sequence[Deployment],
    records: Sequence[BackendDeployment],
    queue: Sequence[QueuedJob] | None,
) -> None:
    """Raise Rejected while a deployment of the app is open, with the remedy.

    Args:
        ours: the bridge's open deployments, of all apps.
        records: the backend's deployments of this app.
        queue: the backend's jobs, of all apps; None where it is too old to tell.
    """
    jobs = [job for job in queue or () if job.app == app.id]
    open_here = [one for one in ours if one.app_id == app.id]
    # What is built has a job: a record that runs without one was never closed, and never will be.
    runs = queue is None and any(one.status is Progress.RUNNING for one in records)
    why = (
        "is being built"
        if runs or any(job.active for job in jobs)
        else "waits in the backend's queue"
        if jobs
        else f"is {open_here[0].state} here"
        if open_here
        else None
    )
    if why is not None:
        raise Rejected(
            f"a deployment of {app.label} {why}; {_HARM}: wait for its end, or cancel it"
            f" (`dokploy-bridge cancel {app.label}`), and clear then"
        )
