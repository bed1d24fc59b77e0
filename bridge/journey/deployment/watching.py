"""What a backend shows of what is going on, read once for all who ask at a time.

Five hundred deployments may be followed at once. The queue is one answer for all of them,
so it is read at most so often and shared; and whoever still waits in it, or still runs and
is known to, needs no look at its app's records. What remains is spaced out.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from bridge.core.errors import Refused
from bridge.core.lifecycle import Deployment, State
from bridge.core.tracking import Seen, marked, ours
from bridge.core.watch import App
from bridge.ports.backends import Backend, BackendDeployment, Progress, QueuedJob
from bridge.ports.clock import Clock

Sleep = Callable[[float], Awaitable[None]]
Look = tuple[BackendDeployment | None, QueuedJob | None]
"""Our record and our job, as far as the backend shows them."""


MANY = 500
"""Deployments followed at once from which a backend is asked at its slowest rate."""


class Watching:
    """Looks at one backend on behalf of all deployments that are followed.

    Args:
        quick, per_second: reads a second that are made at most while few are followed, and
            while `MANY` are; in between in proportion. A second's worth may come at once.
        queue_age: seconds that the queue may be old when few ask; it grows with their number.
        record_age: seconds that the record of a running one may be old while its job is active;
            it grows so that these looks are one a second at most.
    """

    def __init__(
        self,
        backend: Backend,
        clock: Clock,
        *,
        sleep: Sleep = asyncio.sleep,
        quick: float = 40.0,
        per_second: float = 8.0,
        queue_age: float = 0.2,
        record_age: float = 30.0,
    ) -> None:
        self.backend = backend
        self._clock = clock
        self._sleep = sleep
        self._quick = quick
        self._per_second = per_second
        self._queue_age = queue_age
        self._record_age = record_age
        self._free_at = -1e9
        self._queue: list[QueuedJob] | None = None
        self._queue_at = -1e9
        self._reading = asyncio.Lock()
        self._followed: dict[str, float] = {}
        """When the records were last read on behalf of each."""

    @contextmanager
    def following(self, id_: str) -> Iterator[None]:
        """While a deployment is followed; the more there are, the older the queue may be."""
        self._followed[id_] = -1e9
        try:
            yield
        finally:
            self._followed.pop(id_, None)

    async def look(self, deployment: Deployment, app: App) -> Look:
        """Where a deployment stands, as of a moment ago."""
        asked_at = deployment.asked_at or 0.0
        return await look_into(
            deployment,
            lambda: self._recent_queue(asked_at),
            lambda: self._spaced(deployment.id, app),
            known_to_run=self._known_to_run(deployment),
        )

    async def tells_queue(self) -> bool:
        """Whether the backend is new enough to list what waits."""
        return await self._recent_queue() is not None

    async def _recent_queue(self, asked_at: float = 0.0) -> list[QueuedJob] | None:
        """The queue, read after `asked_at`: an older one says nothing of what was asked then."""
        age = min(2.0, self._queue_age * (1 + len(self._followed) / 50))
        async with self._reading:
            if self._clock() - self._queue_at >= age or self._queue_at <= asked_at:
                self._take_turn()  # it comes at once, and the records a little later for it
                self._queue = await self.backend.queue()
                self._queue_at = self._clock()
            return self._queue

    async def _spaced(self, id_: str, app: App) -> list[BackendDeployment]:
        if (pause := self._take_turn()) > 0:
            await self._sleep(pause)
        records = await self.backend.deployments(app)
        if id_ in self._followed:
            self._followed[id_] = self._clock()
        return records

    def _take_turn(self) -> float:
        """Seconds until the next read is due."""
        now = self._clock()
        few = max(0.0, 1 - len(self._followed) / MANY)
        per_second = self._per_second + few * max(0.0, self._quick - self._per_second)
        burst = 1.0  # second
        self._free_at = max(self._free_at + 1 / per_second, now - burst)
        return self._free_at - now

    def _known_to_run(self, deployment: Deployment) -> bool:
        """Whether its record was seen running a while ago only; its job tells when it ends."""
        if deployment.state is not State.RUNNING or deployment.backend_id is None:
            return False
        looked_at = self._followed.get(deployment.id, -1e9)
        return self._clock() - looked_at < max(self._record_age, len(self._followed))


class Watchings:
    """One `Watching` for each backend."""

    def __init__(
        self,
        backends: Mapping[str, Backend],
        clock: Clock,
        *,
        sleep: Sleep = asyncio.sleep,
        per_second: float = 8.0,
    ) -> None:
        self._all = {
            name: Watching(backend, clock, sleep=sleep, per_second=per_second)
            for name, backend in backends.items()
        }

    def of(self, app: App) -> Watching:
        """That of an app's backend; raises Refused where it is configured no more."""
        if (found := self._all.get(app.backend)) is None:
            why = f"no backend {app.backend!r} is configured any more"
            raise Refused(app.backend, why)
        return found


async def look(backend: Backend, app: App, deployment: Deployment) -> Look:
    """Where a deployment stands this very moment."""
    return await look_into(deployment, backend.queue, lambda: backend.deployments(app))


async def look_into(
    deployment: Deployment,
    queue: Callable[[], Awaitable[list[QueuedJob] | None]],
    records: Callable[[], Awaitable[list[BackendDeployment]]],
    *,
    known_to_run: bool = False,
) -> Look:
    """Our record or our job, as far as queue and records show them.

    Args:
        known_to_run: while its job is active, its record holds no news.
    """
    job = job_of(deployment, await queue())
    if job is not None and (known_to_run or not job.active):
        return None, job  # what waits has no record yet
    listed = await records()
    found = ours(deployment, [seen(record) for record in listed])
    if found is None or (job is not None and not marked(deployment, found)):
        return None, job  # what still runs has not ended, whatever else has
    return next(record for record in listed if record.id == found.id), None


def seen(record: BackendDeployment) -> Seen:
    """A record as far as finding ours needs it."""
    return Seen(
        id=record.id,
        text=f"{record.title} {record.description}",
        running=record.status is Progress.RUNNING,
        commit=record.commit,
        created_at=record.created_at,
    )


def job_of(deployment: Deployment, jobs: Sequence[QueuedJob] | None) -> QueuedJob | None:
    """Our job among those of the queue."""
    for job in jobs or ():
        if deployment.token in job.title or deployment.token in job.description:
            return job
    return None
