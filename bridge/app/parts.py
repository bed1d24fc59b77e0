"""What the parts are made of, and the places where what happens is shown."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from bridge.app.storage import Stores
from bridge.core.steady import SteadyClock
from bridge.journey.catalog import Catalog
from bridge.journey.configuring.configure import Configurer
from bridge.journey.feedback.turns import Turns
from bridge.journey.lead import Turn
from bridge.ports.backends import Backend
from bridge.ports.clock import Clock
from bridge.ports.feedback import LatePlanner, Planner, Shows
from bridge.ports.githosts import GitHost
from bridge.settings import Settings


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
