"""`why`: the recorded decisions about an app."""

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.apps import waits_in_words
from bridge.cli.cleaning import clean, short_branch
from bridge.cli.deployments import AppName, source_of, tail_lines, whole_log
from bridge.cli.finding import known_app
from bridge.cli.forms import decision_form, ended_form, waits_form
from bridge.cli.outcomes import became, decision_line
from bridge.cli.refused import suspects
from bridge.cli.show import STYLES, clock, console, hint, indented, iso, on_terminal, say_json
from bridge.cli.using import Config, Json, Limit, kept_in, run, settings_of
from bridge.cli.verdicts import say_decisions
from bridge.core.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.app.storage import Stores
    from bridge.core.lifecycle import Deployment
    from bridge.ports.outcomes import Explained
    from bridge.settings import Settings


def why(
    app: AppName,
    commit: Annotated[
        str | None, typer.Argument(metavar="COMMIT", help="Only for this commit.")
    ] = None,
    config: Config = None,
    json: Json = False,
    limit: Limit = 10,
) -> None:
    """Say why an app was deployed, or why it was not."""
    run(_why(settings_of(config), app, commit, limit, json))


async def _why(settings: "Settings", name: str, commit: str | None, limit: int, json: bool) -> None:
    from bridge.core.rules import ruled
    from bridge.settings import book_of

    async with kept_in(settings) as stores:
        known = await known_app(stores.journal, name)
        app = ruled(known.app, book_of(settings))
        found = await stores.journal.explained(app.id, commit=commit, limit=limit)
        ended = await _deployments(stores, app.id, found)
        since = found[0].at if found else 0.0
        refused = await suspects(stores, app.source, time.time(), since)
    if not found:
        what = f"commit {commit}" if commit else "anything"
        words = [
            f"no delivery has brought {what} for {app.label}",
            (
                f"`dokploy-bridge deliveries` lists what came, and {app.label} deploys from"
                f" {source_of(app)}"
            ),
        ]
        if refused:
            refused.tell()
        raise NotFound("; ".join(words))
    if json:
        now = None if known.gone else waits_form(app)
        say_json([_explained_form(one, ended.get(one.seq)) | {"now": now} for one in found])
        return
    if not known.gone:
        hint(clean(f"now {waits_in_words(app, short=sys.stderr.isatty())}"))
    if on_terminal():
        _say(found, ended)
    else:
        for one in found:
            line = decision_line(one.decision, ended.get(one.seq))
            typer.echo(clean(f"{iso(one.at)} {_subject(one)} {line}"))
    if refused and commit is None:
        refused.tell()


def _say(found: "Sequence[Explained]", ended: "Mapping[int, Deployment]") -> None:
    """Show decisions on a terminal, and of the newest deployment why it failed."""
    newest = next((ended[one.seq] for one in found if one.seq in ended), None)
    for one in found:
        console().print(clean(_heading(one)), style="bold")
        say_decisions([decision_form(one.decision)])
        if (deployment := ended.get(one.seq)) is None:
            continue
        style = STYLES.get(deployment.state, "")
        console().print(indented(clean(became(deployment, short=True)), 2), style=style or None)
        if deployment is newest and (tail := tail_lines(deployment)):
            for line in [*tail, clean(whole_log(deployment))]:
                begin = len(line) - len(line.lstrip())
                console().print(indented(line, 2 + begin), style="dim")


async def _deployments(
    stores: "Stores", app_id: str, found: "Sequence[Explained]"
) -> "dict[int, Deployment]":
    """The deployments that the decisions led to, by the delivery's seq."""
    from bridge.core.lifecycle import deployment_id

    ids = [deployment_id(one.seq, app_id) for one in found if one.decision.deploy]
    made = [await stores.journal.deployment(id_) for id_ in ids]
    return {one.seq: one for one in made if one is not None}


def _explained_form(one: "Explained", deployment: "Deployment | None") -> dict[str, Any]:
    return decision_form(one.decision) | {
        "delivery": one.delivery,
        "seq": one.seq,
        "at": iso(one.at),
        "ref": one.ref,
        "commit": one.commit,
        "deployment": deployment and ended_form(deployment),
    }


def _subject(one: "Explained", *, short: bool = False) -> str:
    if one.ref is None:
        return one.delivery or f"#{one.seq}"
    ref = one.ref.removeprefix("refs/heads/")
    return f"{short_branch(ref) if short else ref}@{(one.commit or '')[:7]}"


def _heading(one: "Explained") -> str:
    moment = time.strftime("%Y-%m-%d ", time.localtime(one.at)) + clock(one.at)
    return f"{moment}  {_subject(one, short=True)}"
