"""Operations on the command line: each command is derived, and each answer rendered, here."""

import inspect
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.backend import person, person_key
from bridge.cli.completion import complete_app
from bridge.cli.configure import How, Yes, agree
from bridge.cli.context import Config, Json, kept_in, run, settings_of
from bridge.core.access import Access, Grant, Person, Right
from bridge.core.chat.calls import Call
from bridge.operations.base import Argument, Context, Desk, Kind, Operation, carry_out
from bridge.operations.every import OPERATIONS

if TYPE_CHECKING:
    from bridge.settings import Settings
    from bridge.views.view import View

CLI = "cli"

PlanOnly = Annotated[
    bool, typer.Option("--plan", help="Show what would be done and exit.", show_default=False)
]

COMPLETES = {"app": complete_app}


def add_operations(app: typer.Typer) -> None:
    """Add a command for each operation."""
    for one in OPERATIONS.values():
        app.command(one.name, rich_help_panel=one.family)(_command(one))


def examples_of_operations() -> Mapping[str, tuple[str, ...]]:
    """Return the examples of operations, by the words of the command."""
    return {
        one.name: tuple(f"dokploy-bridge {words}" for words in one.examples)
        for one in OPERATIONS.values()
    }


def _command(asked: Operation) -> Any:
    """Return the command of an operation, with the signature from which options are made."""

    def command(
        config: Config, json: bool, yes: bool = False, plan: bool = False, **given: Any
    ) -> None:
        how = How(config, json, yes)
        view = run(_carry_out(asked, {k: v for k, v in given.items() if v}, how, plan_only=plan))
        if view.refused:
            raise typer.Exit(1)

    parameters = [*_parameters(asked), *_common(asked)]
    command.__dict__["__signature__"] = inspect.Signature(parameters)
    command.__name__, command.__doc__ = asked.name, asked.help
    return command


def _parameters(asked: Operation) -> Iterator[inspect.Parameter]:
    for one in asked.arguments:
        if not one.kind.hidden:
            yield _parameter(one.name, _annotation(one), _default(one))


def _default(one: Argument) -> Any:
    if one.required:
        return inspect.Parameter.empty
    return False if one.kind.flag else None


def _annotation(one: Argument) -> Any:
    kind = one.kind
    return Annotated[_type(one), _option(kind) if kind.option else _argument(kind)]


def _type(one: Argument) -> Any:
    if one.kind.flag:
        return bool
    read: Any = list[str] if one.kind.many else str
    return read if one.required else read | None


def _argument(kind: Kind) -> Any:
    return typer.Argument(
        metavar=kind.metavar,
        help=kind.help,
        show_default=False,
        autocompletion=COMPLETES.get(kind.completes),
    )


def _option(kind: Kind) -> Any:
    names = [f"--{kind.option}", *([f"-{kind.short}"] if kind.short else [])]
    metavar = None if kind.flag or kind.rest else kind.metavar
    return typer.Option(*names, metavar=metavar, help=kind.help, show_default=False)


def _common(asked: Operation) -> Iterator[inspect.Parameter]:
    yield _parameter("config", Config, None)
    yield _parameter("json", Json, default=False)
    if asked.plan is not None:
        yield _parameter("plan", PlanOnly, default=False)
        yield _parameter("yes", Yes, default=False)


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


# ── a call ────────────────────────────────────────────────────────────────────────────────────────


async def _carry_out(
    asked: Operation, given: Mapping[str, Any], how: How, *, plan_only: bool
) -> "View":
    """Carry out an operation and show its answers; ask where it asks, unless told not to."""
    from bridge.cli.views import Links, show
    from bridge.pipeline.gates.commands import Requester
    from bridge.ports.chats import Place

    key = person_key()
    asking, actor = Person(key, key.removeprefix(f"{CLI}:")), Requester(key, person())
    call = Call(asked.name, given)
    settings = settings_of(how.config)
    links = Links(settings)
    async with _opened(settings, asked, given, asking) as desk:
        while True:
            view = await carry_out(Context(desk, call, asking, Place(), actor))
            if plan_only or view.asks is None or not how.json:
                show(view, links, json=how.json)
            if plan_only or view.asks is None:
                return view
            agree(view.asks.question, how)
            call = view.asks.call


@asynccontextmanager
async def _opened(
    settings: "Settings", asked: Operation, given: Mapping[str, Any], asking: Person
) -> AsyncIterator[Desk]:
    """Open the parts for whoever is on the server itself, who may do everything."""
    from bridge.core.rules import ruled
    from bridge.pipeline.audit import ChatAudit
    from bridge.pipeline.feedback.lookup import Finding, Known
    from bridge.pipeline.gates.commands import GateCommands
    from bridge.settings import book_of, identities_of
    from bridge.settings.gates import freezes_of

    access = Access((Grant((asking.id,), frozenset(Right)),))
    async with kept_in(settings) as stores, AsyncExitStack() as stack:
        hosts = {}
        if not asked.asks_hosts.isdisjoint(given):
            hosts = await _hosts(settings, stack)
        journal, book = stores.journal, book_of(settings)
        apps = [ruled(app, book) for app in await journal.apps()]
        who = identities_of(settings)
        known = Known(lambda: apps, dict, lambda _app, _here: (), lambda: None)
        yield Desk(
            CLI,
            journal,
            Finding(journal, known, access),
            GateCommands(journal, known.apps, time.time, identities=who, **hosts),
            ChatAudit(CLI, journal, time.time),
            known.apps,
            time.time,
            freezes_of(settings.freezes),
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
