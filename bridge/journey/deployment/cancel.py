"""A person's cancel, rung by rung; the body of a durable flow.

What still waits with us is dropped; then what waits in the backend; a running build is
cancelled where the backend can. Each rung says what it did in the deployment's history.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Container, Mapping
from dataclasses import dataclass

from bridge.core.errors import Refused, Unanswered, Unreachable
from bridge.core.lifecycle import Deployment, State, app_of
from bridge.core.watch import App
from bridge.journey.deployment.watching import Sleep, look
from bridge.ports.backends import Backend, KillsBuilds, Progress
from bridge.ports.flows import Steps
from bridge.ports.journal import Journal

log = logging.getLogger(__name__)

PAUSE = 0.5
"""Seconds between two tries, and between two looks at one that is being asked for."""

FAILURES = 3
"""How often a fault of our own is tried again."""

LATE_LOOKS = 4
"""How often to look for one that was just asked for: a backend may list it late."""


@dataclass(frozen=True, slots=True)
class _Meant:
    """What shall stop: what came before the cancel for an app, or `only` one of it."""

    app_id: str
    seq: int
    only: str | None = None

    def covers(self, deployment: Deployment) -> bool:
        """Whether that one shall stop."""
        older = deployment.app_id == self.app_id and deployment.seq < self.seq
        return older and self.only in (None, deployment.id)


class Canceller:
    """Cancels an app's deployments."""

    def __init__(
        self,
        backends: Mapping[str, Backend],
        journal: Journal,
        *,
        may_kill: Container[str] = (),
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Take the parts; `may_kill`: backends on whose hosts all builds may be interrupted."""
        self._backends = backends
        self._may_kill = may_kill
        self._journal = journal
        self._sleep = sleep

    async def run(self, steps: Steps, id_: str) -> None:
        """The flow; `id_` holds the cancelling delivery's seq and the app."""
        text, _, app_id = id_.partition(".")
        await self._drop(steps, _Meant(app_id, int(text)))

    async def run_one(self, steps: Steps, id_: str) -> None:
        """The flow for one deployment; `id_` holds the cancelling delivery's seq and its id."""
        text, _, one = id_.partition(".")
        await self._drop(steps, _Meant(app_of(one), int(text), one))

    async def _drop(self, steps: Steps, meant: _Meant) -> None:
        await steps.run("drop ours", lambda: self._surely(self._drop_ours, meant))
        await steps.run("drop theirs", lambda: self._surely(self._drop_theirs, meant))

    async def _surely(self, work: Callable[[_Meant], Awaitable[None]], meant: _Meant) -> None:
        """Do it again while our own journal is away: a cancel must not get lost.

        Nor may a fault of our own end it without a word to whoever asked.
        """
        failures = 0
        while failures < FAILURES:
            try:
                return await work(meant)
            except Unreachable as error:
                log.warning("cancel waits", extra={"why": str(error)})
            except Exception:  # a bug; what a cancel could not do is told, never left open
                log.exception("a cancel failed inside", extra={"app": meant.app_id})
                failures += 1
            await self._sleep(PAUSE)
        return await self._give_up(meant)

    async def _give_up(self, meant: _Meant) -> None:
        """Say so on what goes on; whoever asked looks there."""
        if (deployment := await self._going(meant)) is not None:
            why = "can't be cancelled: the bridge failed inside, its log says more"
            await self._journal.say(deployment.id, why)

    async def _drop_ours(self, meant: _Meant) -> None:
        note = "cancelled before the backend was asked"
        await self._journal.cancel_waiting(meant.app_id, meant.seq, note, meant.only)

    async def _drop_theirs(self, meant: _Meant) -> None:
        app = await self._journal.app(meant.app_id)
        while (deployment := await self._going(meant)) is not None and app is not None:
            if deployment.state is State.WAITING:
                # It is being asked for just now. Where that fails, it waits with us again.
                await self._sleep(PAUSE)
                await self._drop_ours(meant)
                continue
            try:
                await self._cancel(app, deployment)
            except Refused as error:
                await self._journal.say(deployment.id, f"can't be cancelled: {error}")
                return
            except (Unreachable, Unanswered) as error:
                await self._journal.say(deployment.id, f"cancel waits: {error}")
                await self._sleep(PAUSE)
            else:
                return

    async def _going(self, meant: _Meant) -> Deployment | None:
        """The app's oldest deployment that goes on and is meant."""
        for deployment in await self._journal.open_deployments():
            if meant.covers(deployment):
                return deployment
        return None

    async def _cancel(self, app: App, deployment: Deployment) -> None:
        """Take it out of the backend's queue, or cancel its build."""
        backend = self._backends.get(app.backend)
        if backend is None:
            raise Refused(app.backend, "no such backend is configured any more")
        if deployment.state is not State.RUNNING:
            await backend.drop_waiting(app)
        shown, ended = await self._shown(backend, app, deployment)
        if ended:
            return  # whoever follows it says how; what runs now is somebody else's
        if not shown and deployment.state is not State.RUNNING:
            note = "cancelled: dropped from the backend's queue"
            await self._journal.move(deployment.id, State.CANCELLED, note)
            return
        try:
            words = await backend.cancel(app)
        except Refused:
            if app.backend not in self._may_kill or not isinstance(backend, KillsBuilds):
                raise
            await backend.kill_build(app)
            words = "every Docker build on that host was interrupted, other apps' too"
        await self._journal.say(deployment.id, f"cancel asked for: {words}")

    async def _shown(self, backend: Backend, app: App, deployment: Deployment) -> tuple[bool, bool]:
        """Whether the backend still has it, as a job or a record, and whether it has ended."""
        looks = LATE_LOOKS if deployment.state is State.ASKED else 1
        for left in reversed(range(looks)):
            record, job = await look(backend, app, deployment)
            if record is not None:
                return True, record.status is not Progress.RUNNING
            if job is not None:
                return True, False
            if left:
                await self._sleep(PAUSE)
        return False, False
