"""Figures, for those who watch over it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from bridge.core.lifecycle import State


@dataclass(frozen=True, slots=True)
class InboxFigures:
    """How full the inbox is.

    Attributes:
        waiting: deliveries that are not decided yet.
        oldest: when the one that has waited longest came; None where none waits.
    """

    waiting: int
    oldest: float | None


@dataclass(frozen=True, slots=True)
class JournalFigures:
    """How much is going on.

    Attributes:
        open: deployments that have not ended, by state.
        raised: places that show something old; `parked` ones are given up for now.
        overdue: when the one that has waited longest was due; None where none is.
    """

    open: Mapping[State, int]
    raised: int
    parked: int
    overdue: float | None


@dataclass(frozen=True, slots=True)
class Ended:
    """A deployment that has come to its end.

    Attributes:
        number: of the change in the journal; counts up, though not strictly in order.
        seconds: that it ran; None where it never did.
    """

    number: int
    app: str
    result: State
    seconds: float | None


class InboxMeter(Protocol):
    """An inbox that tells how full it is."""

    async def figures(self) -> InboxFigures:
        """Now."""


class JournalMeter(Protocol):
    """A journal that tells how much is going on, and what has ended."""

    async def figures(self) -> JournalFigures:
        """Now."""

    async def newest_change(self) -> int:
        """The number of the newest change; 0 where there is none."""

    async def ended(self, after: int) -> list[Ended]:
        """What has ended by a change with a number above `after`, each deployment once."""


Observe = Callable[[str, str, float], None]
"""Is told of each request to a backend: its name, what was asked, and seconds it took."""
