"""Attempts that are written down before they are made, for deliveries that may kill the process.

What a delivery's body costs is found out by reading it. If that ends the process, nobody is left
to record it, and every start would begin with the same delivery. So suspects are recorded first
and tried alone: large ones, those whose last attempt has not ended, and those that a start finds.
"""

import re
from collections.abc import Iterator, Sequence

from bridge.ports.githosts import APART
from bridge.ports.inbox import Delivery, DeliveryState, Finished, Inbox

MOST_UNFINISHED = 3
"""Attempts in a row that may end with the process; then a large delivery is parked."""

MOST_OF_SMALL = 20
"""The same for others. What they need is little, so the process most likely died of something
else, again and again, and their push must not be lost for that."""

_NOTE = "attempt {number} of {most} has begun and has not ended"
_NUMBER = re.compile(r"attempt (\d+) of \d+ has begun and has not ended").fullmatch


class Attempts:
    """Says which deliveries are tried together, and records what is risky beforehand."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._found_at_start: int | None = None

    async def look(self) -> None:
        """Take all that is there now for suspects; what comes later is none unless it is large."""
        newest = await self._inbox.newest(1)
        self._found_at_start = newest[0].seq if newest else 0

    async def begin(self, batch: Sequence[Delivery]) -> list[Delivery]:
        """Record what is risky, and park what has killed the process too often.

        Returns:
            Those that are still to be tried.
        """
        lost = [one for one in batch if unfinished(one) >= most_unfinished(one)]
        await self._inbox.finish([_parked(one) for one in lost])
        left = [one for one in batch if one not in lost]
        notes = {
            one.seq: _NOTE.format(number=unfinished(one) + 1, most=most_unfinished(one))
            for one in left
            if self._is_risky(one)
        }
        if notes:
            await self._inbox.begin(notes)
        return left

    def apart(self, batch: Sequence[Delivery]) -> Iterator[Sequence[Delivery]]:
        """Yield what is tried together, in order: each that is suspect by itself is alone."""
        together: list[Delivery] = []
        for one in batch:
            if is_heavy(one) or unfinished(one):
                if together:
                    yield together
                    together = []
                yield [one]
            else:
                together.append(one)
        if together:
            yield together

    def _is_risky(self, delivery: Delivery) -> bool:
        found = self._found_at_start is not None and delivery.seq <= self._found_at_start
        return found or is_heavy(delivery) or bool(unfinished(delivery))


def is_heavy(delivery: Delivery) -> bool:
    """Whether reading the body may take much."""
    return delivery.size > APART


def most_unfinished(delivery: Delivery) -> int:
    """Return how many attempts in a row may end with the process."""
    return MOST_UNFINISHED if is_heavy(delivery) else MOST_OF_SMALL


def unfinished(delivery: Delivery) -> int:
    """How many attempts in a row have begun, the last ones, and have not ended."""
    found = _NUMBER(delivery.error or "")
    return int(found[1]) if found else 0


def _parked(delivery: Delivery) -> Finished:
    why = (
        f"given up: the bridge was killed {unfinished(delivery)} times while it read this"
        f" ({delivery.size} bytes), maybe for the memory that it took; `replay` tries it again"
    )
    return Finished(
        *(delivery.seq, delivery.host, delivery.id, DeliveryState.FAILED, why),
        attempts=delivery.attempts,
    )
