"""Shortcuts: "Deploy an app" from anywhere, "Redeploy this" from a card's menu."""

from collections.abc import Iterator, Mapping
from typing import Any

from bridge.chats.slack.commands.answering import later, open_for, reply_to, told
from bridge.chats.slack.commands.outgoing import Outgoing, outgoing
from bridge.chats.slack.commands.pickers import picker
from bridge.chats.slack.commands.triggers import open_view
from bridge.chats.slack.drawing import names
from bridge.chats.slack.drawing.blocks import modal
from bridge.chats.slack.parts import Parts, place_of
from bridge.core.access import Right
from bridge.core.chat.grammar import Command, Verb
from bridge.core.chat.replies import Pick, Reply, Sorry
from bridge.core.watch import App

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


def register(bolt: Any, parts: Parts) -> None:
    """Listen to both."""

    async def on_deploy(ack: Any, body: dict[str, Any]) -> Any:
        parts.background.start(told(parts, body, _deploy(parts, body)), "shortcut")
        return await ack()

    async def on_redeploy(ack: Any, body: dict[str, Any]) -> Any:
        parts.background.start(told(parts, body, _redeploy(parts, body)), "shortcut")
        return await ack()

    bolt.shortcut(DEPLOY_APP)(on_deploy)
    bolt.shortcut(REDEPLOY_THIS)(on_redeploy)


async def _deploy(parts: Parts, body: dict[str, Any]) -> None:
    """A shortcut has no channel to answer in, so a refusal is a dialog, too."""
    reply = await _unnamed(parts, body, Verb.DEPLOY)
    if isinstance(reply, Pick):
        await open_for(parts, body, reply)
        return
    blocks = outgoing(reply, parts.links).message.blocks
    view = modal(names.PICK_DEPLOY, "Deploy an app", blocks, close="Close")
    await open_view(parts, body, view)


async def _redeploy(parts: Parts, body: dict[str, Any]) -> None:
    """Ask about the app of the card whose menu it was; about any where it was no card."""
    app = await _app_of(parts, body)
    if app is None:
        reply = await _unnamed(parts, body, Verb.REDEPLOY)
        message = await reply_to(parts, body, _now(reply))
        if message is not None:
            await later(parts, body, message)
        return
    place = place_of(body)
    deployable = parts.commands.apps(await parts.person(body), place, Right.DEPLOY)
    # By its id: the journal's app is without the rules of bridge.yaml, so it is no equal.
    if app.id not in {one.id for one in deployable}:
        why = "You may not redeploy the app of that card, or it is gone."
        await later(parts, body, Outgoing(outgoing(Sorry(why), parts.links).message))
        return
    view = picker(names.PICK_REDEPLOY, chosen=app, metadata=place.channel)
    await open_view(parts, body, view)


async def _unnamed(parts: Parts, body: dict[str, Any], verb: Verb) -> Reply:
    person = await parts.person(body)
    return await parts.commands.answer(person, place_of(body), Command(verb), "")


async def _now(reply: Reply) -> Reply:
    return reply


async def _app_of(parts: Parts, body: Mapping[str, Any]) -> App | None:
    """The app of a card, by the buttons that stand on it; they prove nothing, and need not."""
    for id_ in deployments_on(body.get("message") or {}):
        deployment = await parts.journal.deployment(id_)
        if deployment is not None:
            return await parts.journal.app(deployment.app_id)
    return None


def deployments_on(message: Mapping[str, Any]) -> Iterator[str]:
    """The ids of the deployments that a message's buttons are about."""
    for block in message.get("blocks") or ():
        for element in block.get("elements") or ():
            if element.get("action_id") in _OF_DEPLOYMENT:
                yield str(element.get("value") or "")
