"""Deliveries: the list with their outcomes, one with its payload, and refused webhooks."""

import asyncio
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from bridge.console.records import GONE, Asked, Records, state_named
from bridge.console.render import Page
from bridge.console.visitors import Visitor
from bridge.core.access import Right
from bridge.core.apps import find_app
from bridge.core.decision import Decision
from bridge.core.errors import NotFound, Rejected
from bridge.core.events import ASKING_HOSTS
from bridge.core.lifecycle import Change, Deployment, State
from bridge.core.masking import redact
from bridge.operations.arrivals import HIDDEN, is_secret, shown_headers, without_addresses
from bridge.pipeline.deciding.arrivals import Arrived, Wanted, collected, first_after, look_up
from bridge.ports.inbox import Delivery

A_PAGE = 50
"""Deliveries on a page."""

MOST_REFUSED = 100


async def deliveries(records: Records, visitor: Visitor, asked: Asked) -> Page:
    """List deliveries, newest first, a page at a time."""
    app, wanted = asked.text("app"), {name: asked.text(name) for name in FIELDS}
    if wanted["commit"] and not re.fullmatch(r"[0-9a-fA-F]{4,64}", wanted["commit"]):
        raise Rejected(f"{wanted['commit']!r} is no commit: write at least its first four digits.")
    failed = wanted["outcome"] == FAILED
    before = asked.number("before", sys.maxsize)
    if wanted["until"]:
        before = min(before, await first_after(records.inbox, _day(wanted["until"], 1)))
    sought = Wanted(
        A_PAGE,
        since=_day(wanted["since"]) if wanted["since"] else None,
        repo=wanted["repo"] or None,
        app_id=find_app(records.seen(visitor), app).id if app else None,
        failed=failed,
        state=state_named("" if failed else wanted["outcome"], "an outcome"),
        ref=wanted["branch"],
        commit=wanted["commit"],
        author=wanted["author"],
        before=before,
    )
    found = await look_up(records.inbox, records.journal, sought)
    facts = {
        "arrived": await visible(records, visitor, found),
        "older": asked.again(before=found[-1].seq) if len(found) == A_PAGE else "",
        "newest": asked.again(before="") if asked.text("before") else None,
        "app": app,
        "wanted": wanted,
        "narrowed": bool(app or any(wanted.values())),
        "outcomes": (FAILED, *State),
        "all": records.sees_all(visitor),
    }
    return Page("deliveries", "Deliveries", facts, live=not asked.text("before"))


FIELDS = ("repo", "branch", "commit", "author", "outcome", "since", "until")
"""The fields to search by, besides the app."""

FAILED = "any failure"
"""The outcome of deliveries that failed, or whose deployments did."""


def _day(given: str, later: int = 0) -> float:
    """Return when a day begins, UTC, or a later one."""
    try:
        day = date.fromisoformat(given) + timedelta(days=later)
    except (ValueError, OverflowError):
        raise Rejected(f"{given!r} is no date: write it as 2026-01-31.") from None
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


async def listed(records: Records, visitor: Visitor, wanted: Wanted) -> list[Arrived]:
    """Return the deliveries that somebody may see."""
    found = await look_up(records.inbox, records.journal, wanted)
    return await visible(records, visitor, found)


async def visible(records: Records, visitor: Visitor, found: Sequence[Delivery]) -> list[Arrived]:
    """Return deliveries with what somebody may see of them, if that is anything."""

    def sees(one: Decision | Deployment) -> bool:
        return records.may_see(visitor, one.app)

    some = None if records.sees_all(visitor) else sees
    return await collected(records.inbox, records.journal, found, lambda: records.reading, some)


# ── one delivery ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision for one app, with its outcome.

    Attributes:
        deployment: the one that it led to; `changes`: its history.
    """

    decision: Decision
    deployment: Deployment | None
    changes: Sequence[Change]


async def a_delivery(records: Records, visitor: Visitor, asked: Asked) -> Page:
    """Show a delivery from its arrival to what became of it."""
    seq = asked.seq
    found = await records.inbox.get(seq)
    gone = NotFound(f"There is no delivery {seq}: {GONE}.")
    if found is None:
        raise gone
    rows = await visible(records, visitor, [found])
    if not rows:
        raise gone
    arrived = rows[0]
    verdicts = [await _verdict(records, one, arrived) for one in arrived.decisions]
    everything = records.sees_all(visitor)
    may_deploy = all(
        Right.DEPLOY in records.access.rights(visitor.person, one.app, None)
        for one in arrived.decisions
    )
    facts: dict[str, Any] = {
        "arrived": arrived,
        "about": arrived.about,
        "verdicts": sorted(verdicts, key=lambda one: (not one.decision.deploy, one.decision.app)),
        "size": found.size,
        "is_webhook": found.host not in ASKING_HOSTS and found.host in records.hosts,
        "headers": shown_headers(found.headers),
        "payload": await asyncio.to_thread(shown_payload, found) if everything else None,
        "may_replay": everything and may_deploy,
    }
    return Page("delivery", f"Delivery {found.id}", facts, live=True)


async def _verdict(records: Records, decision: Decision, arrived: Arrived) -> Verdict:
    deployment = arrived.deployments.get(decision.app_id)
    changes = await records.journal.changes(deployment.id) if deployment else []
    return Verdict(decision, deployment, changes)


# ── what was refused ─────────────────────────────────────────────────────────────────────────────


async def refused(records: Records, visitor: Visitor, _asked: Asked) -> Page:
    """List the refused webhooks: nothing about them can be trusted."""
    if not records.sees_all(visitor):
        raise NotFound("Refused webhooks are shown to those who may view every app.")
    found = await records.journal.refused(limit=MOST_REFUSED)
    names = await records.journal.repositories()
    facts = {"refused": found, "names": names}
    return Page("refused_webhooks", "Refused webhooks", facts, live=True)


# ── The payload for people, without secrets and e-mail addresses ──────────────────────────────────

MOST_SHOWN = 200_000
"""Bytes of a payload that are parsed and shown; a larger one is on the command line."""

MOST_CHARACTERS = 60_000
"""Characters of a payload on a page, which stays below 100 KB."""


@dataclass(frozen=True, slots=True)
class Payload:
    """A payload for people.

    Attributes:
        text: indented JSON; "" if it can't be shown.
        why_not: why it can't be, or not all of it; "" if all of it is shown.
    """

    text: str = ""
    why_not: str = ""


def shown_payload(delivery: Delivery) -> Payload:
    """Return a payload as indented JSON, or why it can't be shown."""
    if delivery.stored is None:
        return Payload(why_not="It is not kept any more (see `retention` in the settings).")
    if delivery.size > MOST_SHOWN:
        return Payload(why_not=f"It is not shown: it has more than {MOST_SHOWN} bytes.")
    try:
        found = _without_secrets(json.loads(delivery.body or b""))
        text = json.dumps(found, indent=2, ensure_ascii=False)
    except (ValueError, Rejected):
        return Payload(why_not="It is not shown: it is not JSON.")
    except RecursionError:
        return Payload(why_not="It is not shown: it is nested too deeply.")
    if len(text) <= MOST_CHARACTERS:
        return Payload(redact(text))
    why = f"Its first {MOST_CHARACTERS} characters are shown."
    return Payload(redact(text[:MOST_CHARACTERS]) + "\n…", why)


def _without_secrets(value: Any, *, secret: bool = False) -> Any:
    """Return JSON for people; everything below a secret's name is secret, too."""
    if isinstance(value, dict):
        return {
            without_addresses(name): _without_secrets(one, secret=secret or bool(is_secret(name)))
            for name, one in value.items()
        }
    if isinstance(value, list):
        return [_without_secrets(one, secret=secret) for one in value]
    if isinstance(value, bool) or not value:
        return value
    if secret:
        return HIDDEN
    return without_addresses(value) if isinstance(value, str) else value
