"""The first page: running deployments, problems, recent apps and deliveries."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from bridge.console.pages.apps import Row, rows_of
from bridge.console.pages.deliveries import listed
from bridge.console.records import Asked, Records
from bridge.console.render import Page
from bridge.console.visitors import Visitor
from bridge.core.apps import App, of_people
from bridge.core.health.fate import note_now
from bridge.core.health.serving import Serving
from bridge.core.lifecycle import Deployment, State
from bridge.core.previews.preview import PreviewState
from bridge.pipeline.deciding.arrivals import Arrived, Wanted
from bridge.pipeline.deciding.catchup import MOST, hook_troubles
from bridge.ports.checks import Level
from bridge.ports.inbox import DeliveryState
from bridge.views.previews import why_of

MOST_OPEN = 50
MOST_APPS = 15
MOST_ARRIVED = 12
MOST_FAILED = 5
MOST_TWICE = 5
MOST_REFUSED = 200
MOST_HOOKS = 5
MOST_PREVIEWS = 5
MOST_UNMATCHED = 5

STUCK = 3
"""Failures in a row of a preview's next step, after which somebody is told."""

LATELY_DEPLOYED = 200
"""The newest deployments to look through for apps."""

LATELY = 24 * 3600.0
"""Seconds for which a refused webhook or a failed delivery needs somebody."""


@dataclass(frozen=True, slots=True)
class Need:
    """A problem that needs somebody.

    Attributes:
        tone, word: its tag.
        says: what is wrong.
        link: the page with more; `button`: what it leads to.
        at: when that was so, if it may have changed since; None if it is so now.
    """

    tone: str
    word: str
    says: str
    link: str
    button: str = "See why"
    at: float | None = None


async def now(records: Records, visitor: Visitor, _asked: Asked) -> Page:
    """Collect the first page."""
    seen = {app.id: app for app in records.seen(visitor)}
    listed_apps = {app.id: app for app in of_people(seen.values())}
    # Two reads at a time: after a change many pages ask for these, and more parallel reads would
    # compete with webhooks for the interpreter.
    needs, (all_open, apps, arrived) = await asyncio.gather(
        _needs(records, visitor, listed_apps), _lists(records, visitor, listed_apps)
    )
    open_ = [one for one in all_open if one.app_id in seen]
    facts = {
        "open": open_[:MOST_OPEN],
        "more_open": max(0, len(open_) - MOST_OPEN),
        "rights": {one.app_id: records.rights(visitor, seen[one.app_id]) for one in open_},
        "needs": needs,
        "apps": apps,
        "all_apps": len(listed_apps),
        "arrived": arrived,
    }
    return Page("now", "Now", facts, live=True)


async def _lists(
    records: Records, visitor: Visitor, seen: Mapping[str, App]
) -> tuple[list[Deployment], list[Row], list[Arrived]]:
    open_ = await records.journal.open_deployments()
    lately = await records.journal.deployed_lately(LATELY_DEPLOYED)
    ids = dict.fromkeys(id_ for id_ in lately if id_ in seen) | dict.fromkeys(seen)  # or others
    rows = await rows_of(records, [seen[id_] for id_ in ids][:MOST_APPS])
    return open_, rows, await listed(records, visitor, Wanted(MOST_ARRIVED))


async def _needs(records: Records, visitor: Visitor, seen: Mapping[str, App]) -> list[Need]:
    needs = await _of_deployments(records, seen)
    needs += _of_apps(list(seen.values()))
    needs += await _of_previews(records, visitor)
    if records.sees_all(visitor):
        needs += await _of_settings(records)
        needs += await _of_webhooks(records)
        needs += await _of_hooks(records)
        needs += await _of_feedback(records)
    return needs


async def _of_deployments(records: Records, seen: Mapping[str, App]) -> list[Need]:
    """Return the apps that serve what is unhealthy, or of which nobody knows what they serve."""
    found = []
    for state, tone in ((State.UNHEALTHY, "bad"), (State.UNKNOWN, "held")):
        those = await records.journal.deployments(limit=LATELY_DEPLOYED, state=state)
        ids = list(dict.fromkeys(one.app_id for one in those if one.app_id in seen))[:MOST_APPS]
        serving = await records.journal.serving([seen[id_] for id_ in ids])
        troubled = [one for one in those if _troubles(one, serving.get(one.app_id))]
        fates = await records.journal.fates(troubled)
        for one in troubled:
            link, fate = f"/console/deployments/{one.id}", fates.get(one.id)
            says = f"; {fate.says}" if fate is not None and fate.says else ""
            told = f"{one.app}: {note_now(one, fate)}{says}"
            found.append(Need(tone, state, told, link))
    return found


def _troubles(one: Deployment, serving: Serving | None) -> bool:
    """Return whether a deployment is what its app serves, or leaves that in doubt."""
    if serving is None:
        return one.state is State.UNKNOWN
    if one.state is State.UNKNOWN:
        return not serving.known and serving.doubt is not None and serving.doubt.id == one.id
    return serving.ours is not None and serving.ours.id == one.id


async def _of_previews(records: Records, visitor: Visitor) -> list[Need]:
    """Return the previews that are held, or whose next step fails again and again."""
    those, _ = await records.previews(visitor)
    waiting = [one for one in those if one.state is PreviewState.HELD or one.failures >= STUCK]
    found = [
        Need(
            "held",
            "held" if one.state is PreviewState.HELD else "failing",
            f"{one.label}: {why_of(one)}",
            f"/console/previews?{urlencode({'app': one.app})}",
            "Its preview",
        )
        for one in waiting
    ]
    rest = Need(
        "held", "held", "{} other previews are held or fail", "/console/previews", "Previews"
    )
    return _first(found, MOST_PREVIEWS, rest)


def _of_apps(seen: Sequence[App]) -> list[Need]:
    twice = [app for app in seen if app.deploys_twice]
    found = [
        Need(
            "held",
            "warning",
            f"{app.label} has Auto Deploy on at its backend: every push deploys twice",
            f"/console/apps/{app.id}",
            "See the app",
        )
        for app in twice
    ]
    says = "{} more apps have Auto Deploy on: `dokploy-bridge adopt --all` switches it off"
    return _first(found, MOST_TWICE, Need("held", "warning", says, "/console/apps", "All apps"))


async def _of_settings(records: Records) -> list[Need]:
    """Return what the settings name and is not there, such as a misspelt app."""
    found = await records.unmatched()
    needs = [
        Need(
            "bad" if one.level is Level.ERROR else "held",
            "settings",
            one.words,
            "/console/apps",
            "All apps",
        )
        for one in found
    ]
    says = "{} more settings name nothing that is there: `dokploy-bridge doctor` lists all"
    return _first(needs, MOST_UNMATCHED, Need("bad", "settings", says, "/console/apps", "All apps"))


def _first(found: list[Need], most: int, rest: Need) -> list[Need]:
    """Return the first ones, and then `rest`, which says how many are left out."""
    left_out = len(found) - most
    if left_out <= 0:
        return found
    return [*found[:most], replace(rest, says=rest.says.format(left_out))]


async def _of_webhooks(records: Records) -> list[Need]:
    since = records.clock() - LATELY
    found = []
    failed = await records.inbox.ended(DeliveryState.FAILED, MOST_FAILED, before=2**62)
    for one in failed:
        if one.received_at >= since:
            says = f"{one.event} of {one.host}: {one.error or 'no reason is known'}"
            found.append(Need("bad", "failed", says, f"/console/deliveries/{one.seq}"))
    refused = await records.journal.refused(limit=MOST_REFUSED, since=since)
    if refused:
        count, newest = sum(one.count for one in refused), max(refused, key=lambda one: one.last)
        webhooks = "1 webhook" if count == 1 else f"{count} webhooks"
        if len(refused) == MOST_REFUSED:
            webhooks = f"more than {count} webhooks"
        says = f"{webhooks} in the last 24 hours; the newest: {newest.why}"
        found.append(Need("bad", "refused", says, "/console/refused"))
    return found


async def _of_hooks(records: Records) -> list[Need]:
    """Return the webhooks that their hosts have disabled, or can't deliver."""
    troubles = await hook_troubles(records.journal, records.clock())
    found = [
        Need(
            "bad",
            "failing" if one.failed else "disabled",
            one.says,
            f"/console/deliveries?{urlencode({'repo': one.repository})}",
            "Its deliveries",
            at=one.at,
        )
        for one in troubles[:MOST_HOOKS]
    ]
    if (more := len(troubles) - MOST_HOOKS) > 0:
        many = f"more than {more}" if len(troubles) == MOST else more
        says = f"{many} other webhooks do not arrive: `dokploy-bridge doctor` lists all"
        found.append(Need("bad", "webhook", says, "/console/deliveries", "Deliveries"))
    return found


async def _of_feedback(records: Records) -> list[Need]:
    found = []
    for one in await records.journal.feedback(limit=MOST_FAILED, failing=True):
        word = "parked" if one.parked else "failing"
        says = f"{one.subscription.kind} can't be updated: {one.error}"
        found.append(Need("held", word, says, "/console/audit"))
    return found
