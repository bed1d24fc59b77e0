"""The apps of all backends, as of the last time each could be read, and indexes over them."""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import cache

from bridge.core.apps import Absent, App
from bridge.core.decision import Matcher, Policy
from bridge.core.errors import BridgeError
from bridge.core.events import RefPushed, Repository
from bridge.core.matching import GlobError
from bridge.core.matching.watch_paths import Hit, WatchIndex
from bridge.core.rules import RuleBook, ruled
from bridge.pipeline.app_reading import Reader, Reading, Troubles
from bridge.ports.backends import Backend
from bridge.ports.clock import Clock
from bridge.ports.journal import Journal

AppIndex = Mapping[str, tuple[App, ...]]
"""Apps by the keys of the repository that they deploy from; immutable."""


class Watched:
    """The watch paths of all apps, compiled together by repository and kept warm.

    Safe to ask in any thread while another updates it.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._indexes: dict[str, WatchIndex] = {}
        self._added: dict[str, dict[str, tuple[str, ...] | None]] = {}

    def update(self, snapshot: AppIndex) -> None:
        """Take over what has changed, at a cost in proportion to the change."""
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
        """Return the verdicts for one push, worked out for all apps when the first one asks."""

        @cache
        def verdicts() -> dict[str, Hit | GlobError]:
            found: dict[str, Hit | GlobError] = {}
            for key in _keys_of_repository(push.repository):
                if (index := self._indexes.get(key)) is not None:
                    found |= index.decide(push.paths or ())
            return found

        return lambda app: verdicts().get(app.id)


def index(apps: Iterable[App]) -> AppIndex:
    """Return apps by repository, so that a push looks only at those that it may concern."""
    found: dict[str, list[App]] = defaultdict(list)
    for app in apps:
        for key in _keys_of_app(app):
            found[key].append(app)
    return {key: tuple(sorted(those, key=lambda app: app.label)) for key, those in found.items()}


def apps_of(snapshot: AppIndex, repository: Repository) -> tuple[App, ...]:
    """Return the apps that may deploy from a repository, each once, by label."""
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


log = logging.getLogger(__name__)

TROUBLE_PAUSE = 5.0
"""Seconds between two readings while a backend can't be read."""

SELDOM = 60.0
"""Seconds between two readings for pushes of repositories that were looked for before."""

FOLLOW_PAUSE = 2.0
"""Seconds between two checks whether another process has read something new."""

INLINE = 0.25
"""Seconds for which a batch of deliveries waits for a reading that has just begun; most take less.
After that, those that need it come again, and the others go on."""

LOOK_AGAIN = 0.1
"""Seconds until those come again."""

Read = Callable[[str], Awaitable[Reading]]
"""Read a backend, by its name."""

Leads = Callable[[], Awaitable[bool]]
"""Returns whether it is this process's turn."""


async def always() -> bool:
    """Return True: there is one process."""
    return True


async def never() -> bool:
    """Return False: other processes do that."""
    return False


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
            book: the bridge's own rules, laid over what the backends say.
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
        self._snapshot: AppIndex = {}
        self._tried = -1e9
        self._reading: asyncio.Task[None] | None = None
        self._refreshing = asyncio.Lock()
        self._following = asyncio.Lock()
        self._wake = asyncio.Event()
        self.reader = Reader(backends, journal, clock, self._known, every=every)
        self.ready = asyncio.Event()
        """Set once there are apps to decide by; until then deliveries wait."""
        self.trouble: dict[str, str] = {}
        """Backends that could not be read the last time, and why."""
        self._troubles = Troubles(journal)
        self._answered: set[str] = set()
        """Backends of which this process knows whether they can be read."""

    async def load(self) -> None:
        """Start from what the journal knows."""
        if await self._journal.apps():
            await self.follow()

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

    async def close(self) -> None:
        """Stop a reading that pushes have caused, if one is going on."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    async def _tick(self, woken: bool) -> None:
        """Read the backends if it is time and our turn, else take what another process has read."""
        leads = await self._leads()  # asked each time, so that the lead stays ours
        if woken or not self.ready.is_set() or (leads and self._past(self._began, self._every)):
            self._began = self._clock()
            await self._refresh(self._backends, self.reader.in_turn)
        elif self.trouble and self._past(self._tried, self._period()):  # whoever has met it
            await self._refresh(self.trouble, self.reader.in_turn)
        elif self._shared:
            await self.follow()

    def _past(self, moment: float, seconds: float) -> bool:
        return not 0 <= self._clock() - moment < seconds

    async def follow(self) -> None:
        """Take over what the journal has, if any process has written something new."""
        async with self._following:
            version = await self._journal.apps_version()
            if version != self._version:
                await self._take(await self._journal.apps())
                self._version = version

    def wake(self) -> None:
        """Note that something has changed: read again soon."""
        self._wake.set()

    def look_at(self, backend: str) -> None:
        """Read again soon, since a backend is said to be in trouble or to have changed.

        One that is known to be in trouble is read every few seconds anyway.
        """
        if backend in self._backends and backend not in self.trouble:
            self.wake()

    async def refresh(self) -> None:
        """Read every app of every backend; one that can't be read keeps what was known of it."""
        self._began = self._clock()
        await self._refresh(self._backends, self.reader.all)

    async def _refresh(self, names: Iterable[str], read: Read) -> None:
        async with self._refreshing:
            self._tried = self._clock()
            found = await asyncio.gather(*(self._refresh_one(name, read) for name in list(names)))
            if self._backends:  # else another process reads them
                await self._note_troubles()
            await self.follow()
            for reading in found:
                if reading is not None:
                    self.reader.note(reading)
            if not self.trouble or self._apps:
                self.ready.set()

    async def newer_than(self, moment: float, repository: Repository | None = None) -> float | None:
        """Make sure that all apps were read after `moment`, e.g. when a push knows none of them.

        An app may have been created, or its repository changed, just before its first push. Reading
        all apps for every push of a repository that nobody deploys would be expensive, so it is
        done once in `eager` seconds, and once in SELDOM for one that was looked for a few times:
        its push waits. Return when to come again, or None if the reading is newer now. While a
        backend can't be read nobody can say that it has no such app.
        """
        often = repository is not None and self._absent.often(repository)
        come_again = await self._read_after(moment, self._seldom if often else self._eager)
        if come_again is None and repository is not None and not self.of(repository):
            self._absent.note(repository, self.reader.all_at)
        return come_again

    async def _read_after(self, moment: float, pause: float) -> float | None:
        """Return None once they were read, else when to come again."""
        if self.reader.all_at > moment:
            return None
        now = self._clock()
        if self.trouble:  # the timer reads again; to wait for it here would block all others
            return now + TROUBLE_PAUSE
        if 0 <= now - self.reader.all_at < pause:
            return self.reader.all_at + pause
        if not await self._all_read():
            return self._clock() + LOOK_AGAIN
        if self.trouble:
            return now + TROUBLE_PAUSE
        # One that is ahead of our clock comes from a machine whose clock is.
        return None if min(moment, now) <= self.reader.all_at else self._clock() + LOOK_AGAIN

    async def _all_read(self) -> bool:
        """Read all apps in the background; return whether that, or a running reading, has ended."""
        reading = self._reading
        if reading is None or reading.done():
            reading = asyncio.create_task(self.refresh(), name="reading all apps")
            self._reading = reading
        await asyncio.wait([reading], timeout=INLINE)
        if not reading.done():
            return False
        self._reading = None
        reading.result()  # raises if our own journal is away
        return True

    def of(self, repository: Repository) -> tuple[App, ...]:
        """Return the apps that may deploy from a repository, by label."""
        return apps_of(self._snapshot, repository)

    @property
    def snapshot(self) -> AppIndex:
        """Return what `apps_of` needs; safe to read in any thread."""
        return self._snapshot

    def all(self) -> tuple[App, ...]:
        """Return every app there is."""
        return tuple(self._apps.values())

    def get(self, app_id: str) -> App | None:
        """Return one app by its id."""
        return self._apps.get(app_id)

    def _known(self, backend: str) -> set[str]:
        return {app.id for app in self._apps.values() if app.backend == backend}

    async def _note_troubles(self) -> None:
        unread = self._backends.keys() - self._answered
        await self._troubles.note(self.trouble, self._tried, unread)

    async def _refresh_one(self, name: str, read: Read) -> Reading | None:
        """Read a backend; what is wrong with it is stored at once, while others are still read."""
        reading = await self._read(name, read)
        self._answered.add(name)
        await self._note_troubles()
        if reading is not None:
            await self.reader.keep(reading)
        return reading

    async def _read(self, name: str, read: Read) -> Reading | None:
        """Read a backend; return None if it can't be read."""
        try:
            reading = await read(name)
        except BridgeError as error:
            if self.trouble.get(name) != str(error):
                log.warning("apps can't be read", extra={"backend": name, "why": str(error)})
            self.trouble[name] = str(error)
            return None
        except Exception as error:  # a bug; other backends are read all the same
            log.exception("apps can't be read", extra={"backend": name})
            self.trouble[name] = f"the bridge failed inside ({type(error).__name__})"
            return None
        self.trouble.pop(name, None)
        return reading

    async def _take(self, apps: Iterable[App]) -> None:
        self._apps, self._snapshot = await asyncio.to_thread(self._prepared, list(apps))
        if self._apps:
            self.ready.set()

    def _prepared(self, apps: Sequence[App]) -> tuple[dict[str, App], AppIndex]:
        """Lay the rules over the apps and compile their watch paths; slow if there are many."""
        known = {app.id: ruled(app, self._book) for app in apps}
        snapshot = index(known.values())
        self.watched.update(snapshot)
        return known, snapshot

    def _pause(self) -> float:
        return min(self._period(), FOLLOW_PAUSE) if self._shared else self._period()

    def _period(self) -> float:
        return min(self._every, TROUBLE_PAUSE) if self.trouble else self._every
