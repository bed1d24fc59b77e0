"""Step 3, its second half: an accepted deployment → its real end, or back to waiting.

Writes down every change that the backend shows, and notices what it does not show: a job
that was dropped, a build that a restart has interrupted, a record that nobody closes, one
that takes very long.
"""

import asyncio
import logging

from bridge.core import trace
from bridge.core.errors import BridgeError, Refused
from bridge.core.lifecycle import LOSABLE, Deployment, State
from bridge.core.watch import App
from bridge.core.watchdog import Sight, Timing, Verdict, verdict
from bridge.journey.deployment.ending import Ending
from bridge.journey.deployment.pace import Pace
from bridge.journey.deployment.watching import Look, Sleep, Watching, Watchings
from bridge.ports.backends import BackendDeployment, Progress
from bridge.ports.clock import Clock
from bridge.ports.journal import Journal

log = logging.getLogger(__name__)

BACK = {
    State.ASKED: "the backend answers again and shows no sign of it yet",
    State.QUEUED: "the backend answers again",
    State.RUNNING: "the backend answers again",
}
"""What is said in place of a trouble that is over; what the backend shows then follows."""


class Follower:
    """Follows deployments while they are with the backend."""

    def __init__(
        self,
        watchings: Watchings,
        journal: Journal,
        ending: Ending,
        clock: Clock,
        pace: Pace,
        *,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._watchings = watchings
        self._journal = journal
        self._ending = ending
        self._clock = clock
        self._pace = pace
        self._timing = Timing(pace.lost, pace.untold, pace.unclosed)
        self._sleep = sleep

    async def follow(self, id_: str) -> None:
        """Watch an accepted deployment until it ends or goes back to waiting."""
        deployment = await self._with_backend(id_)
        if deployment is None:
            return
        trace.follow(deployment.delivery)
        app = await self._ending.app_of(deployment)
        try:
            watching = self._watchings.of(app)
        except Refused as error:
            await self._ending.untold(deployment, str(error))
            return
        with watching.following(id_):
            await self._watch(id_, app, watching)

    async def _with_backend(self, id_: str) -> Deployment | None:
        """Return the deployment while the backend has it, as far as we know."""
        deployment = await self._journal.deployment(id_)
        return deployment if deployment is not None and deployment.state in LOSABLE else None

    async def _watch(self, id_: str, app: App, watching: Watching) -> None:
        sight = Sight(since=self._clock())
        pause, trouble = self._pace.look, False
        while (deployment := await self._with_backend(id_)) is not None:
            began = self._clock()  # it may take long, and shows no more than there was then
            try:
                look = await watching.look(deployment, app)
            except Refused as error:
                await self._ending.untold(deployment, str(error))
                return
            except BridgeError as error:
                sight, trouble = sight.blinded(self._clock()), True
                await self._journal.say(id_, f"{error}; it is watched as soon as that ends")
                await self._sleep(self._pace.look_at_most)
                continue
            if trouble:
                trouble, pause = False, self._pace.look
                await self._journal.say(id_, BACK[deployment.state])
            sight = sight.after(look.shown, began)
            if await self._show(deployment, app, look):
                pause = self._pace.look
            else:
                await self._judge(watching, deployment, app, look, sight, began)
                pause = min(pause * 1.3, self._pace.look_at_most)
            await self._sleep(pause)

    async def _show(self, deployment: Deployment, app: App, look: Look) -> bool:
        """Write down where it stands; True when that is news."""
        if look.record is not None and look.record.status is not Progress.RUNNING:
            await self._ending.of_record(deployment, app, look.record)
            return True
        if look.record is not None:
            return await self._running(deployment, look.record)
        if look.job is not None and not look.job.active:
            note = "waits in the backend's queue"
            return await self._journal.move(deployment.id, State.QUEUED, note) is not None
        return False

    async def _running(self, deployment: Deployment, record: BackendDeployment) -> bool:
        began = record.started_at or record.created_at
        facts = {"backend_id": record.id, "started_at": began}
        moved = await self._journal.move(deployment.id, State.RUNNING, "builds", **facts)
        if moved is None and self._clock() - began > self._pace.long:
            note = f"has been building for more than {self._pace.long / 60:.0f} minutes"
            await self._journal.say(deployment.id, note)
        return moved is not None

    # ── what does not move on ─────────────────────────────────────────────

    async def _judge(
        self,
        watching: Watching,
        deployment: Deployment,
        app: App,
        look: Look,
        sight: Sight,
        at: float,
    ) -> None:
        found = verdict(
            deployment,
            sight,
            now=at,
            watched_since=watching.watched_since,
            shown=look.shown,
            timing=self._timing,
        )
        if found is Verdict.WAIT:
            return
        if found is Verdict.UNCLOSED and look.record is not None:
            await self._ending.unclosed(deployment, app, look.record)
        elif look.doubtful:
            certain = watching.watched_since <= (deployment.asked_at or 0.0) <= self._clock()
            await self._ending.doubtful(deployment, look.doubtful, certain=certain)
        elif found is Verdict.DROPPED:
            await self._ending.dropped(deployment)
        elif found is Verdict.LOST:
            await self._ending.lost(deployment)
        else:
            why = f"for {self._pace.lost:g} s the backend has shown nothing of it"
            await self._ending.untold(deployment, why)
