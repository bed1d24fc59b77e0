"""Following what was asked for, from the journal, until it has ended."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from bridge.cli.cleaning import clean
from bridge.cli.deployments import change_line, change_text, tail_lines, whole_log
from bridge.cli.show import console, hint, on_terminal

if TYPE_CHECKING:
    from bridge.app.storage import Stores
    from bridge.core.lifecycle import Change, Deployment
    from bridge.ports.inbox import Delivery
    from bridge.settings import Settings

LOOK = 0.2
"""Seconds between two looks into the journal: another process writes it."""

LOOK_FOR_PROCESS = 3.0
"""Seconds between two looks whether that process still runs."""


class Progress:
    """Shows changes as they come: over a moving line on a terminal, as plain lines elsewhere."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._status: Any = None
        self._began = time.monotonic()
        self._what = ""

    @contextmanager
    def shown(self) -> Iterator["Progress"]:
        """While inside, a terminal has a moving line at the bottom."""
        if self._quiet or not on_terminal():
            yield self
            return
        terminal = console()
        with terminal.status("waits for the bridge", spinner="dots") as self._status:
            yield self
        self._status = None

    def line(self, text: str) -> None:
        """A plain line above the moving one."""
        if self._quiet:
            return
        if self._status is None:
            typer.echo(clean(text))
        else:
            self._status.console.print(clean(text))

    def step(self, app: str, change: "Change") -> None:
        """One more change of a deployment."""
        if self._quiet:
            return
        if self._status is None:
            typer.echo(change_line(change))
            return
        self._status.console.print(change_text(change))
        self._what = f"{clean(app)} {change.state}"
        self.tick()

    def tail(self, deployment: "Deployment") -> None:
        """The end of the log of one that failed, and the command that shows all of it."""
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
        """Some time has passed."""
        if self._status is not None and self._what:
            seconds = time.monotonic() - self._began
            self._status.update(f"{self._what}  {seconds:.0f} s")


async def decided(stores: "Stores", host: str, id_: str, watch: "Watchman") -> "Delivery":
    """The delivery, once the bridge has decided it."""
    while True:
        found = await stores.inbox.find(host, id_)
        assert found is not None, "it was kept just now"
        if found.state != "kept":
            return found
        await watch.wait()


async def followed(
    stores: "Stores", deployment: "Deployment", progress: Progress, watch: "Watchman"
) -> "Deployment":
    """Show a deployment's changes until it has ended; a superseded one goes on as its successor."""
    async for current, changes in _news(stores, deployment.id, watch):
        for change in changes:
            progress.step(current.app, change)
        progress.tick()
        deployment = current
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
    """A deployment again and again, each time with what is new, until it has ended."""
    seen = 0
    while (current := await stores.journal.deployment(id_)) is not None:
        changes = await stores.journal.changes(id_, after=seen)
        seen += len(changes)
        yield current, changes
        # Its end is written together with the last change, so changes read after it are all.
        if current.final:
            return
        await watch.wait()


class Watchman:
    """Waits between looks, and tells once when nobody works any more."""

    def __init__(self, settings: "Settings") -> None:
        self._settings = settings
        self._looked = time.monotonic()
        self._told = False

    async def wait(self) -> None:
        """Until the next look."""
        from bridge.app.presence import is_running

        await asyncio.sleep(LOOK)
        if time.monotonic() - self._looked < LOOK_FOR_PROCESS:
            return
        self._looked = time.monotonic()
        if await asyncio.to_thread(is_running, self._settings):
            self._told = False
        elif not self._told:
            self._told = True
            hint("the bridge has stopped; this goes on when `dokploy-bridge serve` runs again")
