"""Commands: all that can be done, and a form for each."""

from typing import Any

from bridge.console.operations import operation_of
from bridge.console.records import Asked, Records
from bridge.console.render import Page
from bridge.console.visitors import Visitor, inside
from bridge.core.access import Right
from bridge.operations.every import OPERATIONS


async def commands(_records: Records, _visitor: Visitor, _asked: Asked) -> Page:
    """List what can be done, by families."""
    families: dict[str, list[Any]] = {}
    for one in OPERATIONS.values():
        families.setdefault(one.family, []).append(one)
    return Page("commands", "Commands", {"families": families})


async def command(records: Records, visitor: Visitor, asked: Asked) -> Page:
    """Show the form of an operation; the query may fill its fields."""
    wanted = operation_of(asked.parts["name"])
    given = {one.name: asked.text(one.name) for one in wanted.arguments}
    facts = {
        "asked": wanted,
        "fields": [one for one in wanted.arguments if not one.kind.hidden],
        "given": given,
        "apps": records.seen(visitor, wanted.needs or Right.VIEW),
        "then": inside(asked.text("then") or "/console/do"),
    }
    return Page("command", wanted.name.capitalize(), facts)
