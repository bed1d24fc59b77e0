"""The first page: running deployments, problems, recent apps and deliveries; and the search."""

import asyncio
import re
from collections.abc import Mapping

from bridge.console.pages.apps import Row, rows_of
from bridge.console.pages.deliveries import listed
from bridge.console.pages.deployments import may_of
from bridge.console.pages.inbox import needs_of
from bridge.console.records import Asked, Records
from bridge.console.render import Page
from bridge.console.visitors import Visitor
from bridge.core.apps import App, of_people
from bridge.core.lifecycle import Deployment
from bridge.pipeline.deciding.arrivals import Arrived, Wanted

MOST_OPEN = 50
MOST_APPS = 15
MOST_ARRIVED = 12

LATELY_DEPLOYED = 200
"""The newest deployments to look through for apps."""


async def now(records: Records, visitor: Visitor, _asked: Asked) -> Page:
    """Collect the first page."""
    seen = {app.id: app for app in records.seen(visitor)}
    listed_apps = {app.id: app for app in of_people(seen.values())}
    all_open = await records.journal.open_deployments()
    # Two reads at a time: after a change many pages ask for these, and more parallel reads would
    # compete with webhooks for the interpreter.
    needs, (apps, arrived) = await asyncio.gather(
        needs_of(records, visitor, listed_apps, all_open), _lists(records, visitor, listed_apps)
    )
    open_ = [one for one in all_open if one.app_id in seen]
    facts = {
        "open": open_[:MOST_OPEN],
        "more_open": max(0, len(open_) - MOST_OPEN),
        "may": {
            one.id: may_of(one, records.rights(visitor, seen[one.app_id]))
            for one in open_[:MOST_OPEN]
        },
        "needs": [one for one in needs if one.mine],
        "others": [one for one in needs if not one.mine],
        "apps": apps,
        "all_apps": len(listed_apps),
        "arrived": arrived,
    }
    return Page("now", "Now", facts, live=True)


async def _lists(
    records: Records, visitor: Visitor, seen: Mapping[str, App]
) -> tuple[list[Row], list[Arrived]]:
    lately = await records.journal.deployed_lately(LATELY_DEPLOYED)
    ids = dict.fromkeys(id_ for id_ in lately if id_ in seen) | dict.fromkeys(seen)  # or others
    rows = await rows_of(records, [seen[id_] for id_ in ids][:MOST_APPS])
    return rows, await listed(records, visitor, Wanted(MOST_ARRIVED))


# ── Search: by a name, a commit, a branch, a person or a number ───────────────────────────────────

MOST_RESULTS = 20
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
        "apps": await rows_of(records, apps[:MOST_RESULTS] if wanted else []),
        "arrived": await _deliveries(records, visitor, wanted) if wanted else [],
        "deployments": await _deployments(records, visitor, wanted) if wanted else [],
    }
    return Page("search", f"Search: {wanted}" if wanted else "Search", facts)


async def _deliveries(records: Records, visitor: Visitor, wanted: str) -> list[Arrived]:
    meanings = [
        Wanted(MOST_RESULTS, repo=wanted),
        Wanted(MOST_RESULTS, ref=wanted),
        Wanted(MOST_RESULTS, author=wanted),
    ]
    if _COMMIT(wanted):
        meanings.append(Wanted(MOST_RESULTS, commit=wanted))
    lists = (listed(records, visitor, each) for each in meanings)
    by_id = (_with_id(records, visitor, host, wanted) for host in records.hosts)
    those = await asyncio.gather(*lists, *by_id)
    found = {each.delivery.seq: each for rows in those for each in rows}
    return [found[seq] for seq in sorted(found, reverse=True)][:MOST_RESULTS]


async def _with_id(records: Records, visitor: Visitor, host: str, id_: str) -> list[Arrived]:
    one = await records.inbox.find(host, id_)
    return [] if one is None else await listed(records, visitor, Wanted(1, before=one.seq + 1))


async def _deployments(records: Records, visitor: Visitor, wanted: str) -> list[Deployment]:
    """Return the deployment with that id, or those of that number."""
    one = await records.journal.deployment(wanted)
    found = [one] if one else []
    if number := _NUMBER(wanted):
        found += await records.journal.deployments(limit=MOST_RESULTS, seq=int(number[1]))
    return [each for each in found if records.may_see(visitor, each.app)]
