"""Fetch what the hosts could not deliver, after an outage and on a timer.

GitHub never retries by itself, GitLab gives a webhook up after some failures; both list what they
have sent. A delivery that never arrived is fetched and kept as if it had arrived; `reconcile` finds
what was never sent.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bridge.core.absence import Absence
from bridge.core.apps import App
from bridge.core.errors import BridgeError, Refused, Rejected
from bridge.core.events import FOUND_EVENT, Event, RefPushed
from bridge.core.refs import is_on_disk
from bridge.pipeline.absence import last_absence
from bridge.pipeline.deciding.catalog import Catalog
from bridge.pipeline.deciding.hook_troubles import HookTroubles
from bridge.pipeline.deciding.reconcile import (
    NO_HOMES,
    Budget,
    Homes,
    ReadsRefs,
    Reconciler,
    Resting,
    wanted_of,
)
from bridge.pipeline.leader import Turn, at_once
from bridge.ports.clock import Clock, Sleep
from bridge.ports.githosts import (
    APART,
    Envelope,
    GitHost,
    Hook,
    ListsHooks,
    ParsesApart,
    Redelivers,
    Sending,
)
from bridge.ports.inbox import Inbox, NewDelivery
from bridge.ports.journal import DecisionsAndNotes

log = logging.getLogger(__name__)

MOST_SETTLED = 10_000
"""Settled deliveries to remember, so that each is rejected or sent again only once."""

DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class CatchUpTiming:
    """What to catch up with, and how often.

    Attributes:
        sweep: fetch what the hosts could not deliver.
        reconcile: compare branches and tags with the last decisions.
        every: seconds between two rounds.
        window: seconds that the first sweep looks back; GitHub lists three days.
        overlap: seconds by which later sweeps overlap the one before.
        grace: seconds that a host has for its own attempts.
        hourly, burst: limits of requests.
    """

    sweep: bool = True
    reconcile: bool = True
    every: float = 300.0
    window: float = 3 * DAY
    overlap: float = 900.0
    grace: float = 90.0
    hourly: float = 1200.0
    burst: float = 200.0


class Sweeper:
    """Fetches deliveries that a host has sent and we never received.

    Of a host that lists its webhooks, but not what they have sent, it notices only what is wrong
    with them.

    What is fetched is not signed: we rely on the host. If the owner of a webhook can shape its
    payloads, they count only for the webhook's own repository.
    """

    def __init__(
        self,
        apis: Mapping[str, ReadsRefs],
        hosts: Mapping[str, GitHost],
        inbox: Inbox,
        journal: DecisionsAndNotes,
        clock: Clock,
        budget: Budget,
        timing: CatchUpTiming,
        homes: Homes = NO_HOMES,
        apart: ParsesApart | None = None,
        public_url: str | None = None,
    ) -> None:
        self._homes = homes
        self._apart = apart
        self._apis = apis
        self._hosts = hosts
        self._inbox = inbox
        self._journal = journal
        self._clock = clock
        self._budget = budget
        self._timing = timing
        self._troubles = HookTroubles(journal, clock, public_url)
        self._settled: OrderedDict[tuple[str, str, str], None] = OrderedDict()
        self._absence: Absence | None = None

    async def round(self, apps: Iterable[App]) -> int:
        """Sweep all webhooks of the apps' repositories once; return how many were fetched."""
        fetched, swept, resting = 0, set[tuple[str, str, str]](), Resting()
        self._absence = await last_absence(self._journal)
        await self._troubles.begin()
        for host, name in wanted_of(apps, self._homes):
            api: object = self._apis.get(host)
            if not isinstance(api, ListsHooks) or host not in self._hosts:
                continue
            if resting.has(host, name):
                continue
            seen: list[tuple[Hook, Sending | None]] = []
            try:
                await self._budget.spend()
                for hook in await api.hooks(name):
                    place = (host, hook.place, hook.id)
                    if place in swept or not leads_here(host, hook):
                        continue
                    swept.add(place)
                    last = None
                    if isinstance(api, Redelivers):
                        count, last = await self._hook(api, host, hook)
                        fetched += count
                    seen.append((hook, last))
                await self._troubles.note(host, name, seen)
            except BridgeError as error:
                resting.note(host, name, error)
                why = {"repository": f"{host} {name}", "why": str(error)}
                log.warning("webhooks can't be swept", extra=why)
        return fetched

    async def _hook(self, api: Redelivers, host: str, hook: Hook) -> tuple[int, Sending | None]:
        """Return how many were fetched, and the newest attempt that tells how the webhook is."""
        key, now = f"swept {host} {hook.place} {hook.id}", self._clock()
        last = await self._journal.recall(key)
        since = now - self._timing.window
        if last is not None and float(last) <= now:  # else the clock was set back since
            since = max(since, float(last) - self._timing.overlap)
        fetched, absence = 0, self._absence
        if absence is not None and last is not None and float(last) >= absence.until:
            absence = None  # it was handled
        await self._budget.spend()
        listed = [one async for one in api.sendings(hook, since) if "push" in one.event.lower()]
        for sending in self._missed(listed, now, absence)[::-1]:  # the oldest first
            fetched += await self._fetch(api, host, hook, sending)
        await self._journal.note(key, str(now))
        return fetched, next(filter(self._tells, listed), None)

    def _tells(self, sending: Sending) -> bool:
        """Return whether an attempt shows how its webhook is: a failure while away does not."""
        early = sending.at is None or sending.at <= self._clock() - self._timing.grace
        away = sending.at is not None and self._absence and self._absence.covers(sending.at)
        return sending.answered or (early and not away)

    def _missed(
        self, listed: Sequence[Sending], now: float, absence: Absence | None
    ) -> list[Sending]:
        """Return the last attempt of each delivery that was never answered.

        An answer during an absence does not count: it may be from before the data was restored.
        Deliveries that turn out to be stored are skipped later, by their id.
        """
        tries: dict[str, Sending] = {}
        answered: set[str] = set()
        for sending in listed:
            delivery = sending.delivery or sending.id
            tries.setdefault(delivery, sending)
            lost = absence is not None and bool(sending.delivery) and absence.covers(sending.at)
            if sending.answered and not lost:
                answered.add(delivery)
        early = now - self._timing.grace
        return [
            sending
            for delivery, sending in tries.items()
            if delivery not in answered and (sending.at is None or sending.at <= early)
        ]

    async def _fetch(self, api: Redelivers, host: str, hook: Hook, sending: Sending) -> bool:
        """Store one as if it had arrived; return False if it is already there."""
        if (host, hook.place, sending.id) in self._settled:
            return False
        if sending.delivery and await self._inbox.find(host, sending.delivery) is not None:
            return False
        if (payload := sending.payload) is None:
            await self._budget.spend()
            payload = await api.payload(hook, sending.id)
        if payload is None:
            await self._again(api, host, hook, sending)
            return False
        try:
            envelope = _not_ours(self._hosts[host].fetched(payload.headers))
        except Rejected as error:
            log.warning("a missed delivery can't be read", extra={"why": str(error)})
            return False
        if not await self._may_speak(host, hook, sending, envelope, payload.body):
            return False
        id_ = envelope.id or f"fetched-{hook.id}-{sending.id}"
        new = NewDelivery(host, id_, envelope.event, envelope.headers, payload.body, self._clock())
        kept = await self._inbox.keep(new)
        if not kept.duplicate:
            log.warning("a missed delivery was fetched", extra={"delivery": id_, "host": host})
        return not kept.duplicate

    async def _may_speak(
        self, host: str, hook: Hook, sending: Sending, envelope: Envelope, body: bytes
    ) -> bool:
        """Return whether a payload names only the repository that its webhook belongs to."""
        if hook.speaks_for is None:
            return True
        try:
            event = await self._parsed(host, envelope, body)
        except Rejected:
            return True  # it will be parked with its reason
        if not isinstance(event, RefPushed):
            return True
        await self._budget.spend()
        known, told = await self._apis[host].repository(hook.speaks_for), event.repository
        same = known.id == told.id and known.name.lower() == told.name.lower()
        if same and not any(map(is_on_disk, told.urls - known.urls)):
            return True
        log.warning(
            "a missed delivery names another repository than its webhook's",
            extra={"host": host, "repository": hook.speaks_for, "hook": hook.id, "says": told.name},
        )
        self._settle(host, hook, sending.id)
        return False

    async def _parsed(self, host: str, envelope: Envelope, body: bytes) -> Event:
        event, headers = envelope.event, envelope.headers
        if self._apart is not None and len(body) > APART:
            return await self._apart(self._hosts[host], event, headers, [body])
        return await asyncio.to_thread(self._hosts[host].parse, event, headers, body)

    async def _again(self, api: Redelivers, host: str, hook: Hook, sending: Sending) -> None:
        """Have the host resend, once, a delivery that it lists without its payload."""
        delivery = sending.delivery or sending.id
        if (host, hook.place, delivery) in self._settled:
            return
        self._settle(host, hook, delivery)
        await self._budget.spend()
        try:
            await api.redeliver(hook, sending.id)
        except Refused as error:
            why = {"delivery": delivery, "host": host, "why": str(error)}
            log.warning("a missed delivery can't be fetched, nor sent again", extra=why)
        else:
            log.warning(
                "a missed delivery is sent again", extra={"delivery": delivery, "host": host}
            )

    def _settle(self, host: str, hook: Hook, id_: str) -> None:
        self._settled[host, hook.place, id_] = None
        if len(self._settled) > MOST_SETTLED:
            self._settled.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Catchup:
    """Sweeps and reconciles on a timer, in one of several processes.

    Attributes:
        turn: returns once it is this process's turn.
    """

    sweeper: Sweeper
    reconciler: Reconciler
    catalog: Catalog
    timing: CatchUpTiming
    turn: Turn = field(default=at_once, kw_only=True)
    sleep: Sleep = field(default=asyncio.sleep, kw_only=True)

    async def run(self) -> None:
        """Catch up as long as the process lives."""
        await self.catalog.ready.wait()
        while True:
            await self.turn()
            try:
                await self.round()
            except BridgeError as error:
                log.warning("can't catch up", extra={"why": str(error)})
            except Exception:  # an unexpected response of a host must not end the bridge
                log.exception("catching up failed unexpectedly")
            await self.sleep(self.timing.every)

    async def round(self) -> None:
        """Sweep, then reconcile: a webhook holds more than reconciling can find."""
        apps = [app for app in self.catalog.all() if not app.marker]
        if self.timing.sweep:
            await self.sweeper.round(apps)
        if self.timing.reconcile:
            await self.reconciler.round(apps)


def catchup(
    apis: Mapping[str, ReadsRefs],
    hosts: Mapping[str, GitHost],
    inbox: Inbox,
    journal: DecisionsAndNotes,
    catalog: Catalog,
    clock: Clock,
    timing: CatchUpTiming,
    *,
    homes: Homes = NO_HOMES,
    turn: Turn = at_once,
    apart: ParsesApart | None = None,
    public_url: str | None = None,
) -> Catchup:
    """Build the parts that catch up; `public_url` is where webhooks of this bridge lead."""
    budget = Budget(clock, hourly=timing.hourly, burst=timing.burst)
    sweeper = Sweeper(apis, hosts, inbox, journal, clock, budget, timing, homes, apart, public_url)
    reconciler = Reconciler(apis, inbox, journal, clock, budget, grace=timing.grace, homes=homes)
    return Catchup(sweeper, reconciler, catalog, timing, turn=turn)


def _not_ours(envelope: Envelope) -> Envelope:
    """Return an envelope that a host can have sent; raise Rejected, as ingest does."""
    if envelope.event == FOUND_EVENT:
        raise Rejected(f"the event {FOUND_EVENT} is the bridge's own, no host sends it")
    return envelope


def leads_here(host: str, hook: Hook) -> bool:
    """Return whether a webhook may lead here, judging by its path."""
    return hook.url is None or hook.url.split("?")[0].rstrip("/").endswith(f"/hooks/{host}")
