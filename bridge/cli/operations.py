"""Operations on the command line: each command is derived, and each answer rendered, here."""

import inspect
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.backend import (
    apps_there,
    backends_of,
    configurers,
    person,
    person_key,
    troubles_of,
    warn_of_troubles,
)
from bridge.cli.completion import complete_app
from bridge.cli.configure import (
    How,
    Yes,
    agree,
    field_given,
    options_of,
    text_of,
    with_values,
)
from bridge.cli.context import Config, Follow, Json, kept_in, run, settings_of, while_it_runs
from bridge.core.access import Access, Grant, Person, Right
from bridge.core.chat.calls import Call
from bridge.core.errors import NotFound, Rejected
from bridge.operations.base import GROUPS, Argument, Context, Desk, Door, Operation
from bridge.operations.calls import carry_out
from bridge.operations.every import offered
from bridge.operations.typed import usage

if TYPE_CHECKING:
    from bridge.app.storage import Stores
    from bridge.ports.backends import Backend
    from bridge.settings import Settings

CLI = "cli"

PlanOnly = Annotated[
    bool, typer.Option("--plan", help="Show what would be done and exit.", show_default=False)
]

COMPLETES = {"app": complete_app}


def add_operations(app: typer.Typer, family: str = "") -> None:
    """Add a command for each operation, or for those of a family; of several words, in groups."""
    here = [one for one in offered(Door.COMMAND_LINE) if family in ("", one.family)]
    groups = {"": app}
    for one in here:
        _add_groups(groups, one)
    for one in here:
        above, _, last = one.name.rpartition(" ")
        panel = None if above else one.family
        if (group := groups.get(one.name)) is not None:
            group.callback(invoke_without_command=True, help=one.help)(_alone(_command(one)))
        else:
            groups[above].command(last, rich_help_panel=panel)(_command(one))


def _add_groups(groups: dict[str, typer.Typer], asked: Operation) -> None:
    """Add the groups of an operation, each below that of the words before; they have names."""
    above: str = ""
    panel: str | None = asked.family
    for word in asked.name.split()[:-1]:
        name = f"{above} {word}".strip()
        if name not in groups:
            said = GROUPS.get(name)
            more: dict[str, Any] = {"no_args_is_help": True, "help": said} if said else {}
            groups[name] = typer.Typer(**more)
            groups[above].add_typer(groups[name], name=word, rich_help_panel=panel)
        above, panel = name, None


def _alone(command: Any) -> Any:
    """Return the command of a group, which does nothing before one of those below it."""

    def of_group(ctx: typer.Context, **given: Any) -> None:
        if ctx.invoked_subcommand is None:
            command(**given)

    context = inspect.Parameter(
        "ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
    )
    parameters = inspect.signature(command).parameters.values()
    of_group.__dict__["__signature__"] = inspect.Signature([context, *parameters])
    of_group.__doc__ = command.__doc__
    return of_group


def examples_of_operations() -> Mapping[str, tuple[str, ...]]:
    """Return the examples of operations, by the words of the command."""
    return {
        one.name: tuple(f"dokploy-bridge {words}" for words in one.examples)
        for one in offered(Door.COMMAND_LINE)
    }


def _command(asked: Operation) -> Any:
    """Return the command of an operation, with the signature from which options are made."""

    def command(
        config: Config,
        json: bool,
        yes: bool = False,
        plan: bool = False,
        follow: bool = False,
        **given: Any,
    ) -> None:
        how, texts = How(config, json, yes), _texts(asked, given)
        if code := run(_carry_out(asked, texts, how, plan_only=plan, follow=follow)):
            raise typer.Exit(code)

    parameters = [*_parameters(asked), *_common(asked)]
    command.__dict__["__signature__"] = inspect.Signature(parameters)
    command.__name__, command.__doc__ = asked.name, asked.help
    return command


def _texts(asked: Operation, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was given; a name that follows a word is given with it, e.g. "from APP"."""
    found = {name: value for name, value in given.items() if value not in (None, False, [])}
    for one in asked.arguments:
        if one.kind.sets is not None:
            for name in (one.name, f"{one.name}_stdin"):
                found.pop(name, None)
            found |= field_given(one.kind.sets, given)
        if one.kind.file:
            found["text"] = text_of(Path(found[one.name]))
    found |= with_values({one.name: one.kind for one in asked.arguments}, found)
    for one in filter(_follows_a_word, asked.arguments):
        words = found.get(one.name) or []
        took = one.kind.takes(words) if one.kind.takes is not None else None
        text, count = took or (words[0] if words else "", 1)
        if count != len(words):
            raise Rejected(f"write it like this: {usage(asked)}")
        found[one.name] = text
    return found


def _follows_a_word(one: Argument) -> bool:
    return one.kind.takes is not None and not one.kind.option


def _parameters(asked: Operation) -> Iterator[inspect.Parameter]:
    for one in asked.arguments:
        if one.kind.sets is not None:
            yield from options_of(one.kind.sets)
        elif one.kind.at(Door.COMMAND_LINE):
            yield _parameter(one.name, _annotation(one), _default(one))


def _default(one: Argument) -> Any:
    if one.required:
        return inspect.Parameter.empty
    return None if one.kind.many else one.default


def _annotation(one: Argument) -> Any:
    kind = one.kind
    return Annotated[_type(one), _option(one) if kind.option else _argument(one)]


def _type(one: Argument) -> Any:
    if one.kind.flag:
        return bool
    if _follows_a_word(one):
        return list[str]
    if one.kind.number:
        return int
    read: Any = list[str] if one.kind.many else str
    return read if one.required else read | None


def _argument(one: Argument) -> Any:
    kind = one.kind
    return typer.Argument(
        metavar=f"[{kind.metavar}]…" if kind.many else kind.metavar,
        help=kind.help,
        show_default=False,
        autocompletion=COMPLETES.get(kind.completes),
    )


def _option(one: Argument) -> Any:
    kind = one.kind
    names = [f"--{kind.option}", *([f"-{kind.short}"] if kind.short else [])]
    if kind.number:
        least, most = kind.number
        return typer.Option(*names, min=least, max=most, help=kind.help)
    return typer.Option(
        *names,
        metavar=None if kind.flag or kind.rest else kind.metavar or None,
        help=kind.help,
        show_default=one.default or False,
        autocompletion=COMPLETES.get(kind.completes),
    )


def _common(asked: Operation) -> Iterator[inspect.Parameter]:
    yield _parameter("config", Config, None)
    yield _parameter("json", Json, default=False)
    if asked.kept:
        yield _parameter("follow", Follow, default=False)
    if asked.plan is not None:
        yield _parameter("plan", PlanOnly, default=False)
        yield _parameter("yes", Yes, default=False)


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


# ── a call ────────────────────────────────────────────────────────────────────────────────────────


async def _carry_out(
    asked: Operation, given: Mapping[str, Any], how: How, *, plan_only: bool, follow: bool
) -> int:
    """Carry out an operation and show its answers; ask where it asks. Return the exit code."""
    from bridge.cli.views import Links, show
    from bridge.pipeline.gates.commands import Requester
    from bridge.ports.chats import Place
    from bridge.views.deploying import Kept

    key = person_key()
    asking, actor = Person(key, key.removeprefix(f"{CLI}:")), Requester(key, person())
    call, once = Call(asked.name, given), f"{CLI}-{secrets.token_hex(8)}"
    settings = settings_of(how.config)
    links = Links(settings)
    settings, none = await _with_data(settings, asked, given)
    async with _opened(settings, asked, given, asking) as (desk, stores):
        while True:
            ctx = Context(desk, call, asking, Place(), actor, once, plan_only)
            view = await carry_out(ctx)
            if none and view.empty:
                view = replace(view, head=(none,))
            if isinstance(view.data, Kept):
                from bridge.cli.deploy import kept

                return await kept(settings, stores, view, follow=follow, json=how.json)
            if plan_only or view.asks is None or not how.json:
                show(view, links, json=how.json)
            if plan_only or view.asks is None:
                return 1 if view.refused else 0
            agree(view.asks.question, how)
            call = view.asks.call


async def _with_data(
    settings: "Settings", asked: Operation, given: Mapping[str, Any]
) -> "tuple[Settings, str]":
    """Return settings that lead to data: an empty store if there is none, and why.

    Raises:
        NotFound: there is none, and the operation needs some.
    """
    from bridge.app.data_folder import must_be_there
    from bridge.app.storage import open_stores

    if asked.of_backends:
        return settings, ""
    try:
        must_be_there(settings)
    except NotFound as error:
        if not asked.lists or "app" in given:
            raise
        nothing = Path(while_it_runs.enter_context(TemporaryDirectory()))
        settings = settings.model_copy(update={"data": nothing})
        async with open_stores(settings):
            return settings, str(error)
    return settings, ""


@asynccontextmanager
async def _opened(
    settings: "Settings", asked: Operation, given: Mapping[str, Any], asking: Person
) -> AsyncIterator[tuple[Desk, "Stores"]]:
    """Open the parts for whoever is on the server itself, who may do everything."""
    from bridge.app.commands import looks_of
    from bridge.app.providers import pages_of
    from bridge.app.storage import open_stores
    from bridge.core.rules import ruled
    from bridge.pipeline.audit import ChatAudit
    from bridge.pipeline.deploying.rollback_plan import Ways
    from bridge.pipeline.feedback.lookup import Finding, Known
    from bridge.pipeline.gates.commands import GateCommands
    from bridge.settings import book_of, identities_of
    from bridge.settings.gates import freezes_of
    from bridge.views.links import Links

    access = Access((Grant((asking.id,), frozenset(Right)),))
    async with AsyncExitStack() as stack:
        hosts: dict[str, Any] = {}
        backends: Mapping[str, Backend] = {}
        if asked.asks_backends or asked.of_backends:
            backends = await stack.enter_async_context(backends_of(settings))
        opened = open_stores if asked.of_backends else kept_in
        stores = await stack.enter_async_context(opened(settings))
        if not asked.asks_hosts.isdisjoint(given):
            hosts = await _hosts(settings, stack)
        if asked.kept:
            await warn_of_troubles(settings, stores)
        journal, book = stores.journal, book_of(settings)
        known_apps = await journal.apps()
        if asked.of_backends and "app" in given:
            known_apps = await apps_there(backends, stores, given["app"])
        apps = [ruled(app, book) for app in known_apps]
        freezes, who = freezes_of(settings.freezes), identities_of(settings)
        known = Known(lambda: apps, dict, lambda _app, _here: (), lambda: None)
        looks, locks = looks_of(settings, journal, time.time), settings.rollback.lock
        desk = Desk(
            CLI,
            journal,
            stores.inbox,
            Finding(journal, known, access),
            GateCommands(journal, known.apps, time.time, identities=who, **hosts),
            ChatAudit(CLI, journal, time.time),
            known.apps,
            time.time,
            freezes=freezes,
            ways=Ways(backends, looks, locks=locks, freezes=freezes),
            compare=Links(pages_of(settings)).compare,
            gone=await journal.gone_apps(),
            no_apps=_none_yet(settings),
            troubles=lambda: troubles_of(settings, stores),
            configurers=configurers(settings, stores, backends) if asked.of_backends else None,
        )
        yield desk, stores


def _none_yet(settings: "Settings") -> str:
    """Return why no app is known, and what to do."""
    from bridge.backends import BACKENDS

    if settings.backends_set():
        return "no app is known yet; a bridge that runs reads them (`dokploy-bridge serve`)"
    return (
        "no app is known yet; `dokploy-bridge app create` makes one of the embedded backend, "
        + ", ".join(
            f"{one.variable(one.address)} and {one.variable(one.credential)} lead to those of your"
            f" {one.title}"
            for one in BACKENDS.values()
        )
    )


async def _hosts(settings: "Settings", stack: AsyncExitStack) -> dict[str, Any]:
    """Return what asks the Git hosts."""
    from bridge.app.providers import host_apis, pulls_at
    from bridge.githosts.server import homes_of
    from bridge.pipeline.gates.gates import Heads

    apis = host_apis(settings)
    for api in apis.values():
        stack.push_async_callback(api.close)
    heads = Heads(apis, time.time, homes_of(settings.host_servers().values()))
    stack.push_async_callback(heads.close)
    return {"pulls": pulls_at(settings, apis), "head_of": heads.told}
