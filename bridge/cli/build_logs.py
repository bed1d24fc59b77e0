"""`logs` and `clear`: the backend's logs of deployments."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from bridge.cli.backend import Gone, Reach, person, reached
from bridge.cli.configure import How, Yes, agree
from bridge.cli.context import ENDED_BADLY, Config, Json, kept_in, run, settings_of
from bridge.cli.deployments import AppName
from bridge.cli.show import clean_line, first, hint, iso, say, say_json
from bridge.core.errors import NotFound
from bridge.core.lifecycle import deployment_id
from bridge.core.log_text import lines_of, news
from bridge.ports.clock import Sleep

if TYPE_CHECKING:
    from bridge.core.apps import App
    from bridge.core.lifecycle import Deployment
    from bridge.ports.backends import Backend, BackendDeployment
    from bridge.settings import Settings

LONGEST_NUMBER = 16
"""Digits of a deployment's number."""

LOOK = 0.5
"""Seconds between polls of a growing log."""

ABOVE = 60
WHOLE = 10_000
"""The most lines of a log to read at once."""


def logs(
    app: AppName,
    lines: Annotated[
        int,
        typer.Option(
            "--lines", "-n", min=1, max=WHOLE, help="At most this many lines, from the end."
        ),
    ] = 200,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Continue until the deployment ends.")
    ] = False,
    deployment: Annotated[
        str | None,
        typer.Option(
            "--deployment",
            "-d",
            metavar="ID",
            help="Deployment to show: its number, its id, or its id at the backend.",
        ),
    ] = None,
    raw: Annotated[
        bool,
        typer.Option(
            "--raw", help="As the backend has it, with values of variables and other secrets."
        ),
    ] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show the backend's log of an app's newest deployment, or of another; secrets are masked."""
    wanted = Wanted(app, deployment, lines, follow, json, raw)
    code = run(_logs(settings_of(config), wanted))
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
        what = f"the whole log folder of {app.label}, the logs of all its deployments"
        if not how.yes:
            hint(f"this deletes {what}")
        agree("delete it?", how)
        done = await reach.configurer.clear(app, by=person())
    if how.json:
        form = {"removed_logs": list(done.removed), "kept_logs": list(done.kept)}
        say_json({"app": app.label, "app_id": app.id} | form)
        return
    count = len(done.removed)
    kept = f"; {len(done.kept)} still have theirs" if done.kept else ""
    what = "the log of 1 deployment" if count == 1 else f"the logs of {count} deployments"
    say(f"removed {what} of {app.label}{kept}; their records stay")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The requested log, and how to show it.

    Attributes:
        deployment: None for the newest.
        raw: whether to show secrets in it.
    """

    app: str
    deployment: str | None
    lines: int
    follow: bool
    json: bool
    raw: bool = False


async def _logs(settings: "Settings", wanted: Wanted) -> int:
    try:
        return await _shown(settings, wanted)
    except Gone as gone:
        await _kept(settings, gone, wanted)
        return 0


async def _shown(settings: "Settings", wanted: Wanted) -> int:
    async with reached(settings, wanted.app) as reach:
        app, lines = reach.app, wanted.lines
        ours = await _ours(reach, wanted.deployment)
        one = await _at_backend(reach, wanted.deployment, ours)
        if one is None:
            assert ours is not None
            _say_kept(
                app, ours, wanted, f"the backend has forgotten deployment {ours.seq} of {app.label}"
            )
            return 0
        shown = await _masked(reach, wanted)
        # Read more than is shown: a multi-line secret is recognised by its beginning.
        most = WHOLE if wanted.follow else min(lines + ABOVE, WHOLE)
        text = shown(await reach.backend.log_tail(one, most))
        if not wanted.json:
            none = "" if lines_of(text) else "; it has no log, or no longer"
            hint(f"deployment {one.id} of {app.label}: {one.status}{none}")
            _print(lines_of(text)[-lines:])
        if wanted.follow:
            say_line = None if wanted.json else _print
            one, text = await followed(reach.backend, app, one, text, say_line, shown=shown)
    if wanted.json:
        say_json(_form(app, one, lines_of(text)[-lines:]))
    return ENDED_BADLY if wanted.follow and one.status in ("error", "cancelled") else 0


async def _masked(reach: Reach, wanted: Wanted) -> Callable[[str], str]:
    """Return what hides secrets in the app's logs, as the console does; nothing if asked for."""
    if wanted.raw:
        return str
    from bridge.core.masking import redact
    from bridge.ports.backends import mask_for

    mask = await mask_for(reach.backend, reach.app)
    return lambda text: redact(text, mask)


async def _ours(reach: Reach, id_: str | None) -> "Deployment | None":
    """Return the requested deployment, if the journal has it.

    Raises:
        NotFound: it is another app's.
    """
    if id_ is None:
        return None
    app, journal = reach.app, reach.stores.journal
    number = id_.removeprefix("#").partition(".")[0]
    if number.isdecimal() and len(number) <= LONGEST_NUMBER:
        found = await journal.deployment(deployment_id(int(number), app.id))
        if found is not None:
            return found
    found = await journal.deployment(id_)
    if found is not None and found.app_id != app.id:
        raise NotFound(f"deployment {id_} is of {found.app}, not of {app.label}")
    return found


async def _at_backend(
    reach: Reach, id_: str | None, ours: "Deployment | None"
) -> "BackendDeployment | None":
    """Return the backend's record of it; None if only the journal has part of its log.

    Raises:
        NotFound: there is no such deployment, or none of its log was kept.
    """
    app = reach.app
    found = await reach.backend.deployments(app)
    if id_ is None:
        if not found:
            raise NotFound(f"{app.label} has no deployments at the backend, so there is no log")
        return found[0]
    wanted = id_ if ours is None else ours.backend_id
    if (one := first(found, lambda one: one.id == wanted)) is not None:
        return cast("BackendDeployment", one)
    if ours is None:
        raise NotFound(
            f"{app.label} has no deployment {id_!r};"
            f" `dokploy-bridge deployments --app {app.label}` lists them"
        )
    if ours.log_kept:
        return None
    why = "has forgotten it" if ours.backend_id else "never started it, as far as is known"
    raise NotFound(f"there is no log of deployment {ours.seq} of {app.label}: the backend {why}")


async def _kept(settings: "Settings", gone: Gone, wanted: Wanted) -> None:
    """Show the kept end of a deleted app's log; raise NotFound if there is none."""
    app = gone.app
    async with kept_in(settings) as stores:
        found = await stores.journal.deployments(limit=1000, app_id=app.id)
    number = (wanted.deployment or "").removeprefix("#")
    if wanted.deployment is not None:
        found = [one for one in found if number in (str(one.seq), one.id, one.backend_id)]
    if (newest := first(found, lambda one: one.log_kept)) is None:
        raise gone
    _say_kept(app, newest, wanted, f"{app.label} is gone from the backends, and its logs with it")


def _say_kept(app: "App", deployment: "Deployment", wanted: Wanted, why: str) -> None:
    """Show the end of a log that the journal has kept, which was masked before."""
    from bridge.core.masking import redact

    log = redact(deployment.log_kept).split("\n")[-wanted.lines :]
    if wanted.json:
        say_json(
            {
                "app": app.label,
                "app_id": app.id,
                "deployment": deployment.backend_id,
                "status": "error",
                "created_at": iso(deployment.created_at),
                "finished_at": iso(deployment.finished_at),
                "log": log,
            }
        )
        return
    hint(f"{why}; the end of the log of deployment {deployment.seq} was kept:")
    _print(log)


async def followed(
    backend: "Backend",
    app: "App",
    deployment: "BackendDeployment",
    text: str,
    tell: Callable[[list[str]], None] | None,
    sleep: Sleep = asyncio.sleep,
    shown: Callable[[str], str] = str,
) -> "tuple[BackendDeployment, str]":
    """Print new lines until the deployment has ended; return its end and its whole log.

    Args:
        text: the part that was already printed.
        shown: returns a log as it may be shown.
    """
    while True:
        now = {one.id: one for one in await backend.deployments(app)}
        current = now.get(deployment.id)
        # Read after the status: the log of an ended one is complete.
        whole = shown(await backend.log_tail(deployment, WHOLE))
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
