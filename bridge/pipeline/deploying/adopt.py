"""Adopt apps: switch off the backend's own deploys of pushes, which the bridge deploys already.

Nothing else of an app is written. The audit log knows which apps were adopted, so only those are
put back.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from bridge.core.apps import App
from bridge.core.configuration.difference import Changed
from bridge.core.errors import BridgeError, NotFound, Refused, Rejected
from bridge.core.people import Actor
from bridge.pipeline.deploying.configure import ConfigurationJournal, Noted
from bridge.ports.backends import Backend, DeploysPushes, ReadsApps, read_apps
from bridge.ports.clock import Clock, Wake
from bridge.ports.outcomes import ADOPT, ADOPT_UNDO, DONE, Audited

log = logging.getLogger(__name__)

SEARCHED = 10_000
"""The number of newest changes to search for adopted apps."""


@runtime_checkable
class Adoptable(Backend, DeploysPushes, Protocol):
    """A backend that may deploy pushes by itself."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """Apps to switch.

    Attributes:
        off: whether the backend's own deploys are switched off; else they are switched on again.
        those: the apps to switch; the others are as they should be.
        left: apps that are on and stay so, since no push of theirs reaches the bridge.
        unread: which apps or backends can't be read, and why, for people.
    """

    off: bool
    those: tuple[App, ...]
    left: tuple[App, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Adopter:
    """Switches the backends' own deploys of pushes.

    Attributes:
        heard: whether an app's pushes can reach the bridge.
    """

    backends: Mapping[str, Backend]
    journal: ConfigurationJournal
    clock: Clock
    heard: Callable[[App], bool]
    wake: Wake = lambda: None

    async def plan(self, apps: Sequence[App]) -> Adoption:
        """Return which of these apps their backend deploys as well, as they are now."""
        now, unread = await self._fresh(apps)
        on = [one for one in now if one.deploys_twice]
        those = tuple(one for one in on if self.heard(one))
        return Adoption(True, those, tuple(one for one in on if one not in those), unread)

    async def plan_undo(self, apps: Sequence[App]) -> Adoption:
        """Return which of these apps were adopted and not put back since."""
        newest: dict[str, Audited] = {}
        for note in await self.journal.audited(limit=SEARCHED):
            if note.what in (ADOPT, ADOPT_UNDO) and (note.result == DONE or note.perhaps):
                newest.setdefault(note.app_id, note)
        adopted = {id_ for id_, note in newest.items() if note.what == ADOPT}
        now, unread = await self._fresh([one for one in apps if one.id in adopted])
        return Adoption(False, tuple(one for one in now if not one.auto_deploy), (), unread)

    async def carry_out(self, plan: Adoption, *, by: Actor) -> tuple[list[App], list[str]]:
        """Switch all apps of a plan; return those that were switched, and why others weren't."""
        switched: list[App] = []
        failed: list[str] = []
        for app in plan.those:
            try:
                await self.switch(app, off=plan.off, by=by)
                switched.append(app)
            except BridgeError as error:
                failed.append(f"{app.label}: {error}")
        return switched, failed

    async def switch(self, app: App, *, off: bool, by: Actor) -> None:
        """Switch one app, and read it back.

        Raises:
            Rejected: its backend has no such switch.
            Refused: it reads back as it was.
            Unreachable, Unanswered: as the backend has it.
        """
        backend = self.backends.get(app.backend)
        if not isinstance(backend, Adoptable):
            raise Rejected(f"apps of {app.backend} have no deploys of their own to switch off")
        changed = Changed("auto_deploy", before=off, after=not off)
        what = ADOPT if off else ADOPT_UNDO
        note = Audited(self.clock(), by, what, app.id, app.label, (changed,))
        async with Noted(self.journal, note):
            await backend.set_auto_deploy(app, on=not off)
            (now,) = await read_apps(backend, [app]) or (None,)
            if now is None or now.auto_deploy is off:
                raise Refused(app.backend, f"Auto Deploy of {app.label} is still as it was")
        await self._publish(now)

    async def _publish(self, app: App) -> None:
        try:
            await self.journal.renew_apps([app])
        except BridgeError as error:  # the change itself is made
            fields = {"app": app.label, "why": str(error)}
            log.warning("a changed app can't be read back into the journal", extra=fields)
        self.wake()

    async def _fresh(self, apps: Sequence[App]) -> tuple[list[App], tuple[str, ...]]:
        """Return apps as their backends have them now, and which can't be read, for people.

        Those that are gone are left out.
        """
        found: list[App] = []
        unread: list[str] = []
        for name in dict.fromkeys(one.backend for one in apps):
            if (backend := self.backends.get(name)) is None:
                raise NotFound(f"{name} is no backend of these settings")
            those = [one for one in apps if one.backend == name]
            try:
                found += await read_apps(backend, those)
            except BridgeError as error:
                read, why = await _one_by_one(backend, those, error)
                found += read
                unread += why
        return found, tuple(unread)


async def _one_by_one(
    backend: Backend, apps: Sequence[App], error: BridgeError
) -> tuple[list[App], list[str]]:
    """Return what can be read although one app, or the backend itself, can't be."""
    if not isinstance(backend, ReadsApps):
        return [], [str(error)]
    try:
        await backend.listing()
    except BridgeError as trouble:  # of the backend itself: each app would say the same
        return [], [str(trouble)]
    found: list[App] = []
    unread: list[str] = []
    for app in apps:
        try:
            found += await backend.read_apps([app])
        except BridgeError as why:
            unread.append(f"{app.label}: {why}")
    return found, unread
