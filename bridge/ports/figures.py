"""Figures for monitoring."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from bridge.core.lifecycle import State


@dataclass(frozen=True, slots=True)
class InboxFigures:
    """How full the inbox is.

    Attributes:
        waiting: deliveries that are not decided yet.
        oldest: when the one that has waited longest came; None if none waits.
    """

    waiting: int
    oldest: float | None


@dataclass(frozen=True, slots=True)
class JournalFigures:
    """How much is going on.

    Attributes:
        open: open deployments, by state.
        raised: pending subscriptions; `parked` ones are given up for now.
        overdue: when the one that has waited longest was due; None if none is.
    """

    open: Mapping[State, int]
    pending: int
    parked: int
    overdue: float | None


@dataclass(frozen=True, slots=True)
class Ended:
    """A deployment that has ended.

    Attributes:
        number: of the change in the journal; counts up, though not strictly in order.
        seconds: how long it ran; None if it never did.
    """

    number: int
    app: str
    result: State
    seconds: float | None


class InboxMeter(Protocol):
    """An inbox that tells how full it is."""

    async def figures(self) -> InboxFigures:
        """Return how full it is now."""


class JournalMeter(Protocol):
    """A journal that tells how much is going on, and what has ended."""

    async def figures(self) -> JournalFigures:
        """Return how much is going on now."""

    async def newest_change(self) -> int:
        """Return the number of the newest change; 0 if there is none."""

    async def ended(self, after: int) -> list[Ended]:
        """Return what has ended by a change with a number above `after`, each deployment once."""


Observe = Callable[[str, str, float], None]
"""Called for each request to a backend: its name, what was asked, and seconds it took."""
