"""`deployments`: what was deployed, with the outcome."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.backend import known_app, warn_of_troubles
from bridge.cli.completion import complete_app
from bridge.cli.context import Config, Json, Limit, kept_in, run, settings_of
from bridge.cli.forms import (
    change_form,
    deployment_form,
    ended_form,
    fate_form,
    note_of,
    short_note,
)
from bridge.cli.show import (
    MARKS,
    STYLES,
    Listing,
    ago,
    clean,
    clean_line,
    clock,
    console,
    hint,
    iso,
    on_terminal,
    say_json,
)
from bridge.core.errors import Ambiguous, NotFound
from bridge.core.people import PUSH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.text import Text

    from bridge.app.storage import Stores
    from bridge.core.health.fate import Fate
    from bridge.core.lifecycle import Change, Deployment
    from bridge.settings import Settings

AppName = Annotated[
    str,
    typer.Argument(
        metavar="APP", help="Its label (project/app), name, or id.", autocompletion=complete_app
    ),
]

AppOption = Annotated[
    str | None,
    typer.Option(
        "--app",
        "-a",
        metavar="APP",
        help="Only of this app, even a deleted one.",
        autocompletion=complete_app,
    ),
]

LONGEST_NUMBER = 16
"""Digits of a deployment's number."""

NONE_YET = "nothing has been deployed yet; `dokploy-bridge deliveries` lists what came in"

group = typer.Typer(help="What was deployed, newest first.")


@group.callback(invoke_without_command=True)
def deployments(
    ctx: typer.Context,
    config: Config = None,
    json: Json = False,
    app: AppOption = None,
    limit: Limit = 20,
) -> None:
    """List what was deployed, newest first."""
    if ctx.invoked_subcommand is None:
        run(_list(settings_of(config), app, limit, json))


@group.command()
def show(
    deployment: Annotated[
        str, typer.Argument(metavar="ID", help="Its id, the start of it, or its number.")
    ],
    app: Annotated[
        str | None,
        typer.Option(
            "--app",
            "-a",
            metavar="APP",
            help="Its app, if several have a deployment with that number.",
            autocompletion=complete_app,
        ),
    ] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show one deployment with its whole history."""
    run(_show(settings_of(config), deployment, app, json))


async def _list(settings: "Settings", app: str | None, limit: int, json: bool) -> None:
    found: list[Deployment] = []
    fates: Mapping[str, Fate] = {}
    why_none = NONE_YET
    try:
        async with kept_in(settings) as stores:
            app_id = None if app is None else (await known_app(stores.journal, app)).app.id
            found = await stores.journal.deployments(limit=limit, app_id=app_id)
            fates = await stores.journal.fates(found)
            await warn_of_troubles(settings, stores)
    except NotFound as error:
        if app is not None:
            raise
        why_none = str(error)
    columns = ("created", "number", "state", "commit", "app", "*what happened")
    listing: Listing[Deployment] = Listing(
        lambda one: deployment_form(one, fate := fates.get(one.id)) | {"fate": fate_form(fate)},
        columns,
        lambda one: _row(one, fates.get(one.id), time.time()),
        lambda one: _line(one, fates.get(one.id)),
        side=5,
    )
    listing.say(found, why_none, json=json)


async def _show(settings: "Settings", id_: str, app: str | None, json: bool) -> None:
    async with kept_in(settings) as stores:
        app_id = None if app is None else (await known_app(stores.journal, app)).app.id
        found = await find_deployment(stores, id_, app_id)
        changes = await stores.journal.changes(found.id)
        fate = (await stores.journal.fates([found])).get(found.id)
        if found.app_id in {app.id for app in await stores.journal.gone_apps()}:
            hint(clean(f"{found.app} ({found.app_id}) is gone from the backends"))
    if json:
        form = ended_form(found, fate) | {"fate": fate_form(fate)}
        say_json(form | {"changes": [change_form(one) for one in changes]})
    elif on_terminal():
        console().print(_page(found, fate, changes))
    else:
        for name, value in _facts(found, fate).items():
            typer.echo(clean(f"{name}: {value}"))
        for change in changes:
            typer.echo(change_line(change))
        for line in tail_lines(found):
            typer.echo(line)


async def find_deployment(stores: "Stores", id_: str, app_id: str | None) -> "Deployment":
    """Return the deployment with an id, of any app or of one.

    Raises:
        NotFound, Ambiguous: none or several match.
    """
    id_ = id_.removeprefix("#")
    exact = await stores.journal.deployment(id_)
    fits = [] if exact is None else [exact]
    number = id_.partition(".")[0]
    if not fits and number.isdecimal() and len(number) <= LONGEST_NUMBER:
        of_delivery = await stores.journal.deployments(limit=1000, seq=int(number))
        fits = [d for d in of_delivery if id_ == number or d.id.startswith(id_)]
    if app_id is not None:
        fits = [one for one in fits if one.app_id == app_id]
    if len(fits) == 1:
        return fits[0]
    if fits:
        apps = ", ".join(one.app for one in fits[:5]) + (", …" if fits[5:] else "")
        which = f"name the app: `dokploy-bridge deployments show {id_} --app APP`"
        raise Ambiguous(f"{len(fits)} apps have a deployment {id_}: {apps}; {which}")
    whose = "" if app_id is None else " of that app"
    raise NotFound(
        f"there is no deployment {id_!r}{whose}; `dokploy-bridge deployments` lists them"
    )


# ── Rendering ─────────────────────────────────────────────────────────────────────────────────────


_ELSEWHERE = {"drop": "an uploaded archive", "raw": "a compose file written at the backend"}
"""Sources without an address."""


def source_of(app: Any) -> str:
    """Return an app's source in a few words."""
    source = app.source
    if source is None:
        return "nowhere (no source is set)"
    if source.type in _ELSEWHERE:
        return _ELSEWHERE[source.type]
    what = source.image or source.url or source.repository or source.repository_id or "?"
    return f"{what}" if source.type in ("git", "docker") else f"{source.type} {what}"


def _row(deployment: "Deployment", fate: "Fate | None", now: float) -> "list[str | Text]":
    from rich.text import Text

    commit = (deployment.deployed_commit or deployment.commit or "")[:7]
    state = deployment.state
    trigger = "" if deployment.origin == PUSH else f" ({deployment.trigger})"
    return [
        ago(deployment.created_at, now),
        f"#{deployment.seq}",
        Text(f"{MARKS[state]} {state}", STYLES[state]),
        commit or _short(deployment.shown_image),
        deployment.app,
        _with_fate(short_note(deployment, fate), deployment, fate) + trigger,
    ]


def _short(image: str) -> str:
    """Return an image without its registry and path, and of a digest the beginning."""
    name, at, digest = image.rpartition("/")[2].partition("@")
    return clean(f"{name}{at}{digest.removeprefix('sha256:')[:7]}")[:32]


def _line(deployment: "Deployment", fate: "Fate | None") -> str:
    head = f"{iso(deployment.created_at)} {deployment.id} {deployment.app} {deployment.state}"
    return f"{head}: {_with_fate(note_of(deployment, fate), deployment, fate)}"


def _with_fate(note: str, deployment: "Deployment", fate: "Fate | None") -> str:
    """Return a note with what has become of a version that went live, unless it says that."""
    if fate is None:
        return note
    from bridge.core.lifecycle import NoteKind

    kind = deployment.note_kind
    says_live = kind is NoteKind.UNTOLD or (fate.itself and kind in (NoteKind.LIVE, NoteKind.AGAIN))
    live = "live now" if fate.live and not says_live else ""
    return "; ".join(filter(None, (note, live, fate.says)))


def change_line(change: "Change") -> str:
    """E.g. `12:00:01 running    builds`."""
    return f"{clock(change.at)} {change.state:<10} {clean(note_of(change))}".rstrip()


def change_text(change: "Change") -> Any:
    """Return the same in colours, for a terminal."""
    from rich.text import Text

    style = STYLES.get(change.state, "")
    return Text.assemble(
        (f"{clock(change.at)} ", "dim"),
        (f"{MARKS[change.state]} {change.state:<10} ", style),
        clean(note_of(change)),
    )


def tail_lines(deployment: "Deployment") -> list[str]:
    """Return the end of a failed deployment's log, or what an unhealthy one answered.

    It has a heading; [] if none is kept.
    """
    if not deployment.log_tail:
        return []
    from bridge.core.masking import redact

    shown = [f"  {clean_line(line)}" for line in redact(deployment.log_tail).split("\n")]
    return ["what was seen:" if _unhealthy(deployment) else "the end of its log:", *shown]


def whole_log(deployment: "Deployment") -> str:
    """Return the command that shows the whole log."""
    what = "its build's log" if _unhealthy(deployment) else "the whole log"
    return f"{what}: dokploy-bridge logs {deployment.app} --deployment {deployment.seq}"


def _unhealthy(deployment: "Deployment") -> bool:
    return deployment.state == "unhealthy"


def _facts(deployment: "Deployment", fate: "Fate | None") -> dict[str, str]:
    seconds = (deployment.finished_at or 0) - (deployment.started_at or 0)
    timed = deployment.started_at and deployment.finished_at
    facts = {
        "deployment": deployment.id,
        "app": deployment.app,
        "state": str(deployment.state),
        "trigger": deployment.trigger,
        "action": str(deployment.action),
        "ref": deployment.ref or "",
        "commit": deployment.commit or "",
        "deployed": deployment.deployed_commit or "",
        "image": deployment.image or "",
        "backend": deployment.backend_id or "",
        "message": (deployment.message or "").partition("\n")[0],
        "author": deployment.author or "",
        "delivery": deployment.delivery,
        "took": f"{seconds:.1f} s" if timed else "",
        "live": _live(deployment, fate),
        "superseded": f"by {deployment.superseded_by}" if deployment.superseded_by else "",
    }
    return {name: value for name, value in facts.items() if value}


def _live(deployment: "Deployment", fate: "Fate | None") -> str:
    """Return since when it is live, or from when until when it was, and what replaced it."""
    if fate is None or deployment.live_at is None:
        return ""
    until = "" if fate.until is None else f" until {iso(fate.until)}"
    at = f"{'since' if fate.live else 'from'} {iso(deployment.live_at)}{until}"
    return "; ".join(filter(None, (at, fate.says)))


def _page(deployment: "Deployment", fate: "Fate | None", changes: "Sequence[Change]") -> Any:
    from rich.console import Group
    from rich.text import Text

    facts = [
        Text.assemble((f"{name:<11}", "bold"), (clean(value), STYLES.get(value, "")))
        for name, value in _facts(deployment, fate).items()
    ]
    tail = [Text(line, style="dim") for line in tail_lines(deployment)]
    steps = [change_text(change) for change in changes]
    return Group(*facts, Text(""), *steps, *([Text(""), *tail] if tail else []))
