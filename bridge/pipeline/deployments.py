"""Step 3: one deployment: request → follow → end. The body of a durable flow.

A step that was running when the process died runs again. Each step therefore first checks what
exists: in the journal, then at the backend (adopt before create).
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from bridge.core import trace
from bridge.core.apps import App
from bridge.core.errors import BridgeError, Refused, Unanswered, Unreachable
from bridge.core.events import Action
from bridge.core.lifecycle import LOSABLE, Deployment, State, app_of
from bridge.core.tracking import Sight, Timing, Verdict, description_of, marked, title_of, verdict
from bridge.pipeline.outcome import Ending, FollowTiming
from bridge.pipeline.polling import BackendPoller, BackendPollers, Look, Troubled, seen
from bridge.ports.backends import Backend, BackendDeployment, Progress
from bridge.ports.clock import Clock, Sleep, Wake
from bridge.ports.flows import Steps
from bridge.ports.journal import JOURNAL, Journal

T = TypeVar("T")

log = logging.getLogger(__name__)

GONE = 404
"""A backend's status for an app that it does not have, or no longer has."""

ADOPTED = "the backend had accepted it already"


@dataclass(slots=True)
class _Attempt:
    """The state of one request.

    Attributes:
        may_be_there: it may have been made already, so look before requesting. True at first,
            because an intent in the journal may date from before a crash or a failed write.
        unanswered: how many requests got no clear answer.
        answer: what came instead, the last time.
    """

    may_be_there: bool = True
    away: int = 0
    unanswered: int = 0
    answer: str = ""


class Asker:
    """Requests deployments from backends, each once."""

    def __init__(
        self,
        pollers: BackendPollers,
        journal: Journal,
        ending: Ending,
        clock: Clock,
        timing: FollowTiming,
        *,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._pollers = pollers
        self._journal = journal
        self._ending = ending
        self._clock = clock
        self._timing = timing
        self._sleep = sleep

    async def ask(self, id_: str) -> None:
        """Have the backend accept it, once; return when it has, or when there is no need."""
        attempt = _Attempt()
        while (deployment := await self._still_waiting(id_)) is not None:
            try:
                await self._ask_once(deployment, attempt)
            except Unreachable as error:
                if error.service == JOURNAL:  # the workflow engine's database, not the backend
                    raise
                await self._wait_for_backend(id_, error, attempt)
            except Unanswered as error:
                again = _again(deployment, attempt)
                attempt.unanswered, attempt.answer = attempt.unanswered + 1, str(error)
                attempt.may_be_there = True
                await self._journal.say(id_, f"{again}{error}; looking whether it arrived")
            except Refused as error:
                if error.status == GONE:
                    self._pollers.troubled(error.service)
                if attempt.may_be_there or deployment.maybe_asked:
                    note = f"maybe asked, outcome unknown: {error}"
                    await self._ending.end(id_, State.UNKNOWN, note)
                else:
                    await self._ending.end(id_, State.FAILED, f"refused by {error}")

    async def _still_waiting(self, id_: str) -> Deployment | None:
        deployment = await self._journal.deployment(id_)
        if deployment is None or deployment.state is not State.WAITING:
            return None
        trace.follow(deployment.delivery)
        return deployment

    async def _ask_once(self, deployment: Deployment, attempt: _Attempt) -> None:
        """Take one step: record the intent, look for an earlier request, or request."""
        app = await self._ending.app(deployment.app_id)
        if deployment.intent_at is None:
            attempt.may_be_there = False
            await self._intend(deployment, app)
        elif attempt.may_be_there:
            await self._look_for_it(deployment, app, attempt)
        elif deployment.cancel is not None:  # decided since the intent
            await self._journal.withdraw(deployment.id)
        else:
            await self._ask_now(deployment, app, attempt)

    async def _intend(self, deployment: Deployment, app: App) -> None:
        """Record that a request is about to be made, and which records existed before.

        A record with our token shows that the journal lacks an earlier request, as after a restore.
        """
        records, _ = await asyncio.gather(
            self._backend(app).deployments(app), self._pollers.of(app).begin_to_watch()
        )
        ours = next((one for one in records if marked(deployment, seen(one))), None)
        if ours is not None:
            began = self._pollers.of(app).by_our_clock(ours.created_at)
            await self._accepted(deployment.id, ADOPTED, min(self._clock(), began))
        else:
            await self._journal.intend(deployment.id, [record.id for record in records])

    async def _ask_now(self, deployment: Deployment, app: App, attempt: _Attempt) -> None:
        attempt.may_be_there, at = True, self._clock()
        try:
            await _send(self._backend(app), deployment, app)
        except (Unreachable, Refused):
            attempt.may_be_there = False
            raise
        log.info("deployment asked for", extra={"app": deployment.app, "deployment": deployment.id})
        # The answer may arrive after the build has ended.
        note = f"{_again(deployment, attempt)}the backend accepted it"
        await self._accepted(deployment.id, note, at)

    async def _accepted(self, id_: str, note: str, at: float) -> None:
        """Record that the backend has accepted it at `at`, however long the journal is away.

        This must not be lost: a later step might not find it, and would request it again.
        """
        while True:
            try:
                await self._journal.move(id_, State.ASKED, note, asked_at=at)
            except Unreachable as error:
                log.warning("deployment waits", extra={"deployment": id_, "why": str(error)})
                await self._sleep(self._timing.retry.first)
            else:
                return

    # ── what may have been requested already ─────────────────────────────

    async def _look_for_it(self, deployment: Deployment, app: App, attempt: _Attempt) -> None:
        """Adopt what the backend has; if it has nothing, wait for a turn again."""
        look = await self._found(deployment, app)
        if look.present:
            # It may have ended already, so the request's time is the intent's, not the present.
            await self._accepted(deployment.id, ADOPTED, deployment.intent_at or self._clock())
        elif look.doubtful:
            await self._ending.doubtful(deployment, look.doubtful)
        elif attempt.unanswered and not await self._may_ask_again(deployment, app, attempt):
            return
        else:
            # The backend does not have it: a cancel or a newer push may still come first.
            await self._journal.withdraw(deployment.id, maybe_asked=True)

    async def _found(self, deployment: Deployment, app: App) -> Look:
        """Poll for a while, since lists may lag; stop at a record that is surely ours."""
        poller = self._pollers.of(app)
        until = self._clock() + self._timing.adopt
        while True:
            began = self._clock()
            look = await poller.look_now(deployment, app)
            if look.present or began >= until:
                return look
            await self._sleep(self._timing.look.first)

    async def _may_ask_again(self, deployment: Deployment, app: App, attempt: _Attempt) -> bool:
        """Decide whether to request once more, after no answer and without a trace."""
        if attempt.unanswered > 1:
            why = "the backend was asked twice and shows no such deployment"
        elif not await self._pollers.of(app).tells_queue():
            why = "maybe asked, and the backend lists no queue"
        else:
            note = f"for {self._timing.adopt:g} s the backend has shown no sign of it"
            await self._journal.say(deployment.id, note)
            return True
        note = f"outcome unknown: {why}; {attempt.answer}"
        await self._ending.end(deployment.id, State.UNKNOWN, note)
        return False

    async def _wait_for_backend(self, id_: str, error: Unreachable, attempt: _Attempt) -> None:
        if not attempt.may_be_there:
            # Nothing was requested, so a newer push may supersede this one meanwhile.
            await self._journal.withdraw(id_)
        self._pollers.troubled(error.service)
        await self._journal.say(id_, f"waits for the backend: {error}")
        attempt.away += 1
        await self._sleep(self._timing.retry.after(attempt.away, error))

    def _backend(self, app: App) -> Backend:
        return self._pollers.of(app).backend


def _again(deployment: Deployment, attempt: _Attempt) -> str:
    """Return the beginning of the note on a sent request, if it was not the first."""
    return "asked again; " if deployment.asked_again or attempt.unanswered else ""


async def _send(backend: Backend, deployment: Deployment, app: App) -> None:
    """Request the deployment, with the token that identifies it."""
    ask = backend.redeploy if deployment.action is Action.REDEPLOY else backend.deploy
    await ask(app, title=title_of(deployment), description=description_of(deployment))


# ── following ────────────────────────────────────────────────────────────────────────────────────

BACK = {
    State.ASKED: "the backend answers again and shows no sign of it yet",
    State.QUEUED: "the backend answers again",
    State.RUNNING: "the backend answers again",
}
"""The note when a trouble is over; the backend's state follows it."""


class Follower:
    """Follows deployments while they are with the backend."""

    def __init__(
        self,
        pollers: BackendPollers,
        journal: Journal,
        ending: Ending,
        clock: Clock,
        timing: FollowTiming,
        *,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._pollers = pollers
        self._journal = journal
        self._ending = ending
        self._clock = clock
        self._timing = timing
        self._tracking = Timing(timing.lost, timing.untold, timing.unclosed)
        self._sleep = sleep

    async def follow(self, id_: str) -> None:
        """Follow an accepted deployment until it ends or goes back to waiting."""
        deployment = await self._with_backend(id_)
        if deployment is None:
            return
        trace.follow(deployment.delivery)
        app = await self._ending.app(deployment.app_id)
        try:
            poller = self._pollers.of(app)
        except Refused as error:
            await self._ending.untold(deployment, str(error))
            return
        with poller.following(id_):
            await self._watch(id_, app, poller)

    async def _with_backend(self, id_: str) -> Deployment | None:
        """Return the deployment while the backend has it, as far as we know."""
        deployment = await self._journal.deployment(id_)
        return deployment if deployment is not None and deployment.state in LOSABLE else None

    async def _watch(self, id_: str, app: App, poller: BackendPoller) -> None:
        sight = Sight(since=self._clock())
        quiet, trouble = 0, False
        while (deployment := await self._with_backend(id_)) is not None:
            began = self._clock()  # a slow answer may only show the state at its beginning
            try:
                look = await poller.look(deployment, app)
            except Refused as error:
                await self._ending.untold(deployment, str(error))
                return
            except BridgeError as error:
                sight, trouble = sight.blinded(self._clock()), True
                await self._journal.say(id_, f"{error}; it is watched as soon as that ends")
                await self._sleep(self._timing.look.longest)
                continue
            if trouble:
                trouble, quiet = False, 0
                await self._journal.say(id_, BACK[deployment.state])
            sight = sight.after(look.shown, began)
            if await self._show(deployment, app, look):
                quiet = 0
            else:
                await self._judge(poller, deployment, app, look, sight, began)
                quiet += 1
            await self._sleep(self._timing.look.pause(quiet + 1))

    async def _show(self, deployment: Deployment, app: App, look: Look) -> bool:
        """Record its state; return whether that is new."""
        if look.record is not None and look.record.status is not Progress.RUNNING:
            await self._ending.of_record(deployment, app, look.record)
            return True
        if look.record is not None:
            return await self._running(deployment, app, look.record)
        if look.job is not None and not look.job.active:
            note = "waits in the backend's queue"
            return await self._journal.move(deployment.id, State.QUEUED, note) is not None
        return False

    async def _running(self, deployment: Deployment, app: App, record: BackendDeployment) -> bool:
        began = self._ending.began(deployment, app, record)
        facts = {"backend_id": record.id, "started_at": began}
        moved = await self._journal.move(deployment.id, State.RUNNING, "builds", **facts)
        if moved is None and self._clock() - began > self._timing.long:
            note = f"has been building for more than {self._timing.long / 60:.0f} minutes"
            await self._journal.say(deployment.id, note)
        return moved is not None

    # ── deployments that do not progress ──────────────────────────────────

    async def _judge(
        self,
        poller: BackendPoller,
        deployment: Deployment,
        app: App,
        look: Look,
        sight: Sight,
        at: float,
    ) -> None:
        found = verdict(
            deployment,
            sight,
            now=at,
            watched_since=poller.watched_since,
            shown=look.shown,
            timing=self._tracking,
        )
        if found is Verdict.WAIT:
            return
        if found is Verdict.UNCLOSED and look.record is not None:
            await self._ending.unclosed(deployment, app, look.record)
        elif look.doubtful:
            watched = poller.watched_since <= (deployment.asked_at or 0.0) <= self._clock()
            certain = watched or sight.began
            await self._ending.doubtful(deployment, look.doubtful, certain=certain)
        elif found is Verdict.DROPPED:
            await self._ending.dropped(deployment)
        elif found is Verdict.LOST:
            await self._ending.lost(deployment)
        else:
            why = f"for {at - sight.since:.0f} s the backend has shown nothing of it"
            await self._ending.untold(deployment, why)


# ── the flow ─────────────────────────────────────────────────────────────────────────────────────


class Deployer:
    """Brings deployments to their end."""

    def __init__(
        self,
        backends: Mapping[str, Backend],
        journal: Journal,
        clock: Clock,
        timing: FollowTiming | None = None,
        *,
        at_a_time: int = 64,
        changed: Wake = lambda: None,
        troubled: Troubled = lambda _backend: None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Take the parts.

        Args:
            at_a_time: how many deployments of one backend are in progress at a time.
            changed: called when a deployment has ended.
            troubled: see `polling.Troubled`.
        """
        self._journal = journal
        self._timing = timing or FollowTiming()
        self._sleep = sleep
        self._slots = defaultdict[str | None, asyncio.Semaphore](
            lambda: asyncio.Semaphore(at_a_time)
        )
        self.pollers = BackendPollers(
            backends, clock, journal.pinned, troubled=troubled, sleep=sleep
        )
        self._ending = Ending(
            self.pollers, journal, clock, self._timing, changed=changed, sleep=sleep
        )
        parts = (self.pollers, journal, self._ending, clock, self._timing)
        self._asker = Asker(*parts, sleep=sleep)
        self._follower = Follower(*parts, sleep=sleep)

    async def run(self, steps: Steps, id_: str) -> None:
        """Run the flow: a request is never repeated, whatever happens in between.

        Wait for a slot of its backend first, so a backend that is away or busy does not delay
        others.
        """
        async with self._slots[await self._surely(self._backend_of, id_)]:
            await steps.run("ask", lambda: self._surely(self.ask, id_))
            await steps.run("follow", lambda: self._surely(self.follow, id_))

    async def _backend_of(self, id_: str) -> str | None:
        """Return the name of a deployment's backend; None if its app is not known."""
        app = await self._journal.app(app_of(id_))
        return None if app is None else app.backend

    async def ask(self, id_: str) -> None:
        """Have the backend accept it, once; return when it has, or when there is no need."""
        await self._asker.ask(id_)

    async def follow(self, id_: str) -> None:
        """Follow an accepted deployment to its end, and request a lost one again."""
        while (deployment := await self._journal.deployment(id_)) is not None:
            if deployment.final:
                return
            if deployment.state is State.WAITING:
                await self.ask(id_)
            else:
                await self._follower.follow(id_)

    async def _surely(self, work: Callable[[str], Awaitable[T]], id_: str) -> T | None:
        """Retry failed work: each attempt starts from what the journal and the backend show."""
        failures = 0
        while True:
            try:
                return await work(id_)
            except Unreachable as error:  # our own journal: nothing can be done until it is back
                log.warning("deployment waits", extra={"deployment": id_, "why": str(error)})
            except Exception as error:  # a bug; a deployment must end, and say how
                log.exception("deployment failed unexpectedly", extra={"deployment": id_})
                failures += 1
                if failures >= self._timing.failures:
                    why = f"the bridge had an internal error ({type(error).__name__})"
                    await self._ending.end(id_, State.UNKNOWN, f"outcome unknown: {why}")
                    return None
            await self._sleep(self._timing.retry.first)
