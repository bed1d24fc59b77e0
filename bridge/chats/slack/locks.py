"""The buttons of a lock's reminder. Nothing in a button proves a right."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from bridge.chats.slack import names
from bridge.chats.slack.commands import later, told
from bridge.chats.slack.render import outgoing
from bridge.chats.slack.workspace import Parts, place_of
from bridge.core.access import Person
from bridge.ports.chats import AnyReply, LockReminders, Place
from bridge.views.view import View

Work = Callable[[LockReminders, Person, Place, str], Awaitable[AnyReply]]


def register(bolt: Any, parts: Parts) -> None:
    """Register the buttons of reminders."""

    async def release(gates: LockReminders, person: Person, place: Place, key: str) -> AnyReply:
        return await gates.release(person, place, key)

    async def keep(gates: LockReminders, person: Person, place: Place, key: str) -> AnyReply:
        return await gates.keep(person, place, key)

    for name, work in ((names.LOCK_RELEASE, release), (names.LOCK_KEEP, keep)):
        bolt.action(name)(_handler(parts, work))


def _handler(parts: Parts, work: Work) -> Callable[..., Any]:
    async def on_click(ack: Any, body: dict[str, Any]) -> Any:
        answer = told(parts, body, _answer(parts, body, work))
        parts.background.start(answer, "answer to a click")
        return await ack()

    return on_click


async def _answer(parts: Parts, body: dict[str, Any], work: Work) -> None:
    """Answer in place of the reminder once it is settled, otherwise only to the person."""
    person, clicked = await parts.person(body), body["actions"][0]
    key = str(clicked.get("value") or "")
    reply = await work(parts.commands.reminders, person, place_of(body), key)
    settled = isinstance(reply, View) and reply.public
    message = replace(outgoing(reply, parts.links), public=settled)
    await later(parts, body, message, replace_original=settled)
