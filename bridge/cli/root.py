"""All commands put together, and what becomes of errors."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from typer.core import TyperGroup, TyperOption

from bridge import __version__
from bridge.cli import (
    apps,
    asking,
    audit,
    build,
    build_logs,
    configuration,
    deliveries,
    demo,
    deployments,
    env,
    explain,
    feedback,
    manifest,
    provider,
    serve,
    why,
)
from bridge.cli.examples import with_examples
from bridge.cli.exits import EXIT_CODES, exit_code_of
from bridge.cli.show import say_error
from bridge.core.errors import BridgeError

EPILOG = "Exit codes: " + ", ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items())


class Cli(TyperGroup):
    """The whole command line; what a user can cause is one red line, never a traceback."""

    def __init__(self, **settings: Any) -> None:
        """Take the commands; flags take no value, so their help must not ask for one."""
        super().__init__(**settings)
        for option in _options(self):
            if option.is_flag and option.metavar is None:
                option.metavar = ""
        with_examples(self)

    def invoke(self, ctx: Any) -> Any:
        """Run a command, and turn our errors into a line and an exit code."""
        try:
            return super().invoke(ctx)
        except BridgeError as error:
            say_error(str(error))
            raise typer.Exit(exit_code_of(error)) from None


def _options(command: Any) -> Iterator[TyperOption]:
    """The options of a command, --help among them, and of all below it."""
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


START, LOOK, ACT, SET_UP = "Start", "Look", "Act", "Set up"

app.command(rich_help_panel=START)(serve.serve)
app.command(rich_help_panel=START)(serve.migrate)
app.command(rich_help_panel=START)(demo.demo)
app.command(rich_help_panel=START)(serve.backend)
app.command("apps", rich_help_panel=LOOK)(apps.apps)
app.add_typer(deliveries.group, name="deliveries", rich_help_panel=LOOK)
app.add_typer(deployments.group, name="deployments", rich_help_panel=LOOK)
app.add_typer(feedback.group, name="feedback", rich_help_panel=LOOK)
app.command(rich_help_panel=LOOK)(audit.audit)
app.command(rich_help_panel=LOOK)(why.why)
app.command(rich_help_panel=LOOK)(explain.explain)
app.command(rich_help_panel=LOOK)(build_logs.logs)
app.command(rich_help_panel=ACT)(asking.deploy)
app.command(rich_help_panel=ACT)(asking.redeploy)
app.command(rich_help_panel=ACT)(asking.cancel)
app.command(rich_help_panel=ACT)(asking.replay)
app.command(rich_help_panel=ACT)(build_logs.clear)
app.add_typer(manifest.group, name="manifest", rich_help_panel=SET_UP)
app.add_typer(provider.group, name="provider", rich_help_panel=SET_UP)
app.add_typer(build.group, name="build", rich_help_panel=SET_UP)
app.add_typer(env.group, name="env", rich_help_panel=SET_UP)
app.add_typer(configuration.group, name="config", rich_help_panel=SET_UP)
app.add_typer(apps.group, name="app", rich_help_panel=SET_UP)
