"""Step 3: one deployment: ask → follow → end. The body of a durable flow.

A step that was under way when the process died runs again, so each of them first looks at
what is so already: in the journal, then at the backend (adopt before create).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from bridge.core.errors import Unreachable
from bridge.core.lifecycle import State
from bridge.journey.deployment.asking import Asker
from bridge.journey.deployment.ending import Ending
from bridge.journey.deployment.following import Follower
from bridge.journey.deployment.pace import Pace
from bridge.journey.deployment.watching import Sleep, Troubled, Watchings
from bridge.ports.backends import Backend
from bridge.ports.clock import Clock, Wake
from bridge.ports.flows import Steps
from bridge.ports.journal import Journal

log = logging.getLogger(__name__)


class Deployer:
    """Brings deployments to their end."""

    def __init__(
        self,
        backends: Mapping[str, Backend],
        journal: Journal,
        clock: Clock,
        pace: Pace | None = None,
        *,
        changed: Wake = lambda: None,
        troubled: Troubled = lambda _backend: None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Take the parts.

        Args:
            changed: called when a deployment has come to an end.
            troubled: see `watching.Troubled`.
        """
        self._journal = journal
        self._pace = pace or Pace()
        self._sleep = sleep
        self.watchings = Watchings(backends, clock, journal.pinned, troubled=troubled, sleep=sleep)
        self._ending = Ending(
            self.watchings, journal, clock, self._pace, changed=changed, sleep=sleep
        )
        parts = (self.watchings, journal, self._ending, clock, self._pace)
        self._asker = Asker(*parts, sleep=sleep)
        self._follower = Follower(*parts, sleep=sleep)

    async def run(self, steps: Steps, id_: str) -> None:
        """Run the flow: what is asked stays asked, whatever happens in between."""
        await steps.run("ask", lambda: self._surely(self.ask, id_))
        await steps.run("follow", lambda: self._surely(self.follow, id_))

    async def ask(self, id_: str) -> None:
        """Have the backend accept it, once; return when it has, or when there is no need."""
        await self._asker.ask(id_)

    async def follow(self, id_: str) -> None:
        """Follow an accepted deployment to its end, and ask again for one that was lost."""
        while (deployment := await self._journal.deployment(id_)) is not None:
            if deployment.final:
                return
            if deployment.state is State.WAITING:
                await self.ask(id_)
            else:
                await self._follower.follow(id_)

    async def _surely(self, work: Callable[[str], Awaitable[None]], id_: str) -> None:
        """Do it again where it fails: each try starts from what the journal and backend show."""
        failures, done = 0, False
        while not done:
            try:
                await work(id_)
                done = True
            except Unreachable as error:  # our own journal: it comes back, or all is lost anyway
                log.warning("deployment waits", extra={"deployment": id_, "why": str(error)})
            except Exception as error:  # a bug; a deployment must end, and say how
                log.exception("deployment failed inside", extra={"deployment": id_})
                failures += 1
                if failures >= self._pace.failures:
                    note = f"outcome unknown: the bridge failed inside ({type(error).__name__})"
                    await self._ending.end(id_, State.UNKNOWN, note)
                    return
            if not done:
                await self._sleep(self._pace.retry)
