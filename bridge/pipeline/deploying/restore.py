"""Request a rollback: an earlier version is served again, and the app is locked.

What a backend has kept is served at once, without a record there; so what comes of it is verified
and not believed. Asking twice for the same version changes nothing, so a request whose answer was
lost is repeated.
"""

import asyncio
import logging
from dataclasses import dataclass, field

from bridge.core.apps import App
from bridge.core.errors import BridgeError, Refused, Rejected, Unanswered, Unreachable
from bridge.core.health.rollback import Rung, WayBack, version_of, way_back
from bridge.core.lifecycle import Deployment, Evidence, State
from bridge.pipeline.deploying.hands_off import HandsOff, why_not_started
from bridge.pipeline.deploying.outcome import Ending, FollowTiming
from bridge.pipeline.deploying.polling import BackendPollers
from bridge.ports.backends import Backend, BackendDeployment, RollsBack
from bridge.ports.clock import Clock, Sleep
from bridge.ports.gates import JudgedBy
from bridge.ports.journal import JOURNAL, Journal

log = logging.getLogger(__name__)

MOST_UNANSWERED = 5
"""How often a rollback is asked for without a clear answer."""


@dataclass(frozen=True, slots=True)
class Restorer:
    """Requests rollbacks that a backend carries out by what it has kept."""

    pollers: BackendPollers
    journal: Journal
    ending: Ending
    clock: Clock
    timing: FollowTiming
    judging: JudgedBy
    hands_off: HandsOff
    sleep: Sleep = field(default=asyncio.sleep, kw_only=True)

    async def restore(self, id_: str) -> None:
        """Have an earlier version served; return when that was asked for, or is not needed."""
        away = unanswered = 0
        while (deployment := await self.ending.still_waiting(id_)) is not None:
            try:
                await self._restore_once(deployment)
            except Unreachable as error:
                if error.service == JOURNAL:
                    raise
                away += 1
                await self._wait(id_, error, away, maybe_asked=unanswered > 0)
            except Unanswered as error:
                unanswered += 1
                if unanswered >= MOST_UNANSWERED:
                    note = f"outcome unknown: asked {unanswered} times; {error}"
                    await self.ending.perhaps_restored(deployment, note)
                await self.journal.say(id_, f"{error}; it is asked for again")
                await self.sleep(self.timing.retry.first)
            except Refused as error:
                await self.ending.end(id_, State.FAILED, f"refused by {error}")

    async def _restore_once(self, deployment: Deployment) -> None:
        """Take one step: record the intent, or ask."""
        app = await self.ending.app(deployment.app_id)
        backend = self.pollers.of(app).backend
        if deployment.intent_at is not None and deployment.cancel is not None:
            await self.journal.withdraw(deployment.id, maybe_asked=True)
            return
        records = await backend.deployments(app)
        if deployment.intent_at is not None and await _undoes(deployment, backend, app, records):
            await self.journal.withdraw(deployment.id, maybe_asked=True)
            return
        try:
            way = await self._way(deployment, app, records)
        except Rejected as error:
            await self.ending.end(deployment.id, State.FAILED, f"can't go back: {error}")
            return
        if deployment.intent_at is None:
            by_people = deployment.back_from is None
            if by_people or await self.hands_off.lets(deployment, backend, app):
                by = await self.judging(deployment.id)
                await self.journal.intend(deployment.id, [one.id for one in records], by)
            return
        if not isinstance(backend, RollsBack) or way.point is None:
            why = f"{backend.name} can't restore what it has built"
            await self.ending.end(deployment.id, State.FAILED, f"can't go back: {why}")
            return
        at = self.clock()
        await backend.roll_back(app, way.point)
        log.info("rollback asked for", extra={"app": deployment.app, "deployment": deployment.id})
        await self._restored(deployment, app, way.to, at)

    async def _way(
        self, deployment: Deployment, app: App, records: list[BackendDeployment]
    ) -> WayBack:
        """Return the way back that was shown; raise Rejected if it is closed by now."""
        to = await self.journal.deployment(deployment.target or "")
        if to is None or to.app_id != app.id:
            raise Rejected("the deployment to go back to has been forgotten")
        way = way_back(app, to, records)
        if deployment.way not in (None, way.rung):
            raise Rejected(f"what was shown is no longer possible; now it would {way.says}")
        return way

    async def _restored(self, deployment: Deployment, app: App, to: Deployment, at: float) -> None:
        """Record that it is served, however long the journal is away."""
        note = f"{version_of(to)} is served again, as it was built then"
        facts: dict[str, object] = {
            "asked_at": at,
            "started_at": at,
            "finished_at": self.clock(),
            "deployed_commit": to.deployed_commit,
            "image": to.image,
            "way": Rung.KEPT,
            "evidence": Evidence.ANSWER,
        }
        while True:
            try:
                await self.ending.serves(deployment, app, note, facts)
            except Unreachable as error:
                log.warning(
                    "deployment waits", extra={"deployment": deployment.id, "why": str(error)}
                )
                await self.sleep(self.timing.retry.first)
            else:
                return

    async def _wait(self, id_: str, error: BridgeError, away: int, *, maybe_asked: bool) -> None:
        """Wait for the backend; a cancel or another rollback may come first."""
        await self.journal.withdraw(id_, maybe_asked=maybe_asked)
        await self.journal.say(id_, f"waits for the backend: {error}")
        await self.sleep(self.timing.retry.after(away, error))


async def _undoes(
    rollback: Deployment, backend: Backend, app: App, records: list[BackendDeployment]
) -> bool:
    """Return whether a request of the bridge's own may undo what a person has done since.

    What is kept is restored without a record, so every new one is somebody else's.
    """
    if rollback.back_from is None:
        return False
    deployed = any(one.id not in rollback.known_before for one in records)
    return deployed or await why_not_started(backend, app) is not None
