"""Reading apps from their backends into the journal."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from bridge.core.watch import App
from bridge.journey.catalog.rota import Rota, share_of
from bridge.ports.backends import Backend, ReadsApps, read_apps
from bridge.ports.clock import Clock
from bridge.ports.journal import Apps

Known = Callable[[str], Collection[str]]
"""The ids of a backend's apps as far as they are known."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a backend has said.

    Attributes:
        asked: ids of the apps that it was asked about; those not `found` have gone.
        listed: how each of all its apps is listed, by id, where it was asked which there are.
        began: when it was asked.
    """

    backend: str
    asked: frozenset[str]
    found: Sequence[App]
    listed: Mapping[str, str] | None
    began: float


class Reader:
    """Reads all apps of a backend, those whose turn it is, or single ones.

    To read and to keep are two steps: the first raises what the backend raises, and the second
    what our own journal raises.
    """

    def __init__(
        self,
        backends: Mapping[str, Backend],
        journal: Apps,
        clock: Clock,
        known: Known,
        *,
        every: float,
    ) -> None:
        """Take the parts; `every` is the seconds between two ticks of the timer."""
        self._backends = backends
        self._journal = journal
        self._clock = clock
        self._known = known
        self._every = every
        self._rotas = {name: Rota() for name in backends}
        self._all_at: dict[str, float] = {}
        self._kept_at: dict[str, float] = {}
        self.read_at: dict[str, float] = {}
        """By the id of an app, when the newest reading began that this process made of it."""

    @property
    def all_at(self) -> float:
        """When the oldest of the newest readings began that were of all apps of a backend."""
        return min((self._all_at.get(name, -math.inf) for name in self._backends), default=math.inf)

    def reads(self, backend: str) -> bool:
        """Return whether this process can ask that backend."""
        return backend in self._backends

    async def all(self, name: str) -> Reading:
        """Read every app of a backend."""
        return await self._listed(name, whole=True)

    async def in_turn(self, name: str) -> Reading:
        """Read the apps that are new or may have changed, and those whose turn it is.

        The first time, and where a backend can't read single apps, that is all of them.
        """
        return await self._listed(name, whole=name not in self._all_at)

    async def some(self, name: str, apps: Sequence[App]) -> Reading:
        """Read single apps of a backend."""
        began = self._clock()
        found = await read_apps(self._backends[name], apps)
        return Reading(name, frozenset(app.id for app in apps), found, None, began)

    async def keep(self, reading: Reading) -> None:
        """Write what was read into the journal, but for what a later reading has read by now."""
        newer = {id_ for id_ in reading.asked if self._kept_at.get(id_, 0.0) > reading.began}
        asked = reading.asked - newer
        found = [app for app in reading.found if app.id in asked]
        if reading.listed is None:
            await self._journal.renew_apps(found, gone=asked.difference(app.id for app in found))
        else:
            kept = (reading.listed.keys() - reading.asked) | newer
            await self._journal.save_apps(reading.backend, found, kept=kept)
            self._rotas[reading.backend].note(reading.listed)
        self._kept_at.update(dict.fromkeys(asked, reading.began))

    def note(self, reading: Reading) -> None:
        """Remember when apps were read, once that which was kept is decided by.

        Sooner would be wrong: a record could pass for new that is about to be replaced.
        """
        for id_ in reading.asked:
            self.read_at[id_] = max(reading.began, self.read_at.get(id_, reading.began))
        if reading.listed is not None and reading.listed.keys() <= reading.asked:
            self._all_at[reading.backend] = reading.began

    async def _listed(self, name: str, *, whole: bool) -> Reading:
        began, backend = self._clock(), self._backends[name]
        if not isinstance(backend, ReadsApps):
            found = await backend.apps()
            listed = dict.fromkeys((app.id for app in found), "")
            return Reading(name, frozenset(listed), found, listed, began)
        listing = await backend.listing()
        share = share_of(len(listing), self._every, backend.apps_per_request)
        due = self._rotas[name].due(
            listing, self._known(name), self.read_at, len(listing) if whole else share
        )
        found = await backend.read_apps(due)
        listed = {one.app.id: one.signal for one in listing}
        return Reading(name, frozenset(app.id for app in due), found, listed, began)
