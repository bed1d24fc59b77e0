"""Previews: those of each app's pull requests, and why others have none."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlencode

from bridge.console.records import Asked, Records
from bridge.console.render import Page
from bridge.console.visitors import Visitor
from bridge.core.apps import App
from bridge.core.previews.native import NativePreview
from bridge.operations.previews import standing
from bridge.views.previews import Standing

MOST = 200
"""Previews on the page, the newest."""


@dataclass(slots=True)
class Group:
    """The previews of one app.

    Attributes:
        twice: who makes previews of the same pull requests by itself; "" if nobody does.
        native: those that the backend makes by itself.
    """

    app: str
    twice: str
    rows: list[Standing] = field(default_factory=list)
    native: list[NativePreview] = field(default_factory=list)


async def previews(records: Records, visitor: Visitor, asked: Asked) -> Page:
    """List the previews that somebody may see, by app and pull request."""
    wanted, every = asked.text("app").lower(), asked.text("all") == "1"
    seen, native = await records.previews(visitor, ended=every)
    native = [one for one in native if wanted in one.app.lower()]
    found = [one for one in seen if wanted in one.app.lower()]
    may = partial(records.may_see, visitor)
    rows = await standing(records.journal, records.apps(), found[:MOST], may)
    facts = {
        "groups": _groups(records, rows, native[:MOST]),
        "count": len(found) + len(native),
        "more": max(0, len(found) - MOST) + max(0, len(native) - MOST),
        "app": asked.text("app"),
        "all": every,
        "other": urlencode({"app": asked.text("app"), "all": "" if every else "1"}),
    }
    return Page("previews", "Previews", facts, live=True)


async def previews_of(
    records: Records, visitor: Visitor, app: App
) -> tuple[Sequence[Standing], Sequence[NativePreview]]:
    """Return the previews of one app, of the newest pull requests first."""
    seen, native = await records.previews(visitor)
    found = [one for one in seen if one.app_id == app.id]
    may = partial(records.may_see, visitor)
    rows = await standing(records.journal, records.apps(), found, may) if found else []
    return _newest_first(rows), [one for one in native if one.app_id == app.id]


def _newest_first(rows: Sequence[Standing]) -> Sequence[Standing]:
    return sorted(rows, key=lambda row: (-row.preview.pull.number, row.preview.id))


def _groups(
    records: Records, rows: Sequence[Standing], native: Sequence[NativePreview]
) -> list[Group]:
    twice = {app.label: app.native_previews for app in records.apps() if app.previews_twice}
    labels = sorted({row.preview.app for row in rows} | {one.app for one in native})
    groups = {label: Group(label, twice.get(label, "")) for label in labels}
    for row in _newest_first(rows):
        groups[row.preview.app].rows.append(row)
    for one in native:
        groups[one.app].native.append(one)
    return [*groups.values()]
