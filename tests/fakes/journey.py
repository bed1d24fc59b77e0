"""Shared fakes for all tests: time, a backend, flows, and crashes.

`FakeBackend` behaves as in docs/dokploy.md: a waiting job has no record, titles are ours until a
Git deploy ends, the commit comes a little later. It does not run in the contract suite, which
drives real servers over HTTP and clones with real git; instead, `tests/unit/test_fakes.py` checks
its form against the port, and its behaviour against the same facts.
"""

import asyncio
import inspect
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar, cast

from bridge.core.apps import App, Source, SourceType
from bridge.core.errors import Refused, Unreachable
from bridge.core.events import Action, Commit, Event, Ref, RefKind, RefPushed, Repository
from bridge.core.health.containers import Container
from bridge.core.health.fate import Fate, Now
from bridge.core.health.serving import Serving
from bridge.core.hooks import SignedBy
from bridge.core.lifecycle import LIVE, Deployment, State, deployment_id
from bridge.core.masking import Mask, mask_of
from bridge.core.people import PUSH, Origin
from bridge.core.tracking import token_for
from bridge.ports.backends import BackendDeployment, Progress, QueuedJob
from bridge.ports.gates import Judging
from bridge.ports.githosts import Body, Envelope
from bridge.ports.inbox import NewDelivery

T = TypeVar("T")

NO_GATES = Judging(App(id="app-web", name="web", project="shop"))
"""Judges a deployment whose app has no gates; locks and freezes of all apps still hold it."""

HEAD = "c" * 40
"""The head of the branch, which a Git deploy builds."""

CLEARED = "\n"
"""The content of a cleared log; a server that shows no logs returns ""."""


# ── time ─────────────────────────────────────────────────────────────────────


class ManualClock:
    """A clock that advances only during sleeps, and then at once."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now
        self.slept: list[float] = []
        self._planned: list[tuple[float, Callable[[], Awaitable[object] | None]]] = []

    def __call__(self) -> float:
        return self.now

    def after(self, seconds: float, action: Callable[[], Awaitable[object] | None]) -> None:
        """Schedule a call after some time."""
        self._planned.append((self.now + seconds, action))

    async def sleep(self, seconds: float) -> None:
        """Let time pass, and run the scheduled calls."""
        until = self.now + seconds
        self.slept.append(seconds)
        while due := sorted((p for p in self._planned if p[0] <= until), key=lambda p: p[0]):
            at, action = due[0]
            self._planned.remove(due[0])
            self.now = max(self.now, at)
            if (done := action()) is not None:
                await done
        self.now = until
        await asyncio.sleep(0)


# ── a backend ────────────────────────────────────────────────────────────────


@dataclass
class Job:
    """One deployment inside the fake backend; its state follows from the clock.

    Attributes:
        unclosed: its record stays `running`, as when the database was away at its end.
        told_when_failed: title and description are overwritten although it failed.
    """

    id: str
    app: str
    title: str
    description: str
    asked_at: float
    begins_at: float
    ends_at: float
    ending: Progress
    clones: bool
    head: str
    error: str | None = None
    restarted: bool = False
    unclosed: bool = False
    told_when_failed: bool = False


@dataclass
class FakeBackend:
    """A backend under the test's control that records every call.

    Attributes:
        waits, builds: seconds a job waits at least, and how long it runs.
        listed_after: seconds until a new job shows in any list.
        tells_after: seconds after the end until title and commit are overwritten; None: never.
        leaves_after: seconds after the end until the job leaves the queue.
        ending, error: how the next jobs end.
        away: it is unreachable.
        tells_queue: False for a backend too old to list its queue.
        cancels: False as on self-hosted servers: running builds can't be cancelled.
        ahead: seconds by which its clock is known to be ahead.
        keeps: it keeps what deployments build, and can go back to it.
        shown, printed: the containers of all its apps, and what they have printed.
        reached_at: where all its apps can be reached from here, if anywhere.
        is_stopped: somebody has stopped all its apps; None: that may be.
        points: the points that were restored, in order.
        written: the fields of sources that were set, in order.
        variables: those of all its apps, as lines of NAME=value.
    """

    clock: Callable[[], float]
    found: list[App] = field(default_factory=list)
    waits: float = 1.0
    builds: float = 5.0
    listed_after: float = 0.0
    tells_after: float | None = 0.3
    leaves_after: float = 0.0
    ending: Progress = Progress.DONE
    error: str | None = None
    head: str = HEAD
    away: bool = False
    tells_queue: bool = True
    cancels: bool = True
    ahead: float | None = 0.0
    log: str = ""
    name: str = "dokploy"
    keeps: bool = True
    variables: str = ""
    shown: list[Container] | None = None
    printed: str = ""
    reached_at: str | None = None
    is_stopped: bool | None = False
    points: list[str] = field(default_factory=list)
    written: list[dict[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    scripted: dict[str, list[tuple[Exception, bool]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def next(self, call: str, error: Exception, *, arrives: bool = False) -> None:
        """Let the next such call fail; `arrives`: it is still carried out."""
        self.scripted[call].append((error, arrives))

    def count(self, *names: str) -> int:
        return sum(call in names for call in self.calls)

    @property
    def asked(self) -> int:
        """The number of deploy and redeploy requests, whether or not they arrived."""
        return self.count("deploy", "redeploy")

    def foreign(
        self, app: App, *, title: str = "feat: theirs", running: bool = False, head: str = HEAD
    ) -> Job:
        """Deploy the app as somebody else, earlier or now."""
        job = self._add(app, title, "Manual deployment", clones=True)
        job.head = head
        if running:
            job.begins_at, job.ends_at = self.clock(), self.clock() + self.builds
        else:
            job.begins_at, job.ends_at = self.clock() - 2, self.clock() - 1
        return job

    # the port

    def clock_ahead(self, moment: float) -> float | None:
        return self.ahead

    async def apps(self) -> list[App]:
        return await self._do("apps", lambda: list(self.found))

    async def deploy(self, app: App, *, title: str, description: str) -> None:
        await self._do("deploy", lambda: self._add(app, title, description, clones=True))

    async def redeploy(self, app: App, *, title: str, description: str) -> None:
        await self._do("redeploy", lambda: self._add(app, title, description, clones=False))

    async def deployments(self, app: App) -> list[BackendDeployment]:
        return await self._do("deployments", lambda: self._records(app))

    async def queue(self) -> list[QueuedJob] | None:
        return await self._do("queue", self._queued)

    async def log_tail(self, deployment: BackendDeployment, lines: int) -> str:
        return await self._do("log_tail", lambda: self._log(lines))

    async def mask(self, app: App) -> Mask:
        return await self._do("mask", lambda: mask_of([self.variables]))

    async def drop_waiting(self, app: App) -> None:
        await self._do("drop_waiting", lambda: self._drop(app))

    async def cancel(self, app: App) -> str:
        return await self._do("cancel", lambda: self._cancel(app))

    async def kill_build(self, app: App) -> None:
        await self._do("kill_build", self._kill_all)

    async def containers(self, app: App) -> list[Container] | None:
        return await self._do("containers", lambda: self.shown)

    async def output(self, app: App, lines: int) -> str:
        return await self._do("output", lambda: self.printed)

    async def local_url(self, app: App) -> str | None:
        return await self._do("local_url", lambda: self.reached_at)

    async def stopped(self, app: App) -> bool | None:
        return await self._do("stopped", lambda: self.is_stopped)

    async def roll_back(self, app: App, point: str) -> None:
        await self._do("roll_back", lambda: self.points.append(point))

    async def write_source(self, app: App, fields: Mapping[str, Any]) -> None:
        await self._do("write_source", lambda: self._write(app, dict(fields)))

    async def version(self) -> str | None:
        return await self._do("version", lambda: "v0.30.2")

    async def healthy(self) -> bool:
        return not self.away

    async def close(self) -> None:
        self.calls.append("close")

    # behind it

    async def _do(self, call: str, action: Callable[[], T]) -> T:
        self.calls.append(call)
        await asyncio.sleep(0)
        if self.away:
            raise Unreachable(self.name, "ConnectError")
        if self.scripted[call]:
            error, arrives = self.scripted[call].pop(0)
            if arrives:
                action()
            raise error
        return action()

    def _write(self, app: App, fields: dict[str, Any]) -> None:
        self.written.append(fields)
        if (image := fields.get("docker.image")) is not None:
            self.image(app, image)

    def image(self, app: App, image: str) -> None:
        """Set an app's image, as somebody else may do at the backend."""
        self.found = [
            replace(one, source=replace(one.source, image=image))
            if one.id == app.id and one.source is not None
            else one
            for one in self.found
        ]

    def _kill_all(self) -> None:
        now = self.clock()
        for job in self.jobs:
            if job.begins_at <= now < job.ends_at:
                job.ends_at, job.ending, job.error = now, Progress.ERROR, "killed"

    def _add(self, app: App, title: str, description: str, *, clones: bool) -> Job:
        now = self.clock()
        free_at = max((job.ends_at for job in self.jobs if job.app == app.id), default=now)
        begins = max(now + self.waits, free_at)
        job = Job(
            id=f"dep-{len(self.jobs) + 1}",
            app=app.id,
            title=title,
            description=description,
            asked_at=now,
            begins_at=begins,
            ends_at=begins + self.builds,
            ending=self.ending,
            clones=clones,
            head=self.head,
            error=self.error,
        )
        self.jobs.append(job)
        return job

    def _listed(self) -> Iterator[Job]:
        now = self.clock()
        return (job for job in self.jobs if now >= job.asked_at + self.listed_after)

    def _records(self, app: App) -> list[BackendDeployment]:
        now = self.clock()
        begun = [job for job in self._listed() if job.app == app.id and job.begins_at <= now]
        newest_first = sorted(begun, key=lambda job: job.begins_at, reverse=True)
        return [self._record(job, now) for job in newest_first][:10]

    def _record(self, job: Job, now: float) -> BackendDeployment:
        ended = job.ends_at <= now and not job.unclosed
        told = (
            ended
            and job.clones
            and (job.ending is Progress.DONE or job.told_when_failed)
            and self.tells_after is not None
            and job.ends_at + self.tells_after <= now
        )
        return BackendDeployment(
            id=job.id,
            title="feat: the whole commit message" if told else job.title,
            description=f"Commit: {job.head}" if told else job.description,
            status=job.ending if ended else Progress.RUNNING,
            created_at=job.begins_at,
            started_at=job.begins_at,
            finished_at=job.ends_at if ended and not job.restarted else None,
            error=job.error if ended else None,
            commit=job.head if told else None,
            restores=f"point-{job.id}" if self.keeps and job.ending is Progress.DONE else None,
        )

    def _queued(self) -> list[QueuedJob] | None:
        if not self.tells_queue:
            return None
        now = self.clock()
        return [
            QueuedJob(job.app, job.title, job.description, job.begins_at <= now, job.asked_at)
            for job in self._listed()
            if now < job.ends_at + self.leaves_after
        ]

    def _log(self, lines: int) -> str:
        if self.log == CLEARED or not lines:
            return self.log if lines else ""
        return "\n".join(self.log.splitlines()[-lines:])

    def _drop(self, app: App) -> None:
        now = self.clock()
        self.jobs = [job for job in self.jobs if job.app != app.id or job.begins_at <= now]

    def _cancel(self, app: App) -> str:
        if not self.cancels:
            raise Refused(self.name, "Deployment cancellation only available in cloud version")
        now = self.clock()
        for job in self.jobs:
            if job.app == app.id and job.begins_at <= now < job.ends_at:
                job.ends_at, job.ending = now, Progress.CANCELLED
        return "cancelled"


# ── a Git host ───────────────────────────────────────────────────────────────


class FakeHost:
    """A Git host whose bodies have meanings from the test; an error is raised."""

    name = "github"

    def __init__(self) -> None:
        self.meanings: dict[bytes, Event | Exception] = {}

    def open(self, headers: Mapping[str, str], now: float) -> Envelope:
        return Envelope(headers.get("id"), headers.get("event", "push"), (), {})

    def fetched(self, headers: Mapping[str, str]) -> Envelope:
        return self.open(headers, 0.0)

    def verify(self, envelope: Envelope, body: Body) -> SignedBy | None:
        """Accept every signature."""
        return None

    def parse(self, event: str, headers: Mapping[str, str], body: Body) -> Event:
        found = self.meanings[bytes(body)]
        if isinstance(found, Exception):
            raise found
        return found


# ── flows ────────────────────────────────────────────────────────────────────


class FakeFlows:
    """Flows that never run; they only record what was started, in order and once."""

    def __init__(self) -> None:
        self.started: list[tuple[str, str, str]] = []
        self.dropped: list[tuple[str, str]] = []
        self.away = False
        self.given_up: list[str] = []

    async def start(self, flow: str, id_: str, *, key: str) -> None:
        if self.away:
            raise Unreachable("the workflow engine", "database is locked")
        if (flow, id_, key) not in self.started:
            self.started.append((flow, id_, key))

    async def ensure(self, flow: str, wanted: Mapping[str, str]) -> list[str]:
        for id_, key in wanted.items():
            await self.start(flow, id_, key=key)
        return [id_ for id_ in self.given_up if id_ in wanted]

    async def drop(self, flow: str, ids: Sequence[str]) -> None:
        if self.away:
            raise Unreachable("the workflow engine", "database is locked")
        self.dropped += [(flow, id_) for id_ in ids]

    async def forget(self, before: float, limit: int) -> int:
        return 0  # no flow ever ends

    def ids(self, flow: str) -> list[str]:
        return [id_ for name, id_, _ in self.started if name == flow]


class KeptSteps:
    """Steps of one flow: a finished one does not run again, even after a crash."""

    def __init__(self) -> None:
        self.finished: dict[str, Any] = {}

    async def run(self, name: str, action: Callable[[], Awaitable[T]]) -> T:
        if name not in self.finished:
            self.finished[name] = await action()
        result: T = self.finished[name]
        return result


# ── death ────────────────────────────────────────────────────────────────────


class Death(BaseException):
    """The process is dead; no error handler may catch this."""


class Lifetime:
    """Counts the moments at which a process may die, and kills it at one of them.

    Each call of a port has two: before it arrives, and after it is carried out.

    Attributes:
        steps: what each moment was at, with the words that the call was given.
    """

    def __init__(self, until: int | None = None) -> None:
        self.moments = 0
        self.steps: list[str] = []
        self._until = until

    def passes(self) -> None:
        self.moments += 1
        if self.moments == self._until:
            raise Death

    def distinct(self) -> list[int]:
        """Return its moments; of calls that are alike, before the first and after the last."""
        moments: dict[str, int] = {}
        for moment, step in enumerate(self.steps, 1):
            if step.startswith("after") or step not in moments:
                moments[step] = moment
        return sorted(moments.values())

    def mortal(self, port: T) -> T:
        """Return the port as the dying process sees it."""
        names = [name for name in dir(port) if not name.startswith("_")]
        shown = {name: property(partial(_Mortal.passing, name=name)) for name in names}
        return cast("T", type("_Mortal", (_Mortal,), shown)(port, self))


class _Mortal:
    def __init__(self, port: Any, life: Lifetime) -> None:
        self._port = port
        self._life = life

    def __getattr__(self, name: str) -> Any:
        return self.passing(name)

    def passing(self, name: str) -> Any:
        """Return an attribute of the port; every call of it may be the process's last."""
        found = getattr(self._port, name)
        if not inspect.iscoroutinefunction(found):
            return found

        async def call(*args: Any, **kwargs: Any) -> Any:
            words = [one for one in (*args, *kwargs.values()) if isinstance(one, str)]
            self._life.steps.append(f"before {name} {words}")
            self._life.passes()
            result = await found(*args, **kwargs)
            self._life.steps.append(f"after {name} {words}")
            self._life.passes()
            return result

        return call


# ── records ──────────────────────────────────────────────────────────────────


def source(**others: Any) -> Source:
    """`main` of `my-org/mono` on GitHub."""
    return replace(Source(SourceType.GITHUB, repository="my-org/mono", branch="main"), **others)


def app(id_: str = "app-web", **others: Any) -> App:
    """An app that deploys `main` of `my-org/mono` on GitHub."""
    named = App(id=id_, name=id_.removeprefix("app-"), project="shop", source=source())
    return replace(named, **others)


def push(name: str = "main", *, kind: RefKind = RefKind.BRANCH, **others: Any) -> RefPushed:
    """A push to a branch of `my-org/mono` on GitHub that changed one file."""
    pushed = RefPushed(
        repository=Repository("github", "4711", "my-org/mono"),
        ref=Ref(kind, name),
        before="a" * 40,
        after="b" * 40,
        commit=Commit("b" * 40, "feat: something"),
        paths=("web/index.html",),
    )
    return replace(pushed, **others)


def delivery(id_: str = "delivery-1", **others: Any) -> NewDelivery:
    """A delivery before it is kept."""
    return replace(NewDelivery("github", id_, "push", {}, b"{}", 1_700_000_000.0), **others)


def serving_of(history: Sequence[Deployment]) -> Serving | None:
    """What an app serves by its deployments alone; None if none of them was ever served."""
    lived = [
        one
        for one in history
        if one.served or (one.state is State.UNKNOWN and one.live_at is not None)
    ]
    lived.sort(key=lambda one: (one.live_at or 0.0, one.seq), reverse=True)
    doubt = next((one for one in history if one.state is State.UNKNOWN), None)
    if not lived:
        return None
    return Serving(lived[0], lived[1] if len(lived) > 1 else None, doubt)


def live_now(*those: Deployment) -> dict[str, Fate]:
    """The fates in a snapshot of deployments that are what their apps serve, if they went live."""
    return {one.id: Fate(Now.LIVE) for one in those if one.state in LIVE}


def deployment(seq: int = 1, app_id: str = "app-web", **others: Any) -> Deployment:
    """A deployment that waits for its turn."""
    id_ = deployment_id(seq, app_id)
    waiting = Deployment(
        id=id_,
        seq=seq,
        delivery=f"delivery-{seq}",
        app_id=app_id,
        app=f"shop/{app_id.removeprefix('app-')}",
        action=Action.DEPLOY,
        origin=PUSH,
        state=State.WAITING,
        created_at=1_700_000_000.0,
        ref="refs/heads/main",
        commit=HEAD,
        note="waits for its turn",
        token=token_for("this bridge", id_),
    )
    if "trigger" in others:
        others["origin"] = Origin.read(others.pop("trigger"))
    return replace(waiting, **others)
