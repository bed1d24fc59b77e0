"""Step 3: one deployment: ask → follow → end. The body of a durable flow.

A step that was under way when the process died runs again, so each of them first looks at
what is so already: in the journal, then at the backend (adopt before create).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from bridge.core import trace
from bridge.core.errors import Refused, Unanswered, Unreachable
from bridge.core.lifecycle import Deployment, State
from bridge.core.watch import App
from bridge.journey.deployment.following import Follower, Pace, send
from bridge.journey.deployment.watching import Look, Sleep, Watchings, look
from bridge.ports.backends import Backend
from bridge.ports.clock import Clock, Wake
from bridge.ports.flows import Steps
from bridge.ports.journal import JOURNAL, Journal

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Attempt:
    """How the asking goes.

    Attributes:
        may_be_there: it may have been asked already, so look before asking. True at first,
            because an intent found in the journal may be from before a crash, or from before
            the journal itself could not be written.
    """

    pause: float
    may_be_there: bool = True
    unanswered: int = 0


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
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Take the parts; `changed` is called when a deployment has come to an end."""
        self._watchings = Watchings(backends, clock, sleep=sleep)
        self._journal = journal
        self._clock = clock
        self._pace = pace or Pace()
        self._sleep = sleep
        self._follower = Follower(
            self._watchings, journal, clock, self._pace, changed=changed, sleep=sleep
        )

    async def run(self, steps: Steps, id_: str) -> None:
        """The flow: what is asked stays asked, whatever happens in between."""
        await steps.run("ask", lambda: self._surely(self.ask, id_))
        await steps.run("follow", lambda: self._surely(self.follow, id_))

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
                    await self._follower.end(id_, State.UNKNOWN, note)
                    return
            if not done:
                await self._sleep(self._pace.retry)

    async def follow(self, id_: str) -> None:
        """Watch an accepted deployment to its end, writing down every change.

        Where the journal no longer knows that it was accepted, as after a failover to a replica
        that lagged, it is asked for first, as after a restart.
        """
        await self._follower.follow(id_)
        while await self._still_waiting(id_) is not None:
            await self.ask(id_)
            await self._follower.follow(id_)

    # ── ask ───────────────────────────────────────────────────────────────

    async def ask(self, id_: str) -> None:
        """Have the backend accept it, once; returns when it has, or when there is no need."""
        attempt = _Attempt(pause=self._pace.retry)
        while (deployment := await self._still_waiting(id_)) is not None:
            try:
                if await self._ask_once(deployment, attempt):
                    return
            except Unreachable as error:
                if error.service == JOURNAL:  # `_surely` waits for it; it is not the backend
                    raise
                await self._wait_for_backend(id_, error, attempt)
            except Unanswered as error:
                attempt.unanswered += 1
                attempt.may_be_there = True
                await self._journal.say(id_, f"{error}; looking whether it arrived")
            except Refused as error:
                if attempt.may_be_there:
                    await self._follower.end(
                        id_, State.UNKNOWN, f"maybe asked, outcome unknown: {error}"
                    )
                else:
                    await self._follower.end(id_, State.FAILED, f"refused by {error}")

    async def _ask_once(self, deployment: Deployment, attempt: "_Attempt") -> bool:
        """One move towards "accepted"; True when there is no more to do."""
        app = await self._follower.app_of(deployment)
        if deployment.intent_at is None:
            attempt.may_be_there = False
            await self._intend(deployment, app)
            return False
        if attempt.may_be_there and await self._adopted(deployment, app):
            return True
        if attempt.unanswered and not await self._may_ask_again(deployment, app, attempt):
            return True
        attempt.may_be_there = attempt.unanswered > 0
        await self._ask_now(deployment, app, attempt)
        return True

    async def _may_ask_again(self, deployment: Deployment, app: App, attempt: "_Attempt") -> bool:
        """After a silence, and where nothing shows: once, if the backend shows what waits."""
        if attempt.unanswered > 1:
            why = "the backend was asked twice and never answered; it shows no such deployment"
        elif not await self._watchings.of(app).tells_queue():
            why = "maybe asked, outcome unknown: no answer came, and the backend lists no queue"
        else:
            note = f"for {self._pace.adopt:g} s the backend has shown no sign of it; asked again"
            await self._journal.say(deployment.id, note)
            return True
        await self._follower.end(deployment.id, State.UNKNOWN, why)
        return False

    async def _wait_for_backend(self, id_: str, error: Unreachable, attempt: "_Attempt") -> None:
        if not attempt.may_be_there:
            # Nothing was asked, so a newer push may take this one's place meanwhile.
            await self._journal.withdraw(id_)
        await self._journal.say(id_, f"waits for the backend: {error}")
        await self._sleep(error.retry_after or attempt.pause)
        attempt.pause = min(attempt.pause * 2, self._pace.retry_at_most)

    async def _still_waiting(self, id_: str) -> Deployment | None:
        deployment = await self._journal.deployment(id_)
        if deployment is None or deployment.state is not State.WAITING:
            return None
        trace.follow(deployment.delivery)
        return deployment

    async def _intend(self, deployment: Deployment, app: App) -> None:
        """Write down that we are about to ask, and what was there before."""
        records = await self._backend(app).deployments(app)
        await self._journal.intend(deployment.id, [record.id for record in records])

    async def _ask_now(self, deployment: Deployment, app: App, attempt: "_Attempt") -> None:
        before, attempt.may_be_there = attempt.may_be_there, True
        try:
            await send(self._backend(app), deployment, app)
        except (Unreachable, Refused):
            attempt.may_be_there = before
            raise
        log.info("deployment asked for", extra={"app": deployment.app, "deployment": deployment.id})
        await self._accepted(deployment.id, "the backend accepted it")

    async def _accepted(self, id_: str, note: str) -> None:
        """Write down that the backend has it, however long the journal is away.

        We know it now; who had to find it out again might not see it, and would ask again.
        """
        at = self._clock()
        while True:
            try:
                await self._journal.move(id_, State.ASKED, note, asked_at=at)
            except Unreachable as error:
                log.warning("deployment waits", extra={"deployment": id_, "why": str(error)})
                await self._sleep(self._pace.retry)
            else:
                return

    async def _adopted(self, deployment: Deployment, app: App) -> bool:
        """Whether the backend has it already; looks for a while, since lists may be late."""
        until = self._clock() + self._pace.adopt
        while True:
            record, job = await self._look(deployment, app)
            if record is not None or job is not None:
                await self._accepted(deployment.id, "the backend had accepted it already")
                return True
            if self._clock() >= until:
                return False
            await self._sleep(self._pace.look)

    async def _look(self, deployment: Deployment, app: App) -> Look:
        return await look(self._backend(app), app, deployment)

    def _backend(self, app: App) -> Backend:
        return self._watchings.of(app).backend
