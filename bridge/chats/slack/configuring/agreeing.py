"""The second view of the dialog that configures an app: what is agreed to there is kept.

Disconnecting begins with it, so that what would be forgotten is seen before anything is.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bridge.chats.slack.commands.answering import told
from bridge.chats.slack.commands.triggers import open_view
from bridge.chats.slack.configuring import views
from bridge.chats.slack.configuring.asking import allowed, ask, refused
from bridge.chats.slack.configuring.change_views import saving_view
from bridge.chats.slack.configuring.dialog import show
from bridge.chats.slack.configuring.views import About, read_about
from bridge.chats.slack.drawing import names
from bridge.chats.slack.parts import Parts
from bridge.core.configuring.merge import NoSource
from bridge.core.errors import BridgeError
from bridge.core.events import Action
from bridge.ports.chats import Place

Body = dict[str, Any]


def register(bolt: Any, parts: Parts) -> None:
    """Listen to who agrees, and to the button that would disconnect."""
    bolt.view(names.PROVIDER_CONFIRM)(_agreed(parts, Action.CONFIGURE))
    bolt.view(names.PROVIDER_PARTING)(_agreed(parts, Action.DISCONNECT))
    bolt.action(names.PROVIDER_DISCONNECT)(_parting(parts))


def _about(body: Body) -> About | None:
    return read_about(str((body.get("view") or {}).get("private_metadata")))


# ── agreed ───────────────────────────────────────────────────────────────────


def _agreed(parts: Parts, action: Action) -> Any:
    """Keep what was agreed to, then acknowledge; the rest is a flow's."""

    async def on_agree(ack: Any, body: Body) -> Any:
        about = _about(body)
        if about is None:
            return await ack()
        view = await _kept(parts, body, about, action)
        return await ack(response_action="update", view=view)

    return on_agree


async def _kept(parts: Parts, body: Body, about: About, action: Action) -> dict[str, Any]:
    """Keep it under the id of the view as it was submitted: twice is once."""
    view = body["view"]
    person, place = await parts.person(body), Place(about.channel)
    app = allowed(parts, person, place, about.app)
    if app is None:
        return refused(parts, person, place, await parts.journal.app(about.app))
    which = (action, view["id"], view.get("hash"))
    try:
        await ask(parts, person, place, action, app, which, view=view["id"], draft=about.draft)
    except BridgeError as error:
        return views.objected(f"It could not be kept, so nothing will change: {error}")
    return saving_view(app)


# ── disconnecting ────────────────────────────────────────────────────────────


def _parting(parts: Parts) -> Any:
    """Show what would be forgotten, in a view on top."""

    async def on_disconnect(ack: Any, body: Body) -> Any:
        about = _about(body)
        if about is not None:
            work = told(parts, body, _show_parting(parts, body, about))
            parts.background.start(work, "disconnect")
        return await ack()

    return on_disconnect


async def _show_parting(parts: Parts, body: Body, about: About) -> None:
    """Open the view at once, since its trigger lasts three seconds; a backend may be slower."""
    opened = await open_view(parts, body, views.comparing(about), method="views.push")
    await show(parts, await _planned(parts, body, about), view_id=opened["view"]["id"])


async def _planned(parts: Parts, body: Mapping[str, Any], about: About) -> dict[str, Any]:
    person, place = await parts.person(body), Place(about.channel)
    app = allowed(parts, person, place, about.app)
    if app is None:
        return refused(parts, person, place, await parts.journal.app(about.app))
    try:
        plan = await parts.desk.plan(app, NoSource())
        return views.parting_view(plan, replace(about, draft=await parts.desk.keep(plan)))
    except BridgeError as error:
        return views.unread(app, str(error))
