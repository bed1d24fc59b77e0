"""`held`: what holds deployments; and what commands about gates share."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.backend import person, person_key
from bridge.cli.context import Config, Json, kept_in, run, settings_of
from bridge.cli.holds import hold_form
from bridge.cli.show import Listing, ago, iso

if TYPE_CHECKING:
    from bridge.app.storage import Stores
    from bridge.core.apps import App
    from bridge.core.holds import Proposal
    from bridge.core.lifecycle import Deployment
    from bridge.pipeline.gates.commands import GateCommands, Requester
    from bridge.settings import Settings

Reason = Annotated[
    str, typer.Option("--reason", "-m", help="Why; others will read it.", show_default=False)
]


@dataclass(frozen=True, slots=True)
class Desk:
    """The stores with what people do to gates."""

    settings: "Settings"
    stores: "Stores"
    apps: "list[App]"
    commands: "GateCommands"
    actor: "Requester"


@asynccontextmanager
async def desk_of(config: Path | None, *, asks_hosts: bool = False) -> AsyncIterator[Desk]:
    """Open the stores; `asks_hosts`: pull requests or heads of branches are looked up."""
    from bridge.core.rules import ruled
    from bridge.pipeline.gates.commands import GateCommands, Requester
    from bridge.settings import book_of, identities_of

    settings = settings_of(config)
    async with kept_in(settings) as stores, AsyncExitStack() as stack:
        hosts = await _hosts(settings, stack) if asks_hosts else {}
        book = book_of(settings)
        apps = [ruled(app, book) for app in await stores.journal.apps()]
        actor = Requester(person_key(), person())
        who = identities_of(settings)
        commands = GateCommands(stores.journal, lambda: apps, time.time, identities=who, **hosts)
        yield Desk(settings, stores, apps, commands, actor)


async def _hosts(settings: "Settings", stack: AsyncExitStack) -> dict[str, Any]:
    """Return what asks the Git hosts."""
    from bridge.app.providers import host_apis, pulls_at
    from bridge.githosts.server import homes_of
    from bridge.pipeline.gates.gates import Heads

    apis = host_apis(settings)
    for api in apis.values():
        stack.push_async_callback(api.close)
    heads = Heads(apis, time.time, homes_of(settings.host_servers().values()))
    stack.push_async_callback(heads.close)
    return {"pulls": pulls_at(settings, apis), "head_of": heads.told}


def end_with(code: int) -> None:
    """End the command with an exit code, unless it is 0."""
    if code:
        raise typer.Exit(code)


def until_text(until: float | None, said: str | None = None) -> str:
    """Return an end by UTC, and in the zone in which somebody has said it."""
    if until is None:
        return ""
    from bridge.core.gates.times import in_zones, read_zone, zone_in

    utc = read_zone("UTC")
    return f" until {in_zones(until, zone_in(said, utc) if said else utc)}"


def when_text(at: float | None) -> str:
    """Return a time in whole minutes, by UTC; "" for none."""
    from bridge.core.gates.times import in_words, read_zone

    return "" if at is None else in_words(at, read_zone("UTC"))


# ── held deployments ────────────────────────────────────────────────────────────────────────────


def held(config: Config = None, json: Json = False) -> None:
    """List the deployments that gates hold, with every open reason."""
    run(_held(config, json=json))


async def _held(config: Path | None, *, json: bool) -> None:
    from bridge.core.lifecycle import State

    async with kept_in(settings_of(config)) as stores:
        going = await stores.journal.open_deployments()
    found = [one for one in going if one.state is State.HELD]
    now = time.time()
    listing = Listing(
        held_form,
        ("#", "app", "held", "until", "*why"),
        lambda one: _held_row(one, now),
        lambda one: " ".join(_held_row(one, now)),
    )
    listing.say(found, "nothing is held", json=json)


def held_form(one: "Deployment") -> dict[str, Any]:
    """Return a held deployment as JSON has it."""
    from bridge.core.holds import proposal_in

    return {
        "id": one.id,
        "app": one.app,
        "app_id": one.app_id,
        "commit": one.head or one.commit,
        "held_at": None if one.held_at is None else iso(one.held_at),
        "holds": [hold_form(hold) for hold in one.holds],
        "to_approve": _proposal_form(proposal_in(one.holds)),
    }


def _proposal_form(one: "Proposal | None") -> dict[str, Any] | None:
    """Return what an approval would be for, without anybody's address."""
    if one is None:
        return None
    names = ("commit", "message", "author", "live", "changed")
    return {name: getattr(one, name) for name in names} | {"files": list(one.files)}


def _held_row(one: "Deployment", now: float) -> list[str]:
    ends = [hold.until for hold in one.holds]
    until = max((at for at in ends if at is not None), default=None)
    opens = "" if None in ends else when_text(until)
    since = "" if one.held_at is None else ago(one.held_at, now)
    return [str(one.seq), one.app, since, opens, "; ".join(hold.says for hold in one.holds)]
