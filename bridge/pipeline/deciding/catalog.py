"""The apps of all backends, as of the last time each could be read, and indexes over them."""

import asyncio
import contextlib
import logging
import math
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from bridge.core.apps import Absent, App, same_ids
from bridge.core.decision import Policy
from bridge.core.errors import BridgeError
from bridge.core.events import Repository
from bridge.core.gates.order import differing
from bridge.core.previews.preview import as_preview, model_id
from bridge.core.rules import RuleBook, ruled
from bridge.pipeline.background import cancelled
from bridge.pipeline.deciding.apps import (
    AppIndex,
    Reader,
    Reading,
    Troubles,
    Watched,
    apps_of,
    index,
)
from bridge.ports.backends import Backend, TellsTime
from bridge.ports.clock import Clock
from bridge.ports.gates import Gates
from bridge.ports.journal import Apps, Notes


class CatalogJournal(Apps, Gates, Notes, Protocol):
    """What the catalog uses of the journal."""


log = logging.getLogger(__name__)

TROUBLE_PAUSE = 5.0
"""Seconds between two readings while a backend can't be read."""

SELDOM = 60.0
"""Seconds between two readings for pushes of repositories that earlier readings did not find."""

FOLLOW_PAUSE = 2.0
"""Seconds between two checks whether another process has read something new."""

INLINE = 0.25
"""Seconds that a batch of deliveries waits for a reading that has just begun; most take less.
After that, the deliveries that need it are postponed, and the others go on."""

LOOK_AGAIN = 0.1
"""Seconds until postponed deliveries are tried again."""

TICK = 2.0
"""Seconds that the timer waits for a reading; a longer one continues in the background."""

Read = Callable[[str], Awaitable[Reading]]
"""Reads a backend, given its name."""

Heard = Callable[[str, Mapping[str, str]], None]
"""Takes the name of a backend and texts by app id; see `app_reading.Reading.told`."""

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
        journal: CatalogJournal,
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
            every: seconds between two readings.
            eager: minimum seconds between two readings caused by pushes of unknown repositories.
            leads: whether this process reads the backends on the timer, for all processes.
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
        self.shared = shared
        self.heard: Heard = lambda _backend, _told: None
        """Called with what each listing tells of the apps' newest deployments, by app id."""
        self._began = -1e9
        self._version = -1
        self._apps: dict[str, App] = {}
        self._told: dict[str, App] | None = None
        self._snapshot: AppIndex = {}
        self._tried: dict[str, float] = {}
        self._anew: dict[str, asyncio.Task[None]] = {}
        self._in_turn: dict[str, asyncio.Task[None]] = {}
        self._missed: set[str] = set()
        self._keeping = asyncio.Lock()
        self._turns = {name: asyncio.Lock() for name in backends}
        self._following = asyncio.Lock()
        self._wake = asyncio.Event()
        self.reader = Reader(backends, journal, clock, self._known, every=every)
        self.ready = asyncio.Event()
        """Set once apps are known; until then deliveries wait."""
        self.trouble: dict[str, str] = {}
        """Backends that could not be read the last time, and why."""
        self.clashes: dict[str, str] = {}
        """Backends whose app ids clash with another's, and the remedy."""
        self._troubles = Troubles(journal)
        self._answered: set[str] = set()
        """Backends that this process has read, or failed to read, at least once."""

    async def load(self) -> None:
        """Start from the journal's apps; drop those of removed backends."""
        apps = await self._journal.apps()
        removed = {app.id for app in apps if app.backend not in self._backends}
        if self._backends and removed:  # a process without backends leaves this to the others
            await self._journal.renew_apps([], gone=removed)
        if apps:
            await self.follow()

    async def run(self) -> None:
        try:
            while True:
                woken = self._wake.is_set()
                self._wake.clear()  # before the reading: a change during it wakes again
                try:
                    await self._tick(woken)
                except BridgeError as error:  # our own journal: the known apps stay
                    log.warning("apps can't be stored", extra={"why": str(error)})
                # Not wait_for: in Python 3.11 it swallows a cancel that comes with a wake.
                with contextlib.suppress(TimeoutError):
                    pause = min(self._period(), FOLLOW_PAUSE) if self.shared else self._period()
                    async with asyncio.timeout(pause):
                        await self._wake.wait()
        finally:
            await self.close()

    async def close(self) -> None:
        await cancelled([*self._anew.values(), *self._in_turn.values()])

    async def _tick(self, woken: bool) -> None:
        """Read the backends if it is time and our turn, else load what another process has read."""
        leads = await self._leads()  # called each time, to keep the lead
        if woken or not self.ready.is_set() or (leads and self._past(self._began, self._every)):
            self._began = self._clock()
            due = list(self._backends)
        else:  # somebody has reported trouble
            due = [name for name in self.trouble if self._past(self._tried[name], self._period())]
        going = {name for name in due if _goes_on(self._in_turn.get(name))}
        if woken:
            self._missed |= going
        fresh = [name for name in due if name not in going]
        if not fresh:
            await self.follow()
            self._be_ready()
        await self._ended(self._begin(self._in_turn, fresh, self.reader.in_turn), TICK)

    def _past(self, moment: float, seconds: float) -> bool:
        return not 0 <= self._clock() - moment < seconds

    async def follow(self) -> None:
        """Load the journal's apps, if any process has written something new."""
        async with self._following:
            version = await self._journal.apps_version()
            if version != self._version:
                await self._take(await self._journal.apps())
                self._version = version

    def wake(self) -> None:
        self._wake.set()

    def look_at(self, backend: str) -> None:
        """Read a backend again soon: it is reported to be in trouble or to have changed.

        A backend known to be in trouble is read every few seconds anyway.
        """
        if backend in self._backends and backend not in self.trouble:
            self.wake()

    async def refresh(self) -> None:
        """Read every app of every backend; a backend that can't be read keeps its known apps."""
        self._began = self._clock()
        await asyncio.gather(*(self._read(name, self.reader.all) for name in self._backends))
        await self.follow()
        self._be_ready()

    def _begin(
        self, readings: dict[str, "asyncio.Task[None]"], names: Iterable[str], read: Read
    ) -> list["asyncio.Task[None]"]:
        """Begin to read backends independently; return these readings and the running ones."""
        for name in names:
            if not _goes_on(readings.get(name)):
                task = self._read(name, read)
                readings[name] = asyncio.create_task(task, name=f"reading the apps of {name}")
        return [readings[name] for name in names]

    async def _ended(self, readings: Collection["asyncio.Task[None]"], patience: float) -> bool:
        """Return whether the readings end in time; raise if our own journal is away."""
        if not readings:
            return True
        ended, going = await asyncio.wait(readings, timeout=patience)
        for reading in going:
            reading.add_done_callback(_tell)
        for reading in ended:
            reading.result()
        return not going

    async def _read(self, name: str, read: Read) -> None:
        """Read one backend, after any earlier reading of it; no other backend waits for that."""
        async with self._turns[name]:
            self._tried[name] = self._clock()
            reading = await self._read_one(name, read)
            async with self._keeping:  # the first backend keeps an id that two of them have
                if reading is not None:
                    reading = await self._keep(reading)
                self._answered.add(name)
                unread = self._backends.keys() - self._answered
                await self._troubles.note(self.trouble, self._tried[name], unread)
                await self._troubles.note_clashes(self.clashes)
                await self.follow()
            if reading is not None:
                self.reader.note(reading)
                if reading.told:
                    self.heard(name, reading.told)
            self._be_ready()
        if name in self._missed:
            self._missed.discard(name)
            self.wake()

    def _be_ready(self) -> None:
        """Let deliveries be decided once apps are known or all backends were read."""
        all_read = not self.trouble and self.reader.all_at > -math.inf
        if all_read or self._apps:
            self.ready.set()

    async def newer_than(self, moment: float, repository: Repository | None = None) -> float | None:
        """Make sure that all apps were read after `moment`, e.g. if none is known for a push.

        An app may have been created, or its repository changed, just before its first push. Reading
        all apps for every push of a repository that nobody deploys would be expensive. So they are
        read at most once in `eager` seconds, or once in SELDOM for a repository that several
        readings did not find; its push waits. While a backend can't be read, it may have such an
        app.

        Returns:
            When to try again; None if the reading is new enough.
        """
        often = repository is not None and self._absent.often(repository)
        come_again = await self._read_after(
            moment, self._seldom if often else self._eager, repository
        )
        if come_again is None and repository is not None and not self.of(repository):
            self._absent.note(repository, self.reader.all_at)
        return come_again

    async def _read_after(
        self, moment: float, pause: float, repository: Repository | None
    ) -> float | None:
        """Return when to try again; None once they were read or an app of the repository is known.

        A backend that can't be read does not delay the others, which are read at once.
        """
        stale = [name for name in self._backends if self.reader.all_of_at(name) <= moment]
        now = self._clock()
        if well := [name for name in stale if name not in self.trouble]:
            newest = max(map(self.reader.all_of_at, well))
            if 0 <= now - newest < pause:
                return newest + pause
            self._began = now
            if not await self._ended(self._begin(self._anew, well, self.reader.all), INLINE):
                return self._clock() + LOOK_AGAIN
        if repository is not None and self.of(repository):
            return None
        if any(name in self.trouble for name in stale):
            return now + TROUBLE_PAUSE  # the timer reads again; waiting here would block others
        # A time ahead of our clock comes from a machine whose clock is ahead.
        return None if min(moment, now) <= self.reader.all_at else self._clock() + LOOK_AGAIN

    def of(self, repository: Repository) -> tuple[App, ...]:
        """Return the apps that may deploy from a repository, by label."""
        return apps_of(self._snapshot, repository)

    @property
    def snapshot(self) -> AppIndex:
        """Return what `apps_of` needs; safe to read in any thread."""
        return self._snapshot

    def all(self) -> tuple[App, ...]:
        """Return every app, by label."""
        return tuple(self._apps.values())

    def get(self, app_id: str) -> App | None:
        return self._apps.get(app_id)

    @property
    def backends(self) -> Collection[str]:
        return self._backends.keys()

    def clocks_ahead(self) -> dict[str, float]:
        """Return how many seconds each backend's clock is ahead of ours, where known."""
        now = self._clock()
        return {
            name: ahead
            for name, backend in self._backends.items()
            if isinstance(backend, TellsTime) and (ahead := backend.clock_ahead(now)) is not None
        }

    def _known(self, backend: str) -> set[str]:
        return {app.id for app in self._apps.values() if app.backend == backend}

    async def _keep(self, reading: Reading) -> Reading:
        """Store what was read, except apps whose ids belong to another backend; return the rest."""
        name = reading.backend
        theirs = [
            app
            for id_ in reading.listed or ()
            if (app := self._apps.get(id_)) is not None
            and app.backend != name
            and app.backend in self._backends
        ]
        if theirs:
            other = theirs[0].backend
            words = same_ids(name, other, [app.label for app in theirs if app.backend == other])
            if self.clashes.get(name) != words:
                log.warning("apps have the same ids at two backends", extra={"why": words})
            self.clashes[name] = words
            taken = {app.id for app in theirs}
            found = [app for app in reading.found if app.id not in taken]
            reading = replace(reading, found=found)
        elif reading.listed is not None:
            self.clashes.pop(name, None)
        await self.reader.keep(reading)
        return reading

    async def _read_one(self, name: str, read: Read) -> Reading | None:
        try:
            reading = await read(name)
        except BridgeError as error:
            if self.trouble.get(name) != str(error):
                log.warning("apps can't be read", extra={"backend": name, "why": str(error)})
            self.trouble[name] = str(error)
            return None
        except Exception as error:  # a bug; other backends are still read
            log.exception("apps can't be read", extra={"backend": name})
            self.trouble[name] = f"the bridge had an internal error ({type(error).__name__})"
            return None
        self.trouble.pop(name, None)
        return reading

    async def _take(self, apps: Iterable[App]) -> None:
        self._apps, self._snapshot = await asyncio.to_thread(self._prepared, list(apps))
        if self._apps:
            self.ready.set()
        told = self._told  # after a start, the settings may have changed as well
        await self._journal.look_again(None if told is None else differing(told, self._apps))
        self._told = self._apps

    def _prepared(self, apps: Sequence[App]) -> tuple[dict[str, App], AppIndex]:
        """Lay the rules over the apps and compile their watch paths; slow if there are many."""
        known = {app.id: ruled(app, self._book) for app in apps}
        for app in (one for one in apps if one.marker):
            known[app.id] = as_preview(app, known.get(model_id(app.marker)))
        known = dict(sorted(known.items(), key=lambda each: (each[1].label, each[0])))
        snapshot = index(known.values())
        self.watched.update(snapshot)
        return known, snapshot

    def _period(self) -> float:
        return min(self._every, TROUBLE_PAUSE) if self.trouble else self._every


def _goes_on(reading: "asyncio.Task[None] | None") -> bool:
    return reading is not None and not reading.done()


def _tell(reading: "asyncio.Task[None]") -> None:
    """Log why a background reading failed: our own journal was away."""
    if not reading.cancelled() and (error := reading.exception()) is not None:
        log.warning("apps can't be stored", extra={"why": str(error)})
