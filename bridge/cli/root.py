"""The command line: which commands there are, where each is, and the handling of errors."""

from collections.abc import Iterator
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup, TyperOption

from bridge import __version__
from bridge.cli.context import EXIT_CODES, exit_code_of, while_it_runs
from bridge.cli.operations import add_operations, examples_of_operations
from bridge.cli.show import clean, hint, say_error
from bridge.connecting import CannotConnect
from bridge.core.errors import BridgeError, Rejected
from bridge.operations import declared
from bridge.operations.base import Door, offered

_EXAMPLES: dict[str, tuple[str, ...]] = {
    "serve": (
        "dokploy-bridge serve",
        "dokploy-bridge serve --host 0.0.0.0 --port 8080 --config /etc/bridge.yaml",
    ),
    "console": (
        "dokploy-bridge console",
        "dokploy-bridge console --url https://bridge.example.com",
    ),
    "setup": (
        "dokploy-bridge setup",
        "dokploy-bridge setup --url https://bridge.example.com",
    ),
    "migrate": ("dokploy-bridge migrate",),
    "demo": ("dokploy-bridge demo",),
    "backend": ("dokploy-bridge backend --host 127.0.0.1 --port 8090",),
    "app create": (
        "dokploy-bridge app create web --repo https://github.com/you/site.git --publish public",
        "dokploy-bridge app create web --repo ../site --project shop --watch 'web/**'",
    ),
    "app delete": (
        "dokploy-bridge app delete shop/web",
        "dokploy-bridge app delete shop/web --yes",
    ),
    "lock": (
        "dokploy-bridge lock shop/production -m 'a migration runs' --for 2h",
        "dokploy-bridge lock shop/web -m 'a risky change' --until-merge '#12'",
        "dokploy-bridge lock all -m 'an incident' --steal",
    ),
    "freeze": (
        "dokploy-bridge freeze all -m 'an incident' --until '18:00 Europe/Berlin'",
        "dokploy-bridge freeze shop -m 'an audit' --for 3d --allow rollback",
    ),
    "doctor": (
        "dokploy-bridge doctor",
        "dokploy-bridge doctor --json",
    ),
    "manifest github": (
        "dokploy-bridge manifest github --url https://bridge.example.com --link",
        "dokploy-bridge manifest github --url https://bridge.example.com --org my-org",
    ),
    "manifest slack": (
        "dokploy-bridge manifest slack --url https://bridge.example.com",
        "dokploy-bridge manifest slack --socket",
    ),
    "config set": (
        "dokploy-bridge config set public_url=https://bridge.example.com",
        "dokploy-bridge config set github.token",
    ),
    "config unset": ("dokploy-bridge config unset github.token",),
    "config check": ("dokploy-bridge config check --online",),
    "config show": ("dokploy-bridge config show --json",),
    "config schema": ("dokploy-bridge config schema > bridge.schema.json",),
}
"""Examples by the words of the command, of those that are no operations, or need others."""


def commands(command: Any, *words: str) -> Iterator[tuple[str, Any]]:
    """Yield every executable command below one, by its words."""
    inner = getattr(command, "commands", {})
    if words and (not inner or command.invoke_without_command):
        yield " ".join(words), command
    for name, one in inner.items():
        yield from commands(one, *words, name)


def examples() -> dict[str, tuple[str, ...]]:
    """Return the examples by the words of the command."""
    return {**examples_of_operations(), **_EXAMPLES}


def with_examples(root: Any) -> None:
    """Append its examples to the help of each command."""
    every = examples()
    for words, command in commands(root):
        if examples_of_it := every.get(words):
            command.epilog = "\n".join(["Examples:", *examples_of_it])


# ── The handling of errors ────────────────────────────────────────────────────────────────────────

EPILOG = "Exit codes: " + ", ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items())


EVERYDAY = (
    "status",
    "apps",
    "deliveries",
    "why",
    "logs",
    "deploy",
    "rollback",
    "lock",
    "unlock",
    "held",
    "approve",
    "doctor",
    "console",
)


class Cli(TyperGroup):
    """The whole command line; a user's mistake gives one red line, never a traceback."""

    def __init__(self, **settings: Any) -> None:
        """Take the commands; flags take no value, so their help shows none."""
        super().__init__(**settings)
        for option in _options(self):
            if option.is_flag and option.metavar is None:
                option.metavar = ""
        with_examples(self)
        self.commands = {**self._everyday(), **self.commands}

    def invoke(self, ctx: Any) -> Any:
        """Run a command, and turn our errors into one line and an exit code."""
        with while_it_runs:
            try:
                return super().invoke(ctx)
            except (BridgeError, CannotConnect) as caught:
                from bridge.core.masking import redact

                error = caught if isinstance(caught, BridgeError) else Rejected(str(caught))
                for note in getattr(error, "__notes__", ()):
                    hint(clean(redact(note)))
                say_error(redact(str(error)))
                raise typer.Exit(exit_code_of(error)) from None

    def _everyday(self) -> dict[str, Any]:
        """Return the commands that help lists first, in a panel of their own."""
        found: dict[str, Any] = {
            name: self.commands[name] for name in EVERYDAY if name in self.commands
        }
        for one in found.values():
            one.rich_help_panel = "Every day"
        return found


def _options(command: Any, above: typer.Context | None = None) -> Iterator[TyperOption]:
    """Yield the options of a command, --help among them, and of all below it."""
    context = typer.Context(command, parent=above, **command.context_settings)
    yield from (one for one in command.get_params(context) if isinstance(one, TyperOption))
    for inner in getattr(command, "commands", {}).values():
        yield from _options(inner, context)


# ── What there is ─────────────────────────────────────────────────────────────────────────────────

START, LOOK, ACT, PREVIEWS = "Start", "Look", "Act", "Previews"
GATES, CONFIGURE, SET_UP = "Gates", "Configure", "Set up"

Own = dict[str, tuple[str, str]]
"""Commands of the command line alone, by name: the module below `bridge.cli`, and what is in it."""

_IN_ORDER: tuple[tuple[str, Own], ...] = (
    (
        START,
        {
            "serve": ("serve", "serve"),
            "migrate": ("serve", "migrate"),
            "demo": ("demo", "demo"),
            "backend": ("serve", "backend"),
        },
    ),
    (LOOK, {}),
    (ACT, {}),
    (PREVIEWS, {}),
    (GATES, {}),
    (
        SET_UP,
        {
            "doctor": ("doctor", "doctor"),
            "setup": ("links", "setup"),
            "console": ("links", "console"),
            "manifest": ("manifest", "group"),
        },
    ),
    (CONFIGURE, {}),
    (SET_UP, {"config": ("config", "group"), "app": ("apps", "group")}),
)
"""The commands as help lists them: those of their own, then the panel's operations."""


def command_line(word: str = "") -> typer.Typer:
    """Return the command line.

    Args:
        word: the first word, of which alone the commands are needed; "" for all. An unknown one
            brings all of them, so that the error can name those like it.
    """
    own = {name for _, there in _IN_ORDER for name in there}
    alone = word if word in own or declared.known(word) else ""
    declared.load(alone if alone not in own else None)
    app = typer.Typer(
        cls=Cli,
        no_args_is_help=True,
        context_settings={"help_option_names": ["--help", "-h"]},
        pretty_exceptions_enable=False,
        epilog=EPILOG,
        help="The bridge between Git hosts, Dokploy and your team's chat: a push deploys, and"
        " everybody sees what happened.",
    )
    app.callback()(root)
    told = set[str]()
    for panel, there in _IN_ORDER:
        for name, (module, attribute) in there.items():
            if alone in ("", name):
                _add(app, panel, name, module, attribute)
        if panel not in told:
            add_operations(app, panel)
        told.add(panel)
    for family in dict.fromkeys(one.family for one in offered(Door.COMMAND_LINE)):
        if family not in told:
            add_operations(app, family)
    return app


def _add(app: typer.Typer, panel: str, name: str, module: str, attribute: str) -> None:
    found = getattr(import_module(f"bridge.cli.{module}"), attribute)
    if isinstance(found, typer.Typer):
        app.add_typer(found, name=name, rich_help_panel=panel)
    else:
        app.command(name, rich_help_panel=panel)(found)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dokploy-bridge {__version__}")
        raise typer.Exit


def root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options of the command itself."""
