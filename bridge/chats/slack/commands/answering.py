"""How an answer gets to who asked: with the acknowledgement, or after it where it takes longer."""

import logging
from collections.abc import Coroutine, Mapping
from typing import Any

from bridge.chats.slack.commands.outgoing import Outgoing, outgoing
from bridge.chats.slack.commands.pickers import picker
from bridge.chats.slack.commands.replies import problem
from bridge.chats.slack.commands.triggers import open_view
from bridge.chats.slack.drawing import names
from bridge.chats.slack.parts import Parts, names_of, place_of
from bridge.core.chat.grammar import Verb
from bridge.core.chat.replies import Configure, Pick, Reply
from bridge.core.errors import BridgeError

log = logging.getLogger(__name__)

PICKERS = {
    Verb.DEPLOY: names.PICK_DEPLOY,
    Verb.REDEPLOY: names.PICK_REDEPLOY,
    Verb.CANCEL: names.PICK_CANCEL,
    Verb.PROVIDER: names.PICK_PROVIDER,
}


async def reply_to(
    parts: Parts, body: Mapping[str, Any], work: Coroutine[Any, Any, Reply]
) -> Outgoing | None:
    """Finish what a reply needs; the message to show, or None where a dialog shows instead."""
    try:
        reply = await work
        if isinstance(reply, Pick | Configure):
            return await open_for(parts, body, reply)
    except BridgeError as error:
        log.warning("a request of slack failed", extra={"why": str(error)})
        return Outgoing(problem(str(error)))
    except Exception:  # a bug; who asked must hear something all the same
        log.exception("a request of slack failed")
        return Outgoing(problem("The bridge failed inside; its log says more."))
    return outgoing(reply, parts.links, names_of(body))


async def open_for(
    parts: Parts, body: Mapping[str, Any], reply: Pick | Configure
) -> Outgoing | None:
    """Open the dialog that a reply asks for, while its trigger is good."""
    if isinstance(reply, Configure):
        return await parts.configure(parts, body, reply.app)
    view = picker(PICKERS[reply.verb], metadata=place_of(body).channel)
    await open_view(parts, body, view)
    return None


async def told(parts: Parts, body: Mapping[str, Any], work: Coroutine[Any, Any, None]) -> None:
    """Do work that goes on after the acknowledgement; tell who asked where it fails."""
    try:
        await work
    except BridgeError as error:
        log.warning("a request of slack failed", extra={"why": str(error)})
        await later(parts, body, Outgoing(problem(str(error))))


async def later(parts: Parts, body: Mapping[str, Any], message: Outgoing, **more: Any) -> None:
    """Answer after the acknowledgement; only to who asked, and replacing nothing by itself."""
    url = str(body.get("response_url") or "")
    if url:
        answer = {"replace_original": False, **message.body(), **more}
        await parts.client.answer(url, answer)
        return
    user = body.get("user")
    id_ = user.get("id") if isinstance(user, dict) else body.get("user_id")
    await parts.client.call("chat.postMessage", channel=str(id_), **message.message.body())


async def withdraw(parts: Parts, body: Mapping[str, Any]) -> None:
    """Take away the message that was clicked on, which only that person sees."""
    if url := str(body.get("response_url") or ""):
        await parts.client.answer(url, {"delete_original": True})
