"""The dialog that configures an app: opened at once, filled when the backend answers.

Slack's triggers last three seconds and a backend may be slower, so a placeholder is shown first.
Rights are checked when it is opened, redrawn, submitted and carried out.
"""

import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from bridge.chats.slack import config_views, names
from bridge.chats.slack.actions import objection_of
from bridge.chats.slack.api import code_of
from bridge.chats.slack.blocks import (
    MOST_OPTIONS,
    OPTION_VALUE,
    Element,
    depends_on,
    given_in,
    option,
)
from bridge.chats.slack.commands import open_view, run, shown_by_own_dialog, told
from bridge.chats.slack.config_forms import Objection, drawn, planned
from bridge.chats.slack.config_views import About, read_about, saving_view
from bridge.chats.slack.dialogs import read_asking
from bridge.chats.slack.render import Outgoing
from bridge.chats.slack.workspace import Parts, one_time, place_of
from bridge.core.apps import App
from bridge.core.chat.calls import Call
from bridge.core.chat.replies import Denied
from bridge.core.configuration.merge import NoSource
from bridge.core.errors import BridgeError, Refused
from bridge.ports.chats import Place
from bridge.views.view import View

Body = dict[str, Any]

REDRAWING = (
    names.PROVIDER_REDRAW,
    names.PROVIDER_REPOSITORY,
    names.PROVIDER_TRY,
    names.PROVIDER_AGAIN,
)
_PASSED = frozenset({"hash_conflict", "not_found", "view_not_found"})
"""The dialog has changed or was closed: the update is outdated."""

MOST_DIALOGS = 1000
"""The most open dialogs to remember."""


def register(bolt: Any, parts: Parts) -> None:
    """Register everything in the dialog except its lists."""
    redraws = Redraws(parts)
    for name in REDRAWING:
        bolt.action(name)(redraws.handler())
    bolt.action(re.compile(rf"{re.escape(names.PROVIDER_PART)}\..+"))(redraws.turns())
    for callback_id in config_views.PARTS:
        bolt.view(callback_id)(_submitted(parts))


async def configure(parts: Parts, body: Mapping[str, Any], app: App) -> Outgoing | None:
    """Open the dialog for an app, or replace one that was submitted."""
    if body.get("type") == "view_submission":
        channel = _channel_in(body["view"])
        view_id = str(body["view"]["id"])
    else:
        channel = place_of(body).channel
        opened = await open_view(parts, body, config_views.reading(app))
        view_id = opened.text("view", "id")
    about = About(app.id, channel)
    parts.background.start(_fill(parts, app, about, view_id), "configure")
    return None


def _channel_in(view: Mapping[str, Any]) -> str:
    """Return the channel that a dialog was opened in, from our own metadata."""
    channel = read_asking(view).channel
    return channel if re.fullmatch(r"[A-Z0-9]{2,40}", channel) else ""


async def _fill(parts: Parts, app: App, about: About, view_id: str) -> None:
    try:
        view = await drawn(parts, app, about, None)
    except BridgeError as error:
        view = config_views.away(app, about, str(error))
    await show(parts, view, view_id=view_id)


async def show(parts: Parts, view: dict[str, Any], **which: Any) -> bool:
    """Update a view, unless it is closed; return False if it has changed since (`hash`)."""
    try:
        await parts.client.call("views.update", view=view, **which)
    except Refused as error:
        if code_of(error) not in _PASSED:
            raise
        return code_of(error) != "hash_conflict"
    return True


# ── While somebody fills it in ────────────────────────────────────────────────────────────────────


class Redraws:
    """Redraws dialogs whose content depends on a choice or input.

    People type faster than a backend answers: of several changes of a dialog the newest counts,
    whichever is ready first. A change knows the hash of its view; even if another drawing has
    outdated that hash, the newest change is drawn.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._newest: OrderedDict[str, int] = OrderedDict()

    def handler(self) -> Any:
        """Redraw after a field was changed."""

        async def on_change(ack: Any, body: Body) -> Any:
            if (about := _about(body)) is not None:
                self._start(body, about, given_in(body["view"]) or None)
            return await ack()

        return on_change

    def turns(self) -> Any:
        """Switch to another part; what was typed in this one is lost."""

        async def on_turn(ack: Any, body: Body) -> Any:
            about, wanted = _about(body), str(body["actions"][0].get("value"))
            if about is not None and wanted in config_views.PARTS:
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
        app = await _app(self._parts, body, about)
        if not isinstance(app, App):
            return app
        try:
            return await drawn(self._parts, app, about, given)
        except BridgeError as error:
            return config_views.away(app, about, str(error))


def _about(body: Body) -> About | None:
    return read_about(str((body.get("view") or {}).get("private_metadata")))


async def _app(parts: Parts, body: Body, about: About) -> App | dict[str, Any]:
    """Return the app if the person may configure it; else why not, as a view."""
    call, place = Call("provider", {"app": about.app}), Place(about.channel)
    reply = await run(parts, body, call, "", place)
    if isinstance(reply, Denied):
        return config_views.refused_view(reply.sentence, reply.lines)
    gone = config_views.refused_view("That app is gone, or you may not configure it.")
    return shown_by_own_dialog(reply) or gone


# ── What changes ──────────────────────────────────────────────────────────────────────────────────


def _submitted(parts: Parts) -> Any:
    """Show the changes in a view on top; show problems beside their fields."""

    async def on_submit(ack: Any, body: Body) -> Any:
        about = _about(body)
        if about is None:
            return await ack()
        task = await parts.background.in_time(_compared(parts, body, about), "what changes")
        if not task.done():
            external_id = secrets.token_hex(16)
            parts.background.start(_compared_late(parts, task, external_id), "what changes")
            waiting = config_views.comparing(about) | {"external_id": external_id}
            return await ack(response_action="push", view=waiting)
        found = task.result()
        if isinstance(found, Objection):
            return await ack(response_action="errors", errors={found.block: found.why})
        return await ack(response_action="push", view=found)

    return on_submit


async def _compared(parts: Parts, body: Body, about: About) -> dict[str, Any] | Objection:
    app = await _app(parts, body, about)
    if not isinstance(app, App):
        return app
    try:
        return await planned(parts, app, about, body["view"])
    except BridgeError as error:
        return config_views.unread(app, str(error))


async def _compared_late(parts: Parts, task: Any, external_id: str) -> None:
    found = await task
    view = config_views.objected(found.why) if isinstance(found, Objection) else found
    await show(parts, view, external_id=external_id)


# ── Agreeing and disconnecting ────────────────────────────────────────────────────────────────────


def register_agreement(bolt: Any, parts: Parts) -> None:
    """Register the submission of the second view, and the disconnect button."""
    bolt.view(names.PROVIDER_CONFIRM)(_agreed(parts, "provider"))
    bolt.view(names.PROVIDER_PARTING)(_agreed(parts, "provider disconnect"))
    bolt.action(names.PROVIDER_DISCONNECT)(_parting(parts))


# ── Agreed ────────────────────────────────────────────────────────────────────────────────────────


def _agreed(parts: Parts, name: str) -> Any:
    """Have an operation keep the agreed change, then acknowledge; a flow does the rest."""

    async def on_agree(ack: Any, body: Body) -> Any:
        about = _about(body)
        if about is None:
            return await ack()
        view = await _kept(parts, body, about, name)
        return await ack(response_action="update", view=view)

    return on_agree


async def _kept(parts: Parts, body: Body, about: About, name: str) -> dict[str, Any]:
    """Keep it under the id of the submitted view, so a repetition is ignored."""
    app, view = await _app(parts, body, about), body["view"]
    if not isinstance(app, App):
        return app
    call = Call(name, {"app": app.id, "seen": about.draft})
    id_, place = one_time(name, view["id"], view.get("hash")), Place(about.channel, view=view["id"])
    try:
        reply = await run(parts, body, call, id_, place)
    except BridgeError as error:
        return config_views.objected(f"It could not be kept, so nothing will change: {error}")
    if isinstance(reply, View):
        return saving_view(app)
    return config_views.objected(objection_of(reply))


# ── Disconnecting ─────────────────────────────────────────────────────────────────────────────────


def _parting(parts: Parts) -> Any:
    """Show what would be removed, in a view on top."""

    async def on_disconnect(ack: Any, body: Body) -> Any:
        about = _about(body)
        if about is not None:
            work = told(parts, body, _show_parting(parts, body, about))
            parts.background.start(work, "disconnect")
        return await ack()

    return on_disconnect


async def _show_parting(parts: Parts, body: Body, about: About) -> None:
    """Open the view at once: its trigger lasts three seconds, and a backend may be slower."""
    opened = await open_view(parts, body, config_views.comparing(about), method="views.push")
    await show(parts, await _planned(parts, body, about), view_id=opened.text("view", "id"))


async def _planned(parts: Parts, body: Body, about: About) -> dict[str, Any]:
    app = await _app(parts, body, about)
    if not isinstance(app, App):
        return app
    try:
        plan = await parts.drafts.plan(app, NoSource())
        return config_views.parting_view(plan, replace(about, draft=await parts.drafts.keep(plan)))
    except BridgeError as error:
        return config_views.unread(app, str(error))


# ── Searchable lists ──────────────────────────────────────────────────────────────────────────────


def register_lists(bolt: Any, parts: Parts) -> None:
    """Register searches for repositories and branches."""
    bolt.options(names.PROVIDER_REPOSITORY)(_listed(parts))
    bolt.options(names.PROVIDER_BRANCH)(_listed(parts))

    async def on_choice(ack: Any) -> Any:
        return await ack()

    bolt.action(names.PROVIDER_BRANCH)(on_choice)  # no field depends on it


def _listed(parts: Parts) -> Callable[..., Any]:
    async def on_list(ack: Any, body: dict[str, Any]) -> Any:
        task = await parts.background.in_time(_options(parts, body), "a list")
        return await ack(options=task.result() if task.done() else [])

    return on_list


async def _options(parts: Parts, body: dict[str, Any]) -> list[Element]:
    """Return matches for the typed text; none if the person may not, or the backend fails."""
    about = read_about(str((body.get("view") or {}).get("private_metadata")))
    if about is None:
        return []
    app, of = await _app(parts, body, about), depends_on(str(body.get("block_id")))
    if not isinstance(app, App) or not of:
        return []
    try:
        if body.get("action_id") == names.PROVIDER_REPOSITORY:
            found = [one.path for one in await parts.drafts.repositories(app, of[0])]
        else:
            found = await parts.drafts.branches(app, of[0], "|".join(of[1:]))
    except BridgeError:
        return []
    return offered(found, str(body.get("value") or ""))


def offered(found: list[str], typed: str) -> list[Element]:
    """Return at most a hundred options with every typed word, prefixes first."""
    words = typed.lower().split()
    fitting = [one for one in found if all(word in one.lower() for word in words)]
    fitting.sort(key=lambda one: (not one.lower().startswith(typed.lower()), one.lower()))
    return [option(one, one) for one in fitting if len(one) <= OPTION_VALUE][:MOST_OPTIONS]
