"""`logs` and `clear`: what the backend wrote down while it deployed."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.changing import How, Yes, agree
from bridge.cli.deployments import AppName
from bridge.cli.exits import ENDED_BADLY
from bridge.cli.finding import Gone
from bridge.cli.reaching import Reach, person, reached
from bridge.cli.show import clean_line, hint, iso, say, say_json
from bridge.cli.using import Config, Json, kept_in, run, settings_of
from bridge.core.errors import NotFound
from bridge.core.log_text import lines_of, news

if TYPE_CHECKING:
    from bridge.core.watch import App
    from bridge.ports.backends import Backend, BackendDeployment
    from bridge.settings import Settings

LOOK = 0.5
"""Seconds between two looks at a log that grows."""

WHOLE = 10_000
"""Lines of a log that can be read at once."""


def logs(
    app: AppName,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=1, max=WHOLE, help="At most so many, the last.")
    ] = 200,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the deployment ends.")
    ] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show the log of an app's newest deployment, as the backend wrote it."""
    code = run(_logs(app, config, lines, follow=follow, json=json))
    if code:
        raise typer.Exit(code)


def clear(app: AppName, config: Config = None, json: Json = False, yes: Yes = False) -> None:
    """Delete the logs of all of an app's deployments; their records stay.

    The backend deletes the app's whole log folder. It is refused while a deployment of the app
    waits or runs.
    """
    run(_clear(app, How(config, json, yes)))


async def _clear(name: str, how: How) -> None:
    async with reached(settings_of(how.config), name) as reach:
        app = reach.app
        await reach.configurer.check_clearable(app)
        agree(f"delete the whole log folder of {app.label}, the logs of all its deployments?", how)
        done = await reach.configurer.clear(app, by=person())
    if how.json:
        form = {"removed_logs": list(done.removed), "kept_logs": list(done.kept)}
        say_json({"app": app.label, "app_id": app.id} | form)
        return
    count = len(done.removed)
    kept = f"; {len(done.kept)} still have theirs" if done.kept else ""
    what = "the log of 1 deployment" if count == 1 else f"the logs of {count} deployments"
    say(f"removed {what} of {app.label}{kept}; their records stay")


async def _logs(name: str, config: Path | None, lines: int, *, follow: bool, json: bool) -> int:
    settings = settings_of(config)
    try:
        return await _shown(settings, name, lines, follow=follow, json=json)
    except Gone as gone:
        await _kept(settings, gone, lines, json=json)
        return 0


async def _shown(settings: "Settings", name: str, lines: int, *, follow: bool, json: bool) -> int:
    async with reached(settings, name) as reach:
        app = reach.app
        newest = await _newest(reach, app)
        text = await reach.backend.log_tail(newest, WHOLE if follow else lines)
        if not json:
            none = "" if lines_of(text) else "; it has no log, or no longer"
            hint(f"deployment {newest.id} of {app.label}: {newest.status}{none}")
            _print(lines_of(text)[-lines:])
        if follow:
            say_line = None if json else _print
            newest, text = await followed(reach.backend, app, newest, text, say_line)
    if json:
        say_json(_form(app, newest, lines_of(text)[-lines:]))
    return ENDED_BADLY if follow and newest.status in ("error", "cancelled") else 0


async def _kept(settings: "Settings", gone: Gone, lines: int, *, json: bool) -> None:
    """Show the end of the newest log that was kept of a deleted app; raise where there is none."""
    app = gone.app
    async with kept_in(settings) as stores:
        found = await stores.journal.deployments(limit=1000, app_id=app.id)
    newest = next((one for one in found if one.log_tail), None)
    if newest is None or newest.log_tail is None:
        raise gone
    log = newest.log_tail.split("\n")[-lines:]
    if json:
        say_json(
            {
                "app": app.label,
                "app_id": app.id,
                "deployment": newest.backend_id,
                "status": "error",
                "created_at": iso(newest.created_at),
                "finished_at": iso(newest.finished_at),
                "log": log,
            }
        )
        return
    hint(f"{app.label} is gone from the backend, and its logs with it; kept of {newest.id}:")
    _print(log)


async def _newest(reach: Reach, app: "App") -> "BackendDeployment":
    found = await reach.backend.deployments(app)
    if not found:
        raise NotFound(f"{app.label} has no deployments at the backend, so there is no log")
    return found[0]


async def followed(
    backend: "Backend",
    app: "App",
    deployment: "BackendDeployment",
    text: str,
    tell: Callable[[list[str]], None] | None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> "tuple[BackendDeployment, str]":
    """Tell what comes, until the deployment has ended; returns its end and its whole log.

    Args:
        text: as much as has been told already.
    """
    while True:
        now = {one.id: one for one in await backend.deployments(app)}
        current = now.get(deployment.id)
        # Read after the status: what an ended one wrote is whole.
        whole = await backend.log_tail(deployment, WHOLE)
        if tell is not None:
            tell(news(text, whole))
        text = whole or text
        if current is None or current.status != "running":
            return current or deployment, text
        await sleep(LOOK)


def _print(lines: list[str]) -> None:
    for line in lines:
        typer.echo(clean_line(line))


def _form(app: "App", deployment: "BackendDeployment", log: list[str]) -> dict[str, Any]:
    return {
        "app": app.label,
        "app_id": app.id,
        "deployment": deployment.id,
        "status": str(deployment.status),
        "created_at": iso(deployment.created_at),
        "finished_at": iso(deployment.finished_at),
        "log": log,
    }
