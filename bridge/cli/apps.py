"""`apps`: which there are; `app create` and `app delete` at the embedded backend."""

from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.deployments import source_of
from bridge.cli.forms import app_form
from bridge.cli.show import console, hint, on_terminal, say, say_json, say_table
from bridge.cli.using import Config, Json, kept_in, run, settings_of
from bridge.core.errors import NotFound

if TYPE_CHECKING:
    from bridge.core.lifecycle import Deployment
    from bridge.core.watch import App
    from bridge.settings import Settings

TWICE = "auto-deploy is on at the backend, so every push deploys twice: turn it off there"

group = typer.Typer(
    no_args_is_help=True,
    help="Make and delete apps of the embedded backend, over its API where it runs,"
    " else directly in the data directory. Apps of a Dokploy are made in Dokploy.",
)


def apps(config: Config = None, json: Json = False) -> None:
    """List the apps and what each of them waits for."""
    run(_list(settings_of(config), json))


@group.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name, e.g. web.")],
    repo: Annotated[
        str, typer.Option("--repo", help="Clone address, or a folder with a Git repository.")
    ],
    branch: Annotated[str, typer.Option("--branch", help="The branch it deploys.")] = "main",
    publish: Annotated[
        str, typer.Option("--publish", help="Folder of the repository that is served.")
    ] = ".",
    watch: Annotated[
        list[str] | None,
        typer.Option("--watch", help="Deploy only when a file matches, e.g. 'web/**'. Repeatable."),
    ] = None,
    project: Annotated[str, typer.Option("--project", help="The project it is in.")] = "default",
    spa: Annotated[
        bool, typer.Option("--spa", help="Unknown addresses get the front page.")
    ] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Make a static site of the embedded backend from a Git repository."""
    from bridge.cli.embedded import NewSite, create_site

    site = NewSite(name, repo, branch, publish, tuple(watch or ()), project, spa)
    made, url = run(create_site(settings_of(config), site))
    if json:
        say_json(app_form(made, None) | {"url": url})
        return
    say(f"made {made.label}; after its first deployment it is at {url}")
    hint(f"deploy it now: dokploy-bridge deploy {made.label} --follow")


@group.command()
def delete(
    name: Annotated[str, typer.Argument(metavar="APP", help="Its label, name, or id.")],
    config: Config = None,
) -> None:
    """Delete an app of the embedded backend, with its site and its logs."""
    from bridge.cli.embedded import delete_app

    gone = run(delete_app(settings_of(config), name))
    say(f"deleted {gone.label}")


async def _list(settings: "Settings", json: bool) -> None:
    from bridge.core.rules import ruled
    from bridge.settings import book_of

    found: list[App] = []
    last: dict[str, Deployment] = {}
    try:
        async with kept_in(settings) as stores:
            book = book_of(settings)
            found = [ruled(app, book) for app in await stores.journal.apps()]
            last = await stores.journal.last_deployments()
    except NotFound as error:
        hint(str(error))
    if json:
        say_json([app_form(app, last.get(app.id)) for app in found])
        return
    say_table(
        ("app", "*source", "branch", "trigger", "*watch paths", "last"),
        [_row(app, last.get(app.id)) for app in found],
        [_line(app, last.get(app.id)) for app in found],
    )
    _warn(found)


def _warn(found: "list[App]") -> None:
    twice = [app.label for app in found if app.auto_deploy]
    if twice and on_terminal():
        console().print(f"⚠ {', '.join(twice)}: {TWICE}", style="yellow")


def _row(app: "App", last: "Deployment | None") -> list[str]:
    return [
        app.label,
        source_of(app),
        app.branch or "",
        str(app.waits_for),
        " ".join(app.watched or ("all",)),
        str(last.state) if last else "never",
    ]


def _line(app: "App", last: "Deployment | None") -> str:
    branch = app.branch or "no branch"
    watched = " ".join(app.watched or ("everything",))
    state = f"last {last.state}" if last else "never deployed"
    line = f"{app.label}: {app.waits_for} of {branch} from {source_of(app)}, watches {watched}"
    return f"{line}, {state}" + (f"; warning: {TWICE}" if app.auto_deploy else "")
