"""Numbers for monitoring."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from bridge.core.holds import Gate
from bridge.core.lifecycle import State
from bridge.core.previews.preview import PreviewState


@dataclass(frozen=True, slots=True)
class InboxFigures:
    """How full the inbox is; `oldest` is when the oldest undecided delivery arrived."""

    waiting: int
    oldest: float | None


@dataclass(frozen=True, slots=True)
class JournalFigures:
    """How much work is open.

    Attributes:
        parked: subscriptions given up for now.
        overdue: when the longest overdue one was due; None if there is none.
        held: how many deployments each gate holds; several may hold the same one.
        previews: those that there are or are to be, by state.
    """

    open: Mapping[State, int]
    pending: int
    parked: int
    overdue: float | None
    held: Mapping[Gate, int] = field(default_factory=dict)
    previews: Mapping[PreviewState, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ended:
    """A deployment that has ended.

    Attributes:
        number: of the change in the journal; increases, though not strictly in order.
        seconds: how long it ran; None if it never did.
    """

    number: int
    app: str
    result: State
    seconds: float | None


class InboxMeter(Protocol):
    """An inbox that can report how full it is."""

    async def figures(self) -> InboxFigures: ...


class JournalMeter(Protocol):
    """A journal that can report open work and ended deployments."""

    async def figures(self) -> JournalFigures: ...

    async def newest_change(self) -> int:
        """Return the number of the newest change; 0 if there is none."""

    async def ended(self, after: int) -> list[Ended]:
        """Return the deployments ended by changes with numbers above `after`, each once."""


Observe = Callable[[str, str, float], None]
"""Called for each request to a backend, with its name, the kind of request, and the seconds."""
