"""Configuring apps: how each is configured, and changes of that, shown first and then made.

On the command line a change is made once somebody agrees. Elsewhere it is kept like any request,
with its secrets sealed, and a flow makes it, which outlives a restart.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from bridge.core import apps
from bridge.core.access import Right
from bridge.core.configuration.fields import SECTIONS
from bridge.core.errors import Rejected
from bridge.core.events import Action
from bridge.operations.arguments import App, Seen
from bridge.operations.base import GROUPS, OPERATIONS, Context, Door, Kind, Run, operation
from bridge.operations.deploying import keep_request
from bridge.operations.typed import called
from bridge.views import configuring as views
from bridge.views.values import Phrase, Text
from bridge.views.view import Column, Row, Table, View

if TYPE_CHECKING:
    from bridge.core.apps import Rules
    from bridge.core.configuration.difference import Configured
    from bridge.core.configuration.merge import Wanted
    from bridge.core.configuration.plan import Plan
    from bridge.pipeline.deploying.configure import Configurer, Configurers
    from bridge.ports.backends import GitAccount

CONFIGURE = "Configure"

GROUPS["provider"] = "Show and set an app's source."
GROUPS["build"] = "Show and set how an app is built."
GROUPS["env"] = "Show and set an app's variables."


def _configurers(ctx: Context) -> "Configurers":
    if ctx.desk.configurers is None:
        raise Rejected("no app can be configured from here")
    return ctx.desk.configurers


def _configurer(ctx: Context, app: apps.App) -> "Configurer":
    return _configurers(ctx).of(app)


# ── looking ───────────────────────────────────────────────────────────────────────────────────────


def _looking(name: str, about: str = " shop/web") -> Callable[[Run], Run]:
    example = f"{name}{about}"
    common: dict[str, Any] = {"family": CONFIGURE, "needs": Right.CONFIGURE, "of_backends": True}
    return operation(name, examples=(example,), **common)


def _given(_text: str, _ctx: Context) -> bool:
    return True


Reveal = Annotated[
    bool,
    Kind(
        *("", _given, "Show secret values as they are."),
        option="reveal",
        flag=True,
        only=Door.COMMAND_LINE,
    ),
]


@_looking("provider show")
async def show_source(ctx: Context, app: App, reveal: Reveal = False) -> View:
    """Show an app's source, and the bridge's rules for it."""
    from bridge.core.rules import rules_for

    configurer = _configurer(ctx, app)
    now = await configurer.now(app)
    fields, own = _source(now, reveal=reveal), _said(now.rules)
    file = _said(rules_for(app.label, configurer.book))
    data = {"app": app.label, "app_id": app.id, "backend": app.backend, **fields}
    hint = ""
    if now.saved.provider is None:
        kind = app.source.type if app.source else None
        hint = f"its source is {kind}, which can't be set from here" if kind else "it has no source"
    rules = {f"{key} (the bridge's rule)": value for key, value in own.items()}
    filed = {f"{key} (bridge.yaml)": value for key, value in file.items()}
    data["rules"] = {"set": own, "file": file}
    return views.fields_of(app, fields | rules | filed, data, hint)


def _source(now: "Configured", *, reveal: bool) -> dict[str, Any]:
    """Return the source's fields, and what all sources share."""
    from pydantic import SecretStr

    from bridge.core.configuration.configuration import DockerSource
    from bridge.core.configuration.difference import shown

    provider = now.saved.provider
    names = ["source", *(type(provider).model_fields if provider else ()), "watch_paths"]
    if provider is not None and not isinstance(provider, DockerSource):
        names.append("trigger")
    every = shown(now)
    found: dict[str, Any] = {name: every[name] for name in dict.fromkeys(names) if name in every}
    if reveal and provider is not None:
        for name in found.keys() & set(type(provider).model_fields):
            value = getattr(provider, name)
            found[name] = value.get_secret_value() if isinstance(value, SecretStr) else value
    return found


def _said(rules: "Rules") -> dict[str, Any]:
    from bridge.core.configuration.difference import RULES, rule_value

    said = {spoken: rule_value(getattr(rules, name)) for name, spoken in RULES.items()}
    return {name: value for name, value in said.items() if value is not None}


@_looking("provider accounts", "")
async def accounts(ctx: Context) -> View:
    """List a backend's Git accounts, with their ids for `--account`."""
    from bridge.core.chat.replies import NotAllowed
    from bridge.ports.backends import OffersChoices

    may = {app.backend for app in ctx.seen(Right.CONFIGURE)}
    on_server = ctx.by is not None
    denied = ctx.desk.finding.without_apps(ctx.person, ctx.place, Right.CONFIGURE)
    if denied is not None and not on_server:
        raise NotAllowed(denied)
    return _accounts_of(
        [
            (name, one)
            for name, backend in _configurers(ctx).backends.items()
            if isinstance(backend, OffersChoices) and (on_server or name in may)
            for one in await backend.pickers.git_providers()
        ]
    )


def _accounts_of(found: "Sequence[tuple[str, GitAccount]]") -> View:
    """List Git accounts, each with the name of its backend."""
    data = [
        {"id": one.id, "type": str(one.type), "name": one.name, "backend": backend}
        for backend, one in found
    ]
    if not found:
        none = "the backend has no Git account; connect one there: Settings, Git"
        return View((none,), data=data, empty=True)
    rows = []
    for one in data:
        id_, type_, name, backend = (Text(text, views.LABEL) for text in one.values())
        line: Phrase = (id_, " ", type_, " ", name, " (", backend, ")")
        rows.append(Row(((id_,), (type_,), (name,), (backend,)), line=line))
    columns = [Column(name) for name in ("id", "type", "name", "backend")]
    return View(("Git accounts",), parts=[Table(columns, rows)], data=data)


@_looking("build show")
async def show_build(ctx: Context, app: App) -> View:
    """Show how an app is built."""
    build = (await _configurer(ctx, app).now(app)).saved.build
    if build is None:
        raise Rejected(f"{app.label} is a compose stack: its compose file says how it is built")
    fields = build.model_dump()
    return views.fields_of(app, fields, {"app": app.label, "app_id": app.id, **fields})


MASKED = "********"


@_looking("env show")
async def show_variables(ctx: Context, app: App, reveal: Reveal = False) -> View:
    """List an app's variables; their values are masked unless you ask for them.

    Only the command line, on the server itself, can show values.
    """
    from bridge.core.variables import variables_in

    environment = (await _configurer(ctx, app).now(app)).saved.environment
    found: dict[str, dict[str, str]] = {}
    for section in SECTIONS:
        text = getattr(environment, section)
        values = variables_in(text.get_secret_value() if text else None)
        found[section] = {key: value if reveal else MASKED for key, value in values.items()}
    data: dict[str, Any] = {"app": app.label, "app_id": app.id, **found}
    return views.variables_of(app, found, data | {"create_env_file": environment.create_env_file})


# ── a change: the plan, and what is done once somebody agrees ─────────────────────────────────────


def changing(name: str, plan: Any, **more: Any) -> Callable[[Run], Run]:
    """Declare what changes a configuration, which is in the audit log with its outcome."""
    common: dict[str, Any] = {"family": CONFIGURE, "needs": Right.CONFIGURE, "of_backends": True}
    return operation(name, acts=True, recorded=True, plan=plan, **common, **more)


async def planned(ctx: Context, app: apps.App, wanted: "Wanted", does: str = "Save") -> View:
    """Show what a change would do, and keep it until somebody agrees."""
    return await _shown(ctx, await _configurer(ctx, app).plan(app, wanted), does)


async def _shown(ctx: Context, plan: "Plan", does: str) -> View:
    """Show a plan, and keep it; what was given beyond its app stays out of the call."""
    from bridge.pipeline.deploying.config_drafts import keep_draft

    here, app = _configurers(ctx), plan.app
    draft = "" if plan.undoes is None else str(plan.undoes)
    if here.planned is not None:
        draft = draft or "shown"
        here.planned[draft] = plan
    elif not (draft or plan.empty):
        draft = await keep_draft(ctx.desk.journal, _configurer(ctx, app).seal, plan)
    needed = {one.name for one in OPERATIONS[ctx.call.name].arguments if one.required}
    given = {name: text for name, text in ctx.call.given.items() if name in needed}
    call = called(ctx.call.name, {**given, "app": app.id, "seen": draft})
    return views.planned(plan, call, does)


async def _make(ctx: Context, app: apps.App, action: Action, seen: Sequence[str] | None) -> View:
    """Make the change that somebody has agreed to, or keep it for the flow that makes it.

    Raises:
        Overtaken, NotKept, HalfMade, Unanswered: see `Configurer.apply`.
    """
    here, draft = _configurers(ctx), (*(seen or ()), "")[0]
    if here.planned is None:
        await keep_request(ctx, action, app.id, {"app": app.label, "draft": draft})
        return views.being_made(app, ctx.desk.trouble().get(app.backend))
    plan = here.planned[draft]
    await _configurer(ctx, app).apply(plan, by=ctx.actor.by)
    return views.made(plan, here.then())


def making(does: str) -> Run:
    """Return what makes a change that somebody has seen; `does`: its help."""

    async def run(ctx: Context, app: App, seen: Seen = None) -> View:
        return await _make(ctx, app, Action.CONFIGURE, seen)

    run.__doc__ = does
    return run


async def plan_parting(ctx: Context, app: App, seen: Seen = None) -> View | None:
    """Show what the app would lose, unless they have seen that."""
    from bridge.core.configuration.merge import NoSource

    return await planned(ctx, app, NoSource(), "Disconnect") if seen is None else None


@changing("provider disconnect", plan_parting, examples=("provider disconnect shop/web",))
async def disconnect(ctx: Context, app: App, seen: Seen = None) -> View:
    """Remove an app's source, its watch paths, its trigger and our rules for it."""
    return await _make(ctx, app, Action.DISCONNECT, seen)


async def plan_undo(ctx: Context, app: App, seen: Seen = None) -> View | None:
    """Show what would come back, unless they have seen which change it is."""
    if seen is not None:
        return None
    return await _shown(ctx, await _configurer(ctx, app).plan_undo(app), "Undo")


@changing("provider undo", plan_undo, examples=("provider undo shop/web",))
async def undo(ctx: Context, app: App, seen: Seen = None) -> View:
    """Undo an app's newest change, whoever made it; a second undo restores it.

    It is refused, with the difference, if somebody has changed the same fields since.
    """
    return await _make(ctx, app, Action.UNDO, seen)


@changing(
    "provider",
    None,
    aliases={"source": {}},
    button="Configure",
    not_at={
        Door.COMMAND_LINE: "it opens a dialog; `provider set`, `build set`, `env set` do the same",
        Door.CONSOLE: "`provider set`, `build set` and `env set` have the forms",
    },
)
async def configure(ctx: Context, app: App, seen: Seen = None) -> View:
    """Configure an app's source, trigger and build.

    You see what changes before anything is saved, and can undo it.
    """
    if seen is not None:
        return await _make(ctx, app, Action.CONFIGURE, seen)
    shows = ("provider show", "build show", "env show")
    return views.configurable(app, [called(one, {"app": app.label}) for one in shows])
