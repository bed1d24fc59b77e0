"""`why`: the recorded decisions about an app."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.apps import waits_in_words
from bridge.cli.deliveries import decision_line
from bridge.cli.deployments import AppName, source_of
from bridge.cli.finding import known_app
from bridge.cli.forms import decision_form, deployment_form, waits_form
from bridge.cli.show import STYLES, clean, clock, console, hint, iso, on_terminal, say_json
from bridge.cli.using import Config, Json, Limit, kept_in, run, settings_of
from bridge.cli.verdicts import say_decisions
from bridge.core.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    if not found:
        what = f"commit {commit}" if commit else "anything"
        raise NotFound(
            f"no delivery has brought {what} for {app.label}; `dokploy-bridge deliveries`"
            f" lists what came, and {app.label} deploys from {source_of(app)}"
        )
    if json:
        now = None if known.gone else waits_form(app)
        say_json([_explained_form(one, ended.get(one.seq)) | {"now": now} for one in found])
        return
    if not known.gone:
        hint(clean(f"now {waits_in_words(app)}"))
    if on_terminal():
        for one in found:
            console().print(clean(_heading(one)), style="bold")
            say_decisions([decision_form(one.decision)])
            if (deployment := ended.get(one.seq)) is not None:
                style = STYLES.get(deployment.state, "")
                console().print(f"  {clean(_became(deployment))}", style=style or None)
    else:
        for one in found:
            line = f"{iso(one.at)} {_subject(one)} {decision_line(one.decision)}"
            deployment = ended.get(one.seq)
            typer.echo(clean(f"{line}; {_became(deployment)}" if deployment else line))


async def _deployments(
    stores: "Stores", app_id: str, found: "Sequence[Explained]"
) -> "dict[int, Deployment]":
    """The deployments that the decisions led to, by the delivery's seq."""
    from bridge.core.lifecycle import deployment_id

    ids = [deployment_id(one.seq, app_id) for one in found if one.decision.deploy]
    made = [await stores.journal.deployment(id_) for id_ in ids]
    return {one.seq: one for one in made if one is not None}


def _became(deployment: "Deployment") -> str:
    """E.g. `failed: fatal: Remote branch gone not found in upstream origin`."""
    return f"{deployment.state}: {deployment.note}" if deployment.note else str(deployment.state)


def _explained_form(one: "Explained", deployment: "Deployment | None") -> dict[str, Any]:
    return decision_form(one.decision) | {
        "delivery": one.delivery,
        "seq": one.seq,
        "at": iso(one.at),
        "ref": one.ref,
        "commit": one.commit,
        "deployment": deployment and deployment_form(deployment),
    }


def _subject(one: "Explained") -> str:
    if one.ref is None:
        return one.delivery or f"#{one.seq}"
    return f"{one.ref.removeprefix('refs/heads/')}@{(one.commit or '')[:7]}"


def _heading(one: "Explained") -> str:
    moment = time.strftime("%Y-%m-%d ", time.localtime(one.at)) + clock(one.at)
    return f"{moment}  {_subject(one)}"
