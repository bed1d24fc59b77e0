"""Follow the previews that backends make by themselves, read only.

Whether an app has such previews is known from what the catalogue reads anyway, so nothing is asked
where none has any: one request a round for each app that has some.
"""

import logging
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from bridge.core.apps import App
from bridge.core.backoff import Backoff
from bridge.core.errors import BridgeError, Refused
from bridge.core.previews.native import NativePreview, NativeState
from bridge.pipeline.deciding.catalog import Catalog
from bridge.pipeline.leader import Turn
from bridge.pipeline.worker_loop import Rounds
from bridge.ports.backends import Backend, MakesPreviews
from bridge.ports.clock import Clock
from bridge.ports.previews import Previews

log = logging.getLogger(__name__)

EVERY = 60.0
"""Seconds between two rounds."""

SOON = 5.0
"""Seconds between two rounds while something is built."""

LONGEST_BUILD = 1800.0
"""Seconds after which a build counts as stuck; Dokploy shows some as running for ever."""

GOING = (NativeState.WAITING, NativeState.BUILDING)

RETRY = Backoff(10.0, 300.0)
"""Pauses after a round failed."""


@runtime_checkable
class HasPreviews(Backend, MakesPreviews, Protocol):
    """A backend that may make previews by itself."""


class NativePreviewFollower:
    """Records the previews that backends make by themselves.

    Attributes:
        run: does so as long as the process lives.
    """

    def __init__(
        self,
        journal: Previews,
        catalog: Catalog,
        backends: Mapping[str, Backend],
        clock: Clock,
        *,
        turn: Turn,
    ) -> None:
        """Take the parts."""
        self._journal = journal
        self._catalog = catalog
        self._backends = backends
        self._clock = clock
        self._turn = turn
        self._failing: set[str] = set()
        what = "the previews that backends make by themselves can't be read"
        self.run = Rounds(what, self.look, RETRY).run

    async def look(self) -> float:
        """Read those of every app that has some; return the seconds until the next round."""
        await self._turn()
        await self._catalog.ready.wait()  # else every app would seem to be gone
        known: dict[str, list[NativePreview]] = {}
        for one in await self._journal.native_previews():
            known.setdefault(one.app_id, []).append(one)
        apps = {app.id: app for app in self._catalog.all() if app.native_previews}
        # Where they were switched off, those that there are stay until their pull requests end.
        apps |= {id_: app for id_ in known if (app := self._catalog.get(id_)) is not None}
        going = False
        for id_ in sorted(apps.keys() | known.keys()):
            before = known.get(id_, [])
            found = await self._read(apps.get(id_), before)
            if found != before:
                await self._journal.save_native_previews(id_, found)
            going = going or any(map(self._goes_on, found))
        return SOON if going else EVERY

    async def _read(self, app: App | None, before: list[NativePreview]) -> list[NativePreview]:
        """Return an app's previews; as they were known if they can't be read now."""
        if app is None:
            return []
        backend = self._backends.get(app.backend)
        if not isinstance(backend, HasPreviews):
            return []
        try:
            found = await backend.native_previews(app)
        except BridgeError as error:
            self._tell(app, error)
            return [] if isinstance(error, Refused) else before
        self._failing.discard(app.id)
        return found

    def _goes_on(self, one: NativePreview) -> bool:
        return one.state in GOING and self._clock() - one.active_at < LONGEST_BUILD

    def _tell(self, app: App, error: BridgeError) -> None:
        """Log a failure once, however often it repeats."""
        if app.id not in self._failing:
            self._failing.add(app.id)
            what = {"app": app.label, "why": str(error)}
            log.warning("the backend's own previews can't be read", extra=what)
