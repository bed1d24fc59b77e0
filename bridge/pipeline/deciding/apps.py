"""The apps of all backends: read in rotation, backends in trouble noted, indexed by repository."""

import asyncio
import json
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache

from bridge.core.apps import App
from bridge.core.decision import Matcher, Policy
from bridge.core.errors import BridgeError
from bridge.core.events import RefPushed, Repository
from bridge.core.matching import GlobError
from bridge.core.matching.watch_index import WatchIndex
from bridge.core.matching.watch_paths import Hit
from bridge.ports.backends import Backend, Listed, ReadsApps, read_apps
from bridge.ports.clock import Clock
from bridge.ports.journal import Apps, Notes

ROUND = 240.0
"""Seconds to read every app once: a changed repository is found within five minutes, even if no
listing shows the change."""

HOURLY = 1000
"""The most requests that a backend gets in an hour without activity."""

SPARED = 2
"""Of these, the requests per tick for the listing and the probes."""


class Rota:
    """Remembers how each app was listed, and schedules readings in rotation."""

    def __init__(self) -> None:
        self._signals: dict[str, str] = {}

    def due(
        self,
        listed: Sequence[Listed],
        known: Collection[str],
        read_at: Mapping[str, float],
        share: int,
    ) -> list[App]:
        """Return the apps to read: those that are new or may have changed, and `share` others.

        Args:
            known: ids of the apps whose sources are known.
            read_at: when each was last read, whether or not it was found.
            share: how many of the others to read, least recently read first.
        """
        changed: list[App] = []
        others: list[App] = []
        for one in listed:
            fresh = one.app.id not in known and one.app.id not in read_at
            may_differ = self._signals.get(one.app.id, one.signal) != one.signal
            (changed if fresh or may_differ else others).append(one.app)
        others.sort(key=lambda app: read_at.get(app.id, -math.inf))
        return changed + others[:share]

    def note(self, listed: Mapping[str, str]) -> None:
        """Remember how each app was listed, by id, once the due apps are stored."""
        self._signals = dict(listed)


def share_of(apps: int, every: float, per_request: int) -> int:
    """Return how many apps to read in rotation at each tick.

    That is enough to complete the round in time, but stays within the hourly limit if a server
    answers one app at a time.

    Args:
        every: seconds between two ticks.
        per_request: the apps that one request reads.
    """
    for_the_round = math.ceil(apps * every / ROUND)
    requests = max(1, int(HOURLY * every / 3600) - SPARED)
    return min(for_the_round, requests * per_request)


Known = Callable[[str], Collection[str]]
"""Returns the known ids of a backend's apps."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of reading a backend.

    Attributes:
        asked: ids of the requested apps; those not `found` are gone.
        listed: how each of its apps is listed, by id, if a listing was read.
        told: what a listing tells of each app's newest deployment, by id; it differs when one
            begins, which is when it is dated, and when it ends.
    """

    backend: str
    asked: frozenset[str]
    found: Sequence[App]
    listed: Mapping[str, str] | None
    began: float
    told: Mapping[str, str] = field(default_factory=dict)


@dataclass(eq=False)
class Reader:
    """Reads all apps of a backend, those that are due, or single ones.

    Reading and storing are separate steps: the first raises the backend's errors, the second those
    of our own journal.

    Attributes:
        every: seconds between two ticks of the timer.
    """

    backends: Mapping[str, Backend]
    journal: Apps
    clock: Clock
    known: Known
    _: KW_ONLY
    every: float
    _rotas: Mapping[str, Rota] = field(init=False)
    _all_at: dict[str, float] = field(default_factory=dict, init=False)
    _lists: dict[str, tuple[float, frozenset[str]]] = field(default_factory=dict, init=False)
    _kept_at: dict[str, float] = field(default_factory=dict, init=False)
    read_at: dict[str, float] = field(default_factory=dict, init=False)
    """When this process's newest reading of each app began, by the app's id."""

    def __post_init__(self) -> None:
        self._rotas = {name: Rota() for name in self.backends}

    @property
    def all_at(self) -> float:
        """The earliest start among the backends' newest complete readings."""
        return min(map(self.all_of_at, self.backends), default=math.inf)

    def all_of_at(self, backend: str) -> float:
        """Return when the newest complete reading of one backend began."""
        return self._all_at.get(backend, -math.inf)

    def marks(self) -> dict[str, "Mark"]:
        """Return how far this process has read each backend."""
        return {
            name: Mark(at, min((self.read_at.get(id_, -math.inf) for id_ in ids), default=at))
            for name, (at, ids) in self._lists.items()
        }

    def reads(self, backend: str) -> bool:
        """Return whether this process can reach that backend."""
        return backend in self.backends

    async def all(self, name: str) -> Reading:
        return await self._listed(name, whole=True)

    async def in_turn(self, name: str) -> Reading:
        """Read the apps that are new, may have changed, or are due in the rotation.

        Read all of them the first time, or if the backend can't read single apps.
        """
        return await self._listed(name, whole=name not in self._all_at)

    async def some(self, name: str, apps: Sequence[App]) -> Reading:
        began = self.clock()
        found = await read_apps(self.backends[name], apps)
        return Reading(name, frozenset(app.id for app in apps), found, None, began)

    async def keep(self, reading: Reading) -> None:
        """Store what was read, except for apps that a later reading has covered."""
        newer = {id_ for id_ in reading.asked if self._kept_at.get(id_, 0.0) > reading.began}
        asked = reading.asked - newer
        found = [app for app in reading.found if app.id in asked]
        if reading.listed is None:
            await self.journal.renew_apps(found, gone=asked.difference(app.id for app in found))
        else:
            kept = (reading.listed.keys() - reading.asked) | newer
            await self.journal.save_apps(reading.backend, found, kept=kept)
            self._rotas[reading.backend].note(reading.listed)
        self._kept_at.update(dict.fromkeys(asked, reading.began))

    def note(self, reading: Reading) -> None:
        """Remember when apps were read, once what was stored is used for decisions.

        Sooner would be wrong: a record that is about to be replaced could pass for new.
        """
        for id_ in reading.asked:
            self.read_at[id_] = max(reading.began, self.read_at.get(id_, reading.began))
        if reading.listed is None:
            return
        self._lists[reading.backend] = reading.began, frozenset(reading.listed)
        if reading.listed.keys() <= reading.asked:
            self._all_at[reading.backend] = reading.began

    async def _listed(self, name: str, *, whole: bool) -> Reading:
        began, backend = self.clock(), self.backends[name]
        if not isinstance(backend, ReadsApps):
            found = await backend.apps()
            listed = dict.fromkeys((app.id for app in found), "")
            return Reading(name, frozenset(listed), found, listed, began)
        listing = await backend.listing()
        share = share_of(len(listing), self.every, backend.apps_per_request)
        due = self._rotas[name].due(
            listing, self.known(name), self.read_at, len(listing) if whole else share
        )
        found = await backend.read_apps(due)
        listed = {one.app.id: one.signal for one in listing}
        told = {one.app.id: f"{one.deployed_at or 0} {one.signal}" for one in listing}
        return Reading(name, frozenset(app.id for app in due), found, listed, began, told)


# ── How far each backend was read: its apps may have missed later pushes ────────────────────────

MARKED = "apps read"
"""The journal's key for how far each backend was read."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The times up to which a backend's apps are known, in seconds since 1970.

    Attributes:
        listed: when its list of apps was last read.
        whole: the oldest of the times at which its apps were last read.
    """

    listed: float
    whole: float

    def later(self, other: "Mark") -> "Mark":
        return Mark(max(self.listed, other.listed), max(self.whole, other.whole))


def write_marks(marks: Mapping[str, Mark]) -> str:
    """Return marks by backend name, as text."""
    return json.dumps({name: asdict(one) for name, one in sorted(marks.items())})


def read_marks(text: str | None) -> dict[str, Mark]:
    """Read what `write_marks` wrote; none if nothing was written yet."""
    return {name: Mark(**fields) for name, fields in json.loads(text or "{}").items()}


async def unread_since(journal: Notes) -> dict[str, float]:
    """Return since when each backend in trouble has been unreadable, by its name."""
    troubles = read_troubles(await journal.recall(NOTED))
    marks = read_marks(await journal.recall(MARKED))
    return {name: marks[name].listed for name in troubles if name in marks}


# ── Backends in trouble ─────────────────────────────────────────────────────────────────────────

NOTED = "backend troubles"
"""The journal's key for backends in trouble."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a backend can't be read.

    Attributes:
        why: the error, which names the backend and the remedy.
        since: seconds since 1970 at which it was first seen.
    """

    why: str
    since: float


def write_troubles(troubles: Mapping[str, Trouble]) -> str:
    """Return troubles by backend name, as text."""
    return json.dumps({name: asdict(one) for name, one in sorted(troubles.items())})


def read_troubles(text: str | None) -> dict[str, Trouble]:
    """Read what `write_troubles` wrote; none if nothing was written yet."""
    return {name: Trouble(**fields) for name, fields in json.loads(text or "{}").items()}


PATIENCE = 1.0
"""Seconds for the journal to answer; its own line in `/readyz` shows when it does not."""


CLASHES = "backends with the same ids"
"""The journal's key for backends whose app ids clash with another's, and the remedy."""


async def clashes_in(journal: Notes) -> dict[str, str]:
    """Return the backends whose app ids clash with another's, and the remedy."""
    return dict(json.loads(await journal.recall(CLASHES) or "{}"))


class Troubles:
    """Stores the troubles that this process sees, when they change, for other processes."""

    def __init__(self, journal: Notes) -> None:
        self._journal = journal
        self._since: dict[str, float] = {}
        self._noted: str | None = None
        self._noting = asyncio.Lock()
        self._clashes: str | None = None

    async def note_clashes(self, found: Mapping[str, str]) -> None:
        """Store which backends' app ids clash with another's; raise Unreachable."""
        text = json.dumps(dict(sorted(found.items())))
        if text != self._clashes:
            await self._journal.note(CLASHES, text)
            self._clashes = text

    async def note(
        self, found: Mapping[str, str], now: float, unread: Collection[str] = ()
    ) -> None:
        """Store why each backend can't be read, and since when; raise Unreachable.

        Args:
            found: by backend name; read once earlier notes are stored.
            unread: backends that have not answered this process yet; their stored notes stay.
        """
        async with self._noting:
            self._since = {name: self._since.get(name, now) for name in found}
            those = {name: Trouble(why, self._since[name]) for name, why in found.items()}
            if unread:
                stored = read_troubles(await self._journal.recall(NOTED))
                those = {name: one for name, one in stored.items() if name in unread} | those
            text = write_troubles(those)
            if text != self._noted:
                await self._journal.note(NOTED, text)
                self._noted = text


def utc(seconds: float) -> str:
    """Return a time as people read it in messages, to the second."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


async def troubles_in(journal: Notes) -> dict[str, str]:
    """Return each backend in trouble, as `/readyz` shows it; none if the journal is away."""
    try:
        async with asyncio.timeout(PATIENCE):
            noted = await journal.recall(NOTED)
            clashes = await clashes_in(journal)
    except (BridgeError, TimeoutError):
        return {}
    return {f"backend {name}": words for name, words in clashes.items()} | {
        f"backend {name}": f"{one.why} (since {utc(one.since)})"
        for name, one in read_troubles(noted).items()
    }


# ── apps by repository, with their watch paths compiled together ──────────────────────────────────

AppIndex = Mapping[str, tuple[App, ...]]
"""Apps by the keys of the repository that they deploy from; immutable."""


class Watched:
    """The watch paths of all apps, compiled together by repository and cached.

    Safe to read in any thread while another updates it.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._indexes: dict[str, WatchIndex] = {}
        self._added: dict[str, dict[str, tuple[str, ...] | None]] = {}

    def update(self, snapshot: AppIndex) -> None:
        """Apply what has changed, at a cost proportional to the change."""
        for key in [key for key in self._indexes if key not in snapshot]:
            del self._indexes[key], self._added[key]
        for key, apps in snapshot.items():
            index = self._indexes.setdefault(
                key, WatchIndex(self._policy.semantics, self._policy.picomatch)
            )
            added = self._added.setdefault(key, {})
            wanted = {app.id: app.watched for app in apps}
            for id_ in [id_ for id_ in added if id_ not in wanted]:
                index.remove(id_)
                del added[id_]
            for id_, patterns in wanted.items():
                if id_ not in added or added[id_] != patterns:
                    index.add(id_, patterns)
                    added[id_] = patterns

    def matcher(self, push: RefPushed) -> Matcher:
        """Return the matches for one push, computed for all apps at the first call."""

        @cache
        def verdicts() -> dict[str, Hit | GlobError]:
            found: dict[str, Hit | GlobError] = {}
            for key in _keys_of_repository(push.repository):
                if (index := self._indexes.get(key)) is not None:
                    found |= index.decide(push.paths or ())
            return found

        return lambda app: verdicts().get(app.id)


def index(apps: Iterable[App]) -> AppIndex:
    """Return apps by repository, so a push only considers those that it may affect."""
    found: dict[str, list[App]] = defaultdict(list)
    for app in apps:
        for key in keys_of_app(app):
            found[key].append(app)
    return {key: tuple(sorted(those, key=lambda app: app.label)) for key, those in found.items()}


def apps_of(snapshot: AppIndex, repository: Repository) -> tuple[App, ...]:
    """Return the apps that may deploy from a repository, each once, by label."""
    found = {
        app.id: app for key in _keys_of_repository(repository) for app in snapshot.get(key, ())
    }
    return tuple(sorted(found.values(), key=lambda app: app.label))


def keys_of_app(app: App) -> Iterable[str]:
    """Yield the keys of the repository whose pushes deploy an app; none if none do.

    The apps of previews are deployed by their pull requests.
    """
    source = app.source
    if source is None or app.marker:
        return
    if source.url is not None:
        yield f"url {source.url}"
    elif source.repository_id is not None:
        yield f"{source.type} #{source.repository_id}"
        if source.repository is not None:  # for a repository without a number
            yield f"{source.type} named {source.repository.lower()}"
    elif source.repository is not None:
        yield f"{source.type} {source.repository.lower()}"


def _keys_of_repository(repository: Repository) -> Iterable[str]:
    which = f"#{repository.id}" if repository.numbered else f"named {repository.id}"
    yield f"{repository.kind} {which}"
    yield f"{repository.kind} {repository.name.lower()}"
    yield from (f"url {url}" for url in repository.urls)
