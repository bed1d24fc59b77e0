"""What the parts are made of, and the places where what happens is shown."""

import asyncio
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pydantic import SecretStr

from bridge.app.data_folder import database_url
from bridge.app.storage import Stores
from bridge.core.errors import BridgeError
from bridge.pipeline.catalog import Catalog
from bridge.pipeline.configure import Configurer
from bridge.pipeline.leader import Turn
from bridge.pipeline.rate_limit import Turns
from bridge.ports.backends import Backend
from bridge.ports.clock import Clock, SteadyClock
from bridge.ports.feedback import LatePlanner, Planner, Shows
from bridge.ports.githosts import GitHost
from bridge.settings import Settings
from bridge.storage.seal import FernetSeal, NoSeal, key_in


@dataclass(frozen=True, slots=True)
class Places:
    """Where what happens is shown.

    Attributes:
        planners: which targets a delivery's outcome gets.
        late: which targets a pull request gets that is opened after its pushes.
        shows: what brings a target up to date, by its kind.
    """

    planners: tuple[Planner, ...] = ()
    late: tuple[LatePlanner, ...] = ()
    shows: Mapping[str, Shows] = field(default_factory=dict)


NO_PLACES = Places()


@dataclass(frozen=True, slots=True)
class Parts:
    """What most of the parts are made of.

    Attributes:
        owner: this process among others.
        clock: never jumps; what is signed by others has their time, and is checked by the
            machine's own.
        turn: when of several processes this one does what is done now and then.
    """

    settings: Settings
    stores: Stores
    hosts: Mapping[str, GitHost]
    backends: Mapping[str, Backend]
    catalog: Catalog
    turns: Turns
    configurers: Mapping[str, Configurer]
    owner: str
    clock: Clock
    turn: Turn


def steady_clock() -> Clock:
    """A clock that never jumps, though the machine's is set; it goes on while that sleeps."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)  # Linux
    ticks = time.monotonic if boot is None else partial(time.clock_gettime, boot)
    return SteadyClock(time.time, ticks)


def all_of(settings: Settings, *those: Places) -> Places:
    """All places in one; none where feedback is off, so that nothing waits to be shown."""
    if not settings.feedback.enabled:
        return NO_PLACES
    return Places(
        tuple(planner for places in those for planner in places.planners),
        tuple(planner for places in those for planner in places.late),
        {kind: shows for places in those for kind, shows in places.shows.items()},
    )


# ── Secrets as the parts need them ──────────────────────────────────────────────────────────────


def seal_of(settings: Settings) -> FernetSeal | NoSeal:
    """What seals the secrets that must be kept for a while.

    Processes that share a Postgres have no folder in common, where a key could be.
    """
    keys = revealed(settings.secret_key)
    if not keys and database_url(settings) is not None:
        return NoSeal()
    return FernetSeal(lambda: keys or [key_in(settings.data / "secret.key")])


def revealed(secrets: Sequence[SecretStr]) -> list[str]:
    return [secret.get_secret_value() for secret in secrets]


# ── What runs as long as the process lives, and how it is looked after ──────────────────────────

log = logging.getLogger(__name__)


async def in_background(stack: AsyncExitStack, name: str, work: Coroutine[Any, Any, None]) -> None:
    await stack.enter_async_context(_task(name, work))


@asynccontextmanager
async def _task(name: str, work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_end_with_it)
    try:
        yield
    finally:
        task.remove_done_callback(_end_with_it)
        told = task.done()  # one that has died already is told of
        task.cancel()
        (end,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(end, Exception) and not told:
            log.error("%s could not be stopped as it should", name, exc_info=end)


def _end_with_it(task: "asyncio.Task[None]") -> None:
    """A part that must always run has died: better to end and be restarted than to lie.

    By a signal of its own, so that `serve` ends as gracefully as after SIGTERM, but with an
    exit code that a supervisor restarts after.
    """
    # Nobody but `_task` cancels it, so a cancel here is somebody else's that got out.
    error = asyncio.CancelledError() if task.cancelled() else task.exception()
    if error is not None:
        log.critical("%s has died", task.get_name(), exc_info=error)
        os.kill(os.getpid(), signal.SIGUSR1)


def check(ready: Any) -> Any:
    async def check() -> str | None:
        try:
            await ready()
        except BridgeError as error:
            return str(error)
        return None

    return check
