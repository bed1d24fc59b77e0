"""How often a place on a Git host is written to."""

from dataclasses import dataclass

from bridge.core.errors import TooEarly
from bridge.ports.clock import Clock
from bridge.ports.feedback import Turn

FEW = 3
"""Apps that may be under way with each of their changes shown at once."""

CALM = 15.0
"""Seconds between two edits of a comment while more apps are under way."""

AGAIN = 15.0
"""Seconds at most until a state that will change again is tried again, or what came after it."""


@dataclass(frozen=True, slots=True)
class Pace:
    """When a place may be written to.

    Attributes:
        turn: for what is true to stay.
        passing: for what will change again; it leaves some of the limit to the others.
    """

    turn: Turn
    passing: Turn
    clock: Clock

    async def wait(self, lane: str, *, passing: bool) -> None:
        """Wait for a turn to write; raise TooEarly where that would be long."""
        if not passing:
            await self.turn(lane)
            return
        try:
            await self.passing(lane)
        except TooEarly as error:
            # No longer: the next try shows what is so by then, and that may be there to stay.
            wait = min(error.retry_after or AGAIN, AGAIN)
            raise TooEarly(
                lane, "the rest of its limit is for outcomes", retry_after=wait
            ) from None

    def calm(self, service: str, under_way: int, written_at: float | None) -> None:
        """Raise TooEarly where something was written too lately for so many apps under way."""
        if under_way <= FEW or written_at is None:
            return
        since = self.clock() - written_at
        if 0 <= since < CALM:
            why = f"{under_way} apps are under way, so it is edited every {CALM:.0f} s"
            raise TooEarly(service, why, retry_after=CALM - since)
