"""The small Dokploy's queue, builds, restarts and database outages.

As in docs/dokploy.md ("Following a deployment", "The database away"): one queue for all
applications, first come, first served, with a limited number of builds at a time. A build clones
the branch's head when it starts, and overwrites title and description with the commit a moment
after its end. A build goes on though its application is deleted.
"""

import asyncio
import itertools
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.chaos.dokploy.jobs import BUILT, Fate, Job, Served
from tests.chaos.dokploy.made import MadeApps
from tests.chaos.dokploy.words import CLOSING, FAILED_QUERY, FAILURES
from tests.worlds.chance import SEED

Head = Callable[[str], tuple[str, str] | None]
"""The commit and its message at the head of an app's branch; None: the requested one."""


@dataclass
class Builder:
    """All jobs, waiting and building.

    Attributes:
        build_seconds: how long a build takes.
        concurrency: builds at a time, of all apps together; 0: any number.
        failing: the fraction of builds that fail, from 0 to 1.
        doomed: apps whose builds fail.
        text_delay: the most seconds from an end until its commit is shown.
        jobs: by app, oldest first; without those that are no longer shown.
        every: all jobs ever.
        backs: all that rollbacks have put into service.
        may_start, may_end: while one is not set, no build starts or ends.
    """

    build_seconds: float
    chance: random.Random = field(default_factory=lambda: random.Random(SEED))
    concurrency: int = 0
    failing: float = 0.0
    doomed: set[str] = field(default_factory=set)
    text_delay: float = 0.0
    head: Head = lambda _app: None
    jobs: dict[str, list[Job]] = field(default_factory=lambda: defaultdict(list))
    every: list[Job] = field(default_factory=list)
    backs: list[Served] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=itertools.count)
    building: set[asyncio.Task[None]] = field(default_factory=set)
    may_start: asyncio.Event = field(default_factory=asyncio.Event)
    may_end: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set, and replaced, whenever a job in the queue moves on."""
    database: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while the server's own database answers."""

    made: MadeApps = field(default_factory=MadeApps)
    """The bridge's own applications."""

    def __post_init__(self) -> None:
        self.may_start.set()
        self.may_end.set()
        self.database.set()

    # ── what people do to it ──────────────────────────────────────────────

    def add(self, job: Job, commit: str) -> None:
        """Add a job; `commit` is built if the branch's head is unknown."""
        self.jobs[job.app].append(job)
        task = asyncio.create_task(self.build(job, commit))
        self.building.add(task)
        task.add_done_callback(self.building.discard)

    def drop_waiting(self, fate: Fate, app: str | None = None) -> list[Job]:
        """Empty the queue, or one app's waiting jobs, without a trace."""
        dropped = [job for job in self._all() if job.status == "waiting" and app in (None, job.app)]
        for job in dropped:
            self._gone(job, fate)
        return dropped

    def remove_logs(self, app: str) -> None:
        """Remove an app's log folder, including the log of a running build."""
        for job in self.jobs[app]:
            job.has_log = False

    async def forget(self) -> None:
        """Restart: waiting jobs are gone, running ones are `cancelled`, without an end."""
        await self.end()
        for job in self._all():
            if job.status == "waiting":
                self._gone(job, Fate.FORGOTTEN)
            elif job.status == "running":
                job.status = "cancelled"
                if job.ended is None:
                    job.ends(Fate.INTERRUPTED, time.time())
                    self.made.ends(job)

    async def end(self) -> None:
        """Stop all builds."""
        for task in list(self.building):
            task.cancel()
        await asyncio.gather(*self.building, return_exceptions=True)

    # ── what it does ──────────────────────────────────────────────────────

    async def build(self, job: Job, commit: str) -> None:
        """Run a job to its end, once it is its turn."""
        self.every.append(job)
        await asyncio.sleep(self.build_seconds / 4)
        await self.may_start.wait()
        while job.fate is Fate.WAITING and not self._is_next(job):
            await self.changed.wait()
        if job.fate is not Fate.WAITING:
            return
        if self.database.is_set() and self.has_app(job.app):
            await self._built(job, commit)
        else:
            self._gone(job, Fate.VANISHED)

    def has_app(self, app: str) -> bool:
        """Return whether an application is there."""
        raise NotImplementedError

    async def _built(self, job: Job, commit: str) -> None:
        job.status, job.fate, job.created = "running", Fate.RUNNING, time.time()
        self.made.begins(job)
        fails = self.chance.choice(("clone", "build")) if self._fails(job.app) else ""
        known = self.head(job.app)
        job.commit, message = known or (commit, "a commit message")
        await asyncio.sleep(self.build_seconds * (0.2 if fails == "clone" else 1))
        await self.may_end.wait()
        self._over(job, fails)
        if job.clones and fails != "clone" and job.status in ("done", "error"):
            await asyncio.sleep(self.chance.uniform(0, self.text_delay))
            if self.database.is_set():
                job.title, job.description = message, f"Commit: {job.commit}"

    def _over(self, job: Job, fails: str) -> None:
        now = time.time()
        if fails:
            job.reason = FAILURES[fails]
            job.log.append(job.reason)
        if not self.database.is_set():
            job.ends(Fate.FAILED_UNSEEN if fails else Fate.DONE_UNSEEN, now)
            job.log += [FAILED_QUERY, "", CLOSING]
        elif fails and not job.has_log:
            job.ends(Fate.STUCK, now)  # writing the closing sentence fails, and with it the rest
        elif fails:
            job.log += ["", CLOSING]
            job.status, job.finished = "error", now
            job.ends(Fate.FAILED, now)
        else:
            job.status, job.finished = "done", now
            job.ends(Fate.DONE, now)
        self.made.ends(job)
        self._moved()

    @property
    def served(self) -> list[Served]:
        """Return all that was ever put into service, by builds and by rollbacks, oldest first."""
        built = [Served(job, job.ended or 0.0) for job in self.every if job.fate in BUILT]
        return sorted([*built, *self.backs], key=lambda one: one.at)

    def serves(self, app: str) -> Served | None:
        """Return what an app serves now."""
        return next((one for one in reversed(self.served) if one.app == app), None)

    def _fails(self, app: str) -> bool:
        return app in self.doomed or self.chance.random() < self.failing

    def _is_next(self, job: Job) -> bool:
        """Return whether a job is the first that could start, and a slot is free."""
        if not self.concurrency:
            return self._first_of_app(job)
        active = [one.app for one in self._all() if one.status == "running" and one.ended is None]
        if len(active) >= self.concurrency or job.app in active:
            return False
        waiting = (o for o in self.every if o.fate is Fate.WAITING and o.app not in active)
        return next(waiting, None) is job

    def _first_of_app(self, job: Job) -> bool:
        going = (one for one in self.jobs[job.app] if one.going and one.ended is None)
        return next(going, None) is job

    def _gone(self, job: Job, fate: Fate) -> None:
        job.ends(fate, time.time())
        self.jobs[job.app] = [one for one in self.jobs[job.app] if one is not job]
        self._moved()

    def _moved(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    def _all(self) -> list[Job]:
        return [job for jobs in self.jobs.values() for job in jobs]
