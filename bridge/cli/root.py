"""All commands together, and the handling of errors."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from typer.core import TyperGroup, TyperOption

from bridge import __version__
from bridge.cli import (
    apps,
    config,
    demo,
    doctor,
    links,
    manifest,
    serve,
)
from bridge.cli.context import EXIT_CODES, exit_code_of, while_it_runs
from bridge.cli.operations import add_operations, examples_of_operations
from bridge.cli.show import clean, hint, say_error
from bridge.connecting import CannotConnect
from bridge.core.errors import BridgeError, Rejected

EXAMPLES: dict[str, tuple[str, ...]] = {
    **examples_of_operations(),
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
"""Examples by the words of the command."""


def commands(command: Any, *words: str) -> Iterator[tuple[str, Any]]:
    """Yield every executable command below one, by its words."""
    inner = getattr(command, "commands", {})
    if words and (not inner or command.invoke_without_command):
        yield " ".join(words), command
    for name, one in inner.items():
        yield from commands(one, *words, name)


def with_examples(root: Any) -> None:
    """Append its examples to the help of each command."""
    for words, command in commands(root):
        if examples := EXAMPLES.get(words):
            command.epilog = "\n".join(["Examples:", *examples])


# ── All commands together, and the handling of errors ─────────────────────────────────────────────

EPILOG = "Exit codes: " + ", ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items())


class Cli(TyperGroup):
    """The whole command line; a user's mistake gives one red line, never a traceback."""

    def __init__(self, **settings: Any) -> None:
        """Take the commands; flags take no value, so their help shows none."""
        super().__init__(**settings)
        for option in _options(self):
            if option.is_flag and option.metavar is None:
                option.metavar = ""
        with_examples(self)

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


def _options(command: Any) -> Iterator[TyperOption]:
    """Yield the options of a command, --help among them, and of all below it."""
    params = command.get_params(typer.Context(command))
    yield from (one for one in params if isinstance(one, TyperOption))
    for inner in getattr(command, "commands", {}).values():
        yield from _options(inner)


app = typer.Typer(
    cls=Cli,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog=EPILOG,
    help="The bridge between Git hosts, Dokploy and your team's chat: a push deploys, and"
    " everybody sees what happened.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dokploy-bridge {__version__}")
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options of the command itself."""


START, LOOK, ACT, PREVIEWS = "Start", "Look", "Act", "Previews"
GATES, CONFIGURE, SET_UP = "Gates", "Configure", "Set up"

app.command(rich_help_panel=START)(serve.serve)
app.command(rich_help_panel=START)(serve.migrate)
app.command(rich_help_panel=START)(demo.demo)
app.command(rich_help_panel=START)(serve.backend)
add_operations(app, LOOK)
add_operations(app, ACT)
add_operations(app, PREVIEWS)
add_operations(app, GATES)
app.command(rich_help_panel=SET_UP)(doctor.doctor)
app.command(rich_help_panel=SET_UP)(links.setup)
app.command(rich_help_panel=SET_UP)(links.console)
app.add_typer(manifest.group, name="manifest", rich_help_panel=SET_UP)
add_operations(app, SET_UP)
add_operations(app, CONFIGURE)
app.add_typer(config.group, name="config", rich_help_panel=SET_UP)
app.add_typer(apps.group, name="app", rich_help_panel=SET_UP)
