"""Step 2: a kept delivery → what it means → decisions → deployments asked for.

Takes deliveries from the inbox in order, a batch at a time: finds their meaning and decides
in a thread (pure), records the outcome in one transaction, starts the flows, and only then
marks the deliveries done. A crash anywhere in between replays harmlessly.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from bridge.core import trace
from bridge.core.decision import Policy
from bridge.core.errors import BridgeError, Unreachable
from bridge.core.events import CONFIGURING, Action, Asked, Event, Ignored, RefKind, RefPushed
from bridge.core.lifecycle import deployment_id
from bridge.journey.catalog import Catalog
from bridge.journey.deciding import Decided, Deciding, Moment, Tags, done
from bridge.journey.meaning import Meaning, read
from bridge.journey.views import Decided as ByItsList
from bridge.journey.views import Views
from bridge.journey.way import Way
from bridge.ports.clock import Clock
from bridge.ports.feedback import Planner
from bridge.ports.flows import Flows
from bridge.ports.githosts import GitHost
from bridge.ports.inbox import Delivery, DeliveryState, Finished, Inbox
from bridge.ports.journal import Journal
from bridge.ports.outcomes import Outcome, Recorded

log = logging.getLogger(__name__)

LONGEST_NUMBER = 20
"""Digits of a delivery's number; more name none that there is."""

TAGS_LEASE, TAGS_LEASE_SECONDS, TAGS_LEASE_PAUSE = "tags", 15.0, 0.05
"""Held by the one process that decides tags of apps which take only newer ones."""

DEPLOYMENT_FLOW = "deployment"
CANCEL_FLOW = "cancel"
CANCEL_ONE_FLOW = "cancel one"
CONFIGURE_FLOW = "configure"
OTHER_FLOWS = {Action.CANCEL: CANCEL_FLOW} | dict.fromkeys(CONFIGURING, CONFIGURE_FLOW)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to try.

    Attributes:
        batch: deliveries that are decided and recorded together.
        poll: seconds between looks into the inbox for what another process kept.
        window: seconds in which the same push, brought by two hooks, deploys once.
        tries: how often a delivery is tried before it is parked as failed.
        first_pause: seconds before the second try; doubled each time.
        resume: seconds between two looks whether every open deployment goes on.
    """

    batch: int = 128
    poll: float = 0.25
    window: float = 600.0
    tries: int = 8
    first_pause: float = 1.0
    resume: float = 30.0


class Deliveries:
    """Decides what the inbox keeps."""

    def __init__(
        self,
        inbox: Inbox,
        journal: Journal,
        flows: Flows,
        catalog: Catalog,
        hosts: Mapping[str, GitHost],
        clock: Clock,
        patience: Patience | None = None,
        policy: Policy | None = None,
        plan: Planner = lambda _: (),
        views: Views | None = None,
        *,
        owner: str = "solo",
        way: Way | None = None,
    ) -> None:
        """Take the parts.

        Args:
            plan: says where what deliveries lead to is shown.
            views: finds the files that pushes do not list; None: they stay unknown.
            owner: this process among those that share the stores.
            way: gives way to those who keep, where this process does that as well.
        """
        self._owner = owner
        self._way = way
        self._inbox = inbox
        self._journal = journal
        self._flows = flows
        self._catalog = catalog
        self._hosts = hosts
        self._clock = clock
        self._patience = patience or Patience()
        self._deciding = Deciding(catalog, policy or Policy(), plan)
        self._views = views
        self._wake = asyncio.Event()
        self._instance = ""

    def wake(self) -> None:
        """Something was kept."""
        self._wake.set()

    async def run(self) -> None:
        """Decide as long as the process lives."""
        resume_at = time.monotonic()
        while True:
            self._wake.clear()  # before the drain: what comes during it wakes again
            try:
                if time.monotonic() >= resume_at:
                    await self.resume()
                    resume_at = time.monotonic() + self._patience.resume
                    await self._catalog.ready.wait()
                await self.drain()
            except BridgeError as error:
                log.warning("deliveries can't be decided", extra={"why": str(error)})
                await asyncio.sleep(self._patience.first_pause)
                continue
            # Not wait_for: in Python 3.11 it swallows a cancel that comes together with a wake.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._patience.poll):
                    await self._wake.wait()

    async def resume(self) -> None:
        """See to it that every deployment that has not ended has a flow that goes on."""
        going = await self._journal.open_deployments()
        await self._flows.ensure(DEPLOYMENT_FLOW, {one.id: one.app_id for one in going})

    async def drain(self) -> None:
        """Decide all that is due."""
        self._instance = self._instance or await self._journal.instance()
        while batch := await self._inbox.due(self._clock(), self._at_once()):
            began = time.monotonic()
            await self._handle(batch)
            if self._way is not None:
                await self._way.give(time.monotonic() - began)

    def _at_once(self) -> int:
        most = self._patience.batch
        return most if self._way is None else self._way.batch(most)

    async def _handle(self, batch: Sequence[Delivery]) -> None:
        try:
            await self._inbox.finish(await self._decide(batch))
        except Unreachable:
            raise  # our own stores are away: nobody's fault among these, so all of them wait
        except Exception as error:
            if len(batch) > 1:
                for delivery in batch:
                    await self._handle([delivery])
                return
            with trace.about(batch[0].id):
                log.exception("a delivery could not be decided")
            await self._inbox.finish([self._again(batch[0], error)])

    async def _decide(self, batch: Sequence[Delivery]) -> list[Finished]:
        finished: list[Finished] = []
        meanings: list[Meaning] = []
        for delivery, found in zip(batch, await self._read(batch), strict=True):
            if isinstance(found, str):
                finished.append(done(delivery, DeliveryState.FAILED, found))
                with trace.about(delivery.id):
                    log.warning("a delivery can't be read", extra={"why": found})
            else:
                meanings.append(found)
        meanings, postponed = await self._with_known_apps(meanings)
        async with self._alone(bool(self._only_newer(meanings))):
            outcomes, recorded = await self._recorded(meanings)
        noise = {one.delivery.seq for one in meanings if isinstance(one.event, Ignored)}
        for outcome, end in outcomes:
            if outcome is not None:
                _tell(outcome)
            elif end.state is DeliveryState.IGNORED:
                _tell_ignored(end, logging.DEBUG if end.seq in noise else logging.INFO)
        await self._flows.drop(DEPLOYMENT_FLOW, recorded.drop)
        for id_ in recorded.start:
            await self._flows.start(DEPLOYMENT_FLOW, id_, key=id_.partition(".")[2])
        for meaning in meanings:
            await self._start_other(meaning)
        return finished + postponed + [end for _, end in outcomes]

    async def _recorded(self, meanings: Sequence[Meaning]) -> tuple[list[Decided], Recorded]:
        """The outcomes, once they are in the journal, and what follows from them."""
        tags = await self._deployed_tags(meanings)
        moment = Moment(self._catalog.snapshot, tags, self._clock(), self._instance)
        outcomes = await asyncio.to_thread(self._deciding.outcomes, meanings, moment, {})
        if self._views is not None:
            outcomes = await self._seen_exactly(self._views, meanings, outcomes, moment)
        recorded = await self._journal.record(
            [outcome for outcome, _ in outcomes if outcome is not None],
            window=self._patience.window,
        )
        return outcomes, recorded

    @asynccontextmanager
    async def _alone(self, needed: bool) -> AsyncIterator[None]:
        """Whether a tag is the newest depends on those that other processes decide just now."""
        lease = (TAGS_LEASE, self._owner)
        while needed and not await self._journal.hold(*lease, TAGS_LEASE_SECONDS):  # noqa: ASYNC110 - its holder is another process
            await asyncio.sleep(TAGS_LEASE_PAUSE)
        try:
            yield
        finally:
            if needed:
                await self._journal.release(*lease)

    async def _with_known_apps(
        self, meanings: Sequence[Meaning]
    ) -> tuple[list[Meaning], list[Finished]]:
        """Those that can be decided now, and those that wait until the apps are read again."""
        ready: list[Meaning] = []
        postponed: list[Finished] = []
        for meaning in meanings:
            come_again = None
            if not self._knows(meaning.event):
                come_again = await self._catalog.newer_than(meaning.delivery.received_at)
            if come_again is None:
                ready.append(meaning)
            else:
                why = "; ".join(self._catalog.trouble.values()) or None
                later = done(meaning.delivery, DeliveryState.KEPT, why)
                postponed.append(replace(later, due_at=come_again))
        return ready, postponed

    def _knows(self, event: Event) -> bool:
        """Whether an app is known for it; what needs none is known, too."""
        if isinstance(event, RefPushed):
            return bool(self._catalog.of(event.repository))
        return not isinstance(event, Asked) or self._catalog.get(event.target) is not None

    async def _read(self, batch: Sequence[Delivery]) -> list[Meaning | str]:
        """What each delivery means, or why that can't be said."""
        found = await asyncio.to_thread(lambda: [read(d, self._hosts) for d in batch])
        return [await self._replayed(m) if isinstance(m, Meaning) else m for m in found]

    async def _replayed(self, meaning: Meaning) -> Meaning | str:
        asked = meaning.event
        if not isinstance(asked, Asked) or asked.action is not Action.REPLAY:
            return meaning
        number = asked.target if asked.target.isdecimal() else "0"
        original = await self._inbox.get(int(number[:LONGEST_NUMBER]))
        if original is None:
            return f"there is no delivery {asked.target} to replay"
        found = await asyncio.to_thread(read, original, self._hosts)
        if isinstance(found, str):
            return f"delivery {original.id} can't be replayed: {found}"
        if isinstance(found.event, Asked):
            return f"delivery {original.id} is a command; give the command again instead"
        return Meaning(meaning.delivery, found.event, asked)

    async def _deployed_tags(self, meanings: Sequence[Meaning]) -> Tags:
        """The tags that apps which take only newer ones have been deployed for."""
        apps = self._only_newer(meanings)
        return await self._journal.deployed_tags(sorted(apps)) if apps else {}

    def _only_newer(self, meanings: Sequence[Meaning]) -> set[str]:
        """The apps among those concerned by tags that take only newer ones."""
        return {
            app.id
            for meaning in meanings
            if isinstance(meaning.event, RefPushed) and meaning.event.ref.kind is RefKind.TAG
            for app in self._catalog.of(meaning.event.repository)
            if app.rules.only_newer
        }

    async def _seen_exactly(
        self,
        views: Views,
        meanings: Sequence[Meaning],
        outcomes: Sequence[Decided],
        moment: Moment,
    ) -> list[Decided]:
        """The outcomes, decided again where a push's own list of files is not enough.

        Those whose host has to be asked first come again a little later.
        """
        pushes = [
            ByItsList(meaning.delivery.seq, meaning.event, outcome.decisions)
            for meaning, (outcome, _) in zip(meanings, outcomes, strict=True)
            if isinstance(meaning.event, RefPushed) and outcome is not None
        ]
        seen = await views.of(pushes)
        found = {outcome[1].seq: outcome for outcome in outcomes}
        again = [meaning for meaning in meanings if meaning.delivery.seq in seen.views]
        # Only pushes to branches are among these, so no tag is learned twice.
        for outcome in await asyncio.to_thread(self._deciding.outcomes, again, moment, seen.views):
            found[outcome[1].seq] = outcome
        for meaning in meanings:
            if (pause := seen.waiting.get(meaning.delivery.seq)) is not None:
                why = f"asking {meaning.delivery.host} which files have changed"
                later = done(meaning.delivery, DeliveryState.KEPT, why)
                found[later.seq] = None, replace(later, due_at=moment.now + pause)
        return list(found.values())

    async def _start_other(self, meaning: Meaning) -> None:
        """Start what a person asked for and what is no deployment."""
        asked = meaning.event
        if not isinstance(asked, Asked) or asked.action not in OTHER_FLOWS:
            return
        flow, about = OTHER_FLOWS[asked.action], asked.target
        if asked.action is Action.CANCEL and asked.deployment:
            flow, about = CANCEL_ONE_FLOW, asked.deployment
        await self._flows.start(flow, deployment_id(meaning.delivery.seq, about), key=asked.target)

    def _again(self, delivery: Delivery, error: Exception) -> Finished:
        """Another try later, or parked when there were enough."""
        attempts = delivery.attempts + 1
        why = str(error) if isinstance(error, BridgeError) else type(error).__name__
        if attempts >= self._patience.tries:
            why = f"given up after {attempts} tries: {why}"
            return replace(done(delivery, DeliveryState.FAILED, why), attempts=attempts)
        pause = self._patience.first_pause * 2 ** (attempts - 1)
        return replace(
            done(delivery, DeliveryState.KEPT, why),
            attempts=attempts,
            due_at=self._clock() + pause,
        )


def _tell_ignored(end: Finished, level: int) -> None:
    """Say in the log that a delivery concerns nothing of ours."""
    with trace.about(end.id):
        log.log(level, "ignored", extra={"why": end.error})


def _tell(outcome: Outcome) -> None:
    """Say in the log what was decided: what deploys, or that nothing does.

    Each app that is left alone is named only to who wants it all.
    """
    with trace.about(outcome.delivery):
        if not any(one.deploy for one in outcome.decisions):
            reasons = sorted({str(one.reason) for one in outcome.decisions})
            what = {"apps": len(outcome.decisions), "reasons": ", ".join(reasons)}
            log.info("nothing deploys", extra=what)
        for one in outcome.decisions:
            level = logging.INFO if one.deploy else logging.DEBUG
            if log.isEnabledFor(level):
                log.log(level, "decided", extra={"app": one.app, "reason": str(one.reason)})
