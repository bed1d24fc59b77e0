"""How a deployment ends, or why it waits again: by what the backend's record says, or lacks.

Nothing is claimed that the backend does not tell: an end that can't be known is `unknown`, with
what is known about it.
"""

import asyncio
import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from bridge.core.apps import App
from bridge.core.backoff import Backoff
from bridge.core.errors import BridgeError, NotFound
from bridge.core.events import Action
from bridge.core.failure import LOG_LINES, Failure, failure_in, without_a_log
from bridge.core.lifecycle import Cancel, Deployment, State
from bridge.core.tracking import token_of
from bridge.pipeline.polling import BackendPollers
from bridge.ports.backends import Backend, BackendDeployment, Progress
from bridge.ports.clock import Clock, Sleep, Wake
from bridge.ports.journal import Journal


@dataclass(frozen=True, slots=True)
class FollowTiming:
    """How often to look, and how long to wait; all in seconds.

    Attributes:
        look: pauses between looks at a running deployment; they grow while nothing changes.
        adopt: how long to look for a deployment that may have been requested already, since a
            backend may list it late.
        settle: how long after the end to wait for the deployed commit, which comes later.
        lost: how long an accepted deployment may be missing from the backend's lists, if the
            backend can have lost it.
        untold: the same without such a cause, or if the backend does not list its queue.
        unclosed: how long a record may be open while the backend works on nothing of the app.
        long: how long a build may take before that is said.
        retry: pauses between attempts while the backend, or our own journal, is away.
        failures: how often a bug of our own is retried before the outcome is unknown.
    """

    look: Backoff = Backoff(0.25, 2.0, factor=1.3)
    adopt: float = 10.0
    settle: float = 1.5
    lost: float = 10.0
    untold: float = 120.0
    unclosed: float = 30.0
    long: float = 3600.0
    retry: Backoff = Backoff(1.0, 30.0)
    failures: int = 5


log = logging.getLogger(__name__)

MOST_LOST = 2
"""How often a deployment that never began is requested again."""

MOST_INTERRUPTED = 1
"""How often a deployment whose build was interrupted is requested again: that build may be what
brings the backend down."""

CLOSING = "Error occurred ❌"
"""How Dokploy ends the log of each failed deployment."""

RESTARTED = "the backend was restarted while it built"
LOST = "the backend has lost it before it began, as a restart does"


class Ending:
    """Records ends."""

    def __init__(
        self,
        pollers: BackendPollers,
        journal: Journal,
        clock: Clock,
        timing: FollowTiming,
        *,
        changed: Wake = lambda: None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Take the parts; `changed` is called when a deployment has ended."""
        self._pollers = pollers
        self._journal = journal
        self._clock = clock
        self._timing = timing
        self._changed = changed
        self._sleep = sleep

    async def app_of(self, deployment: Deployment) -> App:
        """Return the app of a deployment, also if it is gone from the backend."""
        app = await self._journal.app(deployment.app_id)
        if app is None:
            raise NotFound(f"app {deployment.app_id} is not in the journal")
        return app

    async def end(self, id_: str, state: State, note: str, **facts: object) -> None:
        """Record the end, unless it has ended before."""
        facts.setdefault("finished_at", self._clock())
        self._ended(await self._journal.move(id_, state, note, **facts))

    def _ended(self, moved: Deployment | None) -> None:
        if moved is not None and moved.final:
            fields = {"app": moved.app, "deployment": moved.id, "state": str(moved.state)}
            log.info("deployment ended", extra=fields)
            self._changed()

    # ── with a record ─────────────────────────────────────────────────────

    async def of_record(self, deployment: Deployment, app: App, record: BackendDeployment) -> None:
        """End it as its record has ended."""
        facts = self._facts(deployment, record)
        if record.status is Progress.CANCELLED:
            await self._cancelled(deployment, app, record, facts)
        elif record.status is Progress.ERROR:
            await self._failed(deployment, app, record, facts)
        else:
            record = await self._settled(deployment, app, record)
            facts["deployed_commit"] = record.commit
            note = _what_was_deployed(deployment, record)
            if deployment.cancel is not None:
                note += "; the cancel came too late"
            await self.end(deployment.id, State.DONE, note, **facts)

    async def _cancelled(
        self,
        deployment: Deployment,
        app: App,
        record: BackendDeployment,
        facts: dict[str, object],
    ) -> None:
        """End or repeat a cancelled one: a person did it, or a restart, which sets no end time."""
        if record.finished_at is not None:
            await self.end(deployment.id, State.CANCELLED, "the backend cancelled it", **facts)
            return
        self._pollers.of(app).restarted()
        if deployment.asked_again < MOST_INTERRUPTED:
            await self._take_back(deployment, RESTARTED)
        else:
            await self.end(deployment.id, State.CANCELLED, RESTARTED, **facts)

    async def _failed(
        self,
        deployment: Deployment,
        app: App,
        record: BackendDeployment,
        facts: dict[str, object],
    ) -> None:
        current = await self._journal.deployment(deployment.id)
        if current is not None and current.cancel is Cancel.INTERRUPTED:
            note = "its build was interrupted by the cancel"
            return await self.end(deployment.id, State.CANCELLED, note, **facts)
        why = await self._why_failed(self._backend(app), record)
        facts["log_tail"] = why.excerpt or None
        return await self.end(deployment.id, State.FAILED, why.reason, **facts)

    def _facts(self, deployment: Deployment, record: BackendDeployment) -> dict[str, object]:
        return {
            "backend_id": record.id,
            "started_at": record.started_at or record.created_at,
            "finished_at": self._end_of(deployment, record),
        }

    def _end_of(self, deployment: Deployment, record: BackendDeployment) -> float:
        """Return when it ended by our clock: not after now, and not before it was requested.

        The backend's own clock may be wrong by any amount.
        """
        now = self._clock()
        return max(min(record.finished_at or now, now), deployment.asked_at or 0.0)

    async def _settled(
        self, deployment: Deployment, app: App, record: BackendDeployment
    ) -> BackendDeployment:
        """Return the record with its commit, which comes up to half a second after the end."""
        until = self._clock() + self._timing.settle
        while _will_tell_commit(deployment, app, record) and self._clock() < until:
            await self._sleep(self._timing.look.first)
            records = await _read_again(self._backend(app), app)
            record = next((r for r in records if r.id == record.id), record)
        return record

    async def _why_failed(self, backend: Backend, record: BackendDeployment) -> Failure:
        try:
            log_ = await backend.log_tail(record, LOG_LINES)
        except BridgeError as error:
            words = record.error or f"the build failed; its log can't be read: {error}"
            return await asyncio.to_thread(without_a_log, words)
        # In a thread, since no line that a build prints may block the others.
        return await asyncio.to_thread(failure_in, log_, record.error)

    # ── without a record that tells ───────────────────────────────────────

    async def lost(self, deployment: Deployment) -> None:
        """Have it requested again: it never began, so nothing is built twice."""
        if deployment.asked_again < MOST_LOST:
            await self._take_back(deployment, LOST)
        else:
            times = deployment.asked_again + 1
            await self.untold(deployment, f"the backend has accepted and lost it {times} times")

    async def dropped(self, deployment: Deployment) -> None:
        """End what somebody has removed from the backend's queue; do not request it again."""
        note = (
            "it was taken out of the backend's queue there: the backend was not restarted"
            " meanwhile, so somebody has emptied the queue or removed the app"
        )
        await self.end(deployment.id, State.CANCELLED, note)

    async def untold(self, deployment: Deployment, why: str) -> None:
        """End what was accepted and may have run, if the backend does not tell."""
        await self.end(deployment.id, State.UNKNOWN, f"accepted, outcome unknown: {why}")

    async def unclosed(self, deployment: Deployment, app: App, record: BackendDeployment) -> None:
        """End an open record that the backend no longer works on; only its log may tell more."""
        try:
            tail = await self._backend(app).log_tail(record, LOG_LINES)
        except BridgeError:  # what is known is told without it
            tail = ""
        failure = await asyncio.to_thread(failure_in, tail)
        note = (
            "outcome unknown: the backend says that it builds, but has had no job of this app for"
            f" {self._timing.unclosed:g} s; {_what_the_log_says(tail, failure)}"
        )
        facts = self._facts(deployment, record) | {"finished_at": self._clock()}
        facts["log_tail"] = failure.excerpt or None
        await self.end(deployment.id, State.UNKNOWN, note, **facts)

    async def doubtful(
        self,
        deployment: Deployment,
        records: Sequence[BackendDeployment],
        *,
        certain: bool = False,
    ) -> None:
        """End it by records of which any may be its own: claim only what holds for each.

        Args:
            records: ended since it was requested, newest first.
            certain: it surely ran, so a single record is its own.
        """
        newest = records[0]
        if certain and len(records) == 1:
            return await self.of_record(deployment, await self.app_of(deployment), newest)
        facts: dict[str, object] = {"finished_at": self._end_of(deployment, newest)}
        if len(records) == 1:
            doubt = "the backend does not tell whether this deployment or another one built it"
        else:
            doubt = f"the backend does not tell which of {len(records)} deployments is this one"
        if all(_failed_with(record, deployment.commit) for record in records):
            app = await self.app_of(deployment)
            why = await self._why_failed(self._backend(app), newest)
            facts["log_tail"] = why.excerpt or None
            note = f"{why.reason} ({doubt})"
            return await self.end(deployment.id, State.FAILED, note, **facts)
        if any(record.status is not Progress.DONE for record in records):
            return await self.end(
                deployment.id, State.UNKNOWN, f"outcome unknown: {doubt}", **facts
            )
        same = all(record.commit == newest.commit for record in records)
        commit = newest.commit if same else None
        note = f"commit {(newest.commit or '')[:7]} is live; {doubt}"
        return await self.end(deployment.id, State.DONE, note, deployed_commit=commit, **facts)

    async def _take_back(self, deployment: Deployment, why: str) -> None:
        token = token_of(secrets.token_hex(8))
        self._ended(await self._journal.take_back(deployment.id, token, why))
        log.warning("deployment lost", extra={"deployment": deployment.id, "why": why})

    def _backend(self, app: App) -> Backend:
        return self._pollers.of(app).backend


def _failed_with(record: BackendDeployment, commit: str | None) -> bool:
    return record.status is Progress.ERROR and record.commit == commit


async def _read_again(backend: Backend, app: App) -> list[BackendDeployment]:
    try:
        return await backend.deployments(app)
    except BridgeError:  # it is done all the same; only the commit stays unknown
        return []


def _will_tell_commit(deployment: Deployment, app: App, record: BackendDeployment) -> bool:
    clones = deployment.action is Action.DEPLOY and app.source is not None
    return clones and record.commit is None and bool(app.source and app.source.branch)


def _what_was_deployed(deployment: Deployment, record: BackendDeployment) -> str:
    if deployment.action is Action.REDEPLOY:
        return "rebuilt what was checked out; nothing was fetched"
    if record.commit is None:
        return "the backend does not tell which commit is live"
    if deployment.commit is None or record.commit == deployment.commit:
        return f"commit {record.commit[:7]} is live"
    return (
        f"commit {record.commit[:7]} is live, not {deployment.commit[:7]}:"
        " the branch's head was another when the build began"
    )


def _what_the_log_says(tail: str, failure: Failure) -> str:
    """Return what the log of an open record says of its build (facts.md)."""
    if not tail.strip():
        return "its log is empty, as after it was cleared during the build"
    if "Failed query: update" in tail and "params: done" in tail:
        return "its log says that the build succeeded, and that this could not be recorded"
    if CLOSING in tail:
        return f"its log says that the build failed: {failure.reason}"
    return "its log stops before the end"
