"""Carry out operations from forms: each field is an argument, and each answer a page or a notice.

A form's fields are named like the operation's arguments. Three more say how it was sent: `once`
differs with each drawn form, `then` is the page to show next, and `call` has what a page has asked.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.console.records import HERE, Records
from bridge.console.render import Page
from bridge.console.views import written_with
from bridge.console.visitors import Visitor, inside
from bridge.core.chat.calls import Call, given_in
from bridge.core.chat.grammar import names_in
from bridge.core.chat.replies import Denied, NotAllowed, Sorry
from bridge.core.errors import NotFound, Rejected
from bridge.core.events import CONSOLE_HOST
from bridge.operations.base import Door, Operation
from bridge.operations.every import OPERATIONS
from bridge.ports.chats import AnyReply
from bridge.views.deploying import Kept
from bridge.views.values import plain
from bridge.views.view import Ask, View

LONGEST = 20_000
"""Characters of a field, e.g. of a registry's password."""

Parts = Mapping[str, str]
Form = Mapping[str, str]

OURS = frozenset({"once", "then", "call"})


@dataclass(frozen=True, slots=True)
class Done:
    """The outcome of an action that was carried out, or is on disk: the next page, and words."""

    then: str
    says: str


def operation_of(name: str) -> Operation:
    """Return the operation of a name; raise NotFound if there is none."""
    if name not in OPERATIONS or Door.CONSOLE in OPERATIONS[name].not_at:
        raise NotFound(f"There is no command {name!r}.")
    return OPERATIONS[name]


async def operate(records: Records, visitor: Visitor, parts: Parts, form: Form) -> Done | Page:
    """Carry out an operation, and show its answer, or what it asks first."""
    asked = operation_of(parts["name"])
    call = Call(asked.name, _asked(form) | _typed(asked, form))
    once = _once(visitor, call, form)
    reply = await records.commands.answer(visitor.person, HERE, call, once)
    then = inside(form.get("then", ""))
    match reply:
        case View(refused=False, asks=Ask() as ask):
            facts = {"ask": ask, "call": json.dumps(dict(ask.call.given))}
            return Page("ask", ask.question, facts | _shown(records, reply, then))
        case View(refused=False) if reply.failed or not asked.acts:
            return Page("answer", asked.name.capitalize(), _shown(records, reply, then))
        case View(refused=False):
            if isinstance(reply.data, Kept) and not reply.data.app_id:
                then = await _page_of(records, once)
            warns = "".join(f" {plain(one)}." for one in reply.warns)
            return Done(then, f"{plain(reply.head or reply.brief)}.{warns}")
    raise refusal(reply)


async def _page_of(records: Records, id_: str) -> str:
    """Return the page of a request that is about no single app: of its delivery."""
    found = await records.inbox.find(CONSOLE_HOST, id_)
    return "/console/deliveries" if found is None else f"/console/deliveries/{found.seq}"


def refusal(reply: AnyReply) -> Rejected:
    """Return the refusal for people."""
    match reply:
        case Denied():
            return NotAllowed(reply)
        case Sorry(why=why):
            return Rejected(why)
        case View():
            more = ": " if reply.says else ""
            return Rejected(f"{plain(reply.head)}{more}{'; '.join(map(plain, reply.says))}.")
    return Rejected("That can't be done here.")


def _typed(asked: Operation, form: Form) -> dict[str, Any]:
    """Return what was typed into the fields of a form.

    Names are separated by spaces or lines, as in a chat; of other texts there is one a line.

    Raises:
        Rejected: a text is too long.
    """
    kinds = {one.name: one.kind for one in asked.arguments}
    given: dict[str, Any] = {}
    for name, text in ((name, text.strip()) for name, text in form.items() if name not in OURS):
        kind = kinds.get(name)
        if kind is not None and kind.many and kind.rest:
            given[name] = names_in(text.split())
        elif kind is not None and kind.many:
            given[name] = [line.strip() for line in text.splitlines() if line.strip()]
        elif kind is not None and kind.flag:
            given[name] = bool(text)
        else:
            given[name] = _whole(name, text)
    return {name: value for name, value in given.items() if value}


def _whole(name: str, text: str) -> str:
    if len(text) > LONGEST:
        raise Rejected(f"{name} has {len(text)} characters: at most {LONGEST} are taken")
    return text


def _shown(records: Records, view: View, then: str) -> dict[str, Any]:
    return {"view": view, "then": then, "write": written_with(records.links)}


def _asked(form: Form) -> dict[str, Any]:
    """Return the arguments that a page has asked to be agreed to; they prove nothing."""
    try:
        return given_in(json.loads(form.get("call") or "{}"))
    except (ValueError, RecursionError):
        return {}


def _once(visitor: Visitor, call: Call, form: Mapping[str, str]) -> str:
    """Return the id of the delivery, the same for a form that is sent twice, which so acts once."""
    given = json.dumps(dict(call.given), sort_keys=True)
    parts = (visitor.person.id, call.name, given, form.get("once", ""))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
