"""`deploy`, `redeploy`, `cancel`, `replay`: a person's wish, kept in the inbox like a webhook."""

import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.cleaning import clean
from bridge.cli.deliveries import find_delivery
from bridge.cli.deployments import AppName
from bridge.cli.exits import ENDED_BADLY
from bridge.cli.finding import live_app
from bridge.cli.following import Progress, Watchman, decided, followed
from bridge.cli.forms import arrived_form, ended_form
from bridge.cli.outcomes import Arrived, decision_line
from bridge.cli.reaching import person
from bridge.cli.show import say, say_error, say_json
from bridge.cli.troubles import warn_of_troubles
from bridge.cli.using import Config, Follow, Json, kept_in, run, settings_of
from bridge.core.errors import Rejected

if TYPE_CHECKING:
    from bridge.app.storage import Stores
    from bridge.core.events import Action
    from bridge.core.lifecycle import Deployment
    from bridge.ports.inbox import Delivery
    from bridge.settings import Settings

REBUILDS = "a redeploy builds the existing checkout again and fetches nothing"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for.

    Attributes:
        target: an app's id, or a delivery's number for a replay.
        shown: how people call the target.
    """

    action: "Action"
    target: str
    shown: str


def deploy(app: AppName, config: Config = None, follow: Follow = False, json: Json = False) -> None:
    """Deploy the head of an app's branch."""
    _ask("deploy", app, config, follow=follow, json=json)


def redeploy(
    app: AppName, config: Config = None, follow: Follow = False, json: Json = False
) -> None:
    """Build an app's existing checkout once more; nothing is fetched."""
    _ask("redeploy", app, config, follow=follow, json=json)


def cancel(app: AppName, config: Config = None, follow: Follow = False, json: Json = False) -> None:
    """Cancel what waits and runs for an app."""
    _ask("cancel", app, config, follow=follow, json=json)


def replay(
    delivery: Annotated[str, typer.Argument(metavar="ID", help="Its id, or the beginning of it.")],
    config: Config = None,
    follow: Follow = False,
    json: Json = False,
) -> None:
    """Decide a delivery again, as if it had just come; what deploys deploys again."""
    _ask("replay", delivery, config, follow=follow, json=json)


def _ask(action: str, name: str, config: Path | None, *, follow: bool, json: bool) -> None:
    code = run(_asked(settings_of(config), action, name, follow=follow, json=json))
    if code:
        raise typer.Exit(code)


async def _asked(settings: "Settings", action: str, name: str, *, follow: bool, json: bool) -> int:
    from bridge.app.presence import is_running
    from bridge.app.whereabouts import whereabouts

    async with kept_in(settings) as stores:
        await warn_of_troubles(settings, stores)
        wish = await _wish(stores, action, name)
        id_ = await _keep(stores, wish)
        running = is_running(settings)
        if not running:
            where = (
                f"no bridge is running on {whereabouts(settings)}: it is kept as {id_} and will be"
            )
            return _left(wish, id_, f"{where} done when `dokploy-bridge serve` runs", follow, json)
        if not follow:
            words = f"{wish.action} of {wish.shown} asked for ({id_})"
            if wish.action == "redeploy":
                words += f"; {REBUILDS}"
            return _left(wish, id_, words, False, json)
        return await _follow(stores, wish, id_, Watchman(settings), json=json)


def _left(wish: Wish, id_: str, words: str, wanted_more: bool, json: bool) -> int:
    """Say that it is kept; a failure only where somebody wanted to see its end."""
    if json:
        say_json({"delivery": id_, "action": str(wish.action), "target": wish.shown})
    if wanted_more:
        say_error(words)
    elif not json:
        say(clean(words))
    return 1 if wanted_more else 0


async def _wish(stores: "Stores", action: str, name: str) -> Wish:
    from bridge.core.commands import ASKING_HOSTS
    from bridge.core.events import Action

    if action == Action.REPLAY:
        delivery = await find_delivery(stores, name)
        if delivery.host in ASKING_HOSTS:
            raise Rejected(f"{delivery.id} is no webhook: give its command again instead")
        return Wish(Action.REPLAY, str(delivery.seq), delivery.id)
    app = await live_app(stores.journal, name)
    return Wish(Action(action), app.id, app.label)


async def _keep(stores: "Stores", wish: Wish) -> str:
    from bridge.core.commands import COMMAND_HOST, write_command
    from bridge.core.events import Asked
    from bridge.ports.inbox import NewDelivery

    id_ = f"cli-{secrets.token_hex(8)}"
    body = write_command(Asked(wish.action, wish.target, person()))
    await stores.inbox.keep(NewDelivery(COMMAND_HOST, id_, wish.action, {}, body, time.time()))
    return id_


async def _concerned(stores: "Stores", wish: Wish, delivery: "Delivery") -> "list[Deployment]":
    """The deployments that a wish is about, oldest first: those that it makes, or ends."""
    if wish.action != "cancel":
        return (await stores.journal.deployments(limit=1000, seq=delivery.seq))[::-1]
    newest = await stores.journal.deployments(limit=1000, app_id=wish.target)
    return [one for one in newest[::-1] if _cancelled_by(delivery, one)]


def _cancelled_by(delivery: "Delivery", deployment: "Deployment") -> bool:
    """Whether it came before the wish and was not over by then."""
    ended = deployment.finished_at
    going = ended is None or ended >= delivery.received_at
    return deployment.seq < delivery.seq and going and deployment.superseded_by is None


async def _follow(
    stores: "Stores",
    wish: Wish,
    id_: str,
    watch: Watchman,
    *,
    json: bool,
) -> int:
    from bridge.core.commands import COMMAND_HOST

    progress = Progress(quiet=json)
    if wish.action == "redeploy":
        progress.line(REBUILDS)
    with progress.shown():
        delivery = await decided(stores, COMMAND_HOST, id_, watch)
        decisions = (await stores.journal.decisions([delivery.seq]))[delivery.seq]
        for decision in decisions:
            progress.line(decision_line(decision))
        concerned = await _concerned(stores, wish, delivery)
        if wish.action == "cancel" and not concerned:
            progress.line(f"nothing waits or runs for {wish.shown}")
        ended = []
        for one in concerned:
            if len(concerned) > 1:
                progress.line(f"deployment {one.id} of {one.app}")
            ended.append(await followed(stores, one, progress, watch))
    if json:
        form: dict[str, Any] = arrived_form(Arrived(delivery, decisions))
        say_json(form | {"deployments": [ended_form(one) for one in ended]})
    return exit_code_for(wish, delivery, ended)


def exit_code_for(wish: Wish, delivery: "Delivery", ended: "list[Deployment]") -> int:
    """How it went, as an exit code; says why where the wish was not granted."""
    if delivery.state in ("failed", "ignored"):
        say_error(f"{wish.action} of {wish.shown}: {delivery.error}")
        return 1
    well = "cancelled" if wish.action == "cancel" else "done"
    return 0 if all(one.state == well for one in ended) else ENDED_BADLY
