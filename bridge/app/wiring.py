"""Shared parts of the composition root, and background tasks."""

import asyncio
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING, Any

from bridge.app.storage import Stores
from bridge.core.errors import BridgeError
from bridge.pipeline.background import Turn
from bridge.pipeline.deciding.catalog import Catalog
from bridge.pipeline.deciding.interpret import Reading
from bridge.pipeline.deploying.configure import Configurer
from bridge.pipeline.feedback.lookup import Authors
from bridge.pipeline.feedback.rate_limit import RateLimiter
from bridge.pipeline.gates.gates import Heads
from bridge.ports.backends import Backend
from bridge.ports.clock import Clock, SteadyClock, Wake
from bridge.ports.feedback import LatePlanner, Planner, Publisher, ShowsPreviews
from bridge.ports.githosts import GitHost, HostApi
from bridge.settings import Settings

if TYPE_CHECKING:
    from aiohttp.web import RouteDef


@dataclass(frozen=True, slots=True)
class Publishers:
    """The planners and publishers of one or more services.

    Attributes:
        planners: return the subscriptions for a delivery's outcome.
        late: return those for a pull request opened after its pushes.
        previews: return those for a preview.
        publishers: by kind of subscription.
    """

    planners: tuple[Planner, ...] = ()
    late: tuple[LatePlanner, ...] = ()
    previews: tuple[ShowsPreviews, ...] = ()
    publishers: Mapping[str, Publisher] = field(default_factory=dict)


NO_PUBLISHERS = Publishers()


@dataclass(slots=True)
class Bell:
    """Wakes a loop, if it runs in this process; others look at the journal by themselves.

    Attributes:
        rings: set once the loop is made, which is after those that ring the bell.
    """

    rings: Wake = lambda: None

    def __call__(self) -> None:
        self.rings()


@dataclass(frozen=True, slots=True)
class Parts:
    """The shared dependencies of most parts.

    Attributes:
        owner: the name of this process, unique among its peers.
        clock: never jumps; signatures are checked against the machine's own clock.
        turn: returns once it is this process's turn to do periodic work.
        apis: of the Git hosts that have a credential; heads: the commits of their branches.
        reading: reads kept deliveries.
        bell: to be rung when a fact has changed that may hold deployments.
        sites: the address of the embedded backend's sites, if that one deploys.
    """

    settings: Settings
    stores: Stores
    hosts: Mapping[str, GitHost]
    backends: Mapping[str, Backend]
    catalog: Catalog
    rate_limiter: RateLimiter
    configurers: Mapping[str, Configurer]
    owner: str
    clock: Clock
    turn: Turn
    apis: Mapping[str, HostApi]
    heads: Heads
    reading: Reading
    bell: Bell = field(default_factory=Bell)
    sites: str | None = None

    @property
    def authors(self) -> Authors:
        """Return what finds the authors of deployments."""
        return Authors(self.stores.inbox, self.reading)


def stay_as_it_is() -> None:
    """Keep the settings of the start, whatever is stored later."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """The inputs of a process besides its settings.

    Attributes:
        sockets: inherited ones that listen already.
        stored: the version of the stored settings that are part of the settings.
        file, environment: the other sources of settings.
        anew: called once others have been stored; it starts the bridge anew.
        setup: returns the routes of the page that stores them.
    """

    sockets: Sequence[socket] = ()
    stored: str = ""
    file: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    anew: Callable[[], None] = stay_as_it_is
    setup: "Callable[[Parts, Beginning], list[RouteDef]]" = lambda _parts, _beginning: []


PLAIN_START = Beginning()


def steady_clock() -> Clock:
    """Return a clock that ignores changes of the machine's clock and counts time spent asleep."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)  # Linux
    ticks = time.monotonic if boot is None else partial(time.clock_gettime, boot)
    return SteadyClock(time.time, ticks)


def all_of(settings: Settings, *those: Publishers) -> Publishers:
    """Merge publishers; return none if feedback is off, so nothing queues up to be published."""
    if not settings.feedback.enabled:
        return NO_PUBLISHERS
    return Publishers(
        tuple(planner for one in those for planner in one.planners),
        tuple(planner for one in those for planner in one.late),
        tuple(planner for one in those for planner in one.previews),
        {kind: publisher for one in those for kind, publisher in one.publishers.items()},
    )


# ── background tasks ─────────────────────────────────────────────────────────────────────────────

log = logging.getLogger(__name__)


async def in_background(stack: AsyncExitStack, name: str, work: Coroutine[Any, Any, None]) -> None:
    """Run a part until the stack unwinds; if it dies earlier, end the process."""
    await stack.enter_async_context(_task(name, work))


@asynccontextmanager
async def _task(name: str, work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_end_with_it)
    try:
        yield
    finally:
        task.remove_done_callback(_end_with_it)
        told = task.done()  # a part that died earlier is already reported
        task.cancel()
        (end,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(end, Exception) and not told:
            log.error("%s could not be stopped cleanly", name, exc_info=end)


def _end_with_it(task: "asyncio.Task[None]") -> None:
    """End the process: a part that must always run has died, and only a restart helps.

    A signal of its own lets `serve` end as gracefully as after SIGTERM, but with an exit code after
    which a supervisor restarts it.
    """
    # Only `_task` cancels it, so any other cancellation escaped from inside.
    error = asyncio.CancelledError() if task.cancelled() else task.exception()
    if error is not None:
        log.critical("%s has died", task.get_name(), exc_info=error)
        os.kill(os.getpid(), signal.SIGUSR1)


def check(ready: Any) -> Any:
    """Return a readiness check that calls `ready`; `ready` raises if something is wrong."""

    async def check() -> str | None:
        try:
            await ready()
        except BridgeError as error:
            return str(error)
        return None

    return check
