"""Draw the parts of the dialog from the backend's values, and read their submissions."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bridge.chats.slack import config_views, names
from bridge.chats.slack.blocks import (
    Block,
    Given,
    View,
    choice_field,
    given_in,
    section,
    several_field,
    text_field,
    ticks_field,
)
from bridge.chats.slack.config_views import About
from bridge.chats.slack.mrkdwn import code
from bridge.chats.slack.source_form import (
    BY_PATH,
    SourceForm,
    block_of,
    source_fields,
    source_wanted,
)
from bridge.chats.slack.workspace import Parts
from bridge.core.apps import App, AppKind, SourceType
from bridge.core.configuration.configuration import BuildType, Environment
from bridge.core.configuration.difference import Configured
from bridge.core.configuration.fields import BUILD, FIELDS, SECTIONS, Field
from bridge.core.configuration.merge import Wanted, WantedBuild, WantedVariables, merge
from bridge.core.configuration.rehearsal import Rehearsal
from bridge.core.errors import BridgeError, NotFound, Refused, Rejected, Unfit
from bridge.core.matching.lint import Finding, lint
from bridge.core.variables import assignments_in, lines_besides, variables_in
from bridge.ports.backends import GitAccount, GitRepository

_SPA = ("static_spa", FIELDS["static_spa"].label)
MOST_NAMED = 60


def build_fields(now: Configured, given: Given | None = None) -> list[Block]:
    """Return the fields of an app's build."""
    build = now.saved.build
    if build is None:
        return [section("A compose stack has no build settings: its compose file says them.")]
    kind, one = _kind(build, given), FIELDS["build_type"]
    builders = list(one.choices.items())
    blocks = [choice_field("build.build_type", one.label, builders, kind, redraws=True)]
    blocks += [
        text_field(
            f"{kind}.{one.name}",
            one.label,
            _value(build, given, one.name),
            placeholder=one.builds[kind],
            optional=True,
        )
        for one in _typed(kind)
    ]
    if kind == "static":
        ticked = _ticked(given, "pages", ("static_spa",) if build.static_spa else ())
        blocks.append(ticks_field("static.pages", "Pages", [_SPA], ticked))
    return blocks


def build_wanted(now: Configured, given: Given) -> WantedBuild:
    """Return the build that a form requests."""
    build = now.saved.build
    assert build is not None
    kind = _kind(build, given)
    fields: dict[str, Any] = {"build_type": kind}
    for one in _typed(kind):
        fields[one.name] = (_value(build, given, one.name) or "").strip() or None
    if kind == "static":
        ticked = "static_spa" in _ticked(given, "pages", ())
        fields["static_spa"] = ticked if ticked or build.static_spa else build.static_spa
    return WantedBuild(fields)


def environment_fields(app: App, now: Configured, given: Given | None = None) -> list[Block]:
    """Return the fields of an app's variables."""
    sections = SECTIONS if app.kind is AppKind.APPLICATION else SECTIONS[:1]
    environment = now.saved.environment
    blocks = [section(_named(environment, name)) for name in sections]
    blocks += [
        choice_field(
            "environment.section",
            "Where",
            [(name, FIELDS[name].label) for name in sections],
            str((given or {}).get("section") or sections[0]),
        ),
        text_field(
            "environment.set",
            "Set variables",
            placeholder="KEY=value",
            hint="One a line. Those that are not named stay. Values are sealed until they are"
            " saved, and never shown.",
            optional=True,
            lines=True,
        ),
    ]
    known = _known(environment, sections)
    if known:
        blocks.append(
            several_field("environment.unset", "Take out", known, placeholder="Which variables")
        )
    ticked = _ticked(given, "file", ("create_env_file",) if environment.create_env_file else ())
    choices = [("create_env_file", FIELDS["create_env_file"].label)]
    blocks.append(ticks_field("environment.file", "File", choices, ticked))
    return blocks


def environment_wanted(given: Given) -> WantedVariables:
    """Return the variables that a form requests.

    Raises:
        Unfit: a line is no variable; the error does not quote it, since it may be a secret.
    """
    text = str(given.get("set") or "").replace("\r\n", "\n")
    stray = [line for line in lines_besides(text).splitlines() if not line.strip().startswith("#")]
    if stray:
        raise Unfit("set", "One line is not a variable: write KEY=value, one per line.")
    where = str(given.get("section") or SECTIONS[0])
    changes: dict[str, dict[str, str | None]] = {}
    for one in given.get("unset") or ():
        name, _, key = str(one).partition(".")
        changes.setdefault(name, {})[key] = None
    for key, raw in assignments_in(text).items():
        if changes.setdefault(where, {}).setdefault(key, raw) is None:
            raise Unfit("unset", f"{key[:60]} can't be set and removed at once.")
        changes[where][key] = raw
    ticked = "create_env_file" in _ticked(given, "file", ())
    return WantedVariables({name: one for name, one in changes.items() if one}, {}, ticked)


def _named(environment: Environment, name: str) -> str:
    keys = list(_variables(environment, name))
    shown = " ".join(filter(None, (code(key, 80) for key in keys[:MOST_NAMED])))
    more = f" and {len(keys) - MOST_NAMED} more" if len(keys) > MOST_NAMED else ""
    return f"*{FIELDS[name].label}*\n{(shown[:2800] + more) or 'Nothing is set.'}"


def _known(environment: Environment, sections: Sequence[str]) -> list[tuple[str, str]]:
    """Return variables as choices; several sections may have the same name."""
    return [
        (f"{name}.{key}", key if name == "env" else f"{key} ({FIELDS[name].label.lower()})")
        for name in sections
        for key in _variables(environment, name)
        if len(key) <= 120
    ]


def _variables(environment: Environment, name: str) -> dict[str, str]:
    text = getattr(environment, name)
    return variables_in(text.get_secret_value() if text else None)


def _typed(kind: str) -> list[Field]:
    """Return the text fields of a type of build."""
    return [one for one in BUILD if kind in one.builds and one.type is str]


def _kind(build: BuildType, given: Given | None) -> str:
    return str((given or {}).get("build_type") or build.build_type)


def _value(build: BuildType, given: Given | None, name: str) -> str | None:
    value = given[name] if given is not None and name in given else getattr(build, name)
    return None if value is None else str(value)


def _ticked(given: Given | None, name: str, before: Sequence[str]) -> Sequence[str]:
    return tuple(given[name] or ()) if given is not None and name in given else before


# ── Draw the parts of the dialog from the backend's values, and read their submissions ────────────

LONGEST_OBJECTION = 1000
LISTS_WITHIN = 2.0
"""Seconds to wait for a list to choose from; after that, the value is typed instead."""


@dataclass(frozen=True, slots=True)
class Objection:
    """Why an input is impossible, and its block."""

    block: str
    why: str


async def drawn(parts: Parts, app: App, about: About, given: Given | None) -> View:
    """Return a part with its present values, or with the input; raise the backend's errors."""
    now = await (parts.drafts.now(app) if given is None else parts.drafts.lately(app))
    match about.part:
        case names.PROVIDER_BUILD:
            return config_views.part_view(app, about, build_fields(now, given))
        case names.PROVIDER_ENVIRONMENT:
            return config_views.part_view(app, about, environment_fields(app, now, given))
    form = SourceForm(app, now, await accounts(parts, app), given)
    has_source = now.saved.provider is not None or app.source is not None
    tried = [] if form.kind is SourceType.DOCKER else await _tried(parts, form)
    fields = [*config_views.only_there(app), *source_fields(form)]
    return config_views.part_view(app, about, fields, tried=tried, has_source=has_source)


async def planned(
    parts: Parts, app: App, about: About, view: Mapping[str, Any]
) -> View | Objection:
    """Return what a submitted part would change; raise the backend's errors."""
    given = given_in(view)
    try:
        wanted = await _wanted(parts, app, about, given)
        plan = await parts.drafts.plan(app, wanted)
    except Rejected as error:
        field = error.field if isinstance(error, Unfit) else ""
        return Objection(block_of(field, view), str(error)[:LONGEST_OBJECTION])
    if plan.empty:
        return config_views.difference_view(plan, about)
    rehearsal = None
    if about.part == names.PROVIDER_SOURCE:
        rehearsal = await _rehearsed(parts, app, plan.after)
    kept = replace(about, draft=await parts.drafts.keep(plan))
    return config_views.difference_view(plan, kept, rehearsal)


async def accounts(parts: Parts, app: App) -> list[GitAccount]:
    """Return the accounts to choose from; none if the backend does not answer in time."""
    try:
        async with asyncio.timeout(LISTS_WITHIN):
            return await parts.drafts.accounts(app)
    except (BridgeError, TimeoutError):
        return []


async def _wanted(parts: Parts, app: App, about: About, given: Given) -> Wanted:
    if about.part == names.PROVIDER_ENVIRONMENT:
        return environment_wanted(given)
    now = await parts.drafts.now(app)
    if about.part == names.PROVIDER_BUILD:
        return build_wanted(now, given)
    form = SourceForm(app, now, await accounts(parts, app), given)
    return source_wanted(form, await _picked(parts, form))


async def _picked(parts: Parts, form: SourceForm) -> GitRepository | None:
    """Return the repository that was chosen from an account's list."""
    if form.account is None:
        return None
    path = str(form.value("repository") or "")
    try:
        async with asyncio.timeout(LISTS_WITHIN):
            listed = await parts.drafts.repositories(form.app, form.account.id)
    except (NotFound, Refused, TimeoutError):
        listed = []
    for one in listed:
        if one.path == path:
            return one
    owner, _, name = path.rpartition("/")
    if form.kind in BY_PATH and owner and name:  # its path is enough
        return GitRepository(0, owner, name, path)
    raise Unfit("repository", f"{path[:100] or 'nothing'} is no longer in that account's list")


async def _tried(parts: Parts, form: SourceForm) -> list[Block]:
    """Return what recent pushes would do with the form as filled in, and its doubtful values."""
    try:
        picked = None
        if form.account is not None:
            picked = await _picked(parts, form)
        would_be = merge(form.now, source_wanted(form, picked))
    except Rejected as error:
        return config_views.tried_blocks(None, problem=str(error))
    except BridgeError:
        return config_views.tried_blocks(None)
    return config_views.tried_blocks(
        await _rehearsed(parts, form.app, would_be), _findings(would_be)
    )


async def _rehearsed(parts: Parts, app: App, would_be: Configured) -> Rehearsal | None:
    try:
        return await parts.drafts.rehearse(app, would_be)
    except BridgeError:
        return None


def _findings(would_be: Configured) -> list[Finding]:
    return lint(would_be.saved.watch_paths)
