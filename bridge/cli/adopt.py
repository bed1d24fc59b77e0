"""`adopt`: leave an app's pushes to the bridge alone."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.backend import backends_of, person
from bridge.cli.completion import complete_app
from bridge.cli.configure import How, Yes, agree
from bridge.cli.context import Config, Json, run, settings_of
from bridge.cli.show import clean, hint, say, say_error, say_json
from bridge.core.errors import BridgeError, Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.app.storage import Stores
    from bridge.core.apps import App
    from bridge.pipeline.deploying.adopt import Adopter
    from bridge.ports.backends import Backend

UNHEARD = (
    "its Git host is not served, so nothing but its own Auto Deploy deploys its pushes;"
    " `dokploy-bridge doctor` says what to set"
)

AppNames = Annotated[
    list[str] | None,
    typer.Argument(metavar="[APP]...", help="As project/app.", autocompletion=complete_app),
]


def adopt(
    apps: AppNames = None,
    every: Annotated[bool, typer.Option("--all", help="Every app.")] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Put back what was switched off by this command.")
    ] = False,
    config: Config = None,
    json: Json = False,
    yes: Yes = False,
) -> None:
    """Switch off the backend's own deploys of pushes (Auto Deploy) for apps of the bridge.

    With both on, each push deploys twice. Nothing else of an app is changed.
    """
    if every == bool(apps):
        raise Rejected("name apps, or use --all")
    code = run(_adopt(apps or [], How(config, json, yes), undo=undo))
    if code:
        raise typer.Exit(code)


async def _adopt(names: list[str], how: How, *, undo: bool) -> int:
    from bridge.app.keyrings import heard_of
    from bridge.app.storage import open_stores
    from bridge.core.apps import find_app
    from bridge.pipeline.deploying.adopt import Adopter

    settings, every = settings_of(how.config), not names
    async with backends_of(settings) as backends, open_stores(settings) as stores:
        known, away = await _known(backends, stores)
        those = [find_app(known, name) for name in names] if names else known
        made = {one.host for one in await stores.journal.made_hooks() if one.hook is not None}
        adopter = Adopter(backends, stores.journal, time.time, heard_of(settings, made))
        plan = await (adopter.plan_undo(those) if undo else adopter.plan(those))
        left = [f"{one.label} stays on: {UNHEARD}" for one in plan.left]
        failed = dict.fromkeys((*away, *plan.unread) if every else (*plan.unread, *left))
        for why in failed:
            say_error(why)
        for why in left if every else ():
            hint(clean(why), "yellow")
        word = "on" if undo else "off"
        if how.json:
            say_json([_form(one, on=undo) for one in plan.those])
        elif not plan.those and not failed and not left:
            hint("no app was adopted" if undo else "Auto Deploy is off already")
        for one in () if how.json else plan.those:
            say(clean(f"switch Auto Deploy {word}: {one.label} ({one.backend})"))
        if not plan.those:
            return 1 if failed else 0
        agree(f"Switch Auto Deploy {word} for {_many(len(plan.those))}?", how)
        bad = [one for one in plan.those if not await _switched(adopter, one, off=plan.off)]
        if not how.json:
            say(f"Auto Deploy switched {word} for {_many(len(plan.those) - len(bad))}")
        return 1 if failed or bad else 0


async def _switched(adopter: "Adopter", app: "App", *, off: bool) -> bool:
    try:
        await adopter.switch(app, off=off, by=person())
    except BridgeError as error:
        say_error(f"{app.label}: {error}")
        return False
    return True


def _form(app: "App", *, on: bool) -> dict[str, Any]:
    return {"app": app.label, "app_id": app.id, "auto_deploy": on}


def _many(apps: int) -> str:
    return "1 app" if apps == 1 else f"{apps} apps"


async def _known(
    backends: "Mapping[str, Backend]", stores: "Stores"
) -> "tuple[list[App], list[str]]":
    """Return the backends' apps, and which backends can't be listed.

    The journal has only those that a bridge has read; it stands in for a backend that is away.
    """
    kept = await stores.journal.apps()
    known: list[App] = []
    away: list[str] = []
    for name, backend in backends.items():
        try:
            known += await _listed(backend)
        except BridgeError as error:
            away.append(str(error))
            known += [one for one in kept if one.backend == name]
    return known, away


async def _listed(backend: "Backend") -> "list[App]":
    """Return a backend's apps, if it can without reading each: one may be unreadable."""
    from bridge.ports.backends import ReadsApps

    if isinstance(backend, ReadsApps):
        return [one.app for one in await backend.listing()]
    return await backend.apps()
