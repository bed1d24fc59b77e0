"""Step 3, its second half: an accepted deployment → its real end.

Writes down every change that the backend shows, and notices what it does not show: a job
that was dropped, a build that a restart has interrupted, one that takes very long.
"""

import asyncio
import logging
from dataclasses import dataclass

from bridge.core import trace
from bridge.core.errors import BridgeError, NotFound, Refused, Unanswered, Unreachable
from bridge.core.events import Action
from bridge.core.lifecycle import Deployment, State
from bridge.core.redaction import redact
from bridge.core.tracking import description_of, title_of, token_after
from bridge.core.watch import App
from bridge.journey.deployment.watching import Look, Sleep, Watching, Watchings
from bridge.ports.backends import Backend, BackendDeployment, Progress
from bridge.ports.clock import Clock, Wake
from bridge.ports.journal import Journal

log = logging.getLogger(__name__)

MOST_OF_A_TAIL = 20_000
"""Characters of a log's end that are read for why a build failed."""

MOST_ASKED = 2
"""How often one is asked for at most: once, and once more where the backend has lost it."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often to look, and how long to wait; all in seconds.

    Attributes:
        look, look_at_most: between two looks at a running deployment; it grows in between.
        adopt: how long to look for a deployment that may have been asked for already,
            since a backend may list it late.
        settle: how long after the end to wait for the deployed commit, which comes later.
        lost: how long the backend may show neither job nor record of an accepted deployment.
        long: how long a build may take before that is said.
        retry, retry_at_most: between two tries while the backend is away; it grows.
        failures: how often a fault of our own is tried again before its outcome is unknown.
        log_lines: of the backend's log that are read when a deployment failed.
    """

    look: float = 0.25
    look_at_most: float = 2.0
    adopt: float = 10.0
    settle: float = 1.5
    lost: float = 120.0
    long: float = 3600.0
    retry: float = 1.0
    retry_at_most: float = 30.0
    failures: int = 5
    log_lines: int = 20


class Follower:
    """Follows deployments to their end."""

    def __init__(
        self,
        watchings: Watchings,
        journal: Journal,
        clock: Clock,
        pace: Pace,
        *,
        changed: Wake = lambda: None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Take the parts; `changed` is called when a deployment has come to an end."""
        self._watchings = watchings
        self._journal = journal
        self._clock = clock
        self._pace = pace
        self._changed = changed
        self._sleep = sleep

    async def follow(self, id_: str) -> None:
        """Watch an accepted deployment to its end, writing down every change."""
        deployment = await self._still_open(id_)
        if deployment is None:
            return
        trace.follow(deployment.delivery)
        app = await self.app_of(deployment)
        try:
            watching = self._watchings.of(app)
        except Refused as error:
            await self.end(id_, State.UNKNOWN, f"accepted, outcome unknown: {error}")
            return
        with watching.following(id_):
            await self._watch(id_, app, watching)

    async def app_of(self, deployment: Deployment) -> App:
        """The app of a deployment, also when it is gone from the backend by now."""
        app = await self._journal.app(deployment.app_id)
        if app is None:
            raise NotFound(f"app {deployment.app_id} is not in the journal")
        return app

    async def end(self, id_: str, state: State, note: str, **facts: object) -> None:
        """Write down the end, if it has not ended before."""
        facts.setdefault("finished_at", self._clock())
        moved = await self._journal.move(id_, state, note, **facts)
        if moved is not None:
            log.info(
                "deployment ended", extra={"app": moved.app, "deployment": id_, "state": str(state)}
            )
            self._changed()

    # ── watching ──────────────────────────────────────────────────────────

    async def _watch(self, id_: str, app: App, watching: Watching) -> None:
        seen_at = self._clock()
        pause = self._pace.look
        while (deployment := await self._still_open(id_)) is not None:
            if deployment.state is State.WAITING:
                return  # that it was accepted has been lost: see `Deployer.follow`
            try:
                seen = await watching.look(deployment, app)
            except Refused as error:
                await self.end(id_, State.UNKNOWN, f"accepted, outcome unknown: {error}")
                return
            except BridgeError as error:
                seen_at = self._clock()  # nobody can say that it was not there
                await self._journal.say(id_, f"{error}; it is watched as soon as that ends")
                await self._sleep(pause)
                pause = min(pause * 2, self._pace.retry_at_most)
                continue
            moved = await self._show(watching, deployment, app, seen)
            if seen != (None, None):
                seen_at = self._clock()
            elif self._clock() - seen_at > self._pace.lost:
                await self._lost(watching, deployment, app)
                seen_at = self._clock()
            pause = self._pace.look if moved else min(pause * 1.3, self._pace.look_at_most)
            await self._sleep(pause)

    async def _still_open(self, id_: str) -> Deployment | None:
        deployment = await self._journal.deployment(id_)
        return None if deployment is None or deployment.final else deployment

    async def _show(self, watching: Watching, deployment: Deployment, app: App, seen: Look) -> bool:
        """Write down where it stands; True when that is news."""
        record, job = seen
        if record is None:
            if job is None or job.active:
                return False
            note = "waits in the backend's queue"
            return await self._journal.move(deployment.id, State.QUEUED, note) is not None
        if record.status is Progress.RUNNING:
            return await self._running(deployment, record)
        await self._ended(watching, deployment, app, record)
        return True

    async def _running(self, deployment: Deployment, record: BackendDeployment) -> bool:
        began = record.started_at or record.created_at
        facts = {"backend_id": record.id, "started_at": began}
        moved = await self._journal.move(deployment.id, State.RUNNING, "builds", **facts)
        if moved is None and self._clock() - began > self._pace.long:
            note = f"has been building for more than {self._pace.long / 60:.0f} minutes"
            await self._journal.say(deployment.id, note)
        return moved is not None

    # ── ends ──────────────────────────────────────────────────────────────

    async def _ended(
        self, watching: Watching, deployment: Deployment, app: App, record: BackendDeployment
    ) -> None:
        facts = {
            "backend_id": record.id,
            "started_at": record.started_at or record.created_at,
            "finished_at": record.finished_at or self._clock(),
        }
        if record.status is Progress.CANCELLED:
            await self._cancelled(watching, deployment, app, record, facts)
        elif record.status is Progress.ERROR:
            note = await self._why_failed(watching.backend, record)
            await self.end(deployment.id, State.FAILED, note, **facts)
        else:
            record = await self._settled(watching.backend, deployment, app, record)
            facts["deployed_commit"] = record.commit
            await self.end(
                deployment.id, State.DONE, _what_was_deployed(deployment, record), **facts
            )

    async def _cancelled(
        self,
        watching: Watching,
        deployment: Deployment,
        app: App,
        record: BackendDeployment,
        facts: dict[str, object],
    ) -> None:
        """By a person, or by a restart of the backend, which gives it no time of its end."""
        restarted = record.finished_at is None
        why = (
            "the backend was restarted while it built" if restarted else "the backend cancelled it"
        )
        if not restarted or not await self._asked_again(watching, deployment, app, why):
            await self.end(deployment.id, State.CANCELLED, why, **facts)

    async def _lost(self, watching: Watching, deployment: Deployment, app: App) -> None:
        """The backend shows no sign of it: ask again where that is safe, else say so."""
        why = (
            f"for {self._pace.lost:.0f} s the backend has shown neither a waiting job nor a"
            " deployment of it"
        )
        # Where it lists what waits, what it does not list is not there, so asking is safe.
        safe = await watching.tells_queue()
        if not safe or not await self._asked_again(watching, deployment, app, why):
            await self.end(deployment.id, State.UNKNOWN, f"accepted, outcome unknown: {why}")

    async def _asked_again(
        self, watching: Watching, deployment: Deployment, app: App, why: str
    ) -> bool:
        """Ask once more; False when that was done before. Written down first, as at first."""
        changes = await self._journal.changes(deployment.id)
        if sum(change.state is State.ASKED for change in changes) >= MOST_ASKED:
            return False
        try:
            known = [record.id for record in await watching.backend.deployments(app)]
        except BridgeError:
            return True  # away just now: what is the matter shows when it is back
        again = await self._journal.ask_again(
            deployment.id, known, token_after(deployment.token), f"{why}; asked again"
        )
        if again is not None:
            log.warning("asked again", extra={"deployment": deployment.id, "why": why})
            await self._send_surely(watching.backend, again, app)
        return True

    async def _send_surely(self, backend: Backend, deployment: Deployment, app: App) -> None:
        pause = self._pace.retry
        while await self._still_open(deployment.id) is not None:  # it may be cancelled meanwhile
            try:
                return await send(backend, deployment, app)
            except Unreachable as error:  # nothing was asked, so asking again is safe
                await self._journal.say(deployment.id, f"waits for the backend: {error}")
                await self._sleep(error.retry_after or pause)
                pause = min(pause * 2, self._pace.retry_at_most)
            except Unanswered as error:
                return await self._journal.say(deployment.id, f"{error}; looking for it")
            except Refused as error:
                return await self.end(deployment.id, State.FAILED, f"refused by {error}")
        return None

    async def _settled(
        self, backend: Backend, deployment: Deployment, app: App, record: BackendDeployment
    ) -> BackendDeployment:
        """The record with its commit, which comes up to half a second after the end."""
        until = self._clock() + self._pace.settle
        while _will_tell_commit(deployment, app, record) and self._clock() < until:
            await self._sleep(self._pace.look)
            records = await _read_again(backend, app)
            record = next((r for r in records if r.id == record.id), record)
        return record

    async def _why_failed(self, backend: Backend, record: BackendDeployment) -> str:
        if record.error:
            return redact(record.error)[:500]
        try:
            tail = await backend.log_tail(record, self._pace.log_lines)
        except BridgeError:
            tail = ""
        tail = redact(tail[-MOST_OF_A_TAIL:])
        lines = [line.strip() for line in tail.splitlines() if line.strip()]
        return lines[-1][:500] if lines else "the build failed; the backend's log says why"


async def send(backend: Backend, deployment: Deployment, app: App) -> None:
    """Ask the backend for a deployment, with the token by which we find it again."""
    ask = backend.redeploy if deployment.action is Action.REDEPLOY else backend.deploy
    await ask(app, title=title_of(deployment), description=description_of(deployment))


async def _read_again(backend: Backend, app: App) -> list[BackendDeployment]:
    try:
        return await backend.deployments(app)
    except BridgeError:  # it is done all the same; only the commit stays untold
        return []


def _will_tell_commit(deployment: Deployment, app: App, record: BackendDeployment) -> bool:
    clones = deployment.action is Action.DEPLOY and app.source is not None
    return clones and record.commit is None and bool(app.source and app.source.branch)


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
