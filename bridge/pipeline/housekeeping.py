"""Keep the data in order: know since when it may lack something, and delete what has expired.

A timestamp that the bridge renews while it runs shows how long none was running. So does a restored
copy of the data, in which it is older. What has expired is deleted a little at a time.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from bridge.core.absence import AWAY, EVERY, Absence, read_absence
from bridge.core.errors import BridgeError
from bridge.pipeline.background import Turn, at_once
from bridge.ports.clock import Clock, Sleep
from bridge.ports.flows import Flows
from bridge.ports.gates import Gates
from bridge.ports.inbox import Delivery, Inbox
from bridge.ports.journal import Audit, Decisions, Notes
from bridge.ports.previews import Previews

log = logging.getLogger(__name__)

ALIVE = "alive"
"""Key of the mark in the journal's notes."""

LONG = 4 * EVERY
"""Seconds without a mark that count as an absence."""

REMEMBERED = 7 * 86_400.0
"""Seconds for which an absence matters: no host lists its deliveries for longer."""


async def last_absence(journal: Notes) -> Absence | None:
    """Return the last recorded absence; raise Unreachable."""
    return read_absence(await journal.recall(AWAY))


async def notice_absence(journal: Notes, inbox: Inbox, clock: Clock) -> Absence | None:
    """Record and log how long no bridge was running; return None if one was until now.

    A recent earlier absence is merged with it, since the hosts may not have been swept in between.

    Raises:
        Unreachable: the data can't be read or written.
    """
    mark, now = await journal.recall(ALIVE), clock()
    newest = next(iter(await inbox.newest(1)), None)
    if mark is not None:
        since = float(mark)
    elif newest is not None:  # data of a release that left no marks
        since = newest.received_at
    else:
        return None
    if now - since < LONG:
        return None
    _say(since, now, newest, marked=mark is not None)
    earlier = await last_absence(journal)
    if earlier is not None and now - earlier.until < REMEMBERED:
        since = min(since, earlier.since)
    await journal.note(AWAY, str(noticed := Absence(since, now)))
    return noticed


def _say(since: float, now: float, newest: Delivery | None, *, marked: bool) -> None:
    asked = "fetching the pushes since then from hosts with a credential"
    told = {
        "since": _date(since),
        "hours": round((now - since) / 3600, 1),
        "newest_delivery": None if newest is None else _date(newest.received_at),
    }
    if marked:
        why = "the bridge was away, or its data is a restored copy"
        log.warning("%s; %s", why, asked, extra=told)
    else:
        log.info("the data does not say when the bridge last ran; %s", asked, extra=told)


async def stay(journal: Notes, clock: Clock, *, sleep: Sleep = asyncio.sleep) -> None:
    """Renew the mark as long as the process lives."""
    while True:
        try:
            await journal.note(ALIVE, str(clock()))
        except BridgeError as error:  # logged elsewhere, too; a missing mark costs one sweep
            log.debug("the mark of a running bridge can't be written", extra={"why": str(error)})
        await sleep(EVERY)


def _date(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


# ── expired data ──────────────────────────────────────────────────────────────────────────────────

DAY = 86_400.0

Forget = Callable[[float, int], Awaitable[int]]
"""Deletes at most so many from before a time; returns how many."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long things are kept; all but the last three in days.

    Attributes:
        bodies: of deliveries, which can't be replayed without them.
        deliveries: their ids; a later redelivery counts as new.
        decisions: with deployments, their history and their subscriptions, and what is left of
            previews.
        audit: who changed what.
        drafts: sealed changes that were previewed in a chat but never confirmed.
        flows: those that have ended.
        every: seconds between two rounds.
        bite: how many rows are deleted in one transaction.
        pause: seconds between two transactions.
    """

    bodies: float = 30.0
    deliveries: float = 60.0
    decisions: float = 365.0
    audit: float = 730.0
    drafts: float = 7.0
    flows: float = 7.0
    every: float = 3600.0
    bite: int = 200
    pause: float = 0.05


class ExpiryJournal(Audit, Decisions, Gates, Previews, Protocol):
    """What expiry uses of the journal."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Deletes expired data; of several processes one does."""

    inbox: Inbox
    journal: ExpiryJournal
    flows: Flows
    clock: Clock
    keeping: Keeping = field(default_factory=Keeping)
    _: KW_ONLY
    turn: Turn = at_once
    sleep: Sleep = asyncio.sleep

    async def run(self) -> None:
        while True:
            await self.turn()
            try:
                await self.round()
            except BridgeError as error:
                log.warning("expired data can't be deleted", extra={"why": str(error)})
            except Exception:  # old data must not end the process, which also deploys
                log.exception("retention failed unexpectedly")
            await self.sleep(self.keeping.every)

    async def round(self) -> dict[str, int]:
        """Delete everything that has expired; log how much."""
        now, keeping = self.clock(), self.keeping
        work: dict[str, tuple[Forget, float]] = {
            "flows": (self.flows.forget, keeping.flows),
            "bodies": (self.inbox.forget_bodies, keeping.bodies),
            "deliveries": (self.inbox.forget, keeping.deliveries),
            "decisions": (self.journal.forget, keeping.decisions),
            "audit": (self.journal.forget_audit, keeping.audit),
            "drafts": (self.journal.forget_drafts, keeping.drafts),
            "gates": (self.journal.forget_gates, keeping.decisions),
            "previews": (self.journal.forget_previews, keeping.decisions),
        }
        forgotten = {
            what: await self._all(forget, now - days * DAY) for what, (forget, days) in work.items()
        }
        if any(forgotten.values()):
            log.info("expired data deleted", extra=forgotten)
        return forgotten

    async def _all(self, forget: Forget, before: float) -> int:
        total = 0
        while forgotten := await forget(before, self.keeping.bite):
            total += forgotten
            await self.sleep(self.keeping.pause)
        return total
