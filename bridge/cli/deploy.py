"""`deploy`, `redeploy`, `cancel`, `replay`: requests, kept in the inbox like webhooks."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.backend import live_app, person, warn_of_troubles
from bridge.cli.context import (
    ENDED_BADLY,
    HELD_BACK,
    Config,
    Follow,
    Json,
    kept_in,
    run,
    settings_of,
)
from bridge.cli.deliveries import find_delivery
from bridge.cli.deployments import AppName, change_line, change_text, tail_lines, whole_log
from bridge.cli.forms import arrived_form, decision_line, ended_form
from bridge.cli.holds import opened_with
from bridge.cli.show import clean, console, hint, iso, on_terminal, say, say_error, say_json
from bridge.core.errors import Rejected

if TYPE_CHECKING:
    from bridge.app.storage import Stores
    from bridge.core.apps import App
    from bridge.core.events import Action
    from bridge.core.lifecycle import Change, Deployment
    from bridge.ports.inbox import Delivery
    from bridge.settings import Settings


LOOK = 0.2
"""Seconds between polls of the journal, which another process writes."""

LOOK_FOR_PROCESS = 3.0
"""Seconds between checks whether that process still runs."""


class Progress:
    """Shows changes as they come: above a moving line on a terminal, as plain lines elsewhere."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._status: Any = None
        self._began = time.monotonic()
        self._what = ""

    @contextmanager
    def shown(self) -> Iterator["Progress"]:
        """Show a moving line at the bottom of a terminal."""
        if self._quiet or not on_terminal():
            yield self
            return
        terminal = console()
        with terminal.status("waits for the bridge", spinner="dots") as self._status:
            yield self
        self._status = None

    def line(self, text: str) -> None:
        """Print a plain line above the moving one."""
        if self._quiet:
            return
        if self._status is None:
            typer.echo(clean(text))
        else:
            self._status.console.print(clean(text))

    def step(self, app: str, change: "Change") -> None:
        """Print one change of a deployment."""
        if self._quiet:
            return
        if self._status is None:
            typer.echo(change_line(change))
            return
        self._status.console.print(change_text(change))
        self._what = f"{clean(app)} {change.state}"
        self.tick()

    def tail(self, deployment: "Deployment") -> None:
        """Print the end of a failed deployment's log, and the command that shows the whole log."""
        if self._quiet or not (lines := tail_lines(deployment)):
            return
        for line in lines:
            if self._status is not None:
                self._status.console.print(line, style="dim")
            else:
                typer.echo(line)
        where = clean(whole_log(deployment))
        if self._status is not None:
            self._status.console.print(where)
        else:
            hint(where)

    def tick(self) -> None:
        """Advance the moving line."""
        if self._status is not None and self._what:
            seconds = time.monotonic() - self._began
            self._status.update(f"{self._what}  {seconds:.0f} s")


async def decided(stores: "Stores", host: str, id_: str, watch: "Watchman") -> "Delivery":
    """Wait until the bridge has decided a delivery, and return it."""
    while True:
        found = await stores.inbox.find(host, id_)
        assert found is not None, "it was kept just now"
        if found.state != "kept":
            return found
        await watch.wait()


async def followed(
    stores: "Stores", deployment: "Deployment", progress: Progress, watch: "Watchman"
) -> "Deployment":
    """Show a deployment's changes until it ends; if superseded, continue with its successor.

    Return earlier if only a person can let it pass.
    """
    async for current, changes in _news(stores, deployment.id, watch):
        for change in changes:
            progress.step(current.app, change)
        progress.tick()
        deployment = current
        if remedies := opened_with(current):
            progress.line(f"not followed any further: it waits for {' and '.join(remedies)}")
            return current
    if deployment.superseded_by is None:
        progress.tail(deployment)
        return deployment
    successor = await stores.journal.deployment(deployment.superseded_by)
    if successor is None:
        return deployment
    return await followed(stores, successor, progress, watch)


async def _news(
    stores: "Stores", id_: str, watch: "Watchman"
) -> "AsyncIterator[tuple[Deployment, list[Change]]]":
    """Yield a deployment with its new changes, again and again, until it has ended."""
    seen = 0
    while (current := await stores.journal.deployment(id_)) is not None:
        changes = await stores.journal.changes(id_, after=seen)
        seen += len(changes)
        yield current, changes
        # The end is written together with the last change, so changes read after it are complete.
        if current.final:
            return
        await watch.wait()


class Watchman:
    """Waits between polls, and reports once if no bridge runs any longer."""

    def __init__(self, settings: "Settings") -> None:
        self._settings = settings
        self._looked = time.monotonic()
        self._told = False

    async def wait(self) -> None:
        """Wait for the next poll."""
        from bridge.app.data_folder import is_running

        await asyncio.sleep(LOOK)
        if time.monotonic() - self._looked < LOOK_FOR_PROCESS:
            return
        self._looked = time.monotonic()
        if await asyncio.to_thread(is_running, self._settings):
            self._told = False
        elif not self._told:
            self._told = True
            hint("the bridge has stopped; this goes on when `dokploy-bridge serve` runs again")


# ── `deploy`, `redeploy`, `cancel`, `replay`: requests, kept in the inbox like webhooks ───────────

REBUILDS = "a redeploy builds the existing checkout again and fetches nothing"


@dataclass(frozen=True, slots=True)
class Wish:
    """A person's request.

    Attributes:
        target: an app's id, or a delivery's number for a replay.
        shown: the target's name for people.
        not_before: the time for which it is asked; None for at once.
        later: how to say that time.
        deployment, way, commit, image: see `Asked`.
    """

    action: "Action"
    target: str
    shown: str
    not_before: float | None = None
    later: str = ""
    deployment: str = ""
    way: str = ""
    commit: str = ""
    image: str = ""


def deploy(
    app: AppName,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Not before, e.g. '22:00 Europe/Berlin'.")
    ] = None,
    config: Config = None,
    follow: Follow = False,
    json: Json = False,
) -> None:
    """Deploy the head of an app's branch."""
    _ask("deploy", app, config, follow=follow, json=json, at=at)


def redeploy(
    app: AppName, config: Config = None, follow: Follow = False, json: Json = False
) -> None:
    """Build an app's existing checkout once more; nothing is fetched."""
    _ask("redeploy", app, config, follow=follow, json=json)


def cancel(app: AppName, config: Config = None, follow: Follow = False, json: Json = False) -> None:
    """Cancel an app's waiting and running deployments."""
    _ask("cancel", app, config, follow=follow, json=json)


def replay(
    delivery: Annotated[str, typer.Argument(metavar="ID", help="Its id, or the start of it.")],
    config: Config = None,
    follow: Follow = False,
    json: Json = False,
) -> None:
    """Decide a delivery again, as if it had just arrived; apps that it deploys deploy again.

    This excludes apps created after the push: use `deploy` for these. Like any push, it deploys the
    head of the branch; `rollback APP --to COMMIT` brings an earlier commit back.
    """
    _ask("replay", delivery, config, follow=follow, json=json)


def _ask(
    action: str,
    name: str,
    config: Path | None,
    *,
    follow: bool,
    json: bool,
    at: str | None = None,
) -> None:
    how = {"follow": follow, "json": json}
    code = run(_asked(settings_of(config), action, name, at, **how))
    if code:
        raise typer.Exit(code)


async def _asked(
    settings: "Settings", action: str, name: str, at: str | None, *, follow: bool, json: bool
) -> int:
    not_before, later = (None, "") if at is None else _time_named(at)
    async with kept_in(settings) as stores:
        await warn_of_troubles(settings, stores)
        wish = await _wish(settings, stores, action, name)
        wish = replace(wish, not_before=not_before, later=later)
        return await request(settings, stores, wish, follow=follow, json=json)


async def request(
    settings: "Settings", stores: "Stores", wish: Wish, *, follow: bool, json: bool
) -> int:
    """Keep a request in the inbox, and follow it if wanted; return the exit code."""
    from bridge.app.data_folder import is_running, whereabouts

    id_ = await _keep(stores, wish)
    if not is_running(settings):
        where = f"no bridge is running on {whereabouts(settings)}: it is kept as {id_} and will be"
        when = f"done when `dokploy-bridge serve` runs{wish.later and f', but{wish.later}'}"
        return _left(wish, id_, f"{where} {when}", follow, json)
    if not follow:
        words = f"{wish.action} of {wish.shown} asked for{wish.later} ({id_})"
        if wish.action == "redeploy":
            words += f"; {REBUILDS}"
        return _left(wish, id_, words, False, json)
    return await _follow(stores, wish, id_, Watchman(settings), json=json)


def _left(wish: Wish, id_: str, words: str, wanted_more: bool, json: bool) -> int:
    """Print that the request is kept; fail only if the person wanted to see its end."""
    if json:
        form = {"delivery": id_, "action": str(wish.action), "target": wish.shown}
        at = wish.not_before
        say_json(form if at is None else form | {"not_before": iso(at)})
    if wanted_more:
        say_error(words)
    elif not json:
        say(clean(words))
    return 1 if wanted_more else 0


async def _wish(settings: "Settings", stores: "Stores", action: str, name: str) -> Wish:
    from bridge.chats import asking_hosts
    from bridge.core.events import Action

    if action == Action.REPLAY:
        delivery = await find_delivery(stores, name, settings)
        if delivery.host in asking_hosts():
            raise Rejected(f"{delivery.id} is no webhook: give its command again instead")
        return Wish(Action.REPLAY, str(delivery.seq), delivery.id)
    app = await live_app(stores.journal, name)
    if action == Action.CANCEL:
        await _check_cancel(stores, app)
    return Wish(Action(action), app.id, app.label)


async def _check_cancel(stores: "Stores", app: "App") -> None:
    """Raise Rejected if all that a cancel could stop is live already."""
    from bridge.core.lifecycle import too_late
    from bridge.pipeline.feedback.lookup import live_already

    if (live := await live_already(stores.journal, stores.inbox, app.id)) is not None:
        raise Rejected(
            f"{app.label} can't be cancelled: {too_late(live)}; `dokploy-bridge rollback"
            f" {app.label}` leads back"
        )


def _time_named(text: str) -> tuple[float, str]:
    """Return the next such time, by UTC if no zone is named, and how to say it."""
    from bridge.core.gates.times import in_zones, read_moment, read_zone, zone_in

    utc = read_zone("UTC")
    at = read_moment(text, time.time(), utc)
    return at, f" not before {in_zones(at, zone_in(text, utc))}"


async def _keep(stores: "Stores", wish: Wish) -> str:
    from bridge.core.events import COMMAND_HOST, Asked, write_command
    from bridge.ports.inbox import NewDelivery

    id_ = f"cli-{secrets.token_hex(8)}"
    not_before = "" if wish.not_before is None else f"{wish.not_before:.0f}"
    version = {name: getattr(wish, name) for name in ("deployment", "way", "commit", "image")}
    asked = Asked(wish.action, wish.target, person(), not_before=not_before, **version)
    body = write_command(asked)
    await stores.inbox.keep(NewDelivery(COMMAND_HOST, id_, wish.action, {}, body, time.time()))
    return id_


async def _concerned(stores: "Stores", wish: Wish, delivery: "Delivery") -> "list[Deployment]":
    """Return the deployments of a request, oldest first: those that it creates, or ends."""
    if wish.action != "cancel":
        return (await stores.journal.deployments(limit=1000, seq=delivery.seq))[::-1]
    newest = await stores.journal.deployments(limit=1000, app_id=wish.target)
    return [one for one in newest[::-1] if _cancelled_by(delivery, one)]


def _cancelled_by(delivery: "Delivery", deployment: "Deployment") -> bool:
    """Return whether it was open when the request came."""
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
    from bridge.core.events import COMMAND_HOST

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
        from bridge.pipeline.deciding.arrivals import Arrived

        form: dict[str, Any] = arrived_form(Arrived(delivery, decisions))
        say_json(form | {"deployments": [ended_form(one) for one in ended]})
    return exit_code_for(wish, delivery, ended)


def exit_code_for(wish: Wish, delivery: "Delivery", ended: "list[Deployment]") -> int:
    """Return the exit code of the outcome; print why a request was refused."""
    if delivery.state in ("failed", "ignored"):
        say_error(f"{wish.action} of {wish.shown}: {delivery.error}")
        return 1
    well = "cancelled" if wish.action == "cancel" else "done"
    if all(one.state == well for one in ended):
        return 0
    held = all(one.state in (well, "held") for one in ended)
    return HELD_BACK if held else ENDED_BADLY
