"""The queue: in order for each application, and a limited number of builds at a time."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from bridge.embedded.building.pipeline import Pipeline
from bridge.embedded.storage.history import Deployment, Ending, History, Job, JobKind, Releases
from bridge.embedded.storage.paths import Clock, Places
from bridge.embedded.storage.records import moment

log = logging.getLogger(__name__)

_DEFAULT_TITLES: dict[JobKind, str] = {
    "deploy": "Manual deployment",
    "redeploy": "Rebuild deployment",
}
_RETRY_SECONDS = 1.0


STOPPED = "The server was stopped while this deployment ran"
"""The error of a deployment that was broken off; it has no end time, as nobody has cancelled it."""


@dataclass(slots=True)
class _Active:
    """A running job.

    Attributes:
        stopped_because: set once it must end.
        build: the task that may be cancelled, unlike the one that records the end.
    """

    job: Job
    deployment: Deployment
    task: asyncio.Task[None] | None = None
    build: asyncio.Task[Ending] | None = None
    stopped_because: str | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Engine:
    """Start the jobs of the queue on disk and record how they end."""

    def __init__(
        self,
        history: History,
        pipeline: Pipeline,
        places: Places,
        *,
        builds_concurrency: int,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._history = history
        self.pipeline = pipeline
        self._places = places
        self._concurrency = builds_concurrency
        self._clock = clock
        self._new_id = new_id
        self._active: dict[str, _Active] = {}
        self._wake = asyncio.Event()
        self._dispatcher: asyncio.Task[None] | None = None
        self._stopping = False
        self._barred: set[str] = set()

    async def start(self) -> None:
        """Record the last process's running jobs as cancelled, then start the dispatcher."""
        ended = await self._history.end_interrupted()
        if ended:
            log.warning("deployments were interrupted by a restart", extra={"count": len(ended)})
        self._stopping = False
        self._dispatcher = asyncio.create_task(self._dispatch(), name="embedded-dispatcher")

    async def stop(self) -> None:
        """Cancel the running jobs; waiting ones stay on disk."""
        self._stopping = True
        self._wake.set()
        if self._dispatcher is not None:
            await self._dispatcher
            self._dispatcher = None
        running = list(self._active.values())
        for active in running:
            _end(active, STOPPED)
        await asyncio.gather(*(active.ended.wait() for active in running))
        await asyncio.gather(*(active.task for active in running if active.task is not None))
        await self.pipeline.remover.close()

    async def ask(
        self, application_id: str, kind: JobKind, title: str, description: str
    ) -> Job | None:
        """Append a job to the queue; return None if there is no such application."""
        title = title or _DEFAULT_TITLES[kind]
        job = await self._history.ask(application_id, kind, title, description, now=self._clock())
        self._wake.set()
        return job

    def cancel(self, application_id: str, deployment_id: str | None = None) -> bool:
        """Cancel a running deployment; return False if there is none."""
        active = self._active.get(application_id)
        if active is None or deployment_id not in (None, active.deployment.id):
            return False
        _end(active, "Cancelled on request")
        return True

    @contextmanager
    def barred(self, application_id: str) -> Iterator[None]:
        """Begin no job of an application meanwhile."""
        self._barred.add(application_id)
        try:
            yield
        finally:
            self._barred.discard(application_id)
            self._wake.set()

    async def ended(self, application_id: str) -> None:
        if (active := self._active.get(application_id)) is not None:
            await active.ended.wait()

    async def _dispatch(self) -> None:
        while not self._stopping:
            self._wake.clear()  # before reading the queue, so no wake is lost
            try:
                await self._start_what_may()
            except Exception as error:  # noqa: BLE001 - the queue must survive; `_log` logs it
                _log("queue can't be read", error)
                await self._pause()
                self._wake.set()
            await self._wake.wait()

    async def _start_what_may(self) -> None:
        for job in await self._history.jobs():
            if len(self._active) >= self._concurrency or self._stopping:
                return
            if job.application_id in self._active or job.application_id in self._barred:
                continue
            if job.started_at is None:
                await self._begin(job)

    async def _begin(self, job: Job) -> None:
        now = self._clock()
        deployment = self._new_deployment(job, now)
        active = _Active(job, deployment)
        self._active[job.application_id] = active
        try:
            releases = Releases.of(self._places, job.application_id)
            kept = [one.name for one in await asyncio.to_thread(releases.all)]
            old_logs = await self._history.begin(job, deployment, kept)
        except BaseException:  # also a cancellation: a job that did not start takes no slot
            self._forget(active)
            raise
        if old_logs is None:  # it has been dropped in the meantime
            self._forget(active)
            self._wake.set()
            return
        performing = self._perform(active, old_logs)
        active.task = asyncio.create_task(performing, name=f"embedded-{deployment.id}")

    def _new_deployment(self, job: Job, now: float) -> Deployment:
        id_ = self._new_id()
        stamp = moment(now)[:19].replace("T", ":")
        log_path = self._places.logs_of(job.application_id) / f"{stamp}-{id_}.log"
        return Deployment(
            id=id_,
            application_id=job.application_id,
            title=job.title,
            description=job.description,
            status="running",
            log_path=str(log_path),
            started_at=now,
        )

    async def _perform(self, active: _Active, old_logs: list[str]) -> None:
        try:
            await self._remove(old_logs)
            ending = await self._build(active)
            await self._record(active, ending)
        finally:
            self._forget(active)
            self._wake.set()

    async def _remove(self, old_logs: list[str]) -> None:
        try:
            await asyncio.to_thread(_remove_files, old_logs)
        except (OSError, RuntimeError) as error:  # RuntimeError while the process ends
            log.warning("old logs can't be removed", extra={"why": str(error)})

    async def _build(self, active: _Active) -> Ending:
        run = self.pipeline.run(
            active.job, active.deployment, lambda: active.stopped_because == STOPPED
        )
        active.build = asyncio.create_task(run)
        if active.stopped_because is not None:
            active.build.cancel()
        try:
            ending = await active.build
        except asyncio.CancelledError:  # before its first step
            ending = Ending("cancelled")
        if ending.status == "cancelled":
            return replace(ending, error=active.stopped_because)
        return ending

    async def _record(self, active: _Active, ending: Ending) -> None:
        """Record the end; retry while the disk is full, since it must not be lost."""
        job, deployment = active.job, active.deployment
        broken_off = ending.status == "cancelled" and ending.error == STOPPED
        while True:
            at = None if broken_off else self._clock()
            try:
                await self._history.finish(job, deployment.id, ending, now=at)
            except Exception as error:  # noqa: BLE001 - retried; `_log` logs it
                _log("end of a deployment can't be recorded", error)
                if self._stopping:
                    return  # the next start records it as interrupted
                await self._pause()
            else:
                return

    async def _pause(self) -> None:
        if not self._stopping:
            await asyncio.sleep(_RETRY_SECONDS)

    def _forget(self, active: _Active) -> None:
        if self._active.get(active.job.application_id) is active:
            del self._active[active.job.application_id]
        active.ended.set()


def _log(what: str, error: Exception) -> None:
    """Log an error; a full disk is no bug and needs no traceback."""
    trace = None if isinstance(error, sqlite3.Error) else error
    log.warning(what, extra={"why": str(error)}, exc_info=trace)


def _end(active: _Active, why: str) -> None:
    if active.stopped_because is None:
        active.stopped_because = why
        if active.build is not None:
            active.build.cancel()


def _remove_files(paths: list[str]) -> None:
    for path in paths:
        Path(path).unlink(missing_ok=True)
