"""`deliveries`: what came in, what it meant, and the decisions."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.chats import asking_hosts
from bridge.cli.backend import known_app, warn_of_troubles
from bridge.cli.context import Config, Json, Limit, Since, kept_in, run, settings_of
from bridge.cli.deployments import AppOption
from bridge.cli.forms import (
    about_words,
    arrived_form,
    outcomes_of,
    owed_words,
    say_decisions,
)
from bridge.cli.show import (
    STYLES,
    Listing,
    ago,
    clean,
    clean_lines,
    clock,
    console,
    hint,
    indented,
    iso,
    on_terminal,
    say_json,
)
from bridge.core.errors import NotFound, Rejected
from bridge.githosts import HOSTS
from bridge.operations.arguments import moment_of
from bridge.views.decisions import decision_form, decision_line
from bridge.views.deployment_lists import became, deployment_form
from bridge.views.view import Lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

    from bridge.app.storage import Stores
    from bridge.pipeline.deciding.arrivals import Arrived
    from bridge.ports.inbox import Delivery
    from bridge.settings import Settings


async def all_of(
    stores: "Stores", found: "Sequence[Delivery]", settings: "Settings"
) -> "list[Arrived]":
    """Collect each delivery's decisions, deployments and subject."""
    from bridge.app.keyrings import keyrings_of
    from bridge.pipeline.deciding.arrivals import collected
    from bridge.pipeline.deciding.interpret import Reading

    def reading() -> Reading:
        return Reading(stores.inbox, keyrings_of(settings))

    return await collected(stores.inbox, stores.journal, found, reading)


# ── `deliveries`: what came in, what it meant, and the decisions ──────────────────────────────────

NONE_YET = (
    "nothing has come in yet; a webhook must lead to"
    f" {' or '.join(f'/hooks/{host}' for host in HOSTS)} of a bridge that runs"
    " (`dokploy-bridge serve`)"
)

group = typer.Typer(help="What came in, newest first, with the decisions.")


@group.callback(invoke_without_command=True)
def deliveries(
    ctx: typer.Context,
    config: Config = None,
    json: Json = False,
    failed: Annotated[
        bool, typer.Option("--failed", help="Only those that failed, or had a failed deployment.")
    ] = False,
    refused: Annotated[
        bool,
        typer.Option("--refused", help="Refused webhooks: wrong secret, path or form."),
    ] = False,
    since: Since = None,
    repo: Annotated[
        str | None, typer.Option("--repo", metavar="NAME", help="Only of this repository.")
    ] = None,
    app: AppOption = None,
    limit: Limit = 20,
) -> None:
    """List what came in, newest first, with the outcome."""
    if ctx.invoked_subcommand is not None:
        return
    given = Given(limit, since, repo, app, failed, refused)
    if refused and (failed or repo is not None or app is not None):
        raise Rejected(
            "nothing about a refused webhook can be trusted: --refused takes only"
            " --since, --limit and --json"
        )
    run(_list(settings_of(config), given, json))


@group.command()
def show(
    delivery: Annotated[str, typer.Argument(metavar="ID", help="Its id, or the beginning of it.")],
    config: Config = None,
    json: Json = False,
    body: Annotated[bool, typer.Option("--body", help="Print only its body.")] = False,
) -> None:
    """Show one delivery: headers, decisions, deployments."""
    run(_show(settings_of(config), delivery, json=json, body=body))


@dataclass(frozen=True, slots=True)
class Given:
    """A person's request."""

    limit: int
    since: str | None
    repo: str | None
    app: str | None
    failed: bool
    refused: bool

    @property
    def narrows(self) -> bool:
        """True if a filter is set."""
        return bool(self.since or self.repo or self.app or self.failed)


async def _list(settings: "Settings", given: Given, json: bool) -> None:
    from bridge.cli.refused import list_refused
    from bridge.cli.views import show_aside
    from bridge.pipeline.deciding.arrivals import Wanted, look_up

    why_none, found, refused = NONE_YET, [], list[Lines]()
    since = None if given.since is None else moment_of(given.since, time.time())
    try:
        async with kept_in(settings) as stores:
            await warn_of_troubles(settings, stores)
            if given.refused:
                await list_refused(stores, given.limit, since, json=json)
                return
            known = await known_app(stores.journal, given.app) if given.app is not None else None
            app_id = None if known is None else known.app.id
            wanted = Wanted(given.limit, since, named_repo(given.repo), app_id, given.failed)
            those = await look_up(stores.inbox, stores.journal, wanted)
            found = await all_of(stores, those, settings)
            if not found:
                from bridge.app.pages import suspects_of

                why_none = await _none_fits(stores, given) if given.narrows else NONE_YET
                refused = await suspects_of(settings, stores.journal, time.time).of(None)
    except NotFound as error:
        if given.app is not None:
            raise
        why_none = str(error)
    listing: Listing[Arrived] = Listing(
        form=arrived_form,
        columns=("received", "id", "event", "*push", "*outcome"),
        row=lambda one: _row(one, time.time()),
        line=_line,
        side=3,
    )
    listing.say(found, why_none, json=json)
    for one in refused:
        show_aside(one)
    if len(found) == given.limit and not json:
        hint(f"the newest {given.limit}; more with --limit")


async def _none_fits(stores: "Stores", given: Given) -> str:
    """Return why nothing is listed, and a suggestion."""
    from bridge.pipeline.deciding.arrivals import keys_of

    if given.repo is not None:
        names = sorted(set((await stores.journal.repositories()).values()))
        if not keys_of(given.repo, dict(zip(names, names, strict=True))):
            near = get_close_matches(given.repo, names, n=3, cutoff=0.5) or names[:3]
            asked = f"; did you mean {' or '.join(near)}?" if near else ""
            return clean(f"nothing has come from a repository {given.repo!r}{asked}")
    return "no delivery matches"


def named_repo(name: str | None) -> str | None:
    """Return the repository that --repo names; raise Rejected if it names none."""
    if name is not None and not name.strip(" /"):
        raise Rejected("--repo is empty; give a repository's name, e.g. --repo my-org/mono")
    return name


async def _show(settings: "Settings", id_: str, *, json: bool, body: bool) -> None:
    async with kept_in(settings) as stores:
        found = await find_delivery(stores, id_, settings)
        (one,) = await all_of(stores, [found], settings)
    deployments = list(one.deployments.values())
    if body:
        text = found.body or b""
        typer.echo(clean_lines(text.decode(errors="replace")) if on_terminal() else text)
    elif json:
        form = arrived_form(one) | {"headers": dict(found.headers)}
        say_json(form | {"deployments": [deployment_form(one) for one in deployments]})
    elif on_terminal():
        console().print(_facts_page(one))
        if one.decisions:
            say_decisions([decision_form(decision) for decision in one.decisions])
        for deployment in deployments:
            words = f"{deployment.app} {became(deployment)}"
            console().print(indented(words, 0), style=STYLES.get(deployment.state, "") or None)
    else:
        for line in page_lines(one):
            typer.echo(clean(line))


async def find_delivery(stores: "Stores", id_: str, settings: "Settings") -> "Delivery":
    """Return one delivery by its id, the start of it, or its number; raise NotFound."""
    from bridge.pipeline.deciding import arrivals

    hosts = (*settings.host_servers(), *sorted(asking_hosts()))
    return await arrivals.find_delivery(stores.inbox, hosts, id_)


# ── Rendering ─────────────────────────────────────────────────────────────────────────────────────


def _row(one: "Arrived", now: float) -> "list[str | Text]":
    from rich.text import Text

    delivery = one.delivery
    outcome = Text("\n").join(
        Text(clean(line.words), STYLES.get(line.style, line.style))
        for line in outcomes_of(one, short=True)
    )
    return [
        ago(delivery.received_at, now),
        delivery.id if len(delivery.id) <= 13 else f"{delivery.id[:12]}…",
        f"{delivery.host} {delivery.event}",
        about_words(one.about, short=True),
        outcome if outcome.plain else Text(str(delivery.state), STYLES[delivery.state]),
    ]


def _line(one: "Arrived") -> str:
    """Format a delivery as a line for a pipe."""
    delivery = one.delivery
    head = f"{iso(delivery.received_at)} {delivery.id} {delivery.host} {delivery.event}"
    told = [" ".join(filter(None, [head, str(delivery.state), about_words(one.about)]))]
    return ": ".join([*told, *filter(None, ["; ".join(line.words for line in outcomes_of(one))])])


def page_lines(one: "Arrived") -> list[str]:
    """Format everything about a delivery, line by line."""
    lines = [f"{name}: {value}" for name, value in _facts(one).items()]
    lines += [f"header {name}: {value}" for name, value in one.delivery.headers.items()]
    return lines + [
        decision_line(decision, one.deployments.get(decision.app_id)) for decision in one.decisions
    ]


def _facts(one: "Arrived") -> Mapping[str, str]:
    delivery = one.delivery
    facts = {
        "delivery": delivery.id,
        "number": str(delivery.seq),
        "host": delivery.host,
        "event": delivery.event,
        "received": time.strftime("%Y-%m-%d ", time.localtime(delivery.received_at))
        + clock(delivery.received_at),
        "push": about_words(one.about),
        "state": str(delivery.state),
        "attempts": str(delivery.attempts) if delivery.attempts else "",
        "error": delivery.error or "",
        "owed": "; ".join(owed_words(one.owed)),
    }
    return {name: value for name, value in facts.items() if value}


def _facts_page(one: "Arrived") -> Any:
    from rich.console import Group
    from rich.text import Text

    parts: list[Any] = []
    for name, value in _facts(one).items():
        style = STYLES.get(value, "red" if name == "error" else "")
        parts.append(Text.assemble((f"{name:<10}", "bold"), (clean(value), style)))
    for name, value in one.delivery.headers.items():
        parts.append(Text.assemble((f"{name}: ", "dim"), clean(value)))
    return Group(*parts)
