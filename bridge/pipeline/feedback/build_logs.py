"""Read the logs of the backends' deployments, without secrets."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

from bridge.core.apps import App
from bridge.core.errors import BridgeError, NotFound
from bridge.core.lifecycle import Deployment
from bridge.core.log_text import end_of, lines_of
from bridge.core.masking import Mask, redact
from bridge.ports.backends import Backend, BackendDeployment, mask_for
from bridge.ports.journal import AppsAndDeployments

LINES = 40
ABOVE = 60
WHOLE = 10_000
"""The most lines of a log to read at once."""

MOST = 100_000
"""Characters of a tail that are examined."""

LONGEST_LINE = 1000
"""Characters of a line of a tail; a build may print a whole file as one."""

LATELY = 10.0
"""Seconds for which the values of an app's variables are remembered."""


@dataclass(frozen=True, slots=True)
class BuildLog:
    """The end of a deployment's log.

    Attributes:
        id: of the deployment at the backend.
        status: as the backend has it.
        ours: the deployment as the journal has it, if it was asked for.
        forgotten: why the backend has no log of it, of which the end was kept; "" if it has.
    """

    app: App
    id: str | None
    status: str
    created_at: float
    finished_at: float | None
    lines: tuple[str, ...]
    ours: Deployment | None
    forgotten: str = ""


class BuildLogs:
    """Reads the logs of the backends' deployments.

    Attributes:
        most: characters of a log that are examined; None for all of what was asked for.
    """

    def __init__(
        self,
        backends: Mapping[str, Backend],
        journal: AppsAndDeployments,
        most: int | None = MOST,
    ) -> None:
        self._backends = backends
        self._journal = journal
        self._most = most
        self._masks: dict[str, tuple[float, Mask]] = {}

    async def tail(self, deployment: Deployment, lines: int = LINES) -> str:
        """Return its last lines; "" if there are none, or the log can't be read right now."""
        app = await self._journal.app(deployment.app_id)
        if app is None or app.backend not in self._backends or deployment.backend_id is None:
            return ""
        try:
            record = await self.record(app, deployment.backend_id)
            shown = await self.text(app, record, lines) if record else []
        except BridgeError:
            return ""
        return "\n".join(line[:LONGEST_LINE] for line in shown)

    async def read(
        self,
        app: App,
        id_: str | None,
        ours: Deployment | None,
        lines: int,
        *,
        raw: bool = False,
    ) -> BuildLog:
        """Return the end of a log, or what the journal has kept of one that the backend lacks.

        Args:
            id_: of the deployment at the backend, if `ours` is None; None for the newest one.
            ours: the one that is meant, if the journal has it.
            raw: with the values of variables, and other secrets.

        Raises:
            NotFound: there is no such deployment, or nothing of its log was kept.
        """
        never = ours is not None and ours.backend_id is None
        record = None if never else await self.record(app, ours.backend_id if ours else id_)
        if record is not None:
            found = tuple(await self.text(app, record, lines, raw=raw))
            times, status = (record.created_at, record.finished_at), str(record.status)
            return BuildLog(app, record.id, status, *times, found, ours)
        if ours is None:
            raise NotFound(_no_such(app, id_))
        if not ours.log_kept:
            why = "has forgotten it" if ours.backend_id else "never started it, as far as is known"
            raise NotFound(
                f"there is no log of deployment {ours.seq} of {app.label}: the backend {why}"
            )
        why = f"the backend has forgotten deployment {ours.seq} of {app.label}"
        return kept(app, ours, lines, why)

    async def record(self, app: App, id_: str | None) -> BackendDeployment | None:
        """Return the backend's record of a deployment, or of the newest; None if it has none."""
        found = await self._backend(app).deployments(app)
        return next((one for one in found if id_ is None or one.id == id_), None)

    async def text(
        self, app: App, record: BackendDeployment, lines: int, *, raw: bool = False
    ) -> list[str]:
        """Return the last lines of a log, in which secrets are masked unless it is `raw`."""
        backend = self._backend(app)
        # Read more than is shown: a multi-line secret is recognised by its beginning.
        text = await backend.log_tail(record, min(lines + ABOVE, WHOLE))
        if raw:
            return lines_of(text)[-lines:]
        mask = await self._mask(backend, app)
        # In a thread, because no output of a build may block the event loop.
        return await asyncio.to_thread(_shown, text, lines, mask, self._most)

    def _backend(self, app: App) -> Backend:
        if app.backend not in self._backends:
            raise NotFound(f"{app.backend}, the backend of {app.label}, can't be asked from here")
        return self._backends[app.backend]

    async def _mask(self, backend: Backend, app: App) -> Mask:
        """Return what hides the values of an app's variables; a log may be read every second."""
        now = time.monotonic()
        self._masks = {id_: one for id_, one in self._masks.items() if now - one[0] < LATELY}
        if app.id not in self._masks:
            self._masks[app.id] = now, await mask_for(backend, app)
        return self._masks[app.id][1]


def kept(app: App, ours: Deployment, lines: int, why: str) -> BuildLog:
    """Return the end of a log that the journal has kept, which was masked before."""
    end, times = redact(ours.log_kept).split("\n")[-lines:], (ours.created_at, ours.finished_at)
    return BuildLog(app, ours.backend_id, "error", *times, tuple(end), ours, why)


def _no_such(app: App, id_: str | None) -> str:
    if id_ is None:
        return f"{app.label} has no deployments at the backend, so there is no log"
    lists = f"`dokploy-bridge deployments --app {app.label}` lists them"
    return f"{app.label} has no deployment {id_!r}; {lists}"


def _shown(text: str, lines: int, mask: Mask, most: int | None) -> list[str]:
    return lines_of(redact(text if most is None else end_of(text, most), mask))[-lines:]
