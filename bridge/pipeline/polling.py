"""Poll what a backend shows of deployments, once for all that are followed.

Five hundred deployments may be followed at once. The queue is one answer for all of them, so it is
read at a limited rate and shared. A deployment that waits in it, or is known to run, needs no look
at its app's records. The remaining looks are spaced out.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from bridge.core.apps import App
from bridge.core.errors import BridgeError, Refused
from bridge.core.lifecycle import Deployment, State
from bridge.core.tracking import Seen, Shown, marked, match
from bridge.ports.backends import Backend, BackendDeployment, Progress, QueuedJob, TellsTime
from bridge.ports.clock import Clock, Sleep

Pinned = Callable[[str], Awaitable[Container[str]]]
"""Returns the backend's ids by which the deployments of an app are known already."""

Troubled = Callable[[str], None]
"""Called with the name of a backend that can't be reached, or that no longer knows an app."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the backend shows of one deployment.

    Attributes:
        record, job: ours, as far as there is one.
        doubtful: records that ended since the request, newest first, which may be ours or not; only
            if neither record nor job is shown.
        idle: the queue has no job of the app, ours or another's; None if the queue is not told.
        blocked: the queue has an older job of the app, so ours can't have had its turn.
    """

    record: BackendDeployment | None = None
    job: QueuedJob | None = None
    doubtful: tuple[BackendDeployment, ...] = ()
    idle: bool | None = None
    blocked: bool = False

    @property
    def present(self) -> bool:
        """Return whether the backend surely has it."""
        return self.record is not None or self.job is not None

    @property
    def shown(self) -> Shown:
        """Return the look in the form that `core.tracking` judges."""
        runs = self.record is not None and self.record.status is Progress.RUNNING
        at_work = self.job is not None and self.job.active
        return Shown(self.present, runs, self.idle, self.blocked, at_work)


MANY = 500
"""Deployments followed at once from which a backend is polled at its slowest rate."""

LONGEST_GAP = 5.0
"""Seconds between two readings of the queue in which a backend can't restart unnoticed."""

LONGEST_ANSWER = 1.0
"""Seconds after which an answer may have waited until the backend's database was back."""

EXACT = 2.0
"""Seconds by which a backend's clock must differ to count as wrong; it is known to a second."""


class BackendPoller:
    """Polls one backend on behalf of all deployments that are followed.

    Args:
        pinned: tells which records are known to be of other deployments.
        quick, per_second: reads a second at most while few are followed, and while `MANY` are; in
            between in proportion. A second's worth may come at once.
        queue_age: seconds that the queue may be old when few ask; it grows with their number.
        record_age: seconds that the record of a running one may be old while its job is active; it
            grows so that these looks are one a second at most.
    """

    def __init__(
        self,
        backend: Backend,
        clock: Clock,
        pinned: Pinned,
        *,
        troubled: Troubled = lambda _backend: None,
        sleep: Sleep = asyncio.sleep,
        quick: float = 40.0,
        per_second: float = 8.0,
        queue_age: float = 0.2,
        record_age: float = 30.0,
    ) -> None:
        self.backend = backend
        self._clock = clock
        self._pinned = pinned
        self._troubled = troubled
        self._sleep = sleep
        self._quick = quick
        self._per_second = per_second
        self._queue_age = queue_age
        self._record_age = record_age
        self._free_at = -1e9
        self._queue: list[QueuedJob] | None = None
        self._queue_at = -1e9
        self._failure: tuple[float, BridgeError] | None = None
        self._watched_since: float | None = None
        self._failed_at = -1e9
        self._reading = asyncio.Lock()
        self._followed: dict[str, float] = {}
        """When the records were last read on behalf of each."""

    def restarted(self) -> None:
        """Note that the backend was restarted since the last look, or may have been."""
        self._watched_since, self._failed_at = None, self._clock()

    @contextmanager
    def following(self, id_: str) -> Iterator[None]:
        """Count a deployment as followed; the more there are, the older the queue may be."""
        self._followed[id_] = -1e9
        try:
            yield
        finally:
            self._followed.pop(id_, None)

    @property
    def watched_since(self) -> float:
        """Since when every look has succeeded at once, none far behind the one before."""
        return self._clock() if self._watched_since is None else self._watched_since

    async def begin_to_watch(self) -> None:
        """Read the queue, so that what is requested from now on is watched from the beginning."""
        with suppress(BridgeError):  # then it counts as unwatched
            await self._recent_queue()

    async def look(self, deployment: Deployment, app: App) -> Look:
        """Return how a deployment stands, as of a moment ago."""
        asked_at = deployment.asked_at or 0.0
        return await self._look_into(
            deployment,
            app,
            lambda: self._recent_queue(asked_at),
            lambda: self._spaced(deployment.id, app),
            known_to_run=self._known_to_run(deployment),
            doubt=self._failed_at >= asked_at,
        )

    async def look_now(self, deployment: Deployment, app: App, *, doubt: bool = False) -> Look:
        """Return how a deployment stands at this very moment.

        Args:
            doubt: it may never have arrived.
        """
        return await self._look_into(
            deployment, app, self.backend.queue, lambda: self.backend.deployments(app), doubt=doubt
        )

    async def tells_queue(self) -> bool:
        """Return whether the backend is new enough to list what waits."""
        return await self._recent_queue() is not None

    async def _look_into(
        self,
        deployment: Deployment,
        app: App,
        queue: Callable[[], Awaitable[list[QueuedJob] | None]],
        records: Callable[[], Awaitable[list[BackendDeployment]]],
        *,
        known_to_run: bool = False,
        doubt: bool = False,
    ) -> Look:
        """Find our job, our record, or what may be it.

        Args:
            known_to_run: while its job is active, its record holds no news.
            doubt: it may never have arrived, or may have been lost since.
        """
        jobs = await queue()
        idle = None if jobs is None else all(job.app != app.id for job in jobs)
        job = job_of(deployment, jobs)
        if job is not None and (known_to_run or not job.active):
            return Look(job=job, idle=idle)  # what waits has no record yet
        listed = {record.id: record for record in await records()}
        pinned = await self._pinned(app.id) if job is None else ()
        found = match(
            deployment,
            [seen(record) for record in listed.values()],
            since=self._by_its_clock(deployment.intent_at or 0.0),
            pinned=pinned,
            doubt=doubt or self._to_come(deployment.intent_at or 0.0),
        )
        if found.ours is not None and (job is None or marked(deployment, found.ours)):
            return Look(listed[found.ours.id], job, idle=idle)
        doubtful = () if job is not None else tuple(listed[one.id] for one in found.doubtful)
        asked_at = self._by_its_clock(deployment.asked_at or 0.0)
        of_app = (one for one in jobs or () if one.app == app.id and one is not job)
        blocked = any((one.added_at or asked_at) < asked_at for one in of_app)
        # What still runs has not ended, whatever else has.
        return Look(None, job, doubtful, idle, blocked)

    def by_our_clock(self, moment: float) -> float:
        """Return a moment that the backend tells by our clock, as nearly as that is known."""
        if not isinstance(self.backend, TellsTime):
            return moment
        ahead = self.backend.clock_ahead(self._clock()) or 0.0
        return moment - ahead if abs(ahead) > EXACT else moment

    def _by_its_clock(self, moment: float) -> float:
        """Return a moment by the backend's clock, or an earlier one, so that nothing is missed."""
        if self._to_come(moment):
            return -math.inf
        ahead = self.backend.clock_ahead(moment) if isinstance(self.backend, TellsTime) else 0.0
        return moment + (ahead or 0.0)

    def _to_come(self, moment: float) -> bool:
        """Return whether a process with another clock wrote the time, so that it tells nothing."""
        return moment > self._clock()

    async def _recent_queue(self, asked_at: float = 0.0) -> list[QueuedJob] | None:
        """Return the queue, read after `asked_at`: an older one says nothing of what came then.

        A failure counts for all callers as an answer does.
        """
        age = min(2.0, self._queue_age * (1 + len(self._followed) / 50))
        async with self._reading:
            if self._failure is not None and self._clock() - self._failure[0] < age:
                raise self._failure[1]
            if self._clock() - self._queue_at >= age or self._queue_at <= asked_at:
                self._take_turn()  # the job appears at once, its record a little later
                await self._read_queue()
            return self._queue

    async def _read_queue(self) -> None:
        before, asked_at = self._queue_at, self._clock()
        try:
            self._queue = await self.backend.queue()
        except BridgeError as error:
            self._failure = self._clock(), error
            self._blinded()
            raise
        self._queue_at, self._failure = asked_at, None
        if self._watched_since is None or self._queue_at - before > LONGEST_GAP:
            self._watched_since = self._queue_at
        self._doubt_if_late(asked_at)

    def _doubt_if_late(self, asked_at: float) -> None:
        """Watch anew after an answer that took long: it may have waited for the database."""
        if self._clock() - asked_at > LONGEST_ANSWER:
            self._watched_since = None

    def _blinded(self) -> None:
        self.restarted()
        self._troubled(self.backend.name)

    async def _spaced(self, id_: str, app: App) -> list[BackendDeployment]:
        if (pause := self._take_turn()) > 0:
            await self._sleep(pause)
        asked_at = self._clock()
        try:
            records = await self.backend.deployments(app)
        except BridgeError:
            self._blinded()
            raise
        self._doubt_if_late(asked_at)
        if id_ in self._followed:
            self._followed[id_] = self._clock()
        return records

    def _take_turn(self) -> float:
        """Return the seconds until the next read is due."""
        now = self._clock()
        few = max(0.0, 1 - len(self._followed) / MANY)
        per_second = self._per_second + few * max(0.0, self._quick - self._per_second)
        burst = 1.0  # second
        self._free_at = max(self._free_at + 1 / per_second, now - burst)
        return self._free_at - now

    def _known_to_run(self, deployment: Deployment) -> bool:
        """Return whether its record was seen running only a while ago; its job tells the end."""
        if deployment.state is not State.RUNNING or deployment.backend_id is None:
            return False
        looked_at = self._followed.get(deployment.id, -1e9)
        return self._clock() - looked_at < max(self._record_age, len(self._followed))


class BackendPollers:
    """One `BackendPoller` per backend."""

    def __init__(
        self,
        backends: Mapping[str, Backend],
        clock: Clock,
        pinned: Pinned,
        *,
        troubled: Troubled = lambda _backend: None,
        sleep: Sleep = asyncio.sleep,
        per_second: float = 8.0,
    ) -> None:
        self.troubled = troubled
        self._all = {
            name: BackendPoller(
                backend, clock, pinned, troubled=troubled, sleep=sleep, per_second=per_second
            )
            for name, backend in backends.items()
        }

    def of(self, app: App) -> BackendPoller:
        """Return that of an app's backend; raise Refused if it is no longer configured."""
        if (found := self._all.get(app.backend)) is None:
            why = f"no backend {app.backend!r} is configured any more"
            raise Refused(app.backend, why)
        return found


def seen(record: BackendDeployment) -> Seen:
    """Return a record as far as finding ours needs it."""
    return Seen(
        id=record.id,
        text=f"{record.title} {record.description}",
        running=record.status is Progress.RUNNING,
        commit=record.commit,
        created_at=record.created_at,
    )


def job_of(deployment: Deployment, jobs: Sequence[QueuedJob] | None) -> QueuedJob | None:
    """Return our job among those of the queue."""
    for job in jobs or ():
        if deployment.token in job.title or deployment.token in job.description:
            return job
    return None
