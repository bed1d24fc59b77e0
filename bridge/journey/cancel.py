"""A person's cancel, rung by rung; the body of a durable flow.

What still waits with us is dropped; then what waits in the backend; a running build is
cancelled where the backend can. Each rung says what it did in the deployment's history.
"""

import asyncio
from collections.abc import Mapping

from bridge.core.errors import Refused, Unanswered, Unreachable
from bridge.core.lifecycle import Deployment, State
from bridge.core.watch import App
from bridge.journey.deployment import Sleep
from bridge.ports import Backend, Journal, Steps

PAUSE = 0.5
"""Seconds between two tries, and between two looks at one that is being asked for."""


class Canceller:
    """Cancels an app's deployments."""

    def __init__(
        self,
        backends: Mapping[str, Backend],
        journal: Journal,
        *,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._backends = backends
        self._journal = journal
        self._sleep = sleep

    async def run(self, steps: Steps, id_: str) -> None:
        """The flow; `id_` holds the cancelling delivery's seq and the app."""
        seq, _, app_id = id_.partition(".")
        await steps.run("drop ours", lambda: self._drop_ours(app_id, int(seq)))
        await steps.run("drop theirs", lambda: self._drop_theirs(app_id, int(seq)))

    async def _drop_ours(self, app_id: str, seq: int) -> None:
        note = "cancelled before the backend was asked"
        await self._journal.cancel_waiting(app_id, seq, note)

    async def _drop_theirs(self, app_id: str, seq: int) -> None:
        app = await self._journal.app(app_id)
        while (deployment := await self._going(app_id, seq)) is not None and app is not None:
            if deployment.state is State.WAITING:  # it is being asked for just now
                await self._sleep(PAUSE)
                continue
            try:
                if await self._cancel(app, deployment):
                    return
            except Refused as error:
                await self._journal.say(deployment.id, f"can't be cancelled: {error}")
                return
            except (Unreachable, Unanswered) as error:
                await self._journal.say(deployment.id, f"cancel waits: {error}")
            await self._sleep(PAUSE)

    async def _going(self, app_id: str, seq: int) -> Deployment | None:
        """The app's one deployment that the backend has, if it came before the cancel."""
        for deployment in await self._journal.open_deployments():
            theirs = deployment.state is not State.WAITING or deployment.intent_at is not None
            if deployment.app_id == app_id and deployment.seq < seq and theirs:
                return deployment
        return None

    async def _cancel(self, app: App, deployment: Deployment) -> bool:
        """Take it out of the backend's queue, or cancel its build; True when that is said."""
        backend = self._backends[app.backend]
        if deployment.state is not State.RUNNING:
            await backend.drop_waiting(app)
            if not await self._shown(backend, app, deployment):
                note = "cancelled: dropped from the backend's queue"
                await self._journal.move(deployment.id, State.CANCELLED, note)
                return True
        words = await backend.cancel(app)
        await self._journal.say(deployment.id, f"cancel asked for: {words}")
        return True

    async def _shown(self, backend: Backend, app: App, deployment: Deployment) -> bool:
        """Whether the backend still has it, in its queue or as a record."""
        jobs = await backend.queue() or []
        records = await backend.deployments(app)
        texts = [f"{job.title} {job.description}" for job in jobs]
        texts += [f"{record.title} {record.description}" for record in records]
        return any(deployment.token in text for text in texts)
