"""Fetch what the hosts could not deliver, after an outage and on a timer.

GitHub never retries by itself, GitLab gives a webhook up after some failures; both list what they
have sent. A delivery that never arrived is fetched and kept as if it had arrived; `reconcile` finds
what was never sent.
"""

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from bridge.core.absence import Absence
from bridge.core.apps import App
from bridge.core.errors import BridgeError, Refused, Rejected
from bridge.core.events import FOUND_EVENT, Event, RefPushed
from bridge.core.hooks import is_ours
from bridge.core.refs import is_on_disk
from bridge.pipeline.background import Turn, at_once
from bridge.pipeline.deciding.catalog import Catalog
from bridge.pipeline.deciding.reconcile import (
    NO_HOMES,
    Budget,
    Homes,
    ReadsRefs,
    Reconciler,
    Resting,
    wanted_of,
)
from bridge.pipeline.housekeeping import last_absence
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
from bridge.ports.journal import DecisionsAndNotes, Notes

log = logging.getLogger(__name__)

# ── webhooks that lead here, and that their host has disabled or can't deliver ───────────────────

NOTED = "webhook troubles"
"""The key of the journal's note."""

LASTS = 24 * 3600.0
"""Seconds for which a report counts that the host has not repeated."""

MOST = 100
"""The most that are kept: where a proxy is down, all webhooks fail."""


@dataclass(frozen=True, slots=True)
class HookTrouble:
    """A webhook that does not arrive.

    Attributes:
        repository: the one whose pushes it reports; of a webhook for several, the first.
        failed: its last delivery failed; otherwise the host sends nothing.
        at: when that delivery was sent, or when the host said so last, in seconds since 1970.
    """

    host: str
    repository: str
    hook: str
    why: str
    failed: bool
    at: float

    @property
    def says(self) -> str:
        return f"webhook {self.hook} of {self.repository} at {self.host}: {self.why}"


async def hook_troubles(journal: Notes, now: float) -> list[HookTrouble]:
    """Return what hosts have lately reported, newest first; at most `MOST`."""
    return [one for one in await _stored(journal) if one.at > now - LASTS]


@dataclass(eq=False)
class HookTroubles:
    """Keeps what looks at webhooks find; with `public_url`, none of another bridge's."""

    journal: Notes
    clock: Clock
    public_url: str | None = None
    _known: list[HookTrouble] = field(default_factory=list, init=False)

    async def begin(self) -> None:
        """Take up what is known, also from another process."""
        self._known = [one for one in await _stored(self.journal) if one.at > self._old]

    async def note(
        self, host: str, repository: str, seen: Sequence[tuple[Hook, Sending | None]]
    ) -> None:
        """Replace what is known of a repository's webhooks.

        Args:
            seen: those that lead here, each with its newest delivery if the host has listed any.
        """
        before = [one for one in self._known if (one.host, one.repository) == (host, repository)]
        by_hook = {one.hook: one for one in before}
        found = []
        for hook, last in seen:
            known = by_hook.get(hook.id)
            one = self._trouble(host, repository, hook, last, known)
            if one is None:
                continue
            found.append(one)
            if known is None or known.why != one.why:
                about = {"hook": f"{host} {repository} webhook {hook.id}", "why": one.why}
                log.warning("the host reports that a webhook is not delivered", extra=about)
        if found or before:
            every = found + [one for one in self._known if one not in before]
            self._known = sorted(every, key=lambda one: -one.at)[:MOST]
            text = json.dumps([asdict(one) for one in self._known])
            await self.journal.note(NOTED, text)

    def _trouble(
        self,
        host: str,
        repository: str,
        hook: Hook,
        last: Sending | None,
        known: HookTrouble | None,
    ) -> HookTrouble | None:
        if self.public_url and hook.url and not is_ours(hook.url, self.public_url):
            return None
        now = self.clock()
        if hook.trouble is not None:
            return HookTrouble(host, repository, hook.id, hook.trouble, failed=False, at=now)
        if last is None:  # nothing was sent since the last look
            return known if known is not None and known.failed else None
        at = now if last.at is None else last.at
        if last.answered or at <= self._old:
            return None
        why = f"its last delivery was not accepted: {last.words or 'no answer'}"
        return HookTrouble(host, repository, hook.id, why, failed=True, at=at)

    @property
    def _old(self) -> float:
        return self.clock() - LASTS


async def _stored(journal: Notes) -> list[HookTrouble]:
    return [HookTrouble(**one) for one in json.loads(await journal.recall(NOTED) or "[]")]


# ── what was not delivered ───────────────────────────────────────────────────────────────────────

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
    """

    sweep: bool = True
    reconcile: bool = True
    every: float = 300.0
    window: float = 3 * DAY
    overlap: float = 900.0
    grace: float = 90.0
    hourly: float = 1200.0
    burst: float = 200.0


@dataclass(eq=False)
class Sweeper:
    """Fetches deliveries that a host has sent and we never received.

    Of a host that lists its webhooks, but not what they have sent, it notices only what is wrong
    with them.

    What is fetched is not signed: we rely on the host. If the owner of a webhook can shape its
    payloads, they count only for the webhook's own repository.
    """

    apis: Mapping[str, ReadsRefs]
    hosts: Mapping[str, GitHost]
    inbox: Inbox
    journal: DecisionsAndNotes
    clock: Clock
    budget: Budget
    timing: CatchUpTiming
    homes: Homes = field(default_factory=dict)
    apart: ParsesApart | None = None
    public_url: str | None = None
    _troubles: HookTroubles = field(init=False)
    _settled: OrderedDict[tuple[str, str, str], None] = field(
        default_factory=OrderedDict, init=False
    )
    _absence: Absence | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._troubles = HookTroubles(self.journal, self.clock, self.public_url)

    async def round(self, apps: Iterable[App]) -> int:
        """Sweep all webhooks of the apps' repositories once; return how many were fetched."""
        fetched, swept, resting = 0, set[tuple[str, str, str]](), Resting()
        self._absence = await last_absence(self.journal)
        await self._troubles.begin()
        for host, name in wanted_of(apps, self.homes):
            api: object = self.apis.get(host)
            if not isinstance(api, ListsHooks) or host not in self.hosts:
                continue
            if resting.has(host, name):
                continue
            seen: list[tuple[Hook, Sending | None]] = []
            try:
                await self.budget.spend()
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
        key, now = f"swept {host} {hook.place} {hook.id}", self.clock()
        last = await self.journal.recall(key)
        since = now - self.timing.window
        if last is not None and float(last) <= now:  # else the clock was set back since
            since = max(since, float(last) - self.timing.overlap)
        fetched, absence = 0, self._absence
        if absence is not None and last is not None and float(last) >= absence.until:
            absence = None  # it was handled
        await self.budget.spend()
        listed = [one async for one in api.sendings(hook, since) if "push" in one.event.lower()]
        for sending in self._missed(listed, now, absence)[::-1]:  # the oldest first
            fetched += await self._fetch(api, host, hook, sending)
        await self.journal.note(key, str(now))
        return fetched, next(filter(self._tells, listed), None)

    def _tells(self, sending: Sending) -> bool:
        """Return whether an attempt shows how its webhook is: a failure while away does not."""
        early = sending.at is None or sending.at <= self.clock() - self.timing.grace
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
        early = now - self.timing.grace
        return [
            sending
            for delivery, sending in tries.items()
            if delivery not in answered and (sending.at is None or sending.at <= early)
        ]

    async def _fetch(self, api: Redelivers, host: str, hook: Hook, sending: Sending) -> bool:
        """Store one as if it had arrived; return False if it is already there."""
        if (host, hook.place, sending.id) in self._settled:
            return False
        if sending.delivery and await self.inbox.find(host, sending.delivery) is not None:
            return False
        if (payload := sending.payload) is None:
            await self.budget.spend()
            payload = await api.payload(hook, sending.id)
        if payload is None:
            await self._again(api, host, hook, sending)
            return False
        try:
            envelope = _not_ours(self.hosts[host].fetched(payload.headers))
        except Rejected as error:
            log.warning("a missed delivery can't be read", extra={"why": str(error)})
            return False
        if not await self._may_speak(host, hook, sending, envelope, payload.body):
            return False
        id_ = envelope.id or f"fetched-{hook.id}-{sending.id}"
        new = NewDelivery(host, id_, envelope.event, envelope.headers, payload.body, self.clock())
        kept = await self.inbox.keep(new)
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
        await self.budget.spend()
        known, told = await self.apis[host].repository(hook.speaks_for), event.repository
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
        if self.apart is not None and len(body) > APART:
            return await self.apart(self.hosts[host], event, headers, [body])
        return await asyncio.to_thread(self.hosts[host].parse, event, headers, body)

    async def _again(self, api: Redelivers, host: str, hook: Hook, sending: Sending) -> None:
        """Have the host resend, once, a delivery that it lists without its payload."""
        delivery = sending.delivery or sending.id
        if (host, hook.place, delivery) in self._settled:
            return
        self._settle(host, hook, delivery)
        await self.budget.spend()
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
    """Sweeps and reconciles on a timer, in one of several processes."""

    sweeper: Sweeper
    reconciler: Reconciler
    catalog: Catalog
    timing: CatchUpTiming
    turn: Turn = field(default=at_once, kw_only=True)
    sleep: Sleep = field(default=asyncio.sleep, kw_only=True)

    async def run(self) -> None:
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
