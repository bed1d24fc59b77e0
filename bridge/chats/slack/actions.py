"""Handle buttons, pickers and their dialogs. Rights are checked at every click."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any

from bridge.chats.slack import answers, gates, names, previews, promotion, rollback
from bridge.chats.slack.api import tell_alone
from bridge.chats.slack.blocks import modal, section
from bridge.chats.slack.commands import later, open_view, reply_to, run, told, withdraw
from bridge.chats.slack.pickers import offered
from bridge.chats.slack.render import Outgoing, outgoing
from bridge.chats.slack.views import dialog_of, read_asking, read_call
from bridge.chats.slack.workspace import Parts, one_time, place_of
from bridge.core.access import Right
from bridge.core.apps import of_people
from bridge.core.chat.calls import Call
from bridge.core.chat.grammar import Command, Verb
from bridge.core.chat.replies import AppList, Configure, Denied, Sorry
from bridge.core.errors import BridgeError
from bridge.core.events import Action
from bridge.core.gates.locks import scope_of_hold
from bridge.core.lifecycle import Deployment
from bridge.core.previews.acts import Act
from bridge.ports.chats import AnyReply, LogTail, Place
from bridge.views.view import View

LONGEST_OBJECTION = 1000

Body = dict[str, Any]
Work = Callable[[Parts, Body], Coroutine[Any, Any, AnyReply]]

PICKED = {
    names.PICK_DEPLOY: (Right.DEPLOY, Action.DEPLOY),
    names.PICK_REDEPLOY: (Right.DEPLOY, Action.REDEPLOY),
    names.PICK_CANCEL: (Right.CANCEL, Action.CANCEL),
    names.PICK_PROVIDER: (Right.CONFIGURE, None),
}


def register(bolt: Any, parts: Parts) -> None:
    """Register all buttons and pickers, except those of Home and of the configuration dialog."""
    for name, action in (
        (names.DEPLOYMENT_CANCEL, Action.CANCEL),
        (names.DEPLOYMENT_REDEPLOY, Action.REDEPLOY),
    ):
        bolt.action(name)(_button(parts, _of_deployment(action)))
    for name, action in ((names.APP_DEPLOY, Action.DEPLOY), (names.APP_REDEPLOY, Action.REDEPLOY)):
        bolt.action(name)(_button(parts, _of_app(action)))
    bolt.action(names.APP_PROVIDER)(_button(parts, _provider))
    bolt.action(names.DEPLOYMENT_ROLLBACK)(_button(parts, _way_back))
    bolt.action(names.DEPLOYMENT_ROLLBACK_TO)(_button(parts, _way_back_to))
    bolt.action(names.ROLLBACK_RUN)(_button(parts, _roll_back, replaces=True))
    bolt.action(names.PROMOTION_RUN)(_button(parts, _promote, replaces=True))
    bolt.action(names.DEPLOYMENT_WHY)(_button(parts, _why))
    bolt.action(names.SUGGEST_RUN)(_button(parts, _suggested, replaces=True))
    bolt.action(names.APPS_PAGE)(_button(parts, _page, replaces=True))
    bolt.action(names.DEPLOYMENT_LOG)(_log(parts))
    bolt.action(names.GATE_APPROVE)(_button(parts, _operate))
    bolt.action(names.GATE_UNLOCK)(_button(parts, _operate))
    bolt.action(names.OPERATION_RUN)(_button(parts, _operate, replaces=True))
    for name in (names.GATE_OVERRIDE, names.OPERATION_DIALOG):
        bolt.action(name)(_dialog(parts))
    bolt.view(names.OPERATION_VIEW)(_agreed(parts))
    for name, act in (
        (names.PREVIEW_APPROVE, Act.APPROVE),
        (names.PREVIEW_STOP, Act.STOP),
        (names.PREVIEW_EXTEND, Act.EXTEND),
    ):
        bolt.action(name)(_button(parts, _of_preview(act)))
    bolt.options(names.APP_SEARCH)(_search(parts))
    for callback_id in PICKED:
        bolt.view(callback_id)(_picked(parts, callback_id))


def value_of(body: Mapping[str, Any]) -> str:
    """Return the value of the clicked button; it proves nothing."""
    return str(body["actions"][0].get("value") or "")


# ── buttons ──────────────────────────────────────────────────────────────────


def _button(parts: Parts, work: Work, *, replaces: bool = False) -> Callable[..., Awaitable[Any]]:
    """Keep a click's request, acknowledge, then answer."""

    async def on_click(ack: Any, body: Body) -> Any:
        task = await parts.background.in_time(
            reply_to(parts, body, _noted(parts, body, work)), "click"
        )
        parts.background.start(_tell(parts, body, task, replaces=replaces), "answer to a click")
        return await ack()

    return on_click


async def _noted(parts: Parts, body: Body, work: Work) -> AnyReply:
    reply = await work(parts, body)
    what = str(body["actions"][0].get("action_id"))
    parts.background.start(parts.commands.note(await parts.person(body), what, reply), "audit")
    return reply


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


def _of_deployment(action: Action) -> Work:
    async def work(parts: Parts, body: Body) -> AnyReply:
        deployment = await parts.journal.deployment(value_of(body))
        if deployment is None:
            return Sorry("That app is gone, or you may not see it.")
        if action is Action.CANCEL and deployment.final and await _sees(parts, body, deployment):
            return Sorry(f"It has ended already: it is {deployment.state}.")
        one = deployment.id if action is Action.CANCEL else ""
        return await _ask(parts, body, action, deployment.app_id, one)

    return work


async def _sees(parts: Parts, body: Body, deployment: Deployment) -> bool:
    seen = parts.commands.apps(await parts.person(body), place_of(body), Right.VIEW)
    return deployment.app_id in {one.id for one in seen}


def _of_app(action: Action) -> Work:
    async def work(parts: Parts, body: Body) -> AnyReply:
        return await _ask(parts, body, action, value_of(body))

    return work


async def _ask(
    parts: Parts, body: Body, action: Action, app_id: str, deployment: str = ""
) -> AnyReply:
    id_ = await parts.clicks.id_of(body)
    person = await parts.person(body)
    place = place_of(body)
    return await parts.commands.ask(person, place, action, app_id, id_, deployment=deployment)


async def _provider(parts: Parts, body: Body) -> AnyReply:
    return await run(parts, body, Command(Verb.PROVIDER, value_of(body)), "")


async def _way_back(parts: Parts, body: Body) -> AnyReply:
    return await parts.commands.way_back(await parts.person(body), place_of(body), value_of(body))


async def _way_back_to(parts: Parts, body: Body) -> AnyReply:
    person, place = await parts.person(body), place_of(body)
    return await parts.commands.way_back(person, place, value_of(body), to_it=True)


async def _roll_back(parts: Parts, body: Body) -> AnyReply:
    way, to, served = rollback.read_value(value_of(body))
    deployment = await parts.journal.deployment(to)
    if deployment is None:
        return Sorry("That app is gone, or you may not see it.")
    person, id_ = await parts.person(body), await parts.clicks.id_of(body)
    asked = (person, place_of(body), Action.ROLLBACK, deployment.app_id, id_)
    return await parts.commands.ask(*asked, deployment=to, way=way, served=served)


async def _promote(parts: Parts, body: Body) -> AnyReply:
    way, version, app_id = promotion.read_value(value_of(body))
    person, id_ = await parts.person(body), await parts.clicks.id_of(body)
    asked = (person, place_of(body), Action.DEPLOY, app_id, id_)
    return await parts.commands.ask(*asked, deployment=version, way=way)


async def _why(parts: Parts, body: Body) -> AnyReply:
    return await parts.commands.why(await parts.person(body), place_of(body), value_of(body))


async def _suggested(parts: Parts, body: Body) -> AnyReply:
    id_ = await parts.clicks.id_of(body)
    return await run(parts, body, parts.commands.parse(value_of(body)), id_)


async def _page(parts: Parts, body: Body) -> AnyReply:
    page, typed = answers.read_page(value_of(body))
    reply = await run(parts, body, Command(Verb.APPS, rest=typed or None), "")
    if isinstance(reply, AppList):
        return replace(reply, filter=typed, page=page)
    return reply


# ── the log ──────────────────────────────────────────────────────────────────


def _log(parts: Parts) -> Callable[..., Awaitable[Any]]:
    async def on_log(ack: Any, body: Body) -> Any:
        parts.background.start(told(parts, body, _show_log(parts, body)), "log")
        return await ack()

    return on_log


async def _show_log(parts: Parts, body: Body) -> None:
    """Open the dialog at once: its trigger lasts three seconds, and a backend may be slower."""
    reading = modal(names.LOG_VIEW, "Log", [section("Reading the log…")], close="Close")
    opened = await open_view(parts, body, reading)
    try:
        person = await parts.person(body)
        found = await parts.commands.log_of(person, place_of(body), value_of(body))
    except BridgeError as error:
        found = Sorry(str(error))
    if isinstance(found, LogTail):
        view = await asyncio.to_thread(answers.log_view, found.deployment, found.text)
    else:
        blocks = outgoing(found, parts.links).message.blocks
        view = modal(names.LOG_VIEW, "Log", blocks, close="Close")
    await parts.client.call("views.update", view_id=opened.text("view", "id"), view=view)


# ── operations ───────────────────────────────────────────────────────────────

CLICKS = {
    names.GATE_APPROVE: ("approve", "commit"),
    names.GATE_UNLOCK: ("unlock", "seen"),
    names.GATE_OVERRIDE: ("override", ""),
}
"""What the buttons of a held deployment's card call, with the argument that their value names."""


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
    name, argument = clicked
    id_, what = gates.read_value(value)
    deployment = await parts.journal.deployment(id_)
    if deployment is None or not await _sees(parts, body, deployment):
        return Sorry("That deployment is gone, or you may not see its app.")
    given = {"app": deployment.app_id, "deployment": id_, argument: what}
    if name == "unlock":
        given = {"scope": scope_of_hold(what, deployment.app), "seen": what}
    return Call(name, {key: text for key, text in given.items() if key})


def _dialog(parts: Parts) -> Callable[..., Awaitable[Any]]:
    async def on_click(ack: Any, body: Body) -> Any:
        parts.background.start(told(parts, body, _ask_in_dialog(parts, body)), "dialog")
        return await ack()

    return on_click


async def _ask_in_dialog(parts: Parts, body: Body) -> None:
    """Open the dialog at once, as for a log; then ask in it, or say why not."""
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


def _agreed(parts: Parts) -> Callable[..., Awaitable[Any]]:
    async def on_submit(ack: Any, body: Body) -> Any:
        asking = read_asking(body["view"])
        id_ = one_time("view", body["view"].get("id"), asking.write())
        work = _sorry_if_not(run(parts, body, asking.call, id_, _opened_in(body["view"])))
        task = await parts.background.in_time(work, "dialog")
        if not task.done():
            parts.background.start(_tell_late(parts, body, task), "answer to a dialog")
            return await ack()
        reply = task.result()
        if isinstance(reply, View) and (reply.asks or reply.refused):
            view = _in_dialog(parts, reply, asking.channel)
            return await ack(response_action="update", view=view)
        if why := _objection(reply):
            field = next(iter((body["view"].get("state") or {}).get("values") or {}), "")
            return await ack(response_action="errors", errors={field: why})
        return await ack()

    return on_submit


def _of_preview(act: Act) -> Work:
    async def work(parts: Parts, body: Body) -> AnyReply:
        preview, commit = previews.read_value(value_of(body))
        person, place = await parts.person(body), place_of(body)
        return await parts.commands.previews.act(person, place, act, preview, commit)

    return work


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
        right, _ = PICKED.get(str(view.get("callback_id")), (Right.VIEW, None))
        task = await parts.background.in_time(parts.person(body), "who searches")
        if not task.done():
            return await ack(options=[])
        apps = parts.commands.apps(task.result(), _opened_in(view), right)
        return await ack(**offered(of_people(apps), str(body.get("value") or "")))

    return on_search


def _picked(parts: Parts, callback_id: str) -> Callable[..., Awaitable[Any]]:
    async def on_submit(ack: Any, body: Body) -> Any:
        task = await parts.background.in_time(_submitted(parts, body, callback_id), "picked")
        if not task.done():
            parts.background.start(_tell_late(parts, body, task), "answer to a picked app")
            return await ack()
        reply = task.result()
        if isinstance(reply, Configure):
            parts.background.start(_configure(parts, body, reply), "configure")
            reading = modal(callback_id, "Configure an app", [section("Reading…")], close="Close")
            return await ack(response_action="update", view=reading)
        if why := _objection(reply):
            return await ack(response_action="errors", errors={names.APP_SEARCH: why})
        parts.background.start(_tell_picked(parts, body, reply), "answer to a picked app")
        return await ack()

    return on_submit


async def _submitted(parts: Parts, body: Body, callback_id: str) -> AnyReply:
    """Carry out the picked action."""
    view = body["view"]
    _, action = PICKED[callback_id]
    person = await parts.person(body)
    place = _opened_in(view)
    try:
        if action is None:
            typed = Command(Verb.PROVIDER, chosen(view))
            reply = await parts.commands.answer(person, place, typed, "")
        else:
            id_ = one_time("view", view.get("id"), person.id)
            reply = await parts.commands.ask(person, place, action, chosen(view), id_)
    except BridgeError as error:
        return Sorry(str(error))
    what = str(action or Verb.PROVIDER)
    parts.background.start(parts.commands.note(person, what, reply), "audit")
    return reply


def _objection(reply: AnyReply) -> str:
    """Return what prevents it, as text for the dialog; "" if nothing does."""
    if isinstance(reply, Denied):
        why = f"{reply.why} These lines of bridge.yaml would grant it:\n{reply.lines}"
        return why[:LONGEST_OBJECTION]
    return reply.why[:LONGEST_OBJECTION] if isinstance(reply, Sorry) else ""


async def _tell_late(parts: Parts, body: Body, task: Any) -> None:
    reply: AnyReply = await task
    if isinstance(reply, Configure):  # the dialog is closed
        reply = Sorry("That took too long: open it again.")
    await _tell_picked(parts, body, reply)


async def _tell_picked(parts: Parts, body: Body, reply: AnyReply) -> None:
    """Report what no card shows, where the dialog was opened; the dialog itself is closed."""
    channel = _opened_in(body["view"]).channel
    message = outgoing(reply, parts.links, {channel} - {""})
    if not message.shown:
        said = message.message.body()
        await tell_alone(parts.client, channel, str(body["user"]["id"]), said)


async def _configure(parts: Parts, body: Body, reply: Configure) -> None:
    """Show progress in the dialog; then fill it."""
    message = await parts.configure(parts, body, reply.app)
    if message is not None:
        view = modal(names.PICK_PROVIDER, "Configure an app", message.message.blocks, close="Close")
        await parts.client.call("views.update", view_id=body["view"]["id"], view=view)


def chosen(view: Mapping[str, Any]) -> str:
    """Return the id of the picked app; "" if none was."""
    values = (view.get("state") or {}).get("values") or {}
    field = values.get(names.APP_SEARCH, {}).get(names.APP_SEARCH, {})
    return str((field.get("selected_option") or {}).get("value") or "")


def _opened_in(view: Mapping[str, Any]) -> Place:
    """Return the channel that a dialog was opened in, from our own metadata."""
    channel = str(view.get("private_metadata") or "")
    if view.get("callback_id") == names.OPERATION_VIEW:
        channel = read_asking(view).channel
    return Place(channel if re.fullmatch(r"[A-Z0-9]{2,40}", channel) else "")
