"""Previews: those of each app's pull requests, and why others have none."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from urllib.parse import urlencode

from bridge.console.drawing import Page
from bridge.console.pages.asking import Asked
from bridge.console.records import Records
from bridge.console.visitors import Visitor
from bridge.core.lifecycle import Brief, State
from bridge.core.log_text import redact
from bridge.core.previews.preview import Preview, PreviewState
from bridge.pipeline.preview_commands import offered

MOST = 200
"""Previews on the page, the newest."""


@dataclass(frozen=True, slots=True)
class Row:
    """A preview in the list.

    Attributes:
        deployment: the newest of its app; None before the first, and once the app is gone.
        state: in a word: its own, or that of its deployment until that is live.
        ends: when it ends for want of a push; None if it does not.
        why: what keeps it, or why there is none; "" if all is well.
        offers: what the visitor may do.
    """

    preview: Preview
    deployment: Brief | None
    state: str
    ends: float | None
    why: str
    offers: Sequence[str]


async def previews(records: Records, visitor: Visitor, asked: Asked) -> Page:
    """List the previews that somebody may see, by app and pull request."""
    wanted, every = asked.text("app").lower(), asked.text("all") == "1"
    seen = await records.previews.seen_by(records.asker(visitor), ended=every)
    found = [one for one in seen if wanted in one.app.lower()]
    rows = await _rows(records, visitor, found[:MOST])
    facts = {
        "groups": [(app, list(those)) for app, those in groupby(rows, lambda row: row.preview.app)],
        "count": len(found),
        "more": max(0, len(found) - MOST),
        "app": asked.text("app"),
        "all": every,
        "other": urlencode({"app": asked.text("app"), "all": "" if every else "1"}),
    }
    return Page("previews", "Previews", facts, live=True)


async def _rows(records: Records, visitor: Visitor, those: Sequence[Preview]) -> list[Row]:
    made = [one.made for one in those if one.made is not None]
    newest = await records.journal.briefly(made, 1)
    policies = {app.id: app.rules.previews for app in records.apps()}
    asker = records.asker(visitor)
    rows = []
    for one in those:
        deployment = next(iter(newest.get(one.made or "", ())), None)
        ends, offers = one.idle_at(policies.get(one.app_id)), offered(asker, one)
        rows.append(Row(one, deployment, _state(one, deployment), ends, why_of(one), offers))
    return sorted(rows, key=lambda row: (row.preview.app, -row.preview.pull.number, row.preview.id))


def _state(preview: Preview, deployment: Brief | None) -> str:
    """Return the state that people want to know: whether its address works."""
    if preview.state is not PreviewState.UP or deployment is None:
        return preview.state
    return preview.state if deployment.state is State.DONE else deployment.state


def why_of(preview: Preview) -> str:
    """Return what keeps a preview, or why there is none; "" if all is well."""
    if preview.state is PreviewState.UP and not preview.failures:
        return ""
    return redact(preview.note) or preview.reason
