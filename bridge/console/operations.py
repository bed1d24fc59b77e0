"""Carry out operations from forms: each field is an argument, and each answer a page or a notice.

A form's fields are named like the operation's arguments. Three more say how it was sent: `once`
differs with each drawn form, `then` is the page to show next, and `call` has what a page has asked.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from bridge.console.actions import Done, Form, Parts, refusal
from bridge.console.records import HERE, Records
from bridge.console.render import Page
from bridge.console.views import written_with
from bridge.console.visitors import Visitor, inside
from bridge.core.chat.calls import Call, given_in
from bridge.core.errors import NotFound
from bridge.operations.base import Door, Operation
from bridge.operations.every import OPERATIONS
from bridge.views.values import plain
from bridge.views.view import Ask, View

LONGEST = 500
"""Characters of a field."""

OURS = frozenset({"once", "then", "call"})


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
        case View(refused=False) if not asked.acts:
            return Page("answer", asked.name.capitalize(), _shown(records, reply, then))
        case View(refused=False):
            warns = "".join(f" {plain(one)}." for one in reply.warns)
            return Done(then, f"{plain(reply.head)}.{warns}")
    raise refusal(reply)


def _typed(asked: Operation, form: Form) -> dict[str, Any]:
    """Return what was typed into the fields of a form; of several texts there is one a line."""
    kinds = {one.name: one.kind for one in asked.arguments}
    given: dict[str, Any] = {}
    for name, text in ((name, text.strip()) for name, text in form.items() if name not in OURS):
        kind = kinds.get(name)
        if kind is not None and kind.many:
            given[name] = [line.strip() for line in text.splitlines() if line.strip()]
        elif kind is not None and kind.flag:
            given[name] = bool(text)
        else:
            given[name] = text[:LONGEST]
    return {name: value for name, value in given.items() if value}


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
