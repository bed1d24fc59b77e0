"""`feedback`: what is published where, and what fails."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.chats import CHATS
from bridge.cli.backend import record
from bridge.cli.context import Config, Json, Limit, kept_in, run, settings_of
from bridge.cli.forms import standing, subscription_form
from bridge.cli.show import Listing, ago, iso, say, say_json, shrunk
from bridge.core.errors import Ambiguous, NotFound, Rejected
from bridge.githosts import HOSTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.ports.feedback import Pending
    from bridge.settings import Settings

SEARCHED = 10_000
"""The number of failing subscriptions to search for the start of an id."""

NONE_YET = (
    "nothing is shown anywhere yet; it takes a push that concerns an app, and a credential for"
    f" its host ({', '.join(one.variable(one.credential) for one in HOSTS.values())}) or for"
    f" {' or '.join(f'{one.title} ({one.variable(one.credential)})' for one in CHATS.values())}"
)

Failing = Annotated[bool, typer.Option("--failing", help="Only what fails at the moment.")]

group = typer.Typer(help="What is published where, newest first, and what fails.")


@group.callback(invoke_without_command=True)
def feedback(
    ctx: typer.Context,
    config: Config = None,
    json: Json = False,
    failing: Failing = False,
    limit: Limit = 20,
) -> None:
    """List what is published, newest first: cards, comments, statuses."""
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
    """Retry at once what fails or is parked, without waiting for its turn or a change."""
    if every == (target is not None):
        raise Rejected("name one: an id from `dokploy-bridge feedback --failing`, or use --all")
    tried = run(_retry(settings_of(config), target))
    if json:
        say_json({"retried": tried})
    else:
        say(f"{tried} to be shown again" if tried else "nothing fails")


async def _list(settings: "Settings", limit: int, *, failing: bool, json: bool) -> None:
    found: list[Pending] = []
    why_none = "nothing fails" if failing else NONE_YET
    try:
        async with kept_in(settings) as stores:
            found = await stores.journal.feedback(limit=limit, failing=failing)
    except NotFound as error:
        why_none = str(error)
    columns = ("state", "since", "id", "*reason", "*about")
    listing = Listing(subscription_form, columns, lambda one: _row(one, time.time()), _line, side=3)
    listing.say(found, why_none, json=json)


async def _retry(settings: "Settings", id_: str | None) -> int:
    async with kept_in(settings) as stores:
        if id_ is None:
            if count := await stores.journal.retry_feedback():
                await record(stores.journal, "feedback retry", "all that fail")
            return count
        failing = await stores.journal.feedback(limit=SEARCHED, failing=True)
        ids = [one.subscription.id for one in failing]
        fits = fitting(ids, id_)
        if len(fits) == 1:
            await record(stores.journal, "feedback retry", fits[0])
            return await stores.journal.retry_feedback(fits[0])
        shown = [one.subscription.id for one in await stores.journal.feedback(limit=SEARCHED)]
    if fits:
        some = ", ".join(map(shrunk, fits[:3]))
        raise Ambiguous(f"{id_!r} fits {len(fits)} that fail: {some}; give more of the id")
    if fitting(shown, id_):
        raise NotFound(f"{id_!r} does not fail, so there is nothing to retry")
    raise NotFound(
        f"nothing is shown by the id {id_!r}; `dokploy-bridge feedback --failing` lists what"
        " can be retried"
    )


def fitting(ids: "Sequence[str]", wanted: str) -> list[str]:
    """Return the ids that match an id, its start, or its listed form."""
    if wanted in ids:
        return [wanted]
    wanted = wanted.removesuffix("…")
    return [
        one for one in ids if wanted and (one.startswith(wanted) or shrunk(one).startswith(wanted))
    ]


def _row(pending: "Pending", now: float) -> list[str]:
    since = since_of(pending)
    about = ", ".join(shrunk(one) for one in pending.subscription.follows[-1:])
    return [
        standing(pending),
        ago(since, now) if since is not None else "",
        shrunk(pending.subscription.id),
        pending.error or "",
        f"about {about}" if about else "",
    ]


def since_of(pending: "Pending") -> float | None:
    """Since when it fails, else since when it is pending; None if it is up to date."""
    return pending.due_at if pending.failing_since is None else pending.failing_since


def _line(pending: "Pending") -> str:
    since = since_of(pending)
    when = f" since {iso(since)}" if since is not None else ""
    line = f"{pending.subscription.id} {standing(pending)}{when}"
    return f"{line}: {pending.error}" if pending.error else line
