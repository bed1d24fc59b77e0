"""The parts of the dialog, drawn with what the backend has, and read when they are submitted."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bridge.chats.slack.configuring import views
from bridge.chats.slack.configuring.build_form import (
    build_fields,
    build_wanted,
    environment_fields,
    environment_wanted,
)
from bridge.chats.slack.configuring.source_fields import source_fields
from bridge.chats.slack.configuring.source_form import SourceForm
from bridge.chats.slack.configuring.source_wanted import block_of, source_wanted
from bridge.chats.slack.configuring.views import About
from bridge.chats.slack.drawing import names
from bridge.chats.slack.drawing.fields import Given, given_in
from bridge.chats.slack.drawing.messages import Block, View
from bridge.chats.slack.parts import Parts
from bridge.core.configuring.difference import Configured
from bridge.core.configuring.merge import Wanted, merge
from bridge.core.errors import BridgeError, NotFound, Refused, Rejected, Unfit
from bridge.core.rehearsal import Rehearsal
from bridge.core.watch import App, SourceType
from bridge.core.watch_paths.lint import Finding, lint
from bridge.ports.backends import GitAccount, GitRepository

LONGEST_OBJECTION = 1000
LISTS_WITHIN = 2.0
"""Seconds for a list to choose from; what comes later is typed instead."""


@dataclass(frozen=True, slots=True)
class Objection:
    """Why something can't be what was put in, and the block that it stands in."""

    block: str
    why: str


async def drawn(parts: Parts, app: App, about: About, given: Given | None) -> View:
    """A part as it is now, or with what somebody has put in; raises what the backend raises."""
    now = await (parts.desk.now(app) if given is None else parts.desk.lately(app))
    match about.part:
        case names.PROVIDER_BUILD:
            return views.part_view(app, about, build_fields(now, given))
        case names.PROVIDER_ENVIRONMENT:
            return views.part_view(app, about, environment_fields(app, now, given))
    form = SourceForm(app, now, await accounts(parts, app), given)
    has_source = now.saved.provider is not None or app.source is not None
    tried = [] if form.kind is SourceType.DOCKER else await _tried(parts, form)
    fields = [*views.only_there(app), *source_fields(form)]
    return views.part_view(app, about, fields, tried=tried, has_source=has_source)


async def planned(
    parts: Parts, app: App, about: About, view: Mapping[str, Any]
) -> View | Objection:
    """What a submitted part would change; raises what the backend raises."""
    given = given_in(view)
    try:
        wanted = await _wanted(parts, app, about, given)
        plan = await parts.desk.plan(app, wanted)
    except Rejected as error:
        field = error.field if isinstance(error, Unfit) else ""
        return Objection(block_of(field, view), str(error)[:LONGEST_OBJECTION])
    if plan.empty:
        return views.difference_view(plan, about)
    rehearsal = None
    if about.part == names.PROVIDER_SOURCE:
        rehearsal = await _rehearsed(parts, app, plan.after)
    kept = replace(about, draft=await parts.desk.keep(plan))
    return views.difference_view(plan, kept, rehearsal)


async def accounts(parts: Parts, app: App) -> list[GitAccount]:
    """The accounts to choose from; none where the backend can't tell in time."""
    try:
        async with asyncio.timeout(LISTS_WITHIN):
            return await parts.desk.accounts(app)
    except (BridgeError, TimeoutError):
        return []


async def _wanted(parts: Parts, app: App, about: About, given: Given) -> Wanted:
    if about.part == names.PROVIDER_ENVIRONMENT:
        return environment_wanted(given)
    now = await parts.desk.now(app)
    if about.part == names.PROVIDER_BUILD:
        return build_wanted(now, given)
    form = SourceForm(app, now, await accounts(parts, app), given)
    return source_wanted(form, await _picked(parts, form))


async def _picked(parts: Parts, form: SourceForm) -> GitRepository | None:
    """The repository that was chosen from an account's list."""
    if form.account is None:
        return None
    path = str(form.value("repository") or "")
    try:
        async with asyncio.timeout(LISTS_WITHIN):
            listed = await parts.desk.repositories(form.app, form.account.id)
    except (NotFound, Refused, TimeoutError):
        listed = []
    for one in listed:
        if one.path == path:
            return one
    owner, _, name = path.rpartition("/")
    if form.kind is SourceType.GITHUB and owner and name:  # its path says all there is to know
        return GitRepository(0, owner, name, path)
    raise Unfit("repository", f"{path[:100] or 'nothing'} is not in the list of that account now")


async def _tried(parts: Parts, form: SourceForm) -> list[Block]:
    """What recent pushes would do with the form as it stands, and what is doubtful in it."""
    try:
        picked = None
        if form.account is not None:
            picked = await _picked(parts, form)
        would_be = merge(form.now, source_wanted(form, picked))
    except Rejected as error:
        return views.tried_blocks(None, problem=str(error))
    except BridgeError:
        return views.tried_blocks(None)
    return views.tried_blocks(await _rehearsed(parts, form.app, would_be), _findings(would_be))


async def _rehearsed(parts: Parts, app: App, would_be: Configured) -> Rehearsal | None:
    try:
        return await parts.desk.rehearse(app, would_be)
    except BridgeError:
        return None


def _findings(would_be: Configured) -> list[Finding]:
    return lint(would_be.saved.watch_paths)
