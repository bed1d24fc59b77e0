"""How long the bridge was away, by a mark in its journal that it renews while it runs.

Data that was restored from an older copy has an older mark, so the time since that copy counts
as an absence as well: what was kept and answered in it is lost here, though the Git hosts have
it down as delivered.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from bridge.core.errors import BridgeError
from bridge.ports.clock import Clock
from bridge.ports.inbox import Delivery, Inbox
from bridge.ports.journal import Journal

log = logging.getLogger(__name__)

ALIVE, AWAY = "alive", "away"
"""Keys of the mark, and of the last absence, in the journal's notes."""

EVERY = 30.0
"""Seconds between two marks."""

LONG = 4 * EVERY
"""Seconds without a mark from which on it counts as an absence."""

REMEMBERED = 7 * 86_400.0
"""Seconds for which an absence matters: no host lists its deliveries for longer."""

Sleep = Callable[[float], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Absence:
    """A time, in seconds since 1970, of which the data may know nothing."""

    since: float
    until: float

    def covers(self, at: float | None) -> bool:
        """Return whether something may have happened in it; None: nobody knows when."""
        return at is None or self.since - EVERY <= at <= self.until


async def last_absence(journal: Journal) -> Absence | None:
    """Return the last absence that was noted. Raises Unreachable."""
    text = await journal.recall(AWAY)
    return None if text is None else Absence(**json.loads(text))


async def notice_absence(journal: Journal, inbox: Inbox, clock: Clock) -> Absence | None:
    """Note for how long nobody was here, and say so; None where somebody was until now.

    An earlier one that is not long ago is made part of it, since nobody may have come to asking
    the hosts in between.

    Raises:
        Unreachable: the data can't be read or written.
    """
    mark, now = await journal.recall(ALIVE), clock()
    newest = next(iter(await inbox.newest(1)), None)
    if mark is not None:
        since = float(mark)
    elif newest is not None:  # of a release that left no marks
        since = newest.received_at
    else:
        return None
    if now - since < LONG:
        return None
    _say(since, now, newest, marked=mark is not None)
    earlier = await last_absence(journal)
    if earlier is not None and now - earlier.until < REMEMBERED:
        since = min(since, earlier.since)
    await journal.note(AWAY, json.dumps({"since": since, "until": now}))
    return Absence(since, now)


def _say(since: float, now: float, newest: Delivery | None, *, marked: bool) -> None:
    asked = "hosts with a credential are asked for the pushes since then"
    told = {
        "since": _date(since),
        "hours": round((now - since) / 3600, 1),
        "newest_delivery": None if newest is None else _date(newest.received_at),
    }
    if marked:
        why = "the bridge was away, or its data is a restored copy"
        log.warning("%s; %s", why, asked, extra=told)
    else:
        log.info("the data does not say when the bridge was last here; %s", asked, extra=told)


async def stay(journal: Journal, clock: Clock, *, sleep: Sleep = asyncio.sleep) -> None:
    """Renew the mark as long as the process lives."""
    while True:
        try:
            await journal.note(ALIVE, str(clock()))
        except BridgeError as error:  # said elsewhere, too; a mark that is missing costs a look
            log.debug("the mark of being here can't be written", extra={"why": str(error)})
        await sleep(EVERY)


def _date(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
