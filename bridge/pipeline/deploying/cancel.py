"""A person's cancel, step by step; the body of a durable flow.

The decision has already ended what waits in the bridge. This flow drops waiting jobs at the backend
and cancels a running build if the backend can. The deployment's history records each step.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field

from bridge.core.apps import App
from bridge.core.backoff import Backoff
from bridge.core.errors import Refused, Unanswered, Unreachable
from bridge.core.lifecycle import OURS, Cancel, Deployment, State, app_of
from bridge.pipeline.deploying.polling import BackendPollers, job_of
from bridge.ports.backends import Backend, KillsBuilds, Progress, QueuedJob
from bridge.ports.clock import Clock, Sleep
from bridge.ports.flows import Steps
from bridge.ports.journal import AppsAndDeployments

log = logging.getLogger(__name__)

PAUSE = 0.5
"""Seconds between two polls, and between two attempts while our own journal is away."""

RETRY = Backoff(PAUSE, 8.0)
"""Pauses between attempts while the backend is away: many cancels may be waiting for it."""

FAILURES = 3
"""How often a bug of our own is retried."""

MOST_OF_A_TITLE = 80
"""Characters of a title that somebody else chose."""

SEEN_WITHIN = 1.5
"""Seconds to look for the record of a dropped job, which may appear a little later."""


@dataclass(frozen=True, slots=True)
class _Meant:
    """What to stop: an app's deployments from before the cancel, or only `only`."""

    app_id: str
    seq: int
    only: str | None = None

    def covers(self, deployment: Deployment) -> bool:
        """Return whether to stop that one; what is live and only verified can't be stopped."""
        older = deployment.app_id == self.app_id and deployment.seq < self.seq
        return older and self.only in (None, deployment.id) and not deployment.served


@dataclass(slots=True)
class _Others:
    """Other people's jobs that a backend drops with ours: it drops all that waits for an app.

    Attributes:
        jobs: those found in any attempt, since the answer to an attempt may be lost.
        listed: whether the backend lists its queue.
        saw_ours: whether our job was listed as well, so the list is up to date.
    """

    jobs: dict[QueuedJob, None] = field(default_factory=dict)
    listed: bool = True
    saw_ours: bool = False

    def add(self, deployment: Deployment, app: App, jobs: Sequence[QueuedJob] | None) -> None:
        """Add the jobs of the queue, as it is just before ours is dropped."""
        self.listed = jobs is not None
        ours = job_of(deployment, jobs)
        self.saw_ours = self.saw_ours or ours is not None
        waiting = (job for job in jobs or () if job.app == app.id and not job.active)
        self.jobs |= dict.fromkeys(job for job in waiting if job is not ours)

    @property
    def titles(self) -> str:
        return ", ".join(job.title[:MOST_OF_A_TITLE] or "(no title)" for job in self.jobs)

    @property
    def note(self) -> str:
        """Return a sentence that names the dropped jobs, where they are known."""
        if self.jobs:
            return f"{DROPPED}, with what others had asked for there: {self.titles}"
        if not self.listed:
            return f"{DROPPED}, with all that waited there for the app: {UNLISTED}"
        return DROPPED


DROPPED = "dropped from the backend's queue"
UNLISTED = "this backend does not list what"


@dataclass(eq=False)
class Canceller:
    """Cancels an app's deployments.

    Attributes:
        may_kill: backends on whose hosts all builds may be interrupted.
        late: seconds within which a backend lists a requested job.
    """

    backends: Mapping[str, Backend]
    journal: AppsAndDeployments
    clock: Clock
    _: KW_ONLY
    may_kill: Container[str] = ()
    late: float = 10.0
    sleep: Sleep = asyncio.sleep
    _pollers: BackendPollers = field(init=False)

    def __post_init__(self) -> None:
        self._pollers = BackendPollers(
            self.backends, self.clock, self.journal.pinned, sleep=self.sleep
        )

    async def run(self, steps: Steps, id_: str) -> None:
        """Run the flow; `id_` holds the cancelling delivery's seq and the app."""
        text, _, app_id = id_.partition(".")
        await self._drop(steps, _Meant(app_id, int(text)))

    async def run_one(self, steps: Steps, id_: str) -> None:
        """Run the flow for one deployment; `id_` holds the cancelling delivery's seq and its id."""
        text, _, one = id_.partition(".")
        await self._drop(steps, _Meant(app_of(one), int(text), one))

    async def _drop(self, steps: Steps, meant: _Meant) -> None:
        await steps.run("drop ours", lambda: self._surely(self._drop_ours, meant))
        await steps.run("drop theirs", lambda: self._surely(self._drop_theirs, meant))

    async def _surely(self, work: Callable[[_Meant], Awaitable[None]], meant: _Meant) -> None:
        """Retry while our own journal is away: a cancel must not get lost.

        A bug of our own must not end it silently either.
        """
        failures = 0
        while failures < FAILURES:
            try:
                await work(meant)
            except Unreachable as error:
                log.warning("cancel waits", extra={"why": str(error)})
            except Exception:  # a bug; report what the cancel could not do, never leave it open
                log.exception("a cancel failed unexpectedly", extra={"app": meant.app_id})
                failures += 1
            else:
                return
            await self.sleep(PAUSE)
        if (deployment := await self._going(meant)) is not None:  # say it where the requester looks
            why = "can't be cancelled: the bridge had an internal error, its log says more"
            await self.journal.say(deployment.id, why)

    async def _drop_ours(self, meant: _Meant) -> None:
        """Cancel waiting deployments, and mark the rest: they are never requested again."""
        await self.journal.cancel(meant.app_id, meant.seq, meant.only)

    async def _drop_theirs(self, meant: _Meant) -> None:
        app = await self.journal.app(meant.app_id)
        others, away = _Others(), 0
        while (deployment := await self._going(meant)) is not None and app is not None:
            if deployment.state in OURS:
                # It is being requested just now. If that fails, it waits here again.
                await self.sleep(PAUSE)
                await self._drop_ours(meant)
                continue
            try:
                await self._cancel(app, deployment, others)
            except Refused as error:
                await self.journal.say(deployment.id, f"can't be cancelled: {error}")
                return
            except (Unreachable, Unanswered) as error:
                away += 1
                await self.journal.say(deployment.id, f"cancel waits: {error}")
                await self.sleep(RETRY.after(away, error))
            else:
                return

    async def _going(self, meant: _Meant) -> Deployment | None:
        """Return the app's oldest open deployment that is meant."""
        for deployment in await self.journal.open_deployments():
            if meant.covers(deployment):
                return deployment
        return None

    async def _cancel(self, app: App, deployment: Deployment, others: _Others) -> None:
        """Remove it from the backend's queue, or cancel its build."""
        poller = self._pollers.of(app)
        backend = poller.backend
        if deployment.state is not State.RUNNING:
            look = await poller.look_now(deployment, app)
            begun = look.record is not None or (look.job is not None and look.job.active)
            if not (begun or look.doubtful):  # else only others' jobs would be dropped
                await self._drop_waiting(backend, app, deployment, others)
        listed = others.saw_ours or deployment.state is not State.ASKED
        shown, ended = await self._shown(app, deployment, listed=listed)
        if ended:
            return  # its follower records how it ended; the running job is somebody else's
        if not shown and deployment.state is not State.RUNNING:
            await self.journal.move(deployment.id, State.CANCELLED, others.note)
            return
        try:
            words = await backend.cancel(app)
        except Refused:
            if app.backend not in self.may_kill or not isinstance(backend, KillsBuilds):
                raise
            words = await self._interrupt(backend, app, deployment)
        await self.journal.say(deployment.id, f"cancel asked for: {words}")

    async def _drop_waiting(
        self, backend: Backend, app: App, deployment: Deployment, others: _Others
    ) -> None:
        """Drop everything that waits for the app.

        Record other people's jobs first, since ours may begin or end meanwhile.
        """
        others.add(deployment, app, await backend.queue())
        if others.jobs:
            note = "the backend is asked to drop all that waits for the app, also what others had"
            await self.journal.say(deployment.id, f"{note} asked for there: {others.titles}")
        await backend.drop_waiting(app)

    async def _interrupt(self, backend: KillsBuilds, app: App, deployment: Deployment) -> str:
        """Interrupt every Docker build on the app's host; return a description of it.

        Record it first, since the build may end before the answer arrives. Note it on the other
        affected builds as well.
        """
        others = await self._also_building(app)
        await self.journal.mark_cancel(deployment.id, Cancel.INTERRUPTED)
        try:
            await backend.kill_build(app)
        except Refused:
            await self.journal.mark_cancel(deployment.id, Cancel.REQUESTED)
            raise
        for other in others:
            note = f"may be interrupted: the cancel of {app.label} stopped the host's Docker builds"
            await self.journal.say(other.id, note)
        if not others:
            return "its Docker build was interrupted; no other one of the bridge's was running"
        labels = ", ".join(sorted({other.app for other in others}))
        return f"every Docker build on its host was interrupted, those of {labels} too"

    async def _also_building(self, app: App) -> list[Deployment]:
        """Return the deployments of other apps of the same backend that are building."""
        return [
            other
            for other in await self.journal.open_deployments()
            if other.state is State.RUNNING
            and other.app_id != app.id
            and (theirs := await self.journal.app(other.app_id)) is not None
            and theirs.backend == app.backend
        ]

    async def _shown(self, app: App, deployment: Deployment, *, listed: bool) -> tuple[bool, bool]:
        """Return whether the backend still has it, as a job or a record, and whether it ended.

        Poll for a while, since a list may lag, and a job that has begun is not dropped.

        Args:
            listed: the backend has shown it before.
        """
        poller = self._pollers.of(app)
        until = self.clock() + SEEN_WITHIN
        if not listed:
            until = max(until, (deployment.asked_at or 0.0) + self.late)
        while True:
            began = self.clock()
            look = await poller.look_now(deployment, app)
            if look.record is not None:
                return True, look.record.status is not Progress.RUNNING
            if look.job is not None:
                return True, False
            if look.doubtful:
                return True, True
            if began >= until:
                return False, False
            await self.sleep(PAUSE)
