"""Step 2: a kept delivery → its meaning → decisions → requested deployments.

If one process does both, ingest has priority over decisions: a sender waits for its response,
nobody waits for a decision. While very many webhooks arrive, ingest gets most of the time, but
decisions always get some. Postponed deliveries are on disk.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from bridge.core import trace
from bridge.core.backoff import Backoff
from bridge.core.checks import Check
from bridge.core.decision import Policy
from bridge.core.errors import BridgeError, Unreachable
from bridge.core.events import (
    CONFIGURING,
    Action,
    Asked,
    CheckReported,
    Event,
    Ignored,
    PullRequestChanged,
    RefKind,
    RefPushed,
    Repository,
)
from bridge.core.gates.gates import by_commit
from bridge.core.lifecycle import Deployment, State, deployment_id, deployment_of, flow_of
from bridge.core.pins import tracked
from bridge.core.pulls import PullRequest
from bridge.pipeline.deciding.catalog import Catalog
from bridge.pipeline.deciding.changes import ViewFinder
from bridge.pipeline.deciding.decide import Decided, Deciding, Recording, done
from bridge.pipeline.deciding.freshness import Freshness
from bridge.pipeline.deciding.interpret import Attempts, Later, Meaning, Reading
from bridge.pipeline.deciding.late_decisions import LateComments, Owed
from bridge.ports.clock import Clock, Sleep, Wake
from bridge.ports.deployments import Deployments
from bridge.ports.feedback import LatePlanner, Planner, Subscriptions
from bridge.ports.flows import Flows
from bridge.ports.gates import Gates
from bridge.ports.inbox import Delivery, DeliveryState, Finished, Inbox
from bridge.ports.journal import DecisionsAndNotes
from bridge.ports.outcomes import Outcome, Recorded


class DeliveryJournal(DecisionsAndNotes, Deployments, Gates, Subscriptions, Protocol):
    """What deciding deliveries uses of the journal."""


MANY = 300.0
"""Webhooks a second above which decisions are throttled; ten busy organisations send fewer."""

FEW = 16
"""Deliveries per batch under load: larger batches block the interpreter while senders wait."""

SHARE, LONGEST = 4.0, 0.5
"""The pause after a batch, as a multiple of the time it took, and at most so many seconds."""


class Backpressure:
    """Makes batches smaller, with pauses between them, while many webhooks arrive.

    Args:
        kept: returns how many this process has kept since its start.
    """

    def __init__(
        self,
        kept: Callable[[], int],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._kept = kept
        self._clock = clock
        self._sleep = sleep
        self._at = clock()
        self._count = kept()
        self._crowded = False

    def batch(self, most: int) -> int:
        return min(most, FEW) if self._crowded else most

    async def give(self, took: float) -> None:
        """Pause after a batch that took `took` seconds, if many webhooks arrived meanwhile."""
        now, count = self._clock(), self._kept()
        new, passed = count - self._count, now - self._at
        self._at, self._count = now, count
        self._crowded = passed > 0 and new / passed > MANY
        if self._crowded:
            await self._sleep(min(took * SHARE, LONGEST))


# ── flows ────────────────────────────────────────────────────────────────────────────────────────

DEPLOYMENT_FLOW = "deployment"
CANCEL_FLOW = "cancel"
CANCEL_ONE_FLOW = "cancel one"
CONFIGURE_FLOW = "configure"
OTHER_FLOWS = {Action.CANCEL: CANCEL_FLOW} | dict.fromkeys(CONFIGURING, CONFIGURE_FLOW)


@dataclass(frozen=True, slots=True)
class Starting:
    """Starts flows, each only once however often it is requested."""

    flows: Flows

    async def resume(self, going: Iterable[Deployment]) -> list[str]:
        """Make sure that each of these has an active flow; return those given up."""
        wanted = {flow_of(one): one.app_id for one in going}
        return list(map(deployment_of, await self.flows.ensure(DEPLOYMENT_FLOW, wanted)))

    async def release(self, deployment: Deployment) -> None:
        """Start a deployment that gates have let pass."""
        await self.flows.start(DEPLOYMENT_FLOW, flow_of(deployment), key=deployment.app_id)

    async def follow(self, recorded: Recorded) -> None:
        """Start the recorded deployments, and remove superseded ones from the queue."""
        await self.flows.drop(DEPLOYMENT_FLOW, recorded.drop)
        for id_ in recorded.start:
            await self.flows.start(DEPLOYMENT_FLOW, id_, key=id_.partition(".")[2])

    async def other(self, asked: Asked, seq: int) -> None:
        """Start a person's request, delivery `seq`, if it is not a deployment."""
        if (flow := OTHER_FLOWS.get(asked.action)) is None:
            return
        about = asked.target
        if asked.action is Action.CANCEL and asked.deployment:
            flow, about = CANCEL_ONE_FLOW, asked.deployment
        await self.flows.start(flow, deployment_id(seq, about), key=asked.target)


# ── decisions ───────────────────────────────────────────────────────────────────────────────────

log = logging.getLogger(__name__)


def tell(meanings: Sequence[Meaning], outcomes: Sequence[Decided]) -> None:
    """Log the outcome of each delivery; unwanted events only at the debug level."""
    noise = Ignored | PullRequestChanged | CheckReported
    unwanted = {one.delivery.seq for one in meanings if isinstance(one.event, noise)}
    for outcome, end in outcomes:
        with trace.about(end.id):
            if outcome is not None:
                _tell(outcome)
            elif end.state is DeliveryState.IGNORED:
                level = logging.DEBUG if end.seq in unwanted else logging.INFO
                log.log(level, "ignored", extra={"why": end.error})


def _tell(outcome: Outcome) -> None:
    """Log the decisions: what deploys, or that nothing does.

    Name each skipped app only at the debug level.
    """
    if not any(one.deploy for one in outcome.decisions):
        reasons = sorted({str(one.reason) for one in outcome.decisions})
        what = {"apps": len(outcome.decisions), "reasons": ", ".join(reasons)}
        log.info("nothing deploys", extra=what)
    for one in outcome.decisions:
        level = logging.INFO if one.deploy else logging.DEBUG
        if log.isEnabledFor(level):
            log.log(level, "decided", extra={"app": one.app, "reason": str(one.reason)})


ASK_AGAIN = 15.0
"""Seconds until a delivery is read again whose Git host did not answer."""

GIVEN_UP = "the bridge failed at it again and again, which is a bug; its log says more"


@dataclass(frozen=True, slots=True)
class DecisionTiming:
    """How deliveries are decided; all but the counts in seconds.

    Attributes:
        batch: how many are decided and recorded together.
        poll: between polls of the inbox for those that another process has kept.
        window: in which the same push, delivered by two hooks, deploys once.
        tries: attempts before a delivery is parked as failed; `retry`: pauses between them.
        resume: between two checks that every open deployment has an active flow.
    """

    batch: int = 128
    poll: float = 0.25
    window: float = 600.0
    tries: int = 8
    retry: Backoff = Backoff(1.0, 600.0)
    resume: float = 30.0


Reported = Callable[[Repository, str, Check | None], Awaitable[bool]]
"""Records an event about the checks of a commit; see `CiReader.report`."""

ReportedPull = Callable[[Repository, PullRequest], Awaitable[bool]]
"""Records that a pull request has changed; returns whether something depends on it."""


async def nothing_waits(*_: object) -> bool:
    """Return False: nothing waits for checks, or depends on pull requests."""
    return False


class Deliveries:
    """Decides the deliveries of the inbox."""

    def __init__(
        self,
        inbox: Inbox,
        journal: DeliveryJournal,
        flows: Flows,
        catalog: Catalog,
        reading: Reading,
        clock: Clock,
        timing: DecisionTiming | None = None,
        policy: Policy | None = None,
        plan: Planner = lambda _: (),
        late: Sequence[LatePlanner] = (),
        views: ViewFinder | None = None,
        *,
        owner: str = "solo",
        backpressure: Backpressure | None = None,
        checks: Reported = nothing_waits,
        pulls: ReportedPull = nothing_waits,
        wake_gates: Wake = lambda: None,
    ) -> None:
        """Take the parts.

        Args:
            plan: returns where a delivery's outcome is published.
            late: returns where a pull request publishes pushes from before it was opened.
            views: finds the files that pushes do not list; None: they stay unknown.
            owner: the name of this process among those that share the stores.
            backpressure: slows senders down, if this process receives webhooks as well.
            wake_gates: called when held deployments are to be judged again.
        """
        self._backpressure = backpressure
        self._inbox = inbox
        self._journal = journal
        self._catalog = catalog
        self._clock = clock
        self._timing = timing or DecisionTiming()
        self._reading = reading
        self._attempts = Attempts(inbox)
        self._freshness = Freshness(catalog, clock)
        self._recording = Recording(
            journal,
            catalog,
            Deciding(catalog, policy or Policy(), plan),
            clock,
            window=self._timing.window,
            freshness=self._freshness,
            views=views,
            owner=owner,
        )
        self._owed = Owed(catalog, inbox, journal, self._reading, self._recording, clock)
        self._late = LateComments(journal, late)
        self._starting = Starting(flows)
        self._checks = checks
        self._pulls = pulls
        self._wake_gates = wake_gates
        self._wake = asyncio.Event()
        self._again_at = math.inf

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        resume_at = time.monotonic()
        looked = False
        while True:
            self._wake.clear()  # before the drain: an arrival during it wakes again
            try:
                if not looked:
                    await self._attempts.look()
                    looked = True
                if time.monotonic() >= resume_at:
                    await self.resume()
                    resume_at = time.monotonic() + self._timing.resume
                    await self._catalog.ready.wait()
                await self.drain(until=resume_at)
            except BridgeError as error:
                log.warning("deliveries can't be decided", extra={"why": str(error)})
                await asyncio.sleep(self._timing.retry.first)
                continue
            if time.monotonic() >= resume_at:
                continue  # more may be due
            # Not wait_for: in Python 3.11 it swallows a cancel that coincides with a wake.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._until_next_look()):
                    await self._wake.wait()

    async def close(self) -> None:
        await self._freshness.close()

    def _until_next_look(self) -> float:
        """Return the seconds until the next poll, or until a postponed delivery is due."""
        left = self._again_at - self._clock()
        if left <= 0:  # it is due now
            self._again_at, left = math.inf, math.inf
        return min(left, self._timing.poll)

    async def resume(self) -> None:
        """Make sure that every open deployment has a flow, unless it is held or served already."""
        open_ = await self._journal.open_deployments(held=False)
        going = {one.id: one for one in open_ if not one.served}
        for id_ in await self._starting.resume(going.values()):
            log.error("a deployment is given up", extra={"deployment": id_, "why": GIVEN_UP})
            may_run = going[id_].intent_at is not None
            await self._journal.move(id_, State.UNKNOWN if may_run else State.FAILED, GIVEN_UP)

    async def drain(self, *, until: float = math.inf) -> None:
        """Decide everything that is due; start nothing after `until`, by the monotonic clock."""
        while time.monotonic() < until:
            await self._decide_late()
            most = self._timing.batch
            if self._backpressure is not None:
                most = self._backpressure.batch(most)
            if not (batch := await self._inbox.due(self._clock(), most)):
                return
            began = time.monotonic()
            for some in self._attempts.apart(batch):
                await self._handle(await self._attempts.begin(some))
            if self._backpressure is not None:
                await self._backpressure.give(time.monotonic() - began)

    async def _decide_late(self) -> None:
        try:
            async for late in self._owed.decide():
                tell(late.meanings, late.outcomes)
                await self._starting.follow(late.recorded)
        except BridgeError:
            raise  # our own stores are away
        except Exception:  # a bug, which must not stop the decision of new deliveries
            log.exception("pushes that apps have missed can't be decided; retrying later")
            self._owed.failed()

    async def _handle(self, batch: Sequence[Delivery]) -> None:
        if not batch:
            return
        try:
            finished = await self._decide(batch)
            await self._inbox.finish(finished)
            again = [one.due_at for one in finished if one.state is DeliveryState.KEPT]
            self._again_at = min([self._again_at, *again])
        except Unreachable:
            raise  # our own stores are away: no delivery is to blame, so all of them wait
        except Exception as error:  # a bug, or an unexpected answer: one delivery is to blame
            if len(batch) > 1:
                why = {"count": len(batch), "why": type(error).__name__}
                log.warning("deliveries can't be decided together; trying each alone", extra=why)
                for delivery in batch:
                    await self._handle(await self._attempts.begin([delivery]))
                return
            with trace.about(batch[0].id):
                log.exception("a delivery could not be decided")
            await self._inbox.finish([self._again(batch[0], error)])

    async def _decide(self, batch: Sequence[Delivery]) -> list[Finished]:
        await self._catalog.follow()  # another process may have read or changed apps
        finished, meanings = list[Finished](), list[Meaning]()
        for delivery, found in zip(batch, await self._reading.meanings(batch), strict=True):
            if isinstance(found, Later):
                later = done(delivery, DeliveryState.KEPT, found.why)
                finished.append(replace(later, due_at=self._clock() + ASK_AGAIN))
            elif isinstance(found, str):
                finished.append(done(delivery, DeliveryState.FAILED, found))
                with trace.about(delivery.id):
                    log.warning("a delivery can't be read", extra={"why": found})
            else:
                meanings.append(found)
        meanings, postponed = await self._with_known_apps(meanings)
        outcomes, recorded = await self._recording.record(meanings)
        if any(isinstance(one.event, PullRequestChanged) for one in meanings):
            outcomes = await self._late.subscribe(meanings, outcomes)
        tell(meanings, outcomes)
        await self._starting.follow(recorded)
        for meaning in meanings:
            if isinstance(meaning.event, Asked):
                await self._starting.other(meaning.event, meaning.delivery.seq)
        await self._look_again(meanings)
        pairs = zip(meanings, outcomes, strict=True)
        ends = [await self._reported(meaning, end) for meaning, (_, end) in pairs]
        return finished + postponed + ends

    async def _look_again(self, meanings: Sequence[Meaning]) -> None:
        """Have the gates look at held deployments whose branch has moved."""
        pushed = [one.event for one in meanings if isinstance(one.event, RefPushed)]
        moved = {
            app.id
            for push in pushed
            if push.ref.kind is RefKind.BRANCH
            for app in self._catalog.of(push.repository)
            if by_commit(app) and tracked(app) == push.ref.name
        }
        if moved:
            await self._journal.look_again(sorted(moved))
            self._wake_gates()

    async def _reported(self, meaning: Meaning, end: Finished) -> Finished:
        """Record what a delivery says of checks or a pull request, if something waits for it."""
        event = meaning.event
        if isinstance(event, PullRequestChanged):
            waits = await self._pulls(event.repository, event.pull)
        elif isinstance(event, CheckReported):
            waits = await self._checks(event.repository, event.commit, event.check)
        else:
            return end
        return done(meaning.delivery, DeliveryState.DECIDED) if waits else end

    async def _with_known_apps(
        self, meanings: Sequence[Meaning]
    ) -> tuple[list[Meaning], list[Finished]]:
        """Return the deliveries to decide now, and those that wait for a reading of the apps."""
        ready, postponed = list[Meaning](), list[Finished]()
        for meaning in meanings:
            come_again = None
            if not self._knows(event := meaning.event):
                repository = event.repository if isinstance(event, RefPushed) else None
                received_at = meaning.delivery.received_at
                come_again = await self._catalog.newer_than(received_at, repository)
            if come_again is None:
                ready.append(meaning)
            else:
                why = "; ".join(self._catalog.trouble.values()) or None
                later = done(meaning.delivery, DeliveryState.KEPT, why)
                postponed.append(replace(later, due_at=come_again))
        return ready, postponed

    def _knows(self, event: Event) -> bool:
        """Return whether an event's apps are known, or it needs none."""
        if isinstance(event, RefPushed):
            return bool(self._catalog.of(event.repository))
        return not isinstance(event, Asked) or self._catalog.get(event.target) is not None

    def _again(self, delivery: Delivery, error: Exception) -> Finished:
        """Postpone a delivery, or park it after enough attempts."""
        attempts = delivery.attempts + 1
        why = str(error) if isinstance(error, BridgeError) else type(error).__name__
        if attempts >= self._timing.tries:
            why = f"given up after {attempts} tries: {why}"
            return replace(done(delivery, DeliveryState.FAILED, why), attempts=attempts)
        return replace(
            done(delivery, DeliveryState.KEPT, why),
            attempts=attempts,
            due_at=self._clock() + self._timing.retry.pause(attempts),
        )
