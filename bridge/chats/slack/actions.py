"""Handle buttons, pickers and their dialogs. Rights are checked at every click."""

import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any

from bridge.chats.slack import names
from bridge.chats.slack.api import tell_alone
from bridge.chats.slack.blocks import modal, section
from bridge.chats.slack.commands import (
    later,
    open_view,
    reply_to,
    run,
    shown_by_own_dialog,
    told,
    withdraw,
)
from bridge.chats.slack.dialogs import dialog_of, read_asking
from bridge.chats.slack.pickers import offered
from bridge.chats.slack.render import Outgoing, outgoing
from bridge.chats.slack.views import read_call, read_page
from bridge.chats.slack.workspace import Parts, one_time, place_of
from bridge.core.access import Right
from bridge.core.apps import App, of_people
from bridge.core.chat.calls import Call
from bridge.core.chat.replies import Denied, Sorry
from bridge.core.errors import BridgeError
from bridge.core.gates.locks import scope_of_hold
from bridge.ports.chats import AnyReply, Place
from bridge.views.view import View

LONGEST_OBJECTION = 1000

Body = dict[str, Any]
Work = Callable[[Parts, Body], Coroutine[Any, Any, AnyReply]]


def register(bolt: Any, parts: Parts) -> None:
    """Register all buttons and pickers, except those of Home and of the configuration dialog."""
    bolt.action(names.SUGGEST_RUN)(_button(parts, _suggested, replaces=True))
    bolt.action(names.NEXT_PAGE)(_button(parts, _page, replaces=True))
    for clicked in CLICKS.keys() - DIALOGS:
        bolt.action(clicked)(_button(parts, _operate))
    bolt.action(names.OPERATION_RUN)(_button(parts, _operate, replaces=True))
    for dialog in DIALOGS:
        bolt.action(dialog)(_dialog(parts))
    bolt.view(names.OPERATION_VIEW)(_submitted(parts))
    bolt.options(names.APP_SEARCH)(_search(parts))


def value_of(body: Mapping[str, Any]) -> str:
    """Return the value of the clicked button; it proves nothing."""
    return str(body["actions"][0].get("value") or "")


# ── buttons ──────────────────────────────────────────────────────────────────


def _button(parts: Parts, work: Work, *, replaces: bool = False) -> Callable[..., Awaitable[Any]]:
    """Keep a click's request, acknowledge, then answer."""

    async def on_click(ack: Any, body: Body) -> Any:
        task = await parts.background.in_time(reply_to(parts, body, work(parts, body)), "click")
        parts.background.start(_tell(parts, body, task, replaces=replaces), "answer to a click")
        return await ack()

    return on_click


async def _tell(parts: Parts, body: Body, task: Any, *, replaces: bool) -> None:
    """Answer a click: by the card if there is one, otherwise only to the person.

    A suggestion that was clicked is replaced by the answer to the channel.
    """
    message: Outgoing | None = await task
    if message is None:
        return
    if replaces and message.public:
        await later(parts, body, message)
        await withdraw(parts, body)
    elif replaces:
        await later(parts, body, message, replace_original=True)
    elif not message.shown:
        await later(parts, body, replace(message, public=False))


UNSEEN = "That app is gone, or you may not see it."


async def _sees(parts: Parts, body: Body, app_id: str, place: Place | None = None) -> bool:
    person, here = await parts.person(body), place or place_of(body)
    return app_id in {one.id for one in parts.commands.apps(person, here, Right.VIEW)}


async def _suggested(parts: Parts, body: Body) -> AnyReply:
    id_ = await parts.clicks.id_of(body)
    return await run(parts, body, parts.commands.parse(value_of(body)), id_)


async def _page(parts: Parts, body: Body) -> AnyReply:
    page, typed = read_page(value_of(body))
    reply = await run(parts, body, parts.commands.parse(typed), "")
    return replace(reply, page=page) if isinstance(reply, View) else reply


# ── operations ───────────────────────────────────────────────────────────────

CLICKS = {
    names.APP_DEPLOY: ("deploy", ("app",)),
    names.APP_REDEPLOY: ("redeploy", ("app",)),
    names.APP_PROVIDER: ("provider", ("app",)),
    names.PROVIDER_UNDO: ("provider undo", ("seen",)),
    names.DEPLOYMENT_REDEPLOY: ("redeploy", ("deployment",)),
    names.DEPLOYMENT_CANCEL: ("cancel", ("deployment",)),
    names.DEPLOYMENT_ROLLBACK: ("rollback", ("deployment",)),
    names.DEPLOYMENT_ROLLBACK_TO: ("rollback", ("to",)),
    names.DEPLOYMENT_WHY: ("why", ("deployment",)),
    names.DEPLOYMENT_LOG: ("logs", ("deployment",)),
    names.GATE_APPROVE: ("approve", ("deployment", "commit")),
    names.GATE_UNLOCK: ("unlock", ("deployment", "seen")),
    names.GATE_OVERRIDE: ("override", ("deployment",)),
    names.PREVIEW_APPROVE: ("previews approve", ("preview", "commit")),
    names.PREVIEW_STOP: ("previews stop", ("preview",)),
    names.PREVIEW_EXTEND: ("previews extend", ("preview",)),
}
"""The operation behind each button, and the arguments in the button's value."""

DIALOGS = frozenset({names.DEPLOYMENT_LOG, names.GATE_OVERRIDE, names.OPERATION_DIALOG})
"""The buttons that open a dialog."""


async def _operate(parts: Parts, body: Body) -> AnyReply:
    call = await _call_of(parts, body)
    if not isinstance(call, Call):
        return call
    return await run(parts, body, call, await parts.clicks.id_of(body))


async def _call_of(parts: Parts, body: Body) -> Call | Sorry:
    """Return what a button calls."""
    value, clicked = value_of(body), CLICKS.get(str(body["actions"][0].get("action_id")))
    if clicked is None:
        return read_call(value)
    name, arguments = clicked
    given = dict(zip(arguments, value.split(" ", 1), strict=False))
    if "preview" in given:
        return Call(name, given)
    if arguments == ("seen",):
        change = await parts.journal.change(int(value)) if value.isdecimal() else None
        if change is None or not await _sees(parts, body, change.app_id):
            return Sorry("That change is gone, or you may not see its app.")
        return Call(name, {**given, "app": change.app_id})
    if (id_ := given.get("deployment") or given.get("to")) is None:
        seen = await _sees(parts, body, given["app"])
        return Call(name, given) if seen else Sorry(UNSEEN)
    deployment = await parts.journal.deployment(id_)
    if deployment is None or not await _sees(parts, body, deployment.app_id):
        return Sorry("That deployment is gone, or you may not see its app.")
    if name == "unlock":
        scope = scope_of_hold(given.get("seen", ""), deployment.app)
        return Call(name, {**given, "scope": scope})
    return Call(name, {**given, "app": deployment.app_id})


def _dialog(parts: Parts) -> Callable[..., Awaitable[Any]]:
    async def on_click(ack: Any, body: Body) -> Any:
        parts.background.start(told(parts, body, _ask_in_dialog(parts, body)), "dialog")
        return await ack()

    return on_click


async def _ask_in_dialog(parts: Parts, body: Body) -> None:
    """Open the dialog at once: its trigger lasts three seconds, and a backend may be slower."""
    reading = modal(names.OPERATION_VIEW, "Please wait", [section("Reading…")], close="Close")
    opened = await open_view(parts, body, reading)
    try:
        reply = await _operate(parts, body)
    except BridgeError as error:
        reply = Sorry(str(error))
    view = _in_dialog(parts, reply, place_of(body).channel)
    await parts.client.call("views.update", view_id=opened.text("view", "id"), view=view)


def _in_dialog(parts: Parts, reply: AnyReply, channel: str) -> dict[str, Any]:
    if isinstance(reply, View):
        return dialog_of(reply, parts.links, channel)
    blocks = outgoing(reply, parts.links).message.blocks
    return modal(names.OPERATION_VIEW, "Not done", blocks, close="Close")


async def _sorry_if_not(work: Coroutine[Any, Any, AnyReply]) -> AnyReply:
    """Return a dialog's reply; what the bridge can't do is one as well."""
    try:
        return await work
    except BridgeError as error:
        return Sorry(str(error))


# ── pickers ──────────────────────────────────────────────────────────────────


def _search(parts: Parts) -> Callable[..., Awaitable[Any]]:
    async def on_search(ack: Any, body: Body) -> Any:
        view = body.get("view") or {}
        right = read_asking(view).right
        task = await parts.background.in_time(parts.person(body), "who searches")
        if not task.done():
            return await ack(options=[])
        apps = parts.commands.apps(task.result(), _opened_in(view), _right(right))
        return await ack(**offered(of_people(apps), str(body.get("value") or "")))

    return on_search


def _right(named: str) -> Right:
    return Right(named) if named in set(Right) else Right.VIEW


def _submitted(parts: Parts) -> Callable[..., Awaitable[Any]]:
    """Carry out what a dialog has asked for, and ask on in it or answer where it was opened."""

    async def on_submit(ack: Any, body: Body) -> Any:
        view, user = body["view"], str(body["user"]["id"])
        id_ = one_time("view", view.get("id"), user)
        work = _sorry_if_not(_of_dialog(parts, body, id_))
        task = await parts.background.in_time(work, "dialog")
        if not task.done():
            parts.background.start(_tell_late(parts, body, task), "answer to a dialog")
            return await ack()
        reply = task.result()
        if (app := shown_by_own_dialog(reply)) is not None:
            parts.background.start(_configure(parts, body, app), "configure")
            reading = modal(
                names.OPERATION_VIEW, "Configure an app", [section("Reading…")], close="Close"
            )
            return await ack(response_action="update", view=reading)
        if isinstance(reply, View) and (reply.asks or reply.refused):
            asked = _in_dialog(parts, reply, _opened_in(view).channel)
            return await ack(response_action="update", view=asked)
        if why := objection_of(reply):
            field = next(iter((view.get("state") or {}).get("values") or {}), names.APP_SEARCH)
            return await ack(response_action="errors", errors={field: why})
        parts.background.start(_tell_picked(parts, body, reply), "answer to a dialog")
        return await ack()

    return on_submit


async def _of_dialog(parts: Parts, body: Body, id_: str) -> AnyReply:
    view, place = body["view"], _opened_in(body["view"])
    if (app_id := chosen(view)) and not await _sees(parts, body, app_id, place):
        return Sorry(UNSEEN)
    return await run(parts, body, read_asking(view).call, id_, place)


def objection_of(reply: AnyReply) -> str:
    """Return what prevents it, as text for the dialog; "" if nothing does."""
    if isinstance(reply, Denied):
        why = f"{reply.sentence} These lines of bridge.yaml would grant it:\n{reply.lines}"
        return why[:LONGEST_OBJECTION]
    return reply.why[:LONGEST_OBJECTION] if isinstance(reply, Sorry) else ""


async def _tell_late(parts: Parts, body: Body, task: Any) -> None:
    reply: AnyReply = await task
    if shown_by_own_dialog(reply) is not None:  # the dialog is closed
        reply = Sorry("That took too long: open it again.")
    await _tell_picked(parts, body, reply)


async def _tell_picked(parts: Parts, body: Body, reply: AnyReply) -> None:
    """Report what no card shows, where the dialog was opened; the dialog itself is closed."""
    channel = _opened_in(body["view"]).channel
    message = outgoing(reply, parts.links, {channel} - {""})
    if not message.shown:
        said = message.message.body()
        await tell_alone(parts.client, channel, str(body["user"]["id"]), said)


async def _configure(parts: Parts, body: Body, app: App) -> None:
    """Show progress in the dialog; then fill it."""
    message = await parts.configure(parts, body, app)
    if message is not None:
        blocks = message.message.blocks
        view = modal(names.OPERATION_VIEW, "Configure an app", blocks, close="Close")
        await parts.client.call("views.update", view_id=body["view"]["id"], view=view)


def chosen(view: Mapping[str, Any]) -> str:
    """Return the id of the picked app; "" if none was."""
    values = (view.get("state") or {}).get("values") or {}
    fields = (one[names.APP_SEARCH] for one in values.values() if names.APP_SEARCH in one)
    picked: Mapping[str, Any] = next(fields, {})
    return str((picked.get("selected_option") or {}).get("value") or "")


def _opened_in(view: Mapping[str, Any]) -> Place:
    """Return the channel that a dialog was opened in, from our own metadata."""
    channel = read_asking(view).channel
    return Place(channel if re.fullmatch(r"[A-Z0-9]{2,40}", channel) else "")
