"""`build`: how an app is built."""

from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.changing import How, Yes, change, say_fields
from bridge.cli.deployments import AppName
from bridge.cli.reaching import reached
from bridge.cli.show import say_json
from bridge.cli.using import Config, Json, run, settings_of
from bridge.core.errors import Rejected

if TYPE_CHECKING:
    from pathlib import Path

group = typer.Typer(no_args_is_help=True, help="Show and set how an app is built.")


@group.command()
def show(app: AppName, config: Config = None, json: Json = False) -> None:
    """Show how an app is built."""
    run(_show(app, config, json=json))


@group.command("set")
def set_(
    app: AppName,
    type_: Annotated[
        str | None,
        typer.Option(
            "--type",
            "--build-type",
            help="dockerfile, nixpacks, railpack, heroku_buildpacks, paketo_buildpacks, static.",
        ),
    ] = None,
    dockerfile: Annotated[str | None, typer.Option("--dockerfile", help="Its path.")] = None,
    docker_context_path: Annotated[
        str | None,
        typer.Option(
            "--docker-context", "--docker-context-path", help="Folder that docker builds in."
        ),
    ] = None,
    docker_build_stage: Annotated[
        str | None,
        typer.Option(
            "--docker-stage", "--docker-build-stage", help="Stage to build; the last, when empty."
        ),
    ] = None,
    publish_directory: Annotated[
        str | None, typer.Option("--publish", "--publish-directory", help="Folder that is served.")
    ] = None,
    static_spa: Annotated[
        bool | None, typer.Option("--spa/--no-spa", help="Unknown addresses get the front page.")
    ] = None,
    heroku_version: Annotated[
        str | None, typer.Option("--heroku-version", help="Of its builder, e.g. 24.")
    ] = None,
    railpack_version: Annotated[
        str | None, typer.Option("--railpack-version", help="Of railpack, e.g. 0.15.4.")
    ] = None,
    config: Config = None,
    json: Json = False,
    yes: Yes = False,
) -> None:
    """Set how an app is built; only what is given changes, and an empty value takes it away."""
    from bridge.core.configuration.merge import WantedBuild

    fields = {
        "build_type": type_,
        "dockerfile": dockerfile,
        "docker_context_path": docker_context_path,
        "docker_build_stage": docker_build_stage,
        "publish_directory": publish_directory,
        "static_spa": static_spa,
        "heroku_version": heroku_version,
        "railpack_version": railpack_version,
    }
    given = {name: value for name, value in fields.items() if value is not None}
    asked = {name: None if value == "" else value for name, value in given.items()}
    change(app, WantedBuild(asked), How(config, json, yes))


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
