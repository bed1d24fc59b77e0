"""Step 3: one deployment: request → follow → end. The body of a durable flow.

A step that was running when the process died runs again. Each step therefore first checks what
exists: in the journal, then at the backend (adopt before create).
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from bridge.core import trace
from bridge.core.apps import App
from bridge.core.errors import BridgeError, Refused, Rejected, Unanswered, Unreachable
from bridge.core.gates.gates import by_commit
from bridge.core.health.rollback import Rung, WayBack, version_of, way_back
from bridge.core.lifecycle import (
    LOSABLE,
    OURS,
    Deployment,
    Evidence,
    NoteKind,
    State,
    app_of,
    deployment_of,
    may_move,
)
from bridge.core.rules import RuleBook
from bridge.core.tracking import Sight, Timing, Verdict, verdict
from bridge.pipeline.deploying.auto_rollback import HandsOff, why_not_started
from bridge.pipeline.deploying.outcome import Ending, Fingerprint, FollowTiming
from bridge.pipeline.deploying.pinning import Pins
from bridge.pipeline.deploying.polling import BackendPoller, BackendPollers, Look, Troubled
from bridge.pipeline.deploying.request import Asker
from bridge.pipeline.deploying.serving import Looks, ServingJournal
from bridge.ports.backends import Backend, BackendDeployment, Progress, RollsBack
from bridge.ports.clock import Clock, Sleep, Wake
from bridge.ports.flows import Steps
from bridge.ports.gates import JudgedBy, Judging, PinsCommits
from bridge.ports.journal import JOURNAL

T = TypeVar("T")

log = logging.getLogger(__name__)

BACK = {
    State.ASKED: "the backend answers again and shows no sign of it yet",
    State.QUEUED: "the backend answers again",
    State.RUNNING: "the backend answers again",
}
"""The note when a trouble is over; the backend's state follows it."""


@dataclass(frozen=True, slots=True)
class Follower:
    """Follows deployments while they are with the backend."""

    pollers: BackendPollers
    journal: ServingJournal
    ending: Ending
    clock: Clock
    timing: FollowTiming
    sleep: Sleep = field(default=asyncio.sleep, kw_only=True)

    async def follow(self, id_: str) -> None:
        """Follow an accepted deployment until it ends or goes back to waiting."""
        deployment = await self._with_backend(id_)
        if deployment is None:
            return
        trace.follow(deployment.delivery)
        app = await self.ending.app(deployment.app_id)
        try:
            poller = self.pollers.of(app)
        except Refused as error:
            await self.ending.untold(deployment, str(error))
            return
        with poller.following(id_):
            await self._watch(id_, app, poller)

    async def _with_backend(self, id_: str) -> Deployment | None:
        """Return the deployment while the backend has it, as far as we know."""
        deployment = await self.journal.deployment(id_)
        return deployment if deployment is not None and deployment.state in LOSABLE else None

    async def _watch(self, id_: str, app: App, poller: BackendPoller) -> None:
        sight = Sight(since=self.clock())
        quiet, trouble = 0, False
        while (deployment := await self._with_backend(id_)) is not None:
            began = self.clock()  # a slow answer may only show the state at its beginning
            try:
                look = await poller.look(deployment, app)
            except Refused as error:
                await self.ending.untold(deployment, str(error))
                return
            except BridgeError as error:
                sight, trouble = sight.blinded(self.clock()), True
                await self.journal.say(id_, f"{error}; it is watched as soon as that ends")
                await self.sleep(self.timing.look.longest)
                continue
            if trouble:
                trouble, quiet = False, 0
                await self.journal.say(id_, BACK[deployment.state])
            sight = sight.after(look.shown, began)
            if await self._show(deployment, app, look):
                quiet = 0
            else:
                await self._judge(poller, deployment, app, look, sight, began)
                quiet += 1
            await self.sleep(self.timing.look.pause(quiet + 1))

    async def _show(self, deployment: Deployment, app: App, look: Look) -> bool:
        """Record its state; return whether that is new."""
        if look.record is not None and look.record.status is not Progress.RUNNING:
            await self.ending.of_record(deployment, app, look.record)
            return True
        if look.record is not None:
            return await self._running(deployment, app, look.record)
        if look.job is not None and not look.job.active:
            return await self._moved(deployment, State.QUEUED, "waits in the backend's queue")
        return False

    async def _running(self, deployment: Deployment, app: App, record: BackendDeployment) -> bool:
        began = self.ending.began(deployment, app, record)
        facts = {"backend_id": record.id, "started_at": began}
        moved = await self._moved(deployment, State.RUNNING, "builds", **facts)
        if not moved and self.clock() - began > self.timing.long:
            note = f"has been building for more than {self.timing.long / 60:.0f} minutes"
            await self.journal.say(deployment.id, note)
        return moved

    async def _moved(self, deployment: Deployment, to: State, note: str, **facts: object) -> bool:
        """Record its state; return False, without a transaction, if that is as it was before."""
        if not may_move(deployment.state, to):
            return False
        return await self.journal.move(deployment.id, to, note, **facts) is not None

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
            timing=Timing(self.timing.lost, self.timing.untold, self.timing.unclosed),
        )
        watched = poller.watched_since <= (deployment.asked_at or 0.0) <= self.clock()
        if watched and look.conclusive:
            await self.ending.doubtful(deployment, look.doubtful, certain=True)
        elif found is Verdict.WAIT:
            return
        elif found is Verdict.UNCLOSED and look.record is not None:
            await self.ending.unclosed(deployment, app, look.record)
        elif look.doubtful:
            certain = (watched or sight.began) and not look.untimely
            await self.ending.doubtful(deployment, look.doubtful, certain=certain)
        elif found is Verdict.DROPPED:
            await self.ending.dropped(deployment)
        elif found is Verdict.LOST:
            await self.ending.lost(deployment)
        else:
            why = f"for {at - sight.since:.0f} s the backend has shown nothing of it"
            await self.ending.untold(deployment, why)


# ── rollbacks to what a backend has kept ─────────────────────────────────────────────────────────

MOST_UNANSWERED = 5
"""How often a rollback is asked for without a clear answer."""


@dataclass(frozen=True, slots=True)
class Restorer:
    """Requests rollbacks that a backend carries out by what it has kept; the app is locked.

    That is served at once, without a record there; so what comes of it is verified and not
    believed. Asking twice for the same version changes nothing, so a request whose answer was
    lost is repeated.
    """

    pollers: BackendPollers
    journal: ServingJournal
    ending: Ending
    clock: Clock
    timing: FollowTiming
    judging: JudgedBy
    hands_off: HandsOff
    sleep: Sleep = field(default=asyncio.sleep, kw_only=True)

    async def restore(self, id_: str) -> None:
        """Have an earlier version served; return when that was asked for, or is not needed."""
        away = unanswered = 0
        while (deployment := await self.ending.still_waiting(id_)) is not None:
            try:
                await self._restore_once(deployment)
            except Unreachable as error:
                if error.service == JOURNAL:
                    raise
                away += 1
                await self._wait(id_, error, away, maybe_asked=unanswered > 0)
            except Unanswered as error:
                unanswered += 1
                if unanswered >= MOST_UNANSWERED:
                    note = f"outcome unknown: asked {unanswered} times; {error}"
                    await self.ending.perhaps_restored(deployment, note)
                await self.journal.say(id_, f"{error}; it is asked for again")
                await self.sleep(self.timing.retry.first)
            except Refused as error:
                await self.ending.end(id_, State.FAILED, f"refused by {error}")

    async def _restore_once(self, deployment: Deployment) -> None:
        """Take one step: record the intent, or ask."""
        app = await self.ending.app(deployment.app_id)
        backend = self.pollers.of(app).backend
        if deployment.intent_at is not None and deployment.cancel is not None:
            await self.journal.withdraw(deployment.id, maybe_asked=True)
            return
        records = await backend.deployments(app)
        if deployment.intent_at is not None and await _undoes(deployment, backend, app, records):
            await self.journal.withdraw(deployment.id, maybe_asked=True)
            return
        try:
            way = await self._way(deployment, app, records)
        except Rejected as error:
            await self.ending.end(deployment.id, State.FAILED, f"can't go back: {error}")
            return
        if deployment.intent_at is None:
            by_people = deployment.back_from is None
            if by_people or await self.hands_off.lets(deployment, backend, app):
                by = await self.judging(deployment.id)
                await self.journal.intend(deployment.id, [one.id for one in records], by)
            return
        if not isinstance(backend, RollsBack) or way.point is None:
            why = f"{backend.name} can't restore what it has built"
            await self.ending.end(deployment.id, State.FAILED, f"can't go back: {why}")
            return
        at = self.clock()
        await backend.roll_back(app, way.point)
        log.info("rollback asked for", extra={"app": deployment.app, "deployment": deployment.id})
        await self._restored(deployment, app, way.to, at)

    async def _way(
        self, deployment: Deployment, app: App, records: list[BackendDeployment]
    ) -> WayBack:
        """Return the way back that was shown; raise Rejected if it is closed by now."""
        to = await self.journal.deployment(deployment.target or "")
        if to is None or to.app_id != app.id:
            raise Rejected("the deployment to go back to has been forgotten")
        way = way_back(app, to, records)
        if deployment.way not in (None, way.rung):
            raise Rejected(f"what was shown is no longer possible; now it would {way.says}")
        return way

    async def _restored(self, deployment: Deployment, app: App, to: Deployment, at: float) -> None:
        """Record that it is served, however long the journal is away."""
        note = f"{version_of(to)} is served again, as it was built then"
        facts: dict[str, object] = {
            "asked_at": at,
            "started_at": at,
            "finished_at": self.clock(),
            "deployed_commit": to.deployed_commit,
            "image": to.image,
            "way": Rung.KEPT,
            "evidence": Evidence.ANSWER,
            "note_kind": NoteKind.AGAIN,
        }
        while True:
            try:
                await self.ending.serves(deployment, app, note, facts)
            except Unreachable as error:
                log.warning(
                    "deployment waits", extra={"deployment": deployment.id, "why": str(error)}
                )
                await self.sleep(self.timing.retry.first)
            else:
                return

    async def _wait(self, id_: str, error: BridgeError, away: int, *, maybe_asked: bool) -> None:
        """Wait for the backend; a cancel or another rollback may come first."""
        await self.journal.withdraw(id_, maybe_asked=maybe_asked)
        await self.journal.say(id_, f"waits for the backend: {error}", NoteKind.AWAY)
        await self.sleep(self.timing.retry.after(away, error))


async def _undoes(
    rollback: Deployment, backend: Backend, app: App, records: list[BackendDeployment]
) -> bool:
    """Return whether a request of the bridge's own may undo what a person has done since.

    What is kept is restored without a record, so every new one is somebody else's.
    """
    if rollback.back_from is None:
        return False
    deployed = any(one.id not in rollback.known_before for one in records)
    return deployed or await why_not_started(backend, app) is not None


# ── the flow ─────────────────────────────────────────────────────────────────────────────────────


class Deployer:
    """Brings deployments to their end."""

    def __init__(
        self,
        backends: Mapping[str, Backend],
        journal: ServingJournal,
        clock: Clock,
        timing: FollowTiming | None = None,
        *,
        judging: JudgedBy | None = None,
        at_once: JudgedBy | None = None,
        pins: PinsCommits | None = None,
        at_a_time: int = 64,
        book: RuleBook = (),
        locks: bool = True,
        fingerprint: Fingerprint | None = None,
        looks: Looks | None = None,
        changed: Wake = lambda: None,
        went_live: Wake = lambda: None,
        ended: Callable[[Deployment], None] = lambda _one: None,
        troubled: Troubled = lambda _backend: None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Take the parts.

        Args:
            judging: returns what gates judge a deployment by; None: by the journal's facts alone.
            at_once: returns as much of that as no Git host has to be asked for; None: all of it.
            pins: has the backend build exact commits; None: no app can be pinned.
            at_a_time: how many deployments of one backend are in progress at a time.
            looks: looks at what is served before the bridge goes back by itself.
        """
        self._journal = journal
        self._timing = timing or FollowTiming()
        self._sleep = sleep
        self._slots = defaultdict[str, asyncio.Semaphore](lambda: asyncio.Semaphore(at_a_time))
        self.pollers = BackendPollers(
            backends, clock, journal.pinned, troubled=troubled, sleep=sleep
        )
        self.ending = Ending(
            *(self.pollers, journal, clock, self._timing),
            book=book,
            locks=locks,
            fingerprint=fingerprint,
            changed=changed,
            went_live=went_live,
            ended=ended,
            sleep=sleep,
        )
        self._judging = judging or self._ungated
        self._at_once = at_once or self._judging
        parts = (self.pollers, journal, self.ending, clock, self._timing)
        hands_off = HandsOff(journal, self.ending, looks or Looks(journal, clock), sleep=sleep)
        self._asker = Asker(*parts, self._judging, pins or Pins({}), hands_off, sleep=sleep)
        self._restorer = Restorer(*parts, self._judging, hands_off, sleep=sleep)
        self._follower = Follower(*parts, sleep=sleep)

    async def _ungated(self, id_: str) -> Judging:
        return Judging(await self.ending.app(app_of(id_)))

    async def run(self, steps: Steps, flow: str) -> None:
        """Run the flow until it is served, or has ended; what is served is watched without it.

        A request is never repeated, whatever happens in between.

        A deployment that gates hold leaves at once, and gets another flow when they let it pass.
        Wait for a slot of its backend first, so a backend that is away or busy does not delay
        others.
        """
        id_ = deployment_of(flow)
        if (by := await self._surely(self._at_once, id_)) is None:
            return
        slot = self._slots[by.app.backend]
        if await self._surely(partial(self._held, slot, by), id_):
            return
        async with slot:
            await steps.run("ask", lambda: self._surely(self.ask, id_))
            await steps.run("follow", lambda: self._surely(self.follow, id_))

    async def _held(self, slot: asyncio.Semaphore, by: Judging, id_: str) -> bool:
        """Return whether gates hold it, where it would wait first or gates are likely to.

        All others are judged at their intent, and so is what gates have just let pass.
        """
        if not (slot.locked() or by.freezes or by_commit(by.app)):
            return False
        deployment = await self._journal.deployment(id_)
        if deployment is None or deployment.state not in OURS:
            return False
        if deployment.state is State.HELD:
            return True
        if deployment.starts or deployment.intent_at is not None:
            return False
        judged = await self._journal.judge(id_, await self._judging(id_))
        return judged is not None and judged.state is State.HELD

    async def ask(self, id_: str) -> None:
        """Have the backend accept it, once; return when it has, or when there is no need."""
        deployment = await self.ending.still_waiting(id_)
        if deployment is not None and deployment.way == Rung.KEPT:
            await self._restorer.restore(id_)
        elif deployment is not None:
            await self._asker.ask(deployment)

    async def follow(self, id_: str) -> None:
        """Follow an accepted deployment to its end, and request a lost one again."""
        while (deployment := await self._journal.deployment(id_)) is not None:
            if deployment.final or deployment.state in (State.HELD, State.VERIFYING):
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
                    await self.ending.end(id_, State.UNKNOWN, f"outcome unknown: {why}")
                    return None
            await self._sleep(self._timing.retry.first)
