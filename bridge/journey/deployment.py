"""Step 3: one deployment: ask → follow → end. The body of a durable flow.

A step that was under way when the process died runs again, so each of them first looks at
what is so already: in the journal, then at the backend (adopt before create).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from bridge.core.errors import BridgeError, NotFound, Refused, Unanswered, Unreachable
from bridge.core.events import Action
from bridge.core.lifecycle import Deployment, State
from bridge.core.tracking import Seen, description_of, marked, ours, title_of
from bridge.core.watch import App
from bridge.ports import (
    Backend,
    BackendDeployment,
    Clock,
    Journal,
    Progress,
    QueuedJob,
    Steps,
    Wake,
)

log = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Pace:
    """How often to look, and how long to wait; all in seconds.

    Attributes:
        look, look_at_most: between two looks at a running deployment; it grows in between.
        adopt: how long to look for a deployment that may have been asked for already,
            since a backend may list it late.
        settle: how long after the end to wait for the deployed commit, which comes later.
        lost: how long the backend may show neither job nor record of an accepted
            deployment before its outcome is called unknown.
        retry, retry_at_most: between two tries while the backend is away; it grows.
        failures: how often a fault of our own is tried again before its outcome is unknown.
        log_lines: of the backend's log that are read when a deployment failed.
    """

    look: float = 0.25
    look_at_most: float = 2.0
    adopt: float = 10.0
    settle: float = 1.5
    lost: float = 120.0
    retry: float = 1.0
    retry_at_most: float = 30.0
    failures: int = 5
    log_lines: int = 20


@dataclass(slots=True)
class _Attempt:
    """How the asking goes.

    Attributes:
        may_be_there: it may have been asked already, so look before asking. True at first,
            because an intent found in the journal may be from before a crash, or from before
            the journal itself could not be written.
    """

    pause: float
    may_be_there: bool = True
    unanswered: int = 0


class Deployer:
    """Brings deployments to their end."""

    def __init__(
        self,
        backends: Mapping[str, Backend],
        journal: Journal,
        clock: Clock,
        pace: Pace | None = None,
        *,
        changed: Wake = lambda: None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Take the parts; `changed` is called when a deployment has come to an end."""
        self._backends = backends
        self._journal = journal
        self._clock = clock
        self._pace = pace or Pace()
        self._changed = changed
        self._sleep = sleep

    async def run(self, steps: Steps, id_: str) -> None:
        """The flow: what is asked stays asked, whatever happens in between."""
        await steps.run("ask", lambda: self._surely(self.ask, id_))
        await steps.run("follow", lambda: self._surely(self.follow, id_))

    async def _surely(self, work: Callable[[str], Awaitable[None]], id_: str) -> None:
        """Do it again where it fails: each try starts from what the journal and backend show."""
        failures, done = 0, False
        while not done:
            try:
                await work(id_)
                done = True
            except Unreachable as error:  # our own journal: it comes back, or all is lost anyway
                log.warning("deployment waits", extra={"deployment": id_, "why": str(error)})
            except Exception as error:
                log.exception("deployment failed inside", extra={"deployment": id_})
                failures += 1
                if failures >= self._pace.failures:
                    note = f"outcome unknown: the bridge failed inside ({type(error).__name__})"
                    await self._end(id_, State.UNKNOWN, note)
                    return
            if not done:
                await self._sleep(self._pace.retry)

    # ── ask ───────────────────────────────────────────────────────────────

    async def ask(self, id_: str) -> None:
        """Have the backend accept it, once; returns when it has, or when there is no need."""
        attempt = _Attempt(pause=self._pace.retry)
        while (deployment := await self._still_waiting(id_)) is not None:
            try:
                if await self._ask_once(deployment, attempt):
                    return
            except Unreachable as error:
                await self._wait_for_backend(id_, error, attempt)
            except Unanswered as error:
                attempt.unanswered += 1
                attempt.may_be_there = True
                await self._journal.say(id_, f"{error}; looking whether it arrived")
            except Refused as error:
                if attempt.may_be_there:
                    await self._end(id_, State.UNKNOWN, f"maybe asked, outcome unknown: {error}")
                else:
                    await self._end(id_, State.FAILED, f"refused by {error}")

    async def _ask_once(self, deployment: Deployment, attempt: "_Attempt") -> bool:
        """One move towards "accepted"; True when there is no more to do."""
        app = await self._app(deployment)
        if deployment.intent_at is None:
            attempt.may_be_there = False
            await self._intend(deployment, app)
            return False
        if attempt.may_be_there and await self._adopted(deployment, app):
            return True
        if attempt.unanswered > 1:
            await self._give_up(deployment.id)
        else:
            attempt.may_be_there = attempt.unanswered > 0
            await self._ask_now(deployment, app, attempt)
        return True

    async def _wait_for_backend(self, id_: str, error: Unreachable, attempt: "_Attempt") -> None:
        if not attempt.may_be_there:
            # Nothing was asked, so a newer push may take this one's place meanwhile.
            await self._journal.withdraw(id_)
        await self._journal.say(id_, f"waits for the backend: {error}")
        await self._sleep(error.retry_after or attempt.pause)
        attempt.pause = min(attempt.pause * 2, self._pace.retry_at_most)

    async def _still_waiting(self, id_: str) -> Deployment | None:
        deployment = await self._journal.deployment(id_)
        waiting = deployment is not None and deployment.state is State.WAITING
        return deployment if waiting else None

    async def _intend(self, deployment: Deployment, app: App) -> None:
        """Write down that we are about to ask, and what was there before."""
        records = await self._backend(app).deployments(app)
        await self._journal.intend(deployment.id, [record.id for record in records])

    async def _ask_now(self, deployment: Deployment, app: App, attempt: "_Attempt") -> None:
        backend = self._backend(app)
        send = backend.redeploy if deployment.action is Action.REDEPLOY else backend.deploy
        before, attempt.may_be_there = attempt.may_be_there, True
        try:
            await send(app, title=title_of(deployment), description=description_of(deployment))
        except (Unreachable, Refused):
            attempt.may_be_there = before
            raise
        # Should the journal be away now, then what is asked stays asked: it is looked for.
        await self._journal.move(
            deployment.id, State.ASKED, "the backend accepted it", asked_at=self._clock()
        )

    async def _adopted(self, deployment: Deployment, app: App) -> bool:
        """Whether the backend has it already; looks for a while, since lists may be late."""
        until = self._clock() + self._pace.adopt
        while True:
            record, job = await self._look(deployment, app)
            if record is not None or job is not None:
                note = "the backend had accepted it already"
                await self._journal.move(deployment.id, State.ASKED, note, asked_at=self._clock())
                return True
            if self._clock() >= until:
                return False
            await self._sleep(self._pace.look)

    async def _give_up(self, id_: str) -> None:
        await self._end(
            id_,
            State.UNKNOWN,
            "the backend was asked twice and never answered; it shows no such deployment",
        )

    # ── follow ────────────────────────────────────────────────────────────

    async def follow(self, id_: str) -> None:
        """Watch an accepted deployment to its end, writing down every change."""
        seen_at = self._clock()
        pause = self._pace.look
        while (deployment := await self._still_open(id_)) is not None:
            app = await self._app(deployment)
            try:
                record, job = await self._look(deployment, app)
            except Refused as error:
                await self._end(id_, State.UNKNOWN, f"accepted, outcome unknown: {error}")
                return
            except BridgeError as error:
                seen_at = self._clock()  # nobody can say that it was not there
                await self._journal.say(id_, f"{error}; it is watched as soon as that ends")
                await self._sleep(pause)
                pause = min(pause * 2, self._pace.retry_at_most)
                continue
            moved = await self._show(deployment, app, record, job)
            if record is not None or job is not None:
                seen_at = self._clock()
            elif self._clock() - seen_at > self._pace.lost:
                await self._lost(id_)
                return
            pause = self._pace.look if moved else min(pause * 1.3, self._pace.look_at_most)
            await self._sleep(pause)

    async def _still_open(self, id_: str) -> Deployment | None:
        deployment = await self._journal.deployment(id_)
        return None if deployment is None or deployment.final else deployment

    async def _show(
        self,
        deployment: Deployment,
        app: App,
        record: BackendDeployment | None,
        job: QueuedJob | None,
    ) -> bool:
        """Write down where it stands; True when that is news."""
        if record is None:
            if job is None or job.active:
                return False
            note = "waits in the backend's queue"
            return await self._journal.move(deployment.id, State.QUEUED, note) is not None
        if record.status is Progress.RUNNING:
            return await self._running(deployment, record)
        await self._ended(deployment, app, record)
        return True

    async def _running(self, deployment: Deployment, record: BackendDeployment) -> bool:
        facts = {"backend_id": record.id, "started_at": record.started_at or record.created_at}
        moved = await self._journal.move(deployment.id, State.RUNNING, "builds", **facts)
        return moved is not None

    async def _ended(self, deployment: Deployment, app: App, record: BackendDeployment) -> None:
        facts = {
            "backend_id": record.id,
            "started_at": record.started_at or record.created_at,
            "finished_at": record.finished_at or self._clock(),
        }
        if record.status is Progress.CANCELLED:
            note = "the backend cancelled it"
            await self._end(deployment.id, State.CANCELLED, note, **facts)
        elif record.status is Progress.ERROR:
            note = await self._why_failed(app, record)
            await self._end(deployment.id, State.FAILED, note, **facts)
        else:
            record = await self._settled(deployment, app, record)
            note = _what_was_deployed(deployment, record)
            facts["deployed_commit"] = record.commit
            await self._end(deployment.id, State.DONE, note, **facts)

    async def _settled(
        self, deployment: Deployment, app: App, record: BackendDeployment
    ) -> BackendDeployment:
        """The record with its commit, which comes up to half a second after the end."""
        until = self._clock() + self._pace.settle
        while self._tells_commit(deployment, app, record) and self._clock() < until:
            await self._sleep(self._pace.look)
            records = await self._read_again(app)
            record = next((r for r in records if r.id == record.id), record)
        return record

    def _tells_commit(self, deployment: Deployment, app: App, record: BackendDeployment) -> bool:
        clones = deployment.action is Action.DEPLOY and app.source is not None
        return clones and record.commit is None and bool(app.source and app.source.branch)

    async def _read_again(self, app: App) -> list[BackendDeployment]:
        try:
            return await self._backend(app).deployments(app)
        except BridgeError:  # it is done all the same; only the commit stays untold
            return []

    async def _why_failed(self, app: App, record: BackendDeployment) -> str:
        if record.error:
            return record.error[:500]
        try:
            tail = await self._backend(app).log_tail(record, self._pace.log_lines)
        except BridgeError:
            tail = ""
        lines = [line.strip() for line in tail.splitlines() if line.strip()]
        return lines[-1][:500] if lines else "the build failed; the backend's log says why"

    async def _lost(self, id_: str) -> None:
        note = (
            f"accepted, outcome unknown: for {self._pace.lost:.0f} s the backend has shown"
            " neither a waiting job nor a deployment of it"
        )
        await self._end(id_, State.UNKNOWN, note)

    # ── both ──────────────────────────────────────────────────────────────

    async def _look(
        self, deployment: Deployment, app: App
    ) -> tuple[BackendDeployment | None, QueuedJob | None]:
        return await look(self._backend(app), app, deployment)

    async def _end(self, id_: str, state: State, note: str, **facts: object) -> None:
        facts.setdefault("finished_at", self._clock())
        moved = await self._journal.move(id_, state, note, **facts)
        if moved is not None:
            log.info("deployment ended", extra={"deployment": id_, "state": str(state)})
            self._changed()

    async def _app(self, deployment: Deployment) -> App:
        app = await self._journal.app(deployment.app_id)
        if app is None:
            raise NotFound(f"app {deployment.app_id} is not in the journal")
        return app

    def _backend(self, app: App) -> Backend:
        try:
            return self._backends[app.backend]
        except KeyError:
            why = f"no backend {app.backend!r} is configured any more"
            raise Refused(app.backend, why) from None


async def look(
    backend: Backend, app: App, deployment: Deployment
) -> tuple[BackendDeployment | None, QueuedJob | None]:
    """Our record or our waiting job, as far as the backend shows them."""
    records = await backend.deployments(app)
    found = ours(deployment, [_seen(record) for record in records])
    if found is None or not marked(deployment, found):
        job = _job(deployment, await backend.queue())
        if found is None or job is not None:  # what still waits or runs has not ended
            return None, job
    return next(record for record in records if record.id == found.id), None


def _seen(record: BackendDeployment) -> Seen:
    return Seen(
        id=record.id,
        text=f"{record.title} {record.description}",
        running=record.status is Progress.RUNNING,
        commit=record.commit,
        created_at=record.created_at,
    )


def _job(deployment: Deployment, jobs: Sequence[QueuedJob] | None) -> QueuedJob | None:
    for job in jobs or ():
        if deployment.token in job.title or deployment.token in job.description:
            return job
    return None


def _what_was_deployed(deployment: Deployment, record: BackendDeployment) -> str:
    if deployment.action is Action.REDEPLOY:
        return "rebuilt what was checked out; nothing was fetched"
    if record.commit is None:
        return "done; the backend does not tell which commit"
    if deployment.commit is None or record.commit == deployment.commit:
        return f"commit {record.commit[:7]} is live"
    return (
        f"commit {record.commit[:7]} is live, not {deployment.commit[:7]}:"
        " the branch's head was another when the build began"
    )
