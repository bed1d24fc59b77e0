"""`feedback`: what is shown where, and what can't be."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.forms import standing, target_form
from bridge.cli.show import Listing, ago, say, say_json
from bridge.cli.using import Config, Json, Limit, kept_in, run, settings_of
from bridge.core.errors import NotFound, Rejected

if TYPE_CHECKING:
    from bridge.ports.feedback import Raised
    from bridge.settings import Settings

SEARCHED = 10_000
"""So many of those that fail are searched for the beginning of an id."""

NONE_YET = (
    "nothing is shown anywhere yet; it takes a push that concerns an app, and a credential for"
    " its host (BRIDGE_GITHUB_TOKEN, BRIDGE_GITLAB_TOKEN) or for Slack (BRIDGE_SLACK_BOT_TOKEN)"
)

Failing = Annotated[bool, typer.Option("--failing", help="Only what can't be shown just now.")]

group = typer.Typer(help="What is shown where, newest first, and what can't be.")


@group.callback(invoke_without_command=True)
def feedback(
    ctx: typer.Context,
    config: Config = None,
    json: Json = False,
    failing: Failing = False,
    limit: Limit = 20,
) -> None:
    """List the places that show something, newest first: cards, comments, statuses."""
    if ctx.invoked_subcommand is None:
        run(_list(settings_of(config), limit, failing=failing, json=json))


@group.command()
def retry(
    target: Annotated[
        str | None, typer.Argument(metavar="ID", help="Its id, or the beginning of it.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All that fail or are parked.")] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Try what fails or is parked at once, without waiting for its turn or a change."""
    if every == (target is not None):
        raise Rejected("say which: an id as `feedback --failing` lists it, or --all")
    tried = run(_retry(settings_of(config), target))
    if json:
        say_json({"retried": tried})
    else:
        say(f"{tried} to be shown again" if tried else "nothing fails")


async def _list(settings: "Settings", limit: int, *, failing: bool, json: bool) -> None:
    found: list[Raised] = []
    why_none = "nothing fails" if failing else NONE_YET
    try:
        async with kept_in(settings) as stores:
            found = await stores.journal.feedback(limit=limit, failing=failing)
    except NotFound as error:
        why_none = str(error)
    columns = ("id", "state", "since", "*about", "*reason")
    listing = Listing(target_form, columns, lambda one: _row(one, time.time()), _line)
    listing.say(found, why_none, json=json)


async def _retry(settings: "Settings", id_: str | None) -> int:
    async with kept_in(settings) as stores:
        if id_ is None:
            return await stores.journal.show_again()
        failing = await stores.journal.feedback(limit=SEARCHED, failing=True)
        fits = [one.target.id for one in failing if one.target.id.startswith(id_)]
        if id_ not in fits and len(fits) != 1:
            raise NotFound(
                f"{id_!r} fits {len(fits)} of those that fail; `feedback --failing` lists them"
            )
        return await stores.journal.show_again(id_ if id_ in fits else fits[0])


def _row(raised: "Raised", now: float) -> list[str]:
    since = raised.due_at if raised.failing_since is None else raised.failing_since
    return [
        raised.target.id,
        standing(raised),
        ago(since, now) if since is not None else "",
        ", ".join(raised.target.follows[-1:]),
        raised.error or "",
    ]


def _line(raised: "Raised") -> str:
    line = f"{raised.target.id} {standing(raised)}"
    return f"{line}: {raised.error}" if raised.error else line
