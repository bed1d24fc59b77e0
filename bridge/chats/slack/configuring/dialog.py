"""The dialog that configures an app: opened at once, filled when the backend has told.

Slack's triggers last three seconds and a backend may be slower, so something is shown first and
what is true follows. Rights are asked for when it is opened, redrawn, submitted and carried out.
"""

import re
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bridge.chats.slack.api.client import code_of
from bridge.chats.slack.commands.outgoing import Outgoing
from bridge.chats.slack.commands.triggers import open_view
from bridge.chats.slack.configuring import views
from bridge.chats.slack.configuring.asking import allowed, refused
from bridge.chats.slack.configuring.parts import Objection, drawn, planned
from bridge.chats.slack.configuring.views import About, read_about
from bridge.chats.slack.drawing import names
from bridge.chats.slack.drawing.fields import given_in
from bridge.chats.slack.parts import Parts, place_of
from bridge.core.errors import BridgeError, Refused
from bridge.core.watch import App
from bridge.ports.chats import Place

Body = dict[str, Any]

REDRAWING = (
    names.PROVIDER_REDRAW,
    names.PROVIDER_REPOSITORY,
    names.PROVIDER_TRY,
    names.PROVIDER_AGAIN,
)
_PASSED = frozenset({"hash_conflict", "not_found", "view_not_found"})
"""The dialog has changed, or somebody has closed it: what would be shown is of no use now."""

MOST_DIALOGS = 1000
"""Open ones that are remembered."""


def register(bolt: Any, parts: Parts) -> None:
    """Listen to everything in the dialog but its lists."""
    redraws = Redraws(parts)
    for name in REDRAWING:
        bolt.action(name)(redraws.handler())
    bolt.action(re.compile(rf"{re.escape(names.PROVIDER_PART)}\..+"))(redraws.turns())
    for callback_id in views.PARTS:
        bolt.view(callback_id)(_submitted(parts))


async def configure(parts: Parts, body: Mapping[str, Any], app: App) -> Outgoing | None:
    """Open the dialog for an app, or let it take the place of one that was submitted."""
    if body.get("type") == "view_submission":
        channel = _channel_in(body["view"])
        view_id = str(body["view"]["id"])
    else:
        channel = place_of(body).channel
        opened = await open_view(parts, body, views.reading(app))
        view_id = str(opened["view"]["id"])
    about = About(app.id, channel)
    parts.background.start(_fill(parts, app, about, view_id), "configure")
    return None


def _channel_in(view: Mapping[str, Any]) -> str:
    """The channel that a picker was opened in, which we gave it ourselves."""
    channel = str(view.get("private_metadata") or "")
    return channel if re.fullmatch(r"[A-Z0-9]{2,40}", channel) else ""


async def _fill(parts: Parts, app: App, about: About, view_id: str) -> None:
    try:
        view = await drawn(parts, app, about, None)
    except BridgeError as error:
        view = views.away(app, about, str(error))
    await show(parts, view, view_id=view_id)


async def show(parts: Parts, view: dict[str, Any], **which: Any) -> bool:
    """Update a view, unless it is closed; False: it has changed since (`hash`)."""
    try:
        await parts.client.call("views.update", view=view, **which)
    except Refused as error:
        if code_of(error) not in _PASSED:
            raise
        return code_of(error) != "hash_conflict"
    return True


# ── while somebody fills it in ───────────────────────────────────────────────


class Redraws:
    """Draws dialogs anew, as something in them depends on what was chosen or typed.

    Somebody who types is quicker than a backend: of several changes of a dialog the newest
    counts, whichever is ready first. A change knows the hash of what it was made in; where that
    is outdated by another drawing, the newest change is drawn all the same.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._newest: OrderedDict[str, int] = OrderedDict()

    def handler(self) -> Any:
        """Of a field that was changed."""

        async def on_change(ack: Any, body: Body) -> Any:
            if (about := _about(body)) is not None:
                self._start(body, about, given_in(body["view"]) or None)
            return await ack()

        return on_change

    def turns(self) -> Any:
        """Of a button to another part; what was typed in this one is not kept."""

        async def on_turn(ack: Any, body: Body) -> Any:
            about, wanted = _about(body), str(body["actions"][0].get("value"))
            if about is not None and wanted in views.PARTS:
                self._start(body, replace(about, part=wanted), None)
            return await ack()

        return on_turn

    def _start(self, body: Body, about: About, given: Mapping[str, Any] | None) -> None:
        id_ = str(body["view"]["id"])
        number = self._newest.pop(id_, 0) + 1
        self._newest[id_] = number
        if len(self._newest) > MOST_DIALOGS:
            self._newest.popitem(last=False)
        self._parts.background.start(self._redraw(body, about, given, number), "redraw")

    async def _redraw(
        self, body: Body, about: About, given: Mapping[str, Any] | None, number: int
    ) -> None:
        shown = await self._drawn(body, about, given)
        id_, hash_ = str(body["view"]["id"]), body["view"].get("hash")
        if self._newest.get(id_) != number:
            return
        fresh = await show(self._parts, shown, view_id=id_, hash=hash_)
        if not fresh and self._newest.get(id_) == number:
            await show(self._parts, shown, view_id=id_)

    async def _drawn(
        self, body: Body, about: About, given: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        parts = self._parts
        person, place = await parts.person(body), Place(about.channel)
        app = allowed(parts, person, place, about.app)
        if app is None:
            return refused(parts, person, place, await parts.journal.app(about.app))
        try:
            return await drawn(parts, app, about, given)
        except BridgeError as error:
            return views.away(app, about, str(error))


def _about(body: Body) -> About | None:
    return read_about(str((body.get("view") or {}).get("private_metadata")))


# ── what changes ─────────────────────────────────────────────────────────────


def _submitted(parts: Parts) -> Any:
    """Show what would change, in a view on top; what can't be is said beside its field."""

    async def on_submit(ack: Any, body: Body) -> Any:
        about = _about(body)
        if about is None:
            return await ack()
        task = await parts.background.in_time(_compared(parts, body, about), "what changes")
        if not task.done():
            external_id = secrets.token_hex(16)
            parts.background.start(_compared_late(parts, task, external_id), "what changes")
            waiting = views.comparing(about) | {"external_id": external_id}
            return await ack(response_action="push", view=waiting)
        found = task.result()
        if isinstance(found, Objection):
            return await ack(response_action="errors", errors={found.block: found.why})
        return await ack(response_action="push", view=found)

    return on_submit


async def _compared(parts: Parts, body: Body, about: About) -> dict[str, Any] | Objection:
    person, place = await parts.person(body), Place(about.channel)
    app = allowed(parts, person, place, about.app)
    if app is None:
        return refused(parts, person, place, await parts.journal.app(about.app))
    try:
        return await planned(parts, app, about, body["view"])
    except BridgeError as error:
        return views.unread(app, str(error))


async def _compared_late(parts: Parts, task: Any, external_id: str) -> None:
    found = await task
    view = views.objected(found.why) if isinstance(found, Objection) else found
    await show(parts, view, external_id=external_id)
