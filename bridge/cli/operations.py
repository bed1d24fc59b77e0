"""Operations on the command line: each command is derived, and each answer rendered, here."""

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.backend import person_key
from bridge.cli.completion import complete_app
from bridge.cli.context import Config, Json, run
from bridge.cli.gates import desk_of, end_with
from bridge.core.access import Access, Grant, Person, Right
from bridge.core.chat.calls import Call
from bridge.operations.base import Argument, Context, Desk, Kind, Operation, carry_out
from bridge.operations.every import OPERATIONS

if TYPE_CHECKING:
    from bridge.cli.gates import Desk as Opened
    from bridge.views.view import View

CLI = "cli"

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

    def command(config: Path | None, json: bool, **given: Any) -> None:
        from bridge.cli.views import show

        view = run(_carry_out(asked, {k: v for k, v in given.items() if v}, config))
        show(view, json=json)
        end_with(1 if view.refused else 0)

    parameters = [*_parameters(asked), *_common()]
    command.__dict__["__signature__"] = inspect.Signature(parameters)
    command.__name__, command.__doc__ = asked.name, asked.help
    return command


def _parameters(asked: Operation) -> Iterator[inspect.Parameter]:
    for one in asked.arguments:
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


def _common() -> Iterator[inspect.Parameter]:
    yield _parameter("config", Config, None)
    yield _parameter("json", Json, default=False)


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


# ── a call ────────────────────────────────────────────────────────────────────────────────────────


async def _carry_out(asked: Operation, given: Mapping[str, Any], config: Path | None) -> "View":
    from bridge.ports.chats import Place

    asks_hosts = not asked.asks_hosts.isdisjoint(given)
    async with desk_of(config, asks_hosts=asks_hosts) as opened:
        key = person_key()
        person = Person(key, key.removeprefix(f"{CLI}:"))
        call = Call(asked.name, given)
        return await carry_out(Context(_desk(opened, person), call, person, Place(), opened.actor))


def _desk(opened: "Opened", person: Person) -> Desk:
    """Return the parts for whoever is on the server itself, who may do everything."""
    from bridge.pipeline.audit import ChatAudit
    from bridge.pipeline.feedback.lookup import Finding, Known
    from bridge.settings.gates import freezes_of

    journal, clock = opened.stores.journal, opened.commands.clock
    known = Known(lambda: opened.apps, dict, lambda _app, _here: (), lambda: None)
    access = Access((Grant((person.id,), frozenset(Right)),))
    return Desk(
        CLI,
        journal,
        Finding(journal, known, access),
        opened.commands,
        ChatAudit(CLI, journal, clock),
        known.apps,
        clock,
        freezes_of(opened.settings.freezes),
    )
