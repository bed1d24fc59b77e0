"""Poll a backend's queue and records, once for all followed deployments.

Five hundred deployments may be followed at once. One reading of the queue serves all of them, at a
limited rate. A deployment that waits in the queue, or is known to run, needs no reading of its
app's records. The remaining readings are spaced out.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import KW_ONLY, dataclass, field

from bridge.core.apps import App
from bridge.core.errors import BridgeError, Refused
from bridge.core.lifecycle import Deployment, State
from bridge.core.tracking import Seen, Shown, marked, match
from bridge.ports.backends import Backend, BackendDeployment, Progress, QueuedJob, TellsTime
from bridge.ports.clock import Clock, Sleep

Pinned = Callable[[str], Awaitable[Container[str]]]
"""Returns the backend's ids that already belong to deployments of an app."""

Troubled = Callable[[str], None]
"""Called with the name of a backend that can't be reached, or that no longer knows an app."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the backend shows of one deployment.

    Attributes:
        record, job: ours, if there is one.
        doubtful: records that ended since the request and may be ours, newest first; only if
            neither record nor job is known to be ours.
        idle: whether the queue has no job of the app; None if the queue is not listed.
        blocked: whether the queue has an older job of the app, so ours can't have had its turn.
        untimely: none of `doubtful` surely began when ours must have begun, or our job may not be
            listed yet.
    """

    record: BackendDeployment | None = None
    job: QueuedJob | None = None
    doubtful: tuple[BackendDeployment, ...] = ()
    idle: bool | None = None
    blocked: bool = False
    untimely: bool = False

    @property
    def present(self) -> bool:
        """Return whether the backend surely has it."""
        return self.record is not None or self.job is not None

    @property
    def conclusive(self) -> bool:
        """Return whether ours has left the queue, and only one record can be its own.

        That is no proof where the backend may have been restarted since the request.
        """
        left = self.job is None and self.idle is not None and not self.blocked
        return left and len(self.doubtful) == 1 and not self.untimely

    @property
    def shown(self) -> Shown:
        """Return the look in the form that `core.tracking` judges."""
        runs = self.record is not None and self.record.status is Progress.RUNNING
        at_work = self.job is not None and self.job.active
        return Shown(self.present, runs, self.idle, self.blocked, at_work)


MANY = 500
"""Deployments followed at once at which a backend is polled at its slowest rate."""

LONGEST_GAP = 5.0
"""Seconds between two readings of the queue in which a backend can't restart unnoticed."""

LONGEST_ANSWER = 1.0
"""Seconds after which an answer may have waited for the backend's database to come back."""

LISTED_WITHIN = 1.5
"""Seconds in which a backend, or a proxy before it, may not list yet what it has accepted."""

EXACT = 2.0
"""Seconds by which a backend's clock must differ to count as wrong; its precision is a second."""


@dataclass(slots=True)
class _Followed:
    """The queue's evidence of when the build of a deployment began.

    Attributes:
        since: since when it is followed.
        read_at: when the app's records were last read for it.
        listed: whether its job was seen.
        early: its job was not seen yet, and may not be listed.
        waited, gone: when its job was last seen waiting, and first seen to be gone; by the
            backend's clock. Its build began in between.
    """

    since: float
    read_at: float = -math.inf
    listed: bool = False
    early: bool = True
    waited: float = -math.inf
    gone: float = math.inf

    @property
    def window(self) -> tuple[float, float]:
        """Return between which times its build has begun, as precisely as clocks are compared."""
        return self.waited - EXACT, self.gone + EXACT

    def saw(self, job: QueuedJob | None, read_at: float, there: float) -> None:
        """Note what a reading of the queue has shown.

        Args:
            read_at: when it was read, by our clock.
            there: the same by the backend's clock; infinite if it does not list its queue.
        """
        self.since = min(self.since, read_at)  # our clock may have been set back
        late = self.listed or read_at >= self.since + LISTED_WITHIN
        if job is not None:
            self.listed, self.gone = True, math.inf
            self.waited = self.waited if job.active else there
        elif late:
            self.gone = min(self.gone, there)
        self.early = not (self.listed or late)


@dataclass(eq=False)
class BackendPoller:
    """Polls one backend on behalf of all followed deployments.

    Args:
        pinned: returns the records that belong to other deployments.
        quick, per_second: the most reads a second while few are followed, and while `MANY` are;
            proportional in between. A burst may use up one second's worth.
        queue_age: how old the queue may be, in seconds, while few are followed; it grows with
            their number.
        record_age: how old the record of a running one may be, in seconds, while its job is
            active; it grows to limit these reads to one a second.
    """

    backend: Backend
    clock: Clock
    pinned: Pinned
    _: KW_ONLY
    troubled: Troubled = lambda _backend: None
    sleep: Sleep = asyncio.sleep
    quick: float = 40.0
    per_second: float = 8.0
    queue_age: float = 0.2
    record_age: float = 30.0
    _free_at: float = field(default=-1e9, init=False)
    _queue: list[QueuedJob] | None = field(default=None, init=False)
    _queue_at: float = field(default=-1e9, init=False)
    _failure: tuple[float, BridgeError] | None = field(default=None, init=False)
    _watched_since: float | None = field(default=None, init=False)
    _failed_at: float = field(default=-1e9, init=False)
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _followed: dict[str, _Followed] = field(default_factory=dict, init=False)

    def restarted(self) -> None:
        """Note that the backend was restarted since the last poll, or may have been."""
        self._watched_since, self._failed_at = None, self.clock()

    @contextmanager
    def following(self, id_: str) -> Iterator[None]:
        """Count a deployment as followed; the more there are, the older the queue may be."""
        self._followed[id_] = _Followed(self.clock())
        try:
            yield
        finally:
            self._followed.pop(id_, None)

    @property
    def watched_since(self) -> float:
        """Since when every poll has succeeded quickly, without long gaps."""
        return self.clock() if self._watched_since is None else self._watched_since

    async def begin_to_watch(self) -> None:
        """Read the queue, so deployments requested from now on are watched from the start."""
        with suppress(BridgeError):  # then they count as unwatched
            await self._recent_queue()

    async def look(self, deployment: Deployment, app: App) -> Look:
        """Return the state of a deployment, as of a moment ago."""
        asked_at = deployment.asked_at or 0.0
        followed = self._followed.get(deployment.id) or _Followed(self.clock())

        async def queue() -> list[QueuedJob] | None:
            jobs = await self._recent_queue(asked_at)
            there = math.inf if jobs is None else self._queue_at + self._ahead(self._queue_at)
            followed.saw(job_of(deployment, jobs), self._queue_at, there)
            return jobs

        return await self._look_into(
            deployment,
            app,
            queue,
            lambda: self._spaced(deployment.id, app),
            followed,
            known_to_run=self._known_to_run(deployment),
        )

    async def look_now(self, deployment: Deployment, app: App) -> Look:
        """Return the state, at this moment, of a deployment that may never have arrived."""
        return await self._look_into(
            deployment,
            app,
            self.backend.queue,
            lambda: self.backend.deployments(app),
            _Followed(self.clock()),
        )

    async def tells_queue(self) -> bool:
        """Return whether the backend is new enough to list its queue."""
        return await self._recent_queue() is not None

    async def _look_into(
        self,
        deployment: Deployment,
        app: App,
        queue: Callable[[], Awaitable[list[QueuedJob] | None]],
        records: Callable[[], Awaitable[list[BackendDeployment]]],
        followed: _Followed,
        *,
        known_to_run: bool = False,
    ) -> Look:
        """Find our job, our record, or records that may be ours.

        Args:
            followed: without evidence, even a record of our commit may be another's.
            known_to_run: while its job is active, its record can't have changed.
        """
        jobs = await queue()
        idle = None if jobs is None else all(job.app != app.id for job in jobs)
        job = job_of(deployment, jobs)
        if job is not None and (known_to_run or not job.active):
            return Look(job=job, idle=idle)  # a waiting job has no record yet
        listed = {record.id: record for record in await records()}
        pinned = await self.pinned(app.id) if job is None else ()
        intent_at, asked_at = deployment.intent_at or 0.0, deployment.asked_at or 0.0
        lost = followed.early or self._failed_at >= asked_at
        found = match(
            deployment,
            [seen(record) for record in listed.values()],
            intended=self._by_its_clock(intent_at),
            window=followed.window,
            pinned=pinned,
            doubt=lost or self._to_come(intent_at),
        )
        if found.ours is not None and (job is None or marked(deployment, found.ours)):
            return Look(listed[found.ours.id], job, idle=idle)
        doubtful = () if job is not None else tuple(listed[one.id] for one in found.doubtful)
        asked_there = self._by_its_clock(asked_at)
        of_app = (one for one in jobs or () if one.app == app.id and one is not job)
        blocked = any((one.added_at or asked_there) < asked_there for one in of_app)
        # Ours may still run, whatever else has ended.
        return Look(None, job, doubtful, idle, blocked, found.untimely or followed.early)

    def by_our_clock(self, moment: float) -> float:
        return by_our_clock(self.backend, moment, self.clock())

    def _by_its_clock(self, moment: float) -> float:
        """Convert a time to the backend's clock, or an earlier one, so nothing is missed."""
        if self._to_come(moment):
            return -math.inf
        return moment + self._ahead(moment)

    def _ahead(self, moment: float) -> float:
        """Return the seconds by which the backend's clock is known to be ahead of ours."""
        ahead = self.backend.clock_ahead(moment) if isinstance(self.backend, TellsTime) else 0.0
        return ahead or 0.0

    def _to_come(self, moment: float) -> bool:
        """Return whether a time is in the future, so another clock wrote it and it is useless."""
        return moment > self.clock()

    async def _recent_queue(self, asked_at: float = 0.0) -> list[QueuedJob] | None:
        """Return the queue, read after `asked_at`: an older one lacks what was requested then.

        All callers share a failure, as they share an answer.
        """
        age = min(2.0, self.queue_age * (1 + len(self._followed) / 50))
        async with self._reading:
            if self._failure is not None and self.clock() - self._failure[0] < age:
                raise self._failure[1]
            if self.clock() - self._queue_at >= age or self._queue_at <= asked_at:
                self._take_turn()  # the job appears at once, its record a little later
                await self._read_queue()
            return self._queue

    async def _read_queue(self) -> None:
        before, asked_at = self._queue_at, self.clock()
        try:
            self._queue = await self.backend.queue()
        except BridgeError as error:
            self._failure = self.clock(), error
            self._blinded()
            raise
        self._queue_at, self._failure = asked_at, None
        if self._watched_since is None or self._queue_at - before > LONGEST_GAP:
            self._watched_since = self._queue_at
        self._doubt_if_late(asked_at)

    def _doubt_if_late(self, asked_at: float) -> None:
        """Restart the watch after a slow answer: it may have waited for the database."""
        if self.clock() - asked_at > LONGEST_ANSWER:
            self._watched_since = None

    def _blinded(self) -> None:
        self.restarted()
        self.troubled(self.backend.name)

    async def _spaced(self, id_: str, app: App) -> list[BackendDeployment]:
        if (pause := self._take_turn()) > 0:
            await self.sleep(pause)
        asked_at = self.clock()
        try:
            records = await self.backend.deployments(app)
        except BridgeError:
            self._blinded()
            raise
        self._doubt_if_late(asked_at)
        if id_ in self._followed:
            self._followed[id_].read_at = self.clock()
        return records

    def _take_turn(self) -> float:
        """Return the seconds until the next read is due."""
        now = self.clock()
        few = max(0.0, 1 - len(self._followed) / MANY)
        per_second = self.per_second + few * max(0.0, self.quick - self.per_second)
        burst = 1.0  # second
        self._free_at = max(self._free_at + 1 / per_second, now - burst)
        return self._free_at - now

    def _known_to_run(self, deployment: Deployment) -> bool:
        """Return whether its record was recently seen running; its job will show the end."""
        if deployment.state is not State.RUNNING or deployment.backend_id is None:
            return False
        followed = self._followed.get(deployment.id)
        longest = max(self.record_age, len(self._followed))
        return followed is not None and self.clock() - followed.read_at < longest


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
        """Return the poller of an app's backend; raise Refused if it is no longer configured."""
        if (found := self._all.get(app.backend)) is None:
            why = f"no backend {app.backend!r} is configured any more"
            raise Refused(app.backend, why)
        return found


def by_our_clock(backend: Backend, moment: float, now: float) -> float:
    """Convert a backend's time to our clock, as precisely as the offset is known."""
    if not isinstance(backend, TellsTime):
        return moment
    ahead = backend.clock_ahead(now) or 0.0
    return moment - ahead if abs(ahead) > EXACT else moment


def seen(record: BackendDeployment) -> Seen:
    """Return the fields of a record that are needed to find ours."""
    return Seen(
        id=record.id,
        text=f"{record.title} {record.description}",
        running=record.status is Progress.RUNNING,
        commit=record.commit,
        created_at=record.created_at,
    )


def job_of(deployment: Deployment, jobs: Sequence[QueuedJob] | None) -> QueuedJob | None:
    """Return our job in the queue, if any."""
    for job in jobs or ():
        if deployment.token in job.title or deployment.token in job.description:
            return job
    return None
