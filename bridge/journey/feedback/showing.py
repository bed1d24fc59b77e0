"""One target shown once, and what is made of it when that does not work."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bridge.core import trace
from bridge.core.errors import (
    BridgeError,
    Refused,
    Rejected,
    TooEarly,
    Unanswered,
    Unreachable,
)
from bridge.ports.clock import Clock
from bridge.ports.feedback import Raised, Shows, Story
from bridge.ports.journal import Journal
from bridge.ports.targets import Memory, Target

log = logging.getLogger(__name__)


class LeaseLost(Exception):
    """Another process shows by now; what it finds remembered must be left to it."""


LONGEST_ERROR = 500
"""Characters of a reason that are kept."""


@dataclass(frozen=True, slots=True)
class Persistence:
    """How long to wait and to try; all in seconds.

    Attributes:
        debounce: from a change until it is shown, with what else changes in between.
        poll: between looks for what another process has changed.
        retry, retry_at_most: between two tries of what fails; it doubles.
        park_after: how long a target may fail until it is parked.
        longest: how long one showing may take.
        lease: how long others wait for a holder that has died.
        lanes: how many are at work at a time.
    """

    debounce: float = 0.3
    poll: float = 1.0
    retry: float = 1.0
    retry_at_most: float = 60.0
    park_after: float = 24 * 3600.0
    longest: float = 120.0
    lease: float = 15.0
    lanes: int = 128

    def pause(self, failures: int) -> float:
        """Before the next try, after so many failures in a row, the last one counted."""
        return min(self.retry * 2.0 ** min(failures - 1, 30), self.retry_at_most)


class Showing:
    """Shows targets, and keeps whether that worked."""

    def __init__(
        self,
        journal: Journal,
        shows: Mapping[str, Shows],
        clock: Clock,
        persistence: Persistence,
        chance: Callable[[], float],
        holding: tuple[str, str],
    ) -> None:
        """Take the parts.

        Args:
            chance: gives numbers in [0, 1), which spread the tries.
            holding: name and owner of the lease under which all this is done.
        """
        self._journal = journal
        self._shows = shows
        self._clock = clock
        self._persistence = persistence
        self._chance = chance
        self._holding = holding

    async def show(self, raised: Raised) -> Exception | None:
        """Show a target as everything stands now; returns why that did not work.

        Raises:
            Unreachable: our own journal is away; nobody's fault, so the target stays due.
        """
        target = raised.target
        story = await self._journal.story(target)
        trace.follow(_delivery(story))
        try:
            async with asyncio.timeout(self._persistence.longest):
                further = await self._bring_up_to(story, raised)
        except LeaseLost:
            log.warning("another process shows by now", extra={"target": target.id})
            return None
        except Exception as error:  # noqa: BLE001 - it is kept with the target, and told
            return await self._failed(raised, error)
        await self._journal.want(further)
        await self._journal.showed(target.id, raised.wanted)
        return None

    async def _bring_up_to(self, story: Story, raised: Raised) -> Sequence[Target]:
        target = raised.target

        async def remember(memory: Memory) -> None:
            if not await self._journal.remember(target.id, memory, holding=self._holding):
                raise LeaseLost

        shows = self._shows.get(target.kind)
        if shows is None:
            raise Rejected(f"nothing here shows {target.kind}: its settings are gone")
        log.debug("feedback is shown", extra={"target": target.id})
        return await shows.show(target, story, raised.memory, remember)

    async def _failed(self, raised: Raised, error: Exception) -> Exception:
        if isinstance(error, TimeoutError):
            seconds = f"{self._persistence.longest:.0f} s"
            error = Unanswered(raised.target.kind, f"nothing came back within {seconds}")
        if isinstance(error, TooEarly):
            await self._journal.postpone(raised.target.id, self._later(error, raised))
            return error
        due_at = self._next_try(raised, error)
        self._tell(raised, error, parks=due_at is None)
        why = str(error) if isinstance(error, BridgeError) else f"a bug: {type(error).__name__}"
        await self._journal.not_shown(
            raised.target.id, raised.wanted, why[:LONGEST_ERROR], due_at=due_at
        )
        return error

    def _next_try(self, raised: Raised, error: Exception) -> float | None:
        """When to try again; None where that makes no sense before something changes."""
        now = self._clock()
        failing_since = now if raised.failing_since is None else raised.failing_since
        too_long = now - failing_since >= self._persistence.park_after
        if too_long or isinstance(error, Refused | Rejected):
            return None
        return self._later(error, raised)

    def _later(self, error: Exception, raised: Raised) -> float:
        """When to try again what may work by then."""
        now = self._clock()
        if isinstance(error, Unreachable) and error.retry_after is not None:
            # Never before it, and not all of them in the same moment after it.
            return now + max(0.0, error.retry_after) + self._chance()
        pause = self._persistence.pause(raised.attempts + 1)
        return now + pause * (0.75 + self._chance() / 2)

    def _tell(self, raised: Raised, error: Exception, *, parks: bool) -> None:
        """In the log once, however often it fails; in the journal it stands until it works."""
        what = {"target": raised.target.id, "why": str(error)}
        unexpected = not isinstance(error, BridgeError)
        if parks:
            log.warning("feedback is parked until the next change", extra=what)
        elif raised.attempts == 0:
            log.warning(
                "feedback can't be shown; it is tried again",
                extra=what,
                exc_info=error if unexpected else None,
            )


def _delivery(story: Story) -> str | None:
    """The newest delivery that it is about."""
    told = [(one.seq, one.delivery) for one in story.deployments]
    told += [(one.seq, one.delivery) for one in story.explained if one.delivery is not None]
    return max(told)[1] if told else None
