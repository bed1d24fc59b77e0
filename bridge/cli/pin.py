"""`pin` and `unpin`: have exactly the judged commit built, or the head of a branch again."""

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.backend import Reach, person, reached
from bridge.cli.configure import How, Yes, agree
from bridge.cli.context import Config, Json, run, settings_of
from bridge.cli.deployments import AppName
from bridge.cli.show import clean, hint, say, say_json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bridge.pipeline.deploying.pinning import Pinner, Pinning

Branch = Annotated[
    str | None, typer.Option("--branch", help="The branch to track; by default the current one.")
]


def pin(
    app: AppName,
    branch: Branch = None,
    config: Config = None,
    json: Json = False,
    yes: Yes = False,
) -> None:
    """Have the backend build exactly the commit that was judged, from a branch of the bridge's own.

    The bridge's credential must be allowed to write to the repository: a GitHub App needs
    Contents: write. Run it again if it was interrupted.
    """
    run(_pin(app, branch, How(config, json, yes)))


def unpin(
    app: AppName,
    branch: Branch = None,
    config: Config = None,
    json: Json = False,
    yes: Yes = False,
) -> None:
    """Have the backend build the head of the tracked branch again, and delete the bridge's own."""
    run(_unpin(app, branch, How(config, json, yes)))


async def _pin(name: str, branch: str | None, how: How) -> None:
    async with _pinner(name, how) as (pinner, reach):
        planned = await pinner.plan(reach.app, branch)
        _tell(planned, how)
        if not planned.plan.empty:
            agree(f"pin {planned.app.label} to {planned.tracks}?", how)
        await pinner.pin(planned, by=person())
        if not how.json:
            builds = getattr(planned.plan.after.saved.provider, "branch", "")
            label, at = planned.app.label, planned.app.backend
            say(clean(f"pinned: {label} tracks {planned.tracks}, and {at} builds {builds}"))
            hint(f"keep CI from running for the bridge's own branches: exclude {_OWN}")


_OWN = "bridge/**"


async def _unpin(name: str, branch: str | None, how: How) -> None:
    async with _pinner(name, how) as (pinner, reach):
        planned = await pinner.plan_back(reach.app, branch)
        _tell(planned, how)
        if not planned.plan.empty:
            agree(f"unpin {planned.app.label}?", how)
        await pinner.unpin(planned, by=person())
        if not how.json:
            label, at = planned.app.label, planned.app.backend
            say(clean(f"unpinned: {at} builds the head of {planned.tracks} for {label}"))


@asynccontextmanager
async def _pinner(name: str, how: How) -> "AsyncIterator[tuple[Pinner, Reach]]":
    from bridge.app.providers import host_apis
    from bridge.githosts.server import homes_of
    from bridge.pipeline.deploying.pinning import Pinner, Pins
    from bridge.settings import book_of

    settings = settings_of(how.config)
    async with AsyncExitStack() as stack:
        reach = await stack.enter_async_context(reached(settings, name))
        apis, book = host_apis(settings), book_of(settings)
        for api in apis.values():
            stack.push_async_callback(api.close)
        pins = Pins(apis, homes_of(settings.host_servers().values()), book)
        yield Pinner(reach.configurer, reach.stores.journal, pins, book), reach


def _tell(planned: "Pinning", how: How) -> None:
    from bridge.core.configuration.difference import lines_of

    lines = lines_of(planned.plan.difference)
    if how.json:
        say_json(_form(planned))
        return
    for line in lines:
        say(clean(f"  {line}"))
    for remark in planned.plan.remarks:
        hint(clean(f"note: {remark}"))


def _form(planned: "Pinning") -> dict[str, Any]:
    return {
        "app": planned.app.label,
        "app_id": planned.app.id,
        "action": planned.plan.what,
        "tracks": planned.tracks,
        "builds": getattr(planned.plan.after.saved.provider, "branch", None),
        "difference": [
            {"field": one.field, "before": one.before, "after": one.after}
            for one in planned.plan.difference
        ],
    }
