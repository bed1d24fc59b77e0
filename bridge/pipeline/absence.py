"""How long no bridge was running, so its data may lack what has happened meanwhile.

A timestamp that the bridge renews while it runs shows it. So does a restored copy of the data, in
which the timestamp is older.
"""

import asyncio
import logging
from datetime import UTC, datetime

from bridge.core.absence import AWAY, EVERY, Absence, read_absence
from bridge.core.errors import BridgeError
from bridge.ports.clock import Clock, Sleep
from bridge.ports.inbox import Delivery, Inbox
from bridge.ports.journal import Notes

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
