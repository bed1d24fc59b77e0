"""`deliveries`: what came in, what it meant and what was decided."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.arrived import Wanted, all_of, keys_of, look_up
from bridge.cli.cleaning import clean, clean_lines
from bridge.cli.deployments import AppOption
from bridge.cli.finding import known_app
from bridge.cli.forms import arrived_form, decision_form, deployment_form
from bridge.cli.moments import Since, moment_of
from bridge.cli.outcomes import Arrived, about_words, became, decision_line, outcomes_of
from bridge.cli.refused import list_refused, suspects
from bridge.cli.show import (
    STYLES,
    Listing,
    ago,
    clock,
    console,
    hint,
    indented,
    iso,
    on_terminal,
    say_json,
)
from bridge.cli.troubles import warn_of_troubles
from bridge.cli.using import Config, Json, Limit, kept_in, run, settings_of
from bridge.cli.verdicts import say_decisions
from bridge.core.errors import NotFound, Rejected

if TYPE_CHECKING:
    from rich.text import Text

    from bridge.app.storage import Stores
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
    ctx: typer.Context,
    config: Config = None,
    json: Json = False,
    failed: Annotated[
        bool, typer.Option("--failed", help="Only where it, or a deployment of it, has failed.")
    ] = False,
    refused: Annotated[
        bool,
        typer.Option("--refused", help="Webhooks that were refused: wrong secret, path, form."),
    ] = False,
    since: Since = None,
    repo: Annotated[
        str | None, typer.Option("--repo", metavar="NAME", help="Only of this repository.")
    ] = None,
    app: AppOption = None,
    limit: Limit = 20,
) -> None:
    """List what came in, newest first, and what became of it."""
    if ctx.invoked_subcommand is not None:
        return
    given = Given(limit, since, repo, app, failed, refused)
    if refused and (failed or repo is not None or app is not None):
        raise Rejected(
            "of a refused webhook nothing is known that can be trusted: with --refused go only"
            " --since, --limit and --json"
        )
    run(_list(settings_of(config), given, json))


@group.command()
def show(
    delivery: Annotated[str, typer.Argument(metavar="ID", help="Its id, or the beginning of it.")],
    config: Config = None,
    json: Json = False,
    body: Annotated[bool, typer.Option("--body", help="Print its body, and nothing else.")] = False,
) -> None:
    """Show one delivery: headers, decisions, deployments."""
    run(_show(settings_of(config), delivery, json=json, body=body))


@dataclass(frozen=True, slots=True)
class Given:
    """What a person asked for."""

    limit: int
    since: str | None
    repo: str | None
    app: str | None
    failed: bool
    refused: bool

    @property
    def narrows(self) -> bool:
        """Whether only some deliveries are looked for."""
        return bool(self.since or self.repo or self.app or self.failed)


async def _list(settings: "Settings", given: Given, json: bool) -> None:
    why_none, found, refused = NONE_YET, [], None
    since = moment_of(given.since, time.time())
    try:
        async with kept_in(settings) as stores:
            await warn_of_troubles(settings, stores)
            if given.refused:
                await list_refused(stores, given.limit, since, json=json)
                return
            known = await known_app(stores.journal, given.app) if given.app is not None else None
            app_id = None if known is None else known.app.id
            wanted = Wanted(given.limit, since, named_repo(given.repo), app_id, given.failed)
            found = await all_of(stores, await look_up(stores, wanted), settings)
            if not found:
                why_none = await _none_fits(stores, given) if given.narrows else NONE_YET
                refused = await suspects(stores, None, time.time())
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
    if refused:
        refused.tell()
    if len(found) == given.limit and not json:
        hint(f"the newest {given.limit}; more with --limit")


async def _none_fits(stores: "Stores", given: Given) -> str:
    """Why nothing is listed, and what else there is."""
    if given.repo is not None:
        names = sorted(set((await stores.journal.repositories()).values()))
        if not keys_of(given.repo, dict(zip(names, names, strict=True))):
            near = get_close_matches(given.repo, names, n=3, cutoff=0.5) or names[:3]
            asked = f"; did you mean {' or '.join(near)}?" if near else ""
            return clean(f"nothing has come from a repository {given.repo!r}{asked}")
    return "no delivery fits"


def named_repo(name: str | None) -> str | None:
    """The repository that --repo names; raises Rejected where it names none."""
    if name is not None and not name.strip(" /"):
        raise Rejected("--repo is empty; give a repository's name, e.g. --repo my-org/mono")
    return name


async def _show(settings: "Settings", id_: str, *, json: bool, body: bool) -> None:
    async with kept_in(settings) as stores:
        found = await find_delivery(stores, id_)
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


async def find_delivery(stores: "Stores", id_: str) -> "Delivery":
    """One delivery by its id, the beginning of it, or its number; raises NotFound."""
    from bridge.core.commands import ASKING_HOSTS
    from bridge.core.refused import TITLES

    id_ = id_.removesuffix("…")  # as the list shows it
    for host in (*TITLES, *sorted(ASKING_HOSTS)):
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


def _row(one: Arrived, now: float) -> "list[str | Text]":
    from rich.text import Text

    delivery = one.delivery
    outcome = Text("\n").join(
        Text(clean(words), _style_of(one, words)) for words in outcomes_of(one, short=True) or [""]
    )
    return [
        ago(delivery.received_at, now),
        delivery.id if len(delivery.id) <= 13 else f"{delivery.id[:12]}…",
        f"{delivery.host} {delivery.event}",
        about_words(one.about, short=True),
        outcome if outcome.plain else Text(str(delivery.state), STYLES[delivery.state]),
    ]


def _style_of(one: Arrived, words: str) -> str:
    if words == one.delivery.error:
        return "red" if one.delivery.state == "failed" else "dim"
    ended = next(
        (d for d in one.deployments.values() if words.endswith(became(d, short=True))), None
    )
    return (
        STYLES["skip"]
        if ended is None and words.startswith("skips")
        else (STYLES.get(ended.state, "") if ended else "")
    )


def _line(one: Arrived) -> str:
    """A delivery in a pipe: time, id, host, event, state; then what it was about, and became."""
    delivery = one.delivery
    head = f"{iso(delivery.received_at)} {delivery.id} {delivery.host} {delivery.event}"
    told = [" ".join(filter(None, [head, str(delivery.state), about_words(one.about)]))]
    return ": ".join([*told, *filter(None, ["; ".join(outcomes_of(one))])])


def page_lines(one: Arrived) -> list[str]:
    """All there is to say about a delivery, line by line."""
    lines = [f"{name}: {value}" for name, value in _facts(one).items()]
    lines += [f"header {name}: {value}" for name, value in one.delivery.headers.items()]
    return lines + [
        decision_line(decision, one.deployments.get(decision.app_id)) for decision in one.decisions
    ]


def _facts(one: Arrived) -> Mapping[str, str]:
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
    }
    return {name: value for name, value in facts.items() if value}


def _facts_page(one: Arrived) -> Any:
    from rich.console import Group
    from rich.text import Text

    parts: list[Any] = []
    for name, value in _facts(one).items():
        style = STYLES.get(value, "red" if name == "error" else "")
        parts.append(Text.assemble((f"{name:<10}", "bold"), (clean(value), style)))
    for name, value in one.delivery.headers.items():
        parts.append(Text.assemble((f"{name}: ", "dim"), clean(value)))
    return Group(*parts)
