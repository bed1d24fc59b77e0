"""`adopt`: leave an app's pushes to the bridge alone."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.changing import How, Yes, agree
from bridge.cli.completing import complete_app
from bridge.cli.reaching import backends_of, person
from bridge.cli.show import clean, hint, say, say_error, say_json
from bridge.cli.using import Config, Json, run, settings_of
from bridge.core.errors import BridgeError, Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.app.storage import Stores
    from bridge.core.apps import App
    from bridge.ports.backends import Backend

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
    from bridge.app.storage import open_stores
    from bridge.core.apps import find_app
    from bridge.pipeline.adopt import Adopter

    settings = settings_of(how.config)
    async with backends_of(settings) as backends, open_stores(settings) as stores:
        known = await _known(backends, stores)
        those = [find_app(known, name) for name in names] if names else known
        adopter = Adopter(backends, stores.journal, time.time)
        plan = await (adopter.plan_undo(those) if undo else adopter.plan(those))
        word = "on" if undo else "off"
        if how.json:
            say_json(
                [{"app": one.label, "app_id": one.id, "auto_deploy": undo} for one in plan.those]
            )
        elif not plan.those:
            hint("no app was adopted" if undo else "Auto Deploy is off already")
        else:
            for one in plan.those:
                say(clean(f"Auto Deploy {word}: {one.label} ({one.backend})"))
        if not plan.those:
            return 0
        agree(f"Switch Auto Deploy {word} for {len(plan.those)}?", how)
        failed = 0
        for one in plan.those:
            try:
                await adopter.switch(one, off=plan.off, by=person())
            except BridgeError as error:
                failed += 1
                say_error(f"{one.label}: {error}")
        if not how.json:
            say(f"Auto Deploy switched {word} for {len(plan.those) - failed}")
        return 1 if failed else 0


def _form(app: "App", *, on: bool) -> dict[str, Any]:
    return {"app": app.label, "app_id": app.id, "auto_deploy": on}


async def _known(backends: "Mapping[str, Backend]", stores: "Stores") -> "list[App]":
    """Return the apps of the journal, or of the backends if no bridge has read them yet."""
    known = [one for one in await stores.journal.apps() if one.backend in backends]
    if known:
        return known
    return [one for backend in backends.values() for one in await backend.apps()]
