"""`deliveries`: what came in, what it meant and what was decided."""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.forms import decision_form, delivery_form, deployment_form
from bridge.cli.show import (
    STYLES,
    Listing,
    ago,
    clean,
    clock,
    console,
    on_terminal,
    say_json,
    table,
)
from bridge.cli.troubles import warn_of_troubles
from bridge.cli.using import Config, Json, Limit, kept_in, run, settings_of
from bridge.cli.verdicts import say_decisions
from bridge.core.errors import NotFound

if TYPE_CHECKING:
    from bridge.app.storage import Stores
    from bridge.core.decision import Decision
    from bridge.core.lifecycle import Deployment
    from bridge.ports.inbox import Delivery
    from bridge.settings import Settings

SEARCHED = 10_000
"""So many of the newest deliveries are searched for the beginning of an id."""

NONE_YET = (
    "nothing has come in yet; a webhook must lead to /hooks/github or /hooks/gitlab of a bridge"
    " that runs (`dokploy-bridge serve`)"
)

group = typer.Typer(help="What came in, newest first, and what was decided.")


@group.callback(invoke_without_command=True)
def deliveries(
    ctx: typer.Context, config: Config = None, json: Json = False, limit: Limit = 20
) -> None:
    """List what came in, newest first, and what was decided."""
    if ctx.invoked_subcommand is None:
        run(_list(settings_of(config), limit, json))


@group.command()
def show(
    delivery: Annotated[str, typer.Argument(metavar="ID", help="Its id, or the beginning of it.")],
    config: Config = None,
    json: Json = False,
    body: Annotated[bool, typer.Option("--body", help="Print its body, and nothing else.")] = False,
) -> None:
    """Show one delivery: headers, decisions, deployments."""
    run(_show(settings_of(config), delivery, json=json, body=body))


async def _list(settings: "Settings", limit: int, json: bool) -> None:
    why_none = NONE_YET
    try:
        async with kept_in(settings) as stores:
            found = await stores.inbox.newest(limit)
            decisions = await stores.journal.decisions([one.seq for one in found])
            await warn_of_troubles(settings, stores)
    except NotFound as error:
        why_none = str(error)
        found, decisions = [], {}
    listing: Listing[Delivery] = Listing(
        form=lambda one: delivery_form(one, decisions[one.seq]),
        columns=("received", "id", "host", "event", "state", "*outcome"),
        row=lambda one: _row(one, decisions[one.seq], time.time()),
        line=lambda one: _line(one, decisions[one.seq]),
    )
    listing.say(found, why_none, json=json)


async def _show(settings: "Settings", id_: str, *, json: bool, body: bool) -> None:
    async with kept_in(settings) as stores:
        found = await find_delivery(stores, id_)
        decisions = (await stores.journal.decisions([found.seq]))[found.seq]
        deployments = await stores.journal.deployments(limit=1000, seq=found.seq)
    if body:
        typer.echo(found.body or b"")
    elif json:
        form = delivery_form(found, decisions) | {"headers": dict(found.headers)}
        say_json(form | {"deployments": [deployment_form(one) for one in deployments]})
    elif on_terminal():
        console().print(_facts_page(found))
        if decisions:
            say_decisions([decision_form(one) for one in decisions])
        if deployments:
            rows = [[d.id, d.app, str(d.state), d.note] for d in deployments]
            console().print(table(("deployment", "app", "state", "*note"), rows))
    else:
        for line in page_lines(found, decisions, deployments):
            typer.echo(clean(line))


async def find_delivery(stores: "Stores", id_: str) -> "Delivery":
    """One delivery by its id, the beginning of it, or its number; raises NotFound."""
    from bridge.core.commands import ASKING_HOSTS
    from bridge.githosts import HOSTS

    id_ = id_.removesuffix("…")  # as the list shows it
    for host in (*HOSTS, *sorted(ASKING_HOSTS)):
        if (found := await stores.inbox.find(host, id_)) is not None:
            return found
    if id_.isdigit() and (found := await stores.inbox.get(int(id_))) is not None:
        return found
    begin = [d for d in await stores.inbox.newest(SEARCHED) if d.id.startswith(id_)] if id_ else []
    if len(begin) > 1:
        ids = ", ".join(one.id for one in begin[:3])
        raise NotFound(f"{id_!r} fits {len(begin)} deliveries: {ids}, …; give more of the id")
    if begin and (found := await stores.inbox.get(begin[0].seq)) is not None:
        return found
    raise NotFound(f"there is no delivery {id_!r}; `dokploy-bridge deliveries` lists them")


# ── what they look like ──────────────────────────────────────────────────────


def outcome_of(delivery: "Delivery", decisions: "Sequence[Decision]") -> str:
    """What became of a delivery, in a few words."""
    if delivery.error:
        return delivery.error
    going = [f"{one.app} ({one.reason})" for one in decisions if one.deploy]
    staying = [one for one in decisions if not one.deploy]
    words = [f"deploys {', '.join(going)}"] if going else []
    if len(staying) == 1:
        words.append(f"skips {staying[0].app} ({staying[0].reason})")
    elif staying:
        words.append(f"skips {len(staying)} apps")
    return "; ".join(words)


def _row(delivery: "Delivery", decisions: "Sequence[Decision]", now: float) -> list[str]:
    return [
        ago(delivery.received_at, now),
        delivery.id if len(delivery.id) <= 13 else f"{delivery.id[:12]}…",
        delivery.host,
        delivery.event,
        str(delivery.state),
        outcome_of(delivery, decisions),
    ]


def _line(delivery: "Delivery", decisions: "Sequence[Decision]") -> str:
    head = f"{delivery.id} {delivery.host} {delivery.event} {delivery.state}"
    outcome = outcome_of(delivery, decisions)
    return f"{head}: {outcome}" if outcome else head


def decision_line(decision: "Decision") -> str:
    """E.g. `skip shop/web: no_path_hit (2 files changed, none matches web/**)`."""
    verdict = "deploy" if decision.deploy else "skip"
    return f"{verdict} {decision.app}: {decision.reason} ({decision.evidence})"


def page_lines(
    delivery: "Delivery",
    decisions: "Sequence[Decision]",
    deployments: "Sequence[Deployment]",
) -> list[str]:
    """All there is to say about a delivery, line by line."""
    lines = [f"{name}: {value}" for name, value in _facts(delivery).items()]
    lines += [f"header {name}: {value}" for name, value in delivery.headers.items()]
    lines += [decision_line(one) for one in decisions]
    return lines + [f"deployment {d.id}: {d.state} ({d.note})" for d in deployments]


def _facts(delivery: "Delivery") -> Mapping[str, str]:
    facts = {
        "delivery": delivery.id,
        "number": str(delivery.seq),
        "host": delivery.host,
        "event": delivery.event,
        "received": time.strftime("%Y-%m-%d ", time.localtime(delivery.received_at))
        + clock(delivery.received_at),
        "state": str(delivery.state),
        "attempts": str(delivery.attempts) if delivery.attempts else "",
        "error": delivery.error or "",
    }
    return {name: value for name, value in facts.items() if value}


def _facts_page(delivery: "Delivery") -> Any:
    from rich.console import Group
    from rich.text import Text

    parts: list[Any] = []
    for name, value in _facts(delivery).items():
        style = STYLES.get(value, "red" if name == "error" else "")
        parts.append(Text.assemble((f"{name:<10}", "bold"), (clean(value), style)))
    for name, value in delivery.headers.items():
        parts.append(Text.assemble((f"{name}: ", "dim"), clean(value)))
    return Group(*parts)
