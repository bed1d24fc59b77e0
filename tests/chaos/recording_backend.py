"""A backend that is not idempotent and keeps a ledger of every deployment it was asked for.

Speaks as much of Dokploy's API as a journey needs, behaves as facts.md tells (no id in the
answer, titles overwritten at the end), and lists its jobs a little late. It can be made to
fail, to go away, and to restart in the middle.
"""

import asyncio
import itertools
import json
import os
import random
import re
import socket
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Fault = Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]
"""What happens to one request instead; it may still let the request through."""

TOKEN = re.compile(r"\[br-[0-9a-f]+\]")
COMMIT = re.compile(r"commit ([0-9a-f]{40})")

GIT = "https://git.example.com"


@dataclass
class Asked:
    """One deployment that was asked for."""

    app: str
    token: str
    commit: str
    overlapped: bool
    job: "Job"
    at: float


@dataclass
class Job:
    id: str
    app: str
    title: str
    description: str
    created: float
    status: str = "waiting"
    finished: float | None = None

    @property
    def going(self) -> bool:
        return self.status in ("waiting", "running")


@dataclass
class RecordingBackend:
    """Applications `app-0` … and everything that happens to them.

    Attributes:
        git: where the repository of all apps is cloned from, without its name.
        branches: what each app deploys from, where that is not `main`.
        may_start, may_end: while one is not set, no build begins or ends.
        faults: by procedure and app ("" where it names none), one for each request.
        arrivals: every request: procedure, app, when.
        askers: how many there were of each procedure with each API key.
    """

    apps: int
    build_seconds: float
    listing_delay: float
    url: str = ""
    git: str = GIT
    branches: dict[str, str] = field(default_factory=dict)
    ledger: list[Asked] = field(default_factory=list)
    jobs: dict[str, list[Job]] = field(default_factory=lambda: defaultdict(list))
    numbers: Any = field(default_factory=itertools.count)
    building: set[asyncio.Task[None]] = field(default_factory=set)
    may_start: asyncio.Event = field(default_factory=asyncio.Event)
    may_end: asyncio.Event = field(default_factory=asyncio.Event)
    faults: dict[tuple[str, str], list[Fault]] = field(default_factory=lambda: defaultdict(list))
    arrivals: list[tuple[str, str, float]] = field(default_factory=list)
    askers: Counter[tuple[str, str]] = field(default_factory=Counter)
    away: bool = True
    runner: web.AppRunner | None = None
    site: web.BaseSite | None = None

    def __post_init__(self) -> None:
        self.may_start.set()
        self.may_end.set()

    # ── what a test does to it ────────────────────────────────────────────

    def fail(self, procedure: str, faults: Iterable[Fault], app: str = "") -> None:
        """Have the next requests fail, one after the other."""
        self.faults[procedure, app] += faults

    async def go_away(self) -> None:
        """Refuse connections, and drop those that there are."""
        assert self.site is not None
        assert self.runner is not None
        assert self.runner.server is not None
        self.away = True
        await self.site.stop()
        for connection in list(self.runner.server.connections):
            if connection.transport is not None:
                connection.transport.abort()

    async def come_back(self) -> None:
        """Listen, under the same address as ever."""
        assert self.runner is not None
        port = int(self.url.rpartition(":")[2]) if self.url else free_port()
        self.site = web.TCPSite(self.runner, "127.0.0.1", port)
        await self.site.start()
        self.url = f"http://127.0.0.1:{port}"
        self.away = False

    async def forget(self) -> None:
        """What a restart does: waiting jobs are gone, the running one is `cancelled`, endless."""
        for task in self.building:
            task.cancel()
        await asyncio.gather(*self.building, return_exceptions=True)
        for app, jobs in self.jobs.items():
            self.jobs[app] = [job for job in jobs if job.status != "waiting"]
            for job in self.jobs[app]:
                job.status = "cancelled" if job.status == "running" else job.status

    # ── what it does ──────────────────────────────────────────────────────

    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Fail where a fault is due, else answer."""
        if self.away:  # its connection was being made when the others were dropped
            return await resets(arrives=False)(request, handler)
        procedure = request.path.removeprefix("/api/")
        if procedure.startswith("trpc/"):  # it names one for each question
            procedure = "trpc"
        body = await request.json() if request.method == "POST" else {}
        app = str(body.get("applicationId") or request.query.get("applicationId") or "")
        self.arrivals.append((procedure, app, time.monotonic()))
        self.askers[procedure, request.headers.get("x-api-key", "")] += 1
        due = self.faults.get((procedure, app))
        return await (due.pop(0)(request, handler) if due else handler(request))

    async def deploy(self, request: web.Request) -> web.Response:
        asked = await request.json()
        app, text = asked["applicationId"], asked["title"] + asked["description"]
        going = any(job.going for job in self.jobs[app])
        token, found = TOKEN.search(text), COMMIT.search(text)
        assert token is not None
        commit = found[1] if found else "0" * 40  # a person asked: no push, so no commit
        job = Job(f"d{next(self.numbers)}", app, asked["title"], asked["description"], time.time())
        self.ledger.append(Asked(app, token[0], commit, going, job, time.time()))
        self.jobs[app].append(job)
        task = asyncio.create_task(self.build(job, commit))
        self.building.add(task)
        task.add_done_callback(self.building.discard)
        return web.Response(body=b"", content_type="application/json")

    async def build(self, job: Job, commit: str) -> None:
        await asyncio.sleep(self.build_seconds / 4)
        await self.may_start.wait()
        job.status, job.created = "running", time.time()
        await asyncio.sleep(self.build_seconds)
        await self.may_end.wait()
        job.status, job.finished = "done", time.time()
        job.title, job.description = "a commit message", f"Commit: {commit}"

    def visible(self, app: str | None = None) -> list[Job]:
        known = self.jobs[app] if app else [job for jobs in self.jobs.values() for job in jobs]
        return [job for job in known if time.time() - job.created >= self.listing_delay]

    async def deployments(self, request: web.Request) -> web.Response:
        started = [
            job for job in self.visible(request.query["applicationId"]) if job.status != "waiting"
        ]
        return web.json_response([record(job) for job in reversed(started[-10:])])

    async def queue(self, _request: web.Request) -> web.Response:
        return web.json_response([queued(job) for job in self.visible() if job.going])

    async def projects(self, _request: web.Request) -> web.Response:
        applications = [
            {"applicationId": f"app-{n}", "name": f"app-{n}", "applicationStatus": "idle"}
            for n in range(self.apps)
        ]
        environment = {
            "name": "production",
            "environmentId": "e",
            "isDefault": True,
            "applications": applications,
            "compose": [],
        }
        return web.json_response(
            [{"projectId": "p", "name": "shop", "environments": [environment]}]
        )

    async def told(self, _request: web.Request) -> web.Response:
        """The ledger, for those who ask from another process."""
        return web.json_response([[a.app, a.commit, a.at, a.overlapped] for a in self.ledger])

    async def application(self, request: web.Request) -> web.Response:
        return web.json_response(self.told_of(request.query["applicationId"]))

    async def batch(self, request: web.Request) -> web.Response:
        """Several `application.one` in one request, as tRPC batches them."""
        asked = json.loads(request.query["input"])
        records = [
            self.told_of(asked[str(at)]["json"]["applicationId"]) for at in range(len(asked))
        ]
        return web.json_response([{"result": {"data": {"json": record}}} for record in records])

    def told_of(self, id_: str) -> dict[str, Any]:
        return {
            "applicationId": id_,
            "name": id_,
            "sourceType": "git",
            "customGitUrl": f"{self.git}/my-org/mono.git",
            "customGitBranch": self.branches.get(id_, "main"),
            "triggerType": "push",
            "buildType": "nixpacks",
            "watchPaths": [f"{id_}/**"],
            "autoDeploy": False,
            "environment": {
                "name": "production",
                "isDefault": True,
                "project": {"name": "shop"},
            },
        }


# ── faults ───────────────────────────────────────────────────────────────────


def resets(*, arrives: bool) -> Fault:
    """The connection is reset after the request was sent."""

    async def fault(request: web.Request, handler: Handler) -> web.StreamResponse:
        if arrives:
            await handler(request)
        assert request.transport is not None
        wire = request.transport.get_extra_info("socket")
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        request.transport.abort()
        return web.Response()

    return fault


def says_nothing(*, arrives: bool) -> Fault:
    """No answer comes, ever."""

    async def fault(request: web.Request, handler: Handler) -> web.StreamResponse:
        if arrives:
            await handler(request)
        await asyncio.Event().wait()
        raise AssertionError

    return fault


def answers_late(seconds: float) -> Fault:
    """What was asked for happens at once, but the answer takes its time."""

    async def fault(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await handler(request)
        await asyncio.sleep(seconds)
        return answer

    return fault


def cuts_json(*, arrives: bool) -> Fault:
    """The answer ends in the middle of its JSON."""

    async def fault(request: web.Request, handler: Handler) -> web.StreamResponse:
        if arrives:
            await handler(request)
        return web.Response(body=b'[{"success":tr', content_type="application/json")

    return fault


def says(status: int, *, after: str | None = None, arrives: bool = False) -> Fault:
    """Another status; `after`: with that Retry-After."""

    async def fault(request: web.Request, handler: Handler) -> web.StreamResponse:
        if arrives:
            await handler(request)
        return web.Response(status=status, headers={"Retry-After": after} if after else {})

    return fault


# ── its words ────────────────────────────────────────────────────────────────


def record(job: Job) -> dict[str, Any]:
    return {
        "deploymentId": job.id,
        "title": job.title,
        "description": job.description,
        "status": job.status,
        "logPath": "",
        "createdAt": iso(job.created),
        "startedAt": iso(job.created),
        "finishedAt": job.finished and iso(job.finished),
        "errorMessage": None,
    }


def queued(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "name": "deployments",
        "data": {
            "applicationId": job.app,
            "titleLog": job.title,
            "descriptionLog": job.description,
            "type": "deploy",
            "applicationType": "application",
        },
        "timestamp": int(job.created * 1000),
        "state": "active" if job.status == "running" else "waiting",
    }


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


_GIVEN: set[int] = set()


def free_port() -> int:
    """A port below the ephemeral range, so that no outgoing connection takes it meanwhile.

    Given once: whoever it is for may begin to listen later.
    """
    for port in random.Random(os.getpid()).sample(range(20000, 32000), 1000):
        if port in _GIVEN:
            continue
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            _GIVEN.add(port)
            return port
    raise AssertionError("no free port")


def push_payload(
    before: str, after: str, apps: set[str], branch: str = "main", git: str = GIT
) -> dict[str, Any]:
    """What GitHub says of a push that changed files of some apps."""
    commit = {
        "id": after,
        "message": "feat: change",
        "added": [],
        "modified": sorted(f"{app}/file" for app in apps),
        "removed": [],
    }
    return {
        "ref": f"refs/heads/{branch}",
        "before": before,
        "after": after,
        "repository": {
            "id": 4711,
            "name": "mono",
            "full_name": "my-org/mono",
            "clone_url": f"{git}/my-org/mono.git",
        },
        "head_commit": commit,
        "commits": [commit],
    }


@asynccontextmanager
async def recording_backend(
    *,
    apps: int,
    build_seconds: float,
    listing_delay: float,
    port: int = 0,
    branches: dict[str, str] | None = None,
) -> AsyncIterator[RecordingBackend]:
    """A running one, on loopback."""
    url = f"http://127.0.0.1:{port}" if port else ""
    backend = RecordingBackend(apps, build_seconds, listing_delay, url, branches=branches or {})

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await backend.answer(request, handler)

    app = web.Application(middlewares=[answer])
    app.router.add_post("/api/application.deploy", backend.deploy)
    app.router.add_get("/api/deployment.all", backend.deployments)
    app.router.add_get("/api/deployment.queueList", backend.queue)
    app.router.add_get("/api/project.all", backend.projects)
    app.router.add_get("/api/application.one", backend.application)
    app.router.add_get("/api/trpc/{questions}", backend.batch)
    app.router.add_get("/ledger", backend.told)
    backend.runner = runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await backend.come_back()
    try:
        yield backend
    finally:
        for task in backend.building:
            task.cancel()
        await asyncio.gather(*backend.building, return_exceptions=True)
        await runner.cleanup()
