"""Slash commands: `/dokploy …`, and the short ones."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bridge.chats.slack.commands.answering import later, reply_to
from bridge.chats.slack.commands.clicks import one_time
from bridge.chats.slack.parts import Parts, place_of
from bridge.core.chat.grammar import Command, Unclear, Verb, parse_chat, written
from bridge.core.chat.replies import Reply

if TYPE_CHECKING:
    from bridge.chats.slack.commands.outgoing import Outgoing

SHORT = {
    "/deploy": Verb.DEPLOY,
    "/redeploy": Verb.REDEPLOY,
    "/cancel": Verb.CANCEL,
    "/provider": Verb.PROVIDER,
}
LONG = "/dokploy"


def register(bolt: Any, parts: Parts) -> None:
    """Listen to all commands."""
    for name, verb in ((LONG, None), *SHORT.items()):
        bolt.command(name)(_handler(parts, verb))


def _handler(parts: Parts, verb: Verb | None) -> Callable[..., Any]:
    async def on_command(ack: Any, body: dict[str, Any]) -> Any:
        typed = parse_chat(str(body.get("text") or ""), verb)
        id_ = one_time("command", body.get("trigger_id"), body.get("user_id"), written_down(typed))
        work = reply_to(parts, body, run(parts, body, typed, id_))
        task = await parts.background.in_time(work, "command")
        if not task.done():
            parts.background.start(_follow(parts, body, task), "late answer")
            return await ack(text="Still at it; the answer follows.")
        message = task.result()
        return await ack(**message.body()) if message else await ack()

    return on_command


async def run(parts: Parts, body: dict[str, Any], typed: Command | Unclear, id_: str) -> Reply:
    """Do or answer what was typed."""
    person = await parts.person(body)
    reply = await parts.commands.answer(person, place_of(body), typed, id_)
    what = str(typed.verb) if isinstance(typed, Command) else "unclear"
    parts.background.start(parts.commands.note(person, what, reply), "audit")
    return reply


def written_down(typed: Command | Unclear) -> str:
    """What was typed, as part of an id."""
    return written(typed) if isinstance(typed, Command) else typed.why


async def _follow(parts: Parts, body: dict[str, Any], task: Any) -> None:
    message: Outgoing | None = await task
    if message is not None:
        await later(parts, body, message)
