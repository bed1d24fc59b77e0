"""Follow what was requested to its end."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from bridge.cli.context import (
    ENDED_BADLY,
    HELD_BACK,
)
from bridge.cli.deployments import change_line, change_text, tail_lines, whole_log
from bridge.cli.show import clean, console, hint, on_terminal, say, say_error, say_json
from bridge.operations.arrivals import arrived_form
from bridge.views.decisions import decision_line
from bridge.views.deployment_lists import ended_form

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bridge.app.storage import Stores
    from bridge.core.holds import Hold
    from bridge.core.lifecycle import Change, Deployment
    from bridge.ports.inbox import Delivery
    from bridge.settings import Settings
    from bridge.views.deploying import Kept
    from bridge.views.view import View


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


# ── requests ──────────────────────────────────────────────────────────────────────────────────────


async def kept(
    settings: "Settings", stores: "Stores", view: "View", *, follow: bool, json: bool
) -> int:
    """Say that a request is kept, and follow it if wanted; return the exit code.

    Args:
        view: the answer to the request; its data is `Kept`.
    """
    from bridge.app.data_folder import is_running, whereabouts
    from bridge.cli.views import data_of, line

    request, says = view.data, [line(view.head), *map(line, view.notes)]
    runs = await asyncio.to_thread(is_running, settings)
    if runs and follow:
        return await _follow(stores, request, says[1:], Watchman(settings), json=json)
    if json:
        say_json(data_of(request))
    if not runs:
        where = f"no bridge is running on {whereabouts(settings)}"
        says[0] += f": {where}, so it is kept as {request.delivery} until"
        says[0] += " `dokploy-bridge serve` runs"
    else:
        says[0] += f" ({request.delivery})"
    if follow:
        say_error("; ".join(says))
        return 1
    if not json:
        for sentence in says:
            say(sentence)
    return 0


async def _concerned(stores: "Stores", wish: "Kept", delivery: "Delivery") -> "list[Deployment]":
    """Return the deployments of a request, oldest first: those that it creates, or ends."""
    if wish.action != "cancel":
        return (await stores.journal.deployments(limit=1000, seq=delivery.seq))[::-1]
    newest = await stores.journal.deployments(limit=1000, app_id=wish.app_id)
    return [one for one in newest[::-1] if _cancelled_by(delivery, one)]


def _cancelled_by(delivery: "Delivery", deployment: "Deployment") -> bool:
    """Return whether it was open when the request came."""
    ended = deployment.finished_at
    going = ended is None or ended >= delivery.received_at
    return deployment.seq < delivery.seq and going and deployment.superseded_by is None


async def _follow(
    stores: "Stores",
    wish: "Kept",
    notes: Sequence[str],
    watch: Watchman,
    *,
    json: bool,
) -> int:
    from bridge.core.events import COMMAND_HOST

    progress = Progress(quiet=json)
    for note in notes:
        progress.line(note)
    with progress.shown():
        delivery = await decided(stores, COMMAND_HOST, wish.delivery, watch)
        decisions = (await stores.journal.decisions([delivery.seq]))[delivery.seq]
        for decision in decisions:
            progress.line(decision_line(decision))
        concerned = await _concerned(stores, wish, delivery)
        if wish.action == "cancel" and not concerned:
            progress.line(f"nothing waits or runs for {wish.target}")
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


def exit_code_for(wish: "Kept", delivery: "Delivery", ended: "list[Deployment]") -> int:
    """Return the exit code of the outcome; print why a request was refused."""
    if delivery.state in ("failed", "ignored"):
        say_error(f"{wish.action} of {wish.target}: {delivery.error}")
        return 1
    well = "cancelled" if wish.action == "cancel" else "done"
    if all(one.state == well for one in ended):
        return 0
    held = all(one.state in (well, "held") for one in ended)
    return HELD_BACK if held else ENDED_BADLY


def opened_with(held: "Deployment") -> list[str]:
    """Return the commands that open what only a person opens; nothing if there is no such hold."""
    commands = (_opening(hold, held) for hold in held.holds)
    return [f"`dokploy-bridge {one}`" for one in commands if one]


def _opening(hold: "Hold", held: "Deployment") -> str:
    """Return the command that opens a hold; "" if it opens by itself."""
    from bridge.core.gates.locks import scope_of_hold
    from bridge.core.holds import Gate

    match hold.gate:
        case Gate.LOCK:
            return f"unlock {scope_of_hold(hold.key, held.app)}"
        case Gate.FREEZE:
            return f"override {held.app} -m WHY"
        case Gate.APPROVAL:
            return f"approve {held.app}"
    return ""
