"""Carry out a call: read its arguments, check the right, show the plan or run, record."""

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bridge.core.access import Right
from bridge.core.apps import App
from bridge.core.chat.calls import Call, Given
from bridge.core.errors import Rejected
from bridge.core.events import COMMAND_HOST, CONSOLE_HOST
from bridge.core.gates.locks import Scope
from bridge.operations.base import Argument, Context, Door, Operation, Plan, Run
from bridge.operations.declared import operation_of
from bridge.views.view import Ask, Field, View

_DOORS = {COMMAND_HOST: Door.COMMAND_LINE, CONSOLE_HOST: Door.CONSOLE}
"""Doors other than chats, by the host of the deliveries that they make."""


async def carry_out(ctx: Context) -> View:
    """Read the arguments, check the right, and run; record a refusal.

    Return a view that `asks` instead of running, if the operation has something to show first, and
    always where only the plan is wanted. What it asks may lack required arguments, such as a
    reason: the door asks for them as well.

    Raises:
        NotAllowed: they lack the right; the audit log has it.
        Rejected: an argument is missing or impossible, or it can't be done.
    """
    from bridge.core.chat.replies import NotAllowed

    asked = operation_of(ctx.call.name)
    _must_be_offered(asked, _DOORS.get(ctx.desk.door, Door.CHATS), ctx.call.given)
    try:
        values = {one.name: await one.read(ctx.call.given, ctx) for one in asked.arguments}
        if asked.needs and not asked.right_varies:
            for about in _abouts(asked, values):
                ctx.check(asked.needs, about)
        if asked.plan is not None:
            _must_be_given(asked.plan, asked, ctx.call.given)
            shown = await asked.plan(ctx, **_taken(asked.plan, values))
            if shown is not None:
                return _with_fields(shown)
        if ctx.plan_only:
            raise Rejected(f"{asked.name} has no plan to show")
        _must_be_given(asked.run, asked, ctx.call.given)
        done = await asked.run(ctx, **_taken(asked.run, values))
    except NotAllowed as error:
        await ctx.desk.audit.note(ctx.person, asked.name, error.denied)
        raise
    if asked.acts and not (asked.recorded or asked.kept or done.refused):
        await _record(ctx, asked, values)
    return replace(done, call=ctx.call)


def _abouts(asked: Operation, values: Mapping[str, Any]) -> list[App | Scope | None]:
    """Return the apps and scopes that are named; None for every app, if none need be named."""
    checked = [one for one in asked.arguments if one.kind.checked]
    given = (values[one.name] for one in checked)
    lists = (one if isinstance(one, tuple) else (one,) for one in given)
    found = [about for those in lists for about in those if about is not None]
    return found or [None] * (not any(one.required for one in checked))


def _must_be_offered(asked: Operation, door: Door, given: Given) -> None:
    """Raise Rejected if a door lacks an operation, or an argument that is given there."""
    if door in asked.not_at:
        raise Rejected(f"{asked.name} can't be asked for here: {asked.not_at[door]}")
    for one in asked.arguments:
        if one.kind.only not in (None, door) and given.get(one.name):
            raise Rejected(f"{one.name} can be given on the {one.kind.only} only")


def _must_be_given(run: Run | Plan, asked: Operation, given: Given) -> None:
    """Raise Rejected if an argument for which a function has no default is missing."""
    taken = inspect.signature(run).parameters
    for one in asked.arguments:
        needed = one.name in taken and taken[one.name].default is inspect.Parameter.empty
        if needed and not given.get(one.name):
            raise Rejected(f"{one.kind.metavar} is missing: {one.kind.help}")


async def _record(ctx: Context, asked: Operation, values: Mapping[str, Any]) -> None:
    from bridge.pipeline import audit

    names = [one.name for one in asked.arguments if one.kind.checked]
    about = next((values[name] for name in names if values[name] is not None), None)
    label, app_id = getattr(about, "label", ""), getattr(about, "id", "")
    by, at = ctx.actor.by, ctx.desk.clock()
    await audit.record(ctx.desk.journal, by, asked.name, label, app_id=app_id, at=at)


def _with_fields(shown: View) -> View:
    """Add to what a plan asks the arguments that it lacks."""
    if shown.asks is None:
        return shown
    call = shown.asks.call
    asked = operation_of(call.name)
    lacks = tuple(_field(asked, one) for one in _missing(asked, call.given))
    return replace(shown, asks=replace(shown.asks, lacks=lacks))


def asking(asked: Operation, call: Call) -> View:
    """Return what asks for the arguments that a call lacks, also for those that it may lack."""
    does = asked.button
    fields = [one for one in asked.arguments if one.kind.at(Door.CHATS)]
    lacks = [one for one in fields if not call.given.get(one.name)]
    in_words = sorted((one for one in lacks if not one.kind.flag), key=lambda one: not one.required)
    ask = Ask(call, f"{does}?", does, lacks=tuple(_field(asked, one) for one in in_words))
    return View((), notes=[(asked.does,)], asks=ask)


def _field(asked: Operation, one: Argument) -> Field:
    kind = one.kind
    right = (asked.needs or Right.VIEW) if kind.completes == "app" else None
    return Field(one.name, kind.metavar, kind.help, right, not one.required, kind.most)


def _missing(asked: Operation, given: Given) -> list[Argument]:
    return [one for one in asked.arguments if one.required and not given.get(one.name)]


def _taken(run: Run | Plan, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that a function takes."""
    names = inspect.signature(run).parameters
    return {name: value for name, value in values.items() if name in names}
