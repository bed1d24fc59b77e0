"""Which apps there are and what each waits for, at hand without asking anybody.

Read from the backends on a timer and after changes, and kept in the journal, so that the
bridge starts and decides even while a backend is down.
"""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import cache

from bridge.core.absent import Absent
from bridge.core.decision import Matcher, Policy
from bridge.core.errors import BridgeError
from bridge.core.events import RefPushed, Repository
from bridge.core.globs import GlobError
from bridge.core.rules import RuleBook, ruled
from bridge.core.watch import App
from bridge.core.watch_paths.index import WatchIndex
from bridge.core.watch_paths.patterns import Hit
from bridge.journey.troubles import Troubles
from bridge.ports.backends import Backend
from bridge.ports.clock import Clock
from bridge.ports.journal import Journal

log = logging.getLogger(__name__)

TROUBLE_PAUSE = 5.0
"""Seconds between two readings while a backend can't be read."""

SELDOM = 60.0
"""Seconds between two readings that pushes of repositories cause which were looked for before; no
more than between two on the timer."""

FOLLOW_PAUSE = 2.0
"""Seconds between two looks whether another process has read something new."""

Leads = Callable[[], Awaitable[bool]]
"""Whether of all processes it is this one's turn."""


async def always() -> bool:
    """It is, where there is one process."""
    return True


async def never() -> bool:
    """It is not: others do that."""
    return False


Snapshot = Mapping[str, tuple[App, ...]]
"""Apps by the keys of the repository that they deploy from; never changed once made."""


class Watched:
    """The watch paths of all apps, compiled together by repository and kept warm.

    Safe to ask in any thread while another updates it.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._indexes: dict[str, WatchIndex] = {}
        self._added: dict[str, dict[str, tuple[str, ...] | None]] = {}

    def update(self, snapshot: Snapshot) -> None:
        """Take what has changed: a few apps cost as little as they are."""
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
        """The verdicts for one push, worked out for all apps when the first one asks."""

        @cache
        def verdicts() -> dict[str, Hit | GlobError]:
            found: dict[str, Hit | GlobError] = {}
            for key in _keys_of_repository(push.repository):
                if (index := self._indexes.get(key)) is not None:
                    found |= index.decide(push.paths or ())
            return found

        return lambda app: verdicts().get(app.id)


class Catalog:
    """The apps of all backends, as of the last time each could be read."""

    def __init__(
        self,
        backends: Mapping[str, Backend],
        journal: Journal,
        clock: Clock,
        *,
        policy: Policy | None = None,
        book: RuleBook = (),
        every: float = 60.0,
        eager: float = 3.0,
        leads: Leads = always,
        shared: bool = False,
    ) -> None:
        """Take the parts.

        Args:
            book: our own rules, laid over what the backends say.
            every: seconds between two readings.
            eager: least seconds between two readings that pushes of unknown repositories cause.
            leads: whether this process reads the backends for all on the timer.
            shared: whether other processes write the journal, too.
        """
        self._backends = backends
        self._journal = journal
        self._clock = clock
        self._book = book
        self.watched = Watched(policy or Policy())
        self._every = every
        self._eager = eager
        self._seldom = max(eager, min(every, SELDOM))
        self._absent = Absent()
        self._leads = leads
        self._shared = shared
        self._began = -1e9
        self._version = -1
        self._apps: dict[str, App] = {}
        self._snapshot: Snapshot = {}
        self._read_at = -1e9
        self._refreshing = asyncio.Lock()
        self._wake = asyncio.Event()
        self.ready = asyncio.Event()
        """Set once there is something to decide by; until then deliveries wait."""
        self.trouble: dict[str, str] = {}
        """Backends that could not be read the last time, and why."""
        self._troubles = Troubles(journal)

    async def load(self) -> None:
        """Start from what the journal knows."""
        if await self._journal.apps():
            await self._follow()

    async def run(self) -> None:
        """Refresh on the timer, and when woken."""
        while True:
            woken = self._wake.is_set()
            self._wake.clear()  # before the reading: what changes during it wakes again
            try:
                await self._tick(woken)
            except BridgeError as error:  # our own journal: what was known stays
                log.warning("apps can't be kept", extra={"why": str(error)})
            # Not wait_for: in Python 3.11 it swallows a cancel that comes together with a wake.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause()):
                    await self._wake.wait()

    async def _tick(self, woken: bool) -> None:
        """Read the backends if it is time and our turn, else what another process has read."""
        leads = await self._leads()  # asked each time, so that the turn stays ours
        due = leads and not 0 <= self._clock() - self._began < self._period()
        if woken or due or not self.ready.is_set():
            await self.refresh()
        elif self._shared:
            await self._follow()

    async def _follow(self) -> None:
        """Take what the journal has, if it is new."""
        version = await self._journal.apps_version()
        if version != self._version:
            await self._take(await self._journal.apps())
            self._version = version

    def wake(self) -> None:
        """Something has changed: read again soon."""
        self._wake.set()

    async def refresh(self) -> None:
        """Read every backend once; one that can't be read keeps what was known of it."""
        async with self._refreshing:
            began = self._began = self._clock()
            names = list(self._backends)
            await asyncio.gather(*(self._refresh_one(name) for name in names))
            if self._backends:  # else another process reads them
                await self._troubles.note(self.trouble, began)
            await self._follow()
            if not self.trouble:
                self._read_at = began
            if not self.trouble or self._apps:
                self.ready.set()

    async def newer_than(self, moment: float, repository: Repository | None = None) -> float | None:
        """See to it that the apps were read after `moment`, as when a push knows none of them.

        An app may have been made just before its first push. Reading all apps for every
        push of a repository that nobody deploys would be dear, so it is done once in
        `eager` seconds, and once in SELDOM for one that was looked for a few times: its push
        waits. Returns when to come again, or None when the reading is newer now.
        While a backend can't be read nobody can say that it has no such app.
        """
        often = repository is not None and self._absent.often(repository)
        come_again = await self._read_after(moment, self._seldom if often else self._eager)
        if come_again is None and repository is not None and not self.of(repository):
            self._absent.note(repository, self._read_at)
        return come_again

    async def _read_after(self, moment: float, pause: float) -> float | None:
        """None once they were, else when to come again; `pause` is between two readings."""
        if self._read_at > moment:
            return None
        now = self._clock()
        if self.trouble:  # the timer reads again; to wait for it here would hold up all others
            return now + TROUBLE_PAUSE
        if 0 <= now - self._read_at < pause:
            return self._read_at + pause
        await self.refresh()
        return now + TROUBLE_PAUSE if self.trouble else None

    def of(self, repository: Repository) -> tuple[App, ...]:
        """The apps that may deploy from a repository, by label."""
        return apps_of(self._snapshot, repository)

    @property
    def snapshot(self) -> Snapshot:
        """What `apps_of` needs; safe to read in any thread."""
        return self._snapshot

    def all(self) -> tuple[App, ...]:
        """Every app there is."""
        return tuple(self._apps.values())

    def get(self, app_id: str) -> App | None:
        """One app by its id."""
        return self._apps.get(app_id)

    async def _refresh_one(self, name: str) -> None:
        try:
            found = await self._backends[name].apps()
        except BridgeError as error:
            if self.trouble.get(name) != str(error):
                log.warning("apps can't be read", extra={"backend": name, "why": str(error)})
            self.trouble[name] = str(error)
            return
        except Exception as error:  # a bug; other backends are read all the same
            log.exception("apps can't be read", extra={"backend": name})
            self.trouble[name] = f"the bridge failed inside ({type(error).__name__})"
            return
        self.trouble.pop(name, None)
        await self._journal.save_apps(name, found)

    async def _take(self, apps: Iterable[App]) -> None:
        self._apps, self._snapshot = await asyncio.to_thread(self._prepared, list(apps))
        if self._apps:
            self.ready.set()

    def _prepared(self, apps: Sequence[App]) -> tuple[dict[str, App], Snapshot]:
        """Lay our rules over the apps and compile what they watch; slow where there are many."""
        known = {app.id: ruled(app, self._book) for app in apps}
        snapshot = index(known.values())
        self.watched.update(snapshot)
        return known, snapshot

    def _pause(self) -> float:
        return min(self._period(), FOLLOW_PAUSE) if self._shared else self._period()

    def _period(self) -> float:
        return min(self._every, TROUBLE_PAUSE) if self.trouble else self._every


def index(apps: Iterable[App]) -> Snapshot:
    """Apps by repository, so that a push looks only at those that it may concern."""
    found: dict[str, list[App]] = defaultdict(list)
    for app in apps:
        for key in _keys_of_app(app):
            found[key].append(app)
    return {key: tuple(sorted(those, key=lambda app: app.label)) for key, those in found.items()}


def apps_of(snapshot: Snapshot, repository: Repository) -> tuple[App, ...]:
    """The apps that may deploy from a repository, each once, by label."""
    found = {
        app.id: app for key in _keys_of_repository(repository) for app in snapshot.get(key, ())
    }
    return tuple(sorted(found.values(), key=lambda app: app.label))


def _keys_of_app(app: App) -> Iterable[str]:
    source = app.source
    if source is None:
        return
    if source.url is not None:
        yield f"url {source.url}"
    elif source.repository_id is not None:
        yield f"{source.type} #{source.repository_id}"
    elif source.repository is not None:
        yield f"{source.type} {source.repository.lower()}"


def _keys_of_repository(repository: Repository) -> Iterable[str]:
    yield f"{repository.host} #{repository.id}"
    yield f"{repository.host} {repository.name.lower()}"
    yield from (f"url {url}" for url in repository.urls)
