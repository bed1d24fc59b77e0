"""Search: apps, deployments and deliveries by a name, a commit, a branch, a person or a number."""

import asyncio
import re
from collections.abc import Iterator

from bridge.console.pages.apps import rows_of
from bridge.console.pages.deliveries import Row, listed
from bridge.console.pages.request import Asked
from bridge.console.records import Records
from bridge.console.render import Page
from bridge.console.visitors import Visitor
from bridge.core.lifecycle import Deployment
from bridge.pipeline.deciding.arrivals import Wanted

MOST = 20
"""Results of each kind."""

_COMMIT = re.compile(r"[0-9a-fA-F]{4,64}").fullmatch
_NUMBER = re.compile(r"#?(\d{1,15})").fullmatch


async def search(records: Records, visitor: Visitor, asked: Asked) -> Page:
    """Search for apps, deployments and deliveries that fit a few characters."""
    wanted = asked.text("q")
    low = wanted.lower()
    apps = [one for one in records.seen(visitor) if low in one.label.lower() or wanted == one.id]
    facts = {
        "q": wanted,
        "apps": await rows_of(records, apps[:MOST] if wanted else []),
        "arrived": await _deliveries(records, visitor, wanted) if wanted else [],
        "deployments": await _deployments(records, visitor, wanted) if wanted else [],
    }
    return Page("search", f"Search: {wanted}" if wanted else "Search", facts)


async def _deliveries(records: Records, visitor: Visitor, wanted: str) -> list[Row]:
    by_id = (_with_id(records, visitor, host, wanted) for host in records.hosts)
    lists = (listed(records, visitor, each) for each in _meanings(wanted))
    those = await asyncio.gather(*lists, *by_id)
    found = {row.arrived.delivery.seq: row for rows in those for row in rows}
    return [found[seq] for seq in sorted(found, reverse=True)][:MOST]


async def _with_id(records: Records, visitor: Visitor, host: str, id_: str) -> list[Row]:
    one = await records.inbox.find(host, id_)
    return [] if one is None else await listed(records, visitor, Wanted(1, before=one.seq + 1))


def _meanings(wanted: str) -> Iterator[Wanted]:
    """Yield the searches for deliveries that some characters may stand for."""
    yield Wanted(MOST, repo=wanted)
    yield Wanted(MOST, ref=wanted)
    yield Wanted(MOST, author=wanted)
    if _COMMIT(wanted):
        yield Wanted(MOST, commit=wanted)


async def _deployments(records: Records, visitor: Visitor, wanted: str) -> list[Deployment]:
    """Return the deployment with that id, or those of that number."""
    one = await records.journal.deployment(wanted)
    found = [one] if one else []
    if number := _NUMBER(wanted):
        found += await records.journal.deployments(limit=MOST, seq=int(number[1]))
    return [each for each in found if records.may_see(visitor, each.app)]
