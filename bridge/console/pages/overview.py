"""The first page: running deployments, problems, recent apps and deliveries."""

import asyncio
from collections.abc import Mapping

from bridge.console.pages.apps import Row, rows_of
from bridge.console.pages.deliveries import listed
from bridge.console.pages.deployments import may_of
from bridge.console.pages.inbox import needs_of
from bridge.console.records import Asked, Records
from bridge.console.render import Page
from bridge.console.visitors import Visitor
from bridge.core.apps import App, of_people
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
