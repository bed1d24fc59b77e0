"""Previews: those of each app's pull requests, and why others have none."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from bridge.console.records import Asked, Records
from bridge.console.render import Page
from bridge.console.visitors import Visitor
from bridge.core.lifecycle import Brief
from bridge.core.masking import redact
from bridge.core.previews.native import NativePreview
from bridge.core.previews.preview import Preview, PreviewState, shown_state, still_served
from bridge.pipeline.previews.commands import offered, without_native

MOST = 200
"""Previews on the page, the newest."""


@dataclass(frozen=True, slots=True)
class Row:
    """A preview in the list.

    Attributes:
        deployment: the newest of its app; None before the first, and once the app is gone.
        state: in a word: its own, or that of its deployment until that is live.
        ends: when it ends for want of a push; None if it does not.
        why: what keeps it or is up instead, or why there is none; "" if all is well.
        offers: what the visitor may do.
    """

    preview: Preview
    deployment: Brief | None
    state: str
    ends: float | None
    why: str
    offers: Sequence[str]


@dataclass(slots=True)
class Group:
    """The previews of one app.

    Attributes:
        twice: who makes previews of the same pull requests by itself; "" if nobody does.
        native: those that the backend makes by itself.
    """

    app: str
    twice: str
    rows: list[Row] = field(default_factory=list)
    native: list[NativePreview] = field(default_factory=list)


async def previews(records: Records, visitor: Visitor, asked: Asked) -> Page:
    """List the previews that somebody may see, by app and pull request."""
    wanted, every = asked.text("app").lower(), asked.text("all") == "1"
    asker = records.asker(visitor)
    native = await records.previews.native_seen_by(asker)
    seen = without_native(await records.previews.seen_by(asker, ended=every), native)
    native = [one for one in native if wanted in one.app.lower()]
    found = [one for one in seen if wanted in one.app.lower()]
    rows = await _rows(records, visitor, found[:MOST])
    facts = {
        "groups": _groups(records, rows, native[:MOST]),
        "count": len(found) + len(native),
        "more": max(0, len(found) - MOST) + max(0, len(native) - MOST),
        "app": asked.text("app"),
        "all": every,
        "other": urlencode({"app": asked.text("app"), "all": "" if every else "1"}),
    }
    return Page("previews", "Previews", facts, live=True)


def _groups(records: Records, rows: Sequence[Row], native: Sequence[NativePreview]) -> list[Group]:
    twice = {app.label: app.native_previews for app in records.apps() if app.previews_twice}
    labels = sorted({row.preview.app for row in rows} | {one.app for one in native})
    groups = {label: Group(label, twice.get(label, "")) for label in labels}
    for row in rows:
        groups[row.preview.app].rows.append(row)
    for one in native:
        groups[one.app].native.append(one)
    return [*groups.values()]


async def _rows(records: Records, visitor: Visitor, those: Sequence[Preview]) -> list[Row]:
    made = [one.made for one in those if one.made is not None]
    newest = await records.journal.briefly(made, 1)
    serving = await records.journal.serving([app for app in records.apps() if app.id in made])
    policies = {app.id: app.rules.previews for app in records.apps()}
    asker = records.asker(visitor)
    rows = []
    for one in those:
        deployment = next(iter(newest.get(one.made or "", ())), None)
        ends, offers = one.idle_at(policies.get(one.app_id)), offered(asker, one)
        last, there = deployment.state if deployment else None, serving.get(one.made or "")
        still = still_served(last, there.ours if there else None)
        why = "; ".join(filter(None, (still, why_of(one))))
        rows.append(Row(one, deployment, shown_state(one, last), ends, why, offers))
    return sorted(rows, key=lambda row: (row.preview.app, -row.preview.pull.number, row.preview.id))


def why_of(preview: Preview) -> str:
    """Return what keeps a preview, or why there is none; "" if all is well."""
    if preview.state is PreviewState.UP and not preview.failures:
        return ""
    return redact(preview.note) or preview.reason
