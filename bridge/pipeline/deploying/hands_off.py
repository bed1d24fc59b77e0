"""Keep the bridge's own rollbacks from starting a stopped app, or from overtaking a fix."""

import asyncio
from dataclasses import dataclass, field

from bridge.core.apps import App
from bridge.core.health.rollback import version_of
from bridge.core.lifecycle import Deployment, State
from bridge.pipeline.deploying.outcome import Ending
from bridge.pipeline.deploying.serving import Looks
from bridge.ports.backends import Backend, is_stopped
from bridge.ports.clock import Sleep
from bridge.ports.deployments import Deployments

PAUSE = 15.0
"""Seconds between two looks at a build that may be the fix."""


async def why_not_started(backend: Backend, app: App) -> str | None:
    """Return why the bridge does not start an app by itself; None if it may."""
    if await is_stopped(backend, app) is False:
        return None
    return "it is idle, so somebody may have stopped it"


async def is_in_queue(backend: Backend, app: App) -> bool:
    """Return whether a deployment is in the backend's queue, whoever has asked for it."""
    return any(one.app == app.id for one in await backend.queue() or ())


@dataclass(frozen=True, slots=True)
class HandsOff:
    """Looks at the backend before it is asked for a rollback by the bridge itself."""

    journal: Deployments
    ending: Ending
    looks: Looks
    sleep: Sleep = field(default=asyncio.sleep, kw_only=True)

    async def lets(self, own: Deployment, backend: Backend, app: App) -> bool:
        """Return whether the backend may be asked; else wait, or end what must not be asked for.

        What is served by now is stored for the journal to judge.

        Args:
            own: a rollback by the bridge itself; what people ask for always may be asked for.
        """
        assert own.back_from is not None
        if await is_in_queue(backend, app):
            await self.journal.say(own.id, "waits for what the backend builds: it may be the fix")
            await self.sleep(PAUSE)
            return False
        await self.looks.at(backend, app)
        if (why := await why_not_started(backend, app)) is None:
            return True
        left = await self.journal.deployment(own.back_from)
        note = f"not gone back{f' from {version_of(left)}' if left is not None else ''}: {why}"
        if own.maybe_asked:
            note += "; the backend may have been asked for it before"
        await self.ending.end(own.id, State.UNKNOWN if own.maybe_asked else State.CANCELLED, note)
        return False
