"""Commands: all that can be done, and a form for each."""

from collections.abc import Mapping
from typing import Any

from bridge.console.operations import operation_of
from bridge.console.records import Asked, Records
from bridge.console.render import Page
from bridge.console.visitors import Visitor, inside
from bridge.core.access import Right
from bridge.core.apps import App
from bridge.core.errors import NotFound
from bridge.operations.base import Door, Operation
from bridge.operations.every import offered


async def commands(records: Records, visitor: Visitor, _asked: Asked) -> Page:
    """List what somebody may do with any app, by families."""
    families: dict[str, list[Any]] = {}
    for one in offered(Door.CONSOLE):
        if _apps(records, visitor, one.needs) or not records.apps():
            families.setdefault(one.family, []).append(one)
    return Page("commands", "Commands", {"families": families})


async def command(records: Records, visitor: Visitor, asked: Asked) -> Page:
    """Show the form of an operation; the query may fill its fields."""
    wanted = operation_of(asked.parts["name"])
    given = {one.name: asked.text(one.name) for one in wanted.arguments}
    facts = _form(records, visitor, wanted, given, asked.text("then"))
    if facts is None:
        raise NotFound(f"There is no app that you may {wanted.needs or Right.VIEW}.")
    return Page("command", wanted.name.capitalize(), facts)


def again(
    records: Records, visitor: Visitor, name: str, form: Mapping[str, str]
) -> dict[str, Any] | None:
    """Return the facts of an operation's form as somebody has filled it in, without secrets.

    None if they may not fill it in, or have typed nothing.
    """
    wanted = operation_of(name)
    secret = {one.name for one in wanted.arguments if one.kind.sets and one.kind.sets.secret}
    names = {one.name for one in wanted.arguments} - secret
    labels = {app.id: app.label for app in records.seen(visitor)}
    given = {name: labels.get(text, text) for name, text in form.items() if name in names and text}
    return _form(records, visitor, wanted, given, form.get("then", "")) if given else None


def _form(
    records: Records, visitor: Visitor, wanted: Operation, given: Mapping[str, str], then: str
) -> dict[str, Any] | None:
    apps = _apps(records, visitor, wanted.needs)
    if not apps and records.apps():
        return None
    return {
        "asked": wanted,
        "fields": [one for one in wanted.arguments if one.kind.at(Door.CONSOLE)],
        "given": given,
        "apps": apps,
        "then": inside(then or "/console/do"),
    }


def _apps(records: Records, visitor: Visitor, needs: Right | None) -> list[App]:
    return records.seen(visitor, needs or Right.VIEW)
