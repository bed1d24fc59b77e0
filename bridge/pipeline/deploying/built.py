"""What a deployment has built, as far as the backend's records and logs show it."""

import asyncio
from dataclasses import dataclass
from itertools import dropwhile

from bridge.core.apps import App
from bridge.core.errors import BridgeError
from bridge.core.events import Action
from bridge.core.failure import Failure, failure_in, without_a_log
from bridge.core.lifecycle import Deployment, NoteKind, live_image
from bridge.core.masking import NOTHING, Mask
from bridge.core.tracking import EndInLog, end_in
from bridge.ports.backends import Backend, BackendDeployment, Progress
from bridge.ports.deployments import Deployments


def will_tell_commit(deployment: Deployment, app: App, record: BackendDeployment) -> bool:
    """Return whether the record of a deployment that is done will name its commit soon."""
    clones = deployment.action is not Action.REDEPLOY and app.source is not None
    return clones and record.commit is None and bool(app.source and app.source.branch)


async def built(
    deployment: Deployment,
    app: App,
    record: BackendDeployment,
    backend: Backend,
    journal: Deployments,
) -> str | None:
    """Return the commit that was built; None if it is not known.

    A redeploy fetches nothing, so it builds what the record before it has left checked out. That
    one has to be done: another may have failed before it had fetched anything. If it names no
    commit, it may be of another redeploy, whose commit the journal has.
    """
    if deployment.action is not Action.REDEPLOY or record.commit is not None:
        return record.commit
    try:
        records = await backend.deployments(app)
    except BridgeError:
        return None
    older = dropwhile(lambda one: one.id != record.id, records)
    before = next((one for one in older if one.id != record.id), None)
    if before is None or before.status is not Progress.DONE:
        return None
    if before.commit is not None:
        return before.commit
    ours = await journal.deployment((await journal.pinned(app.id)).get(before.id, ""))
    return ours.deployed_commit if ours is not None else None


def what_was_built(
    deployment: Deployment, record: BackendDeployment
) -> tuple[str, NoteKind | None]:
    """Return the note on which version a deployment has brought live, and its kind."""
    if deployment.image is not None and record.commit is None:
        return live_image(deployment.image), NoteKind.LIVE
    if deployment.action is Action.REDEPLOY:
        return "rebuilt what was checked out; nothing was fetched", None
    if record.commit is None:
        return "the backend does not say which commit is live", NoteKind.UNTOLD
    if deployment.head not in (None, record.commit):
        live, passed = record.commit[:7], deployment.head[:7]
        note = (
            f"commit {live} is live, but {passed} is what had passed the gates: the branch's head"
            f" moved before the backend cloned it. Check {live}, or deploy again"
        )
        return note, NoteKind.LIVE
    if deployment.commit is None or record.commit == deployment.commit:
        return f"commit {record.commit[:7]} is live", NoteKind.LIVE
    note = (
        f"commit {record.commit[:7]} is live, not {deployment.commit[:7]}:"
        " the branch's head was a different commit when the build began"
    )
    return note, NoteKind.LIVE


# ── how a build has ended, by its log ─────────────────────────────────────────────────────────────

Tail = str | BridgeError
"""The end of a log, or why it can't be read."""


UNREAD = "can't be read, so they can't be hidden"


@dataclass(frozen=True, slots=True)
class BuildLog:
    """The end of a build's log.

    Attributes:
        mask: hides the values of the app's variables, or why they can't be read. Then nothing of
            the log is shown, as it may hold them.
    """

    tail: Tail
    mask: Mask | BridgeError = NOTHING


async def why_failed(log: BuildLog, record: BackendDeployment) -> Failure:
    """Return why a build has failed; in a thread, as no output may block the event loop."""
    if isinstance(log.mask, BridgeError):
        words = (
            f"the build failed; its log may hold values of variables, which {UNREAD}: {log.mask}"
        )
        return await asyncio.to_thread(without_a_log, words)
    if isinstance(log.tail, BridgeError):
        words = record.error or f"the build failed; its log can't be read: {log.tail}"
        return await asyncio.to_thread(without_a_log, words, log.mask)
    return await asyncio.to_thread(failure_in, log.tail, record.error, log.mask)


def end_by_log(tail: Tail, failure: Failure) -> EndInLog:
    """Return how a build has ended by its log; one that can't be read says nothing else."""
    if isinstance(tail, BridgeError):
        return EndInLog(True, f"its log can't be read: {tail}")
    return end_in(tail, failure)
