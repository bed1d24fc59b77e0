"""Handle slash commands and shortcuts, and deliver their answers."""

import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any

from bridge.chats.slack import names
from bridge.chats.slack.answers import problem
from bridge.chats.slack.api import code_of
from bridge.chats.slack.blocks import modal
from bridge.chats.slack.dialogs import dialog_of
from bridge.chats.slack.help import SHORT
from bridge.chats.slack.payloads import Answer
from bridge.chats.slack.render import Outgoing, outgoing
from bridge.chats.slack.workspace import Parts, names_of, one_time, place_of
from bridge.core.access import Right
from bridge.core.apps import App
from bridge.core.chat.calls import Call
from bridge.core.chat.grammar import Read, Unclear, written
from bridge.core.chat.replies import Sorry
from bridge.core.errors import BridgeError, Refused, Rejected
from bridge.ports.chats import AnyReply, Place
from bridge.views.view import View

log = logging.getLogger(__name__)

_TOO_LATE = frozenset({"expired_trigger_id", "invalid_trigger_id", "exchanged_trigger_id"})


class TooLate(Rejected):
    """A trigger has expired; the person must ask again."""


async def open_view(
    parts: Parts, body: Mapping[str, Any], view: dict[str, Any], *, method: str = "views.open"
) -> Answer:
    """Open a dialog by the trigger of a request; return Slack's answer.

    Raises:
        TooLate: the trigger has expired.
        Refused, Unreachable, Unanswered: see `SlackClient.call`.
    """
    trigger = str(body.get("trigger_id") or "")
    try:
        return await parts.client.call(method, trigger_id=trigger, view=view)
    except Refused as error:
        if code_of(error) not in _TOO_LATE:
            raise
        log.warning("a dialog was opened after its trigger had expired", extra={"why": str(error)})
        raise TooLate("Slack gave up waiting for the dialog. Please try again.") from None


# ── answering ────────────────────────────────────────────────────────────────────────────────────


async def reply_to(
    parts: Parts, body: Mapping[str, Any], work: Coroutine[Any, Any, AnyReply]
) -> Outgoing | None:
    """Complete a reply; return the message to show, or None if a dialog was opened."""
    try:
        reply = await work
        if (app := shown_by_own_dialog(reply)) is not None:
            return await parts.configure(parts, body, app)
        if isinstance(reply, View) and reply.only_asks:
            await open_view(parts, body, dialog_of(reply, parts.links, place_of(body).channel))
            return None
    except BridgeError as error:
        log.warning("a request from slack failed", extra={"why": str(error)})
        return Outgoing(problem(str(error)))
    except Exception:  # a bug; the person must still get an answer
        log.exception("a request from slack failed")
        return Outgoing(problem("The bridge had an internal error; its log says more."))
    return outgoing(reply, parts.links, names_of(body))


OWN_DIALOGS = frozenset({"provider"})
"""The operations with a dialog of their own, as a form of many fields is more than a view."""


def shown_by_own_dialog(reply: AnyReply) -> App | None:
    """Return the app for which an operation's own dialog is to be shown, if it has one."""
    if not isinstance(reply, View) or reply.call is None or reply.about is None:
        return None
    return reply.about.app if reply.call.name in OWN_DIALOGS else None


async def told(parts: Parts, body: Mapping[str, Any], work: Coroutine[Any, Any, None]) -> None:
    """Work after the acknowledgement; tell the person if it fails."""
    try:
        await work
    except BridgeError as error:
        log.warning("a request from slack failed", extra={"why": str(error)})
        await later(parts, body, Outgoing(problem(str(error))))


async def later(parts: Parts, body: Mapping[str, Any], message: Outgoing, **more: Any) -> None:
    """Answer after the acknowledgement; only to the person, and without replacing anything."""
    url = str(body.get("response_url") or "")
    if url:
        answer = {"replace_original": False, **message.body(), **more}
        await parts.client.answer(url, answer)
        return
    user = body.get("user")
    id_ = user.get("id") if isinstance(user, dict) else body.get("user_id")
    await parts.client.call("chat.postMessage", channel=str(id_), **message.message.body())


async def withdraw(parts: Parts, body: Mapping[str, Any]) -> None:
    """Remove the message that was clicked on, which only that person sees."""
    if url := str(body.get("response_url") or ""):
        await parts.client.answer(url, {"delete_original": True})


# ── slash commands ───────────────────────────────────────────────────────────────────────────────

LONG = "/dokploy"


def register(bolt: Any, parts: Parts) -> None:
    """Register all commands."""
    bolt.command(LONG)(_handler(parts, ""))
    for name in SHORT:
        bolt.command(f"/{name}")(_handler(parts, name))


def _handler(parts: Parts, name: str) -> Callable[..., Any]:
    async def on_command(ack: Any, body: dict[str, Any]) -> Any:
        typed = parts.commands.parse(str(body.get("text") or ""), name)
        id_ = one_time("command", body.get("trigger_id"), body.get("user_id"), written_down(typed))
        work = reply_to(parts, body, run(parts, body, typed, id_))
        task = await parts.background.in_time(work, "command")
        if not task.done():
            parts.background.start(_follow(parts, body, task), "late answer")
            return await ack(text="Still working on it; the answer follows.")
        message = task.result()
        return await ack(**message.body()) if message else await ack()

    return on_command


async def run(
    parts: Parts, body: dict[str, Any], typed: Read, id_: str, place: Place | None = None
) -> AnyReply:
    """Carry out or answer a command; `place`: where it was asked, if the body does not tell."""
    person = await parts.person(body)
    return await parts.commands.answer(person, place or place_of(body), typed, id_)


def written_down(typed: Read) -> str:
    """Return the typed text, as part of an id."""
    return typed.why if isinstance(typed, Unclear) else written(typed)


async def _follow(parts: Parts, body: dict[str, Any], task: Any) -> None:
    message: Outgoing | None = await task
    if message is not None:
        await later(parts, body, message)


# ── shortcuts ────────────────────────────────────────────────────────────────────────────────────

DEPLOY_APP = "deploy_app"
REDEPLOY_THIS = "redeploy_this"

_OF_DEPLOYMENT = frozenset(
    {
        names.DEPLOYMENT_CANCEL,
        names.DEPLOYMENT_REDEPLOY,
        names.DEPLOYMENT_LOG,
        names.DEPLOYMENT_WHY,
    }
)


def register_shortcuts(bolt: Any, parts: Parts) -> None:
    """Register both: "Deploy an app" from anywhere, "Redeploy this" from a card's menu."""

    async def on_deploy(ack: Any, body: dict[str, Any]) -> Any:
        parts.background.start(told(parts, body, _deploy(parts, body)), "shortcut")
        return await ack()

    async def on_redeploy(ack: Any, body: dict[str, Any]) -> Any:
        parts.background.start(told(parts, body, _redeploy(parts, body)), "shortcut")
        return await ack()

    bolt.shortcut(DEPLOY_APP)(on_deploy)
    bolt.shortcut(REDEPLOY_THIS)(on_redeploy)


async def _deploy(parts: Parts, body: dict[str, Any]) -> None:
    """Show a refusal as a dialog, since a shortcut has no channel to answer in."""
    reply = await _unnamed(parts, body, "deploy")
    if isinstance(reply, View):
        dialog = dialog_of(reply, parts.links, place_of(body).channel)
    else:
        blocks = outgoing(reply, parts.links).message.blocks
        dialog = modal(names.OPERATION_VIEW, "Deploy an app", blocks, close="Close")
    await open_view(parts, body, dialog)


async def _redeploy(parts: Parts, body: dict[str, Any]) -> None:
    """Ask about the app of the card with the menu; for any other message, about any app."""
    app, reply = await _app_of(parts, body), await _unnamed(parts, body, "redeploy")
    if app is None or not isinstance(reply, View):
        message = await reply_to(parts, body, _now(reply))
        if message is not None:
            await later(parts, body, message)
        return
    place = place_of(body)
    deployable = parts.commands.apps(await parts.person(body), place, Right.DEPLOY)
    # By its id: the journal's app lacks the rules of bridge.yaml, so it never compares equal.
    if app.id not in {one.id for one in deployable}:
        why = "You may not redeploy the app of that card, or it is gone."
        await later(parts, body, Outgoing(outgoing(Sorry(why), parts.links).message))
        return
    await open_view(parts, body, dialog_of(reply, parts.links, place.channel, app))


async def _unnamed(parts: Parts, body: dict[str, Any], name: str) -> AnyReply:
    person = await parts.person(body)
    return await parts.commands.answer(person, place_of(body), Call(name, {}), "")


async def _now(reply: AnyReply) -> AnyReply:
    return reply


async def _app_of(parts: Parts, body: Mapping[str, Any]) -> App | None:
    """Return the app of a card, by its buttons; they prove nothing, and need not."""
    for id_ in deployments_on(body.get("message") or {}):
        deployment = await parts.journal.deployment(id_)
        if deployment is not None:
            return await parts.journal.app(deployment.app_id)
    return None


def deployments_on(message: Mapping[str, Any]) -> Iterator[str]:
    """Return the ids of the deployments in a message's buttons."""
    for block in message.get("blocks") or ():
        for element in block.get("elements") or ():
            if element.get("action_id") in _OF_DEPLOYMENT:
                yield str(element.get("value") or "")
