"""`build`: how an app is built."""

from typing import TYPE_CHECKING, Any

import typer

from bridge.cli.backend import reached
from bridge.cli.configure import How, change, say_fields, with_options
from bridge.cli.context import Config, Json, run, settings_of
from bridge.cli.deployments import AppName
from bridge.cli.show import say_json
from bridge.core.configuration.fields import BUILD
from bridge.core.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

group = typer.Typer(no_args_is_help=True, help="Show and set how an app is built.")


@group.command()
def show(app: AppName, config: Config = None, json: Json = False) -> None:
    """Show how an app is built."""
    run(_show(app, config, json=json))


def _set(app: str, asked: "Mapping[str, Any]", how: How) -> None:
    from bridge.core.configuration.merge import WantedBuild

    change(app, WantedBuild(asked), how)


group.command(
    "set",
    help="Set how an app is built; only given fields change, and an empty value removes one.",
)(with_options(BUILD, _set))


async def _show(name: str, config: "Path | None", *, json: bool) -> None:
    async with reached(settings_of(config), name) as reach:
        app = reach.app
        build = (await reach.configurer.now(app)).saved.build
    if build is None:
        raise Rejected(f"{app.label} is a compose stack: its compose file says how it is built")
    if json:
        say_json({"app": app.label, "app_id": app.id} | build.model_dump())
    else:
        say_fields(app.label, build.model_dump())
