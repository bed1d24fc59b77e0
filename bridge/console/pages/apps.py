"""Apps: what each serves, since when, how healthy; and one app with its history."""

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.console.pages.deployments import back_of
from bridge.console.pages.dry_run import findings_of, tried
from bridge.console.pages.gates import rules_of
from bridge.console.pages.previews import previews_of
from bridge.console.records import Asked, Records
from bridge.console.render import Page
from bridge.console.visitors import Visitor
from bridge.core.apps import App, of_people
from bridge.core.gates.locks import Lock, scopes_of
from bridge.core.health.serving import Serving
from bridge.core.lifecycle import Brief

A_PAGE = 50
"""Apps on a page."""

RECENT = 10
"""Deployments that an app's bars show."""

MOST_TYPED = 10_000
"""Characters of files to try."""

HISTORY = 20
DECISIONS = 20


@dataclass(frozen=True, slots=True)
class Bar:
    """A deployment as a bar; its height is 1 to 10, the longest of those shown being 10."""

    deployment: Brief
    height: int


@dataclass(frozen=True, slots=True)
class Row:
    """An app in a list.

    Attributes:
        live: what it serves; None if that was never told.
        last: its newest deployment; None before the first.
        locks: those that cover it.
    """

    app: App
    live: Serving | None
    last: Brief | None
    bars: Sequence[Bar]
    locks: Sequence[Lock]


async def apps(records: Records, visitor: Visitor, asked: Asked) -> Page:
    """List the apps that somebody may view, a page at a time."""
    wanted, page = asked.text("q").lower(), asked.number("page", 1)
    seen = [app for app in of_people(records.seen(visitor)) if wanted in app.label.lower()]
    page = min(max(1, page), max(1, -(-len(seen) // A_PAGE)))
    start = (page - 1) * A_PAGE
    facts = {
        "apps": await rows_of(records, seen[start : start + A_PAGE]),
        "count": len(seen),
        "wanted": wanted,
        "older": asked.again(page=page + 1) if start + A_PAGE < len(seen) else "",
        "newer": asked.again(page=page - 1) if page > 1 else "",
    }
    return Page("apps", "Apps", facts, live=True)


async def an_app(records: Records, visitor: Visitor, asked: Asked) -> Page:
    """Show one app: what it serves, what deploys it, its history."""
    app = await records.app(visitor, asked.parts["id"])
    (row,) = await rows_of(records, [app])
    history = await records.journal.deployments(app_id=app.id, limit=HISTORY)
    previews, native = await previews_of(records, visitor, app)
    facts = {
        "row": row,
        "app": app,
        "exists": any(one.id == app.id for one in records.apps()),
        "rights": records.rights(visitor, app),
        "way_back": await back_of(records, app),
        "history": history,
        "fates": await records.journal.fates(history),
        "decisions": await records.journal.explained(app.id, limit=DECISIONS),
        "rules": rules_of(app),
        "freezes": await records.freezes_of([app]),
        "previews": previews,
        "native": native,
        "findings": findings_of(app, records.policy),
        "paths": asked.query.get("paths", "")[:MOST_TYPED],
        "tried": tried(app, asked.query.get("paths", "")[:MOST_TYPED], records.policy),
    }
    return Page("app", app.label, facts, live=True)


async def rows_of(records: Records, those: Sequence[App]) -> list[Row]:
    """Collect what a list shows of apps."""
    serving = await records.journal.serving(those)
    newest = await records.journal.briefly([app.id for app in those], RECENT)
    locks = await records.journal.locks()
    return [
        Row(
            app,
            serving.get(app.id),
            next(iter(newest[app.id]), None),
            bars_of(newest[app.id]),
            [one for one in locks if one.scope in scopes_of(app)],
        )
        for app in those
    ]


def bars_of(history: Sequence[Brief]) -> list[Bar]:
    """Return deployments as bars, oldest first, by how long each took."""
    took = [
        max(0.0, (one.finished_at or 0.0) - one.started_at) if one.started_at is not None else 0.0
        for one in history
    ]
    longest = max(took, default=0.0) or 1.0
    bars = [
        Bar(one, max(1, round(10 * time / longest)))
        for one, time in zip(history, took, strict=True)
    ]
    return bars[::-1]
