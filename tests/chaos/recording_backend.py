"""A small Dokploy that keeps a ledger of every requested deployment.

Speaks as much of Dokploy's API as the bridge needs and behaves as in docs/dokploy.md: no id in the
answer, titles overwritten after the end, a queue that a restart forgets, the branch's head and not
the pushed commit. It can fail, go away, lose its database, list late, and be used by people too.
Its parts are in `dokploy/`.
"""

import asyncio
import json
import os
import random
import socket
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from bridge.listening.listener import close_all
from tests.chaos.dokploy import made
from tests.chaos.dokploy.building import Builder
from tests.chaos.dokploy.faults import (
    Fault,
    Handler,
    answers_late,
    cut_off,
    cuts_json,
    resets,
    says,
    says_nothing,
)
from tests.chaos.dokploy.jobs import COMMIT, DELIVERY, PERSON, TOKEN, Asked, Fate, Job, Served
from tests.chaos.dokploy.lists import CachingProxy
from tests.chaos.dokploy.services import Config, Service, overview, projects
from tests.chaos.dokploy.words import kept_as, queued, record

__all__ = [
    "GIT",
    "Asked",
    "Fault",
    "Handler",
    "Job",
    "RecordingBackend",
    "answers_late",
    "cuts_json",
    "free_port",
    "push_payload",
    "recording_backend",
    "resets",
    "says",
    "says_nothing",
]

GIT = "https://github.com"

RECORDS = 10
"""The number of deployments to keep per app."""

MISSING = "Application not found"

WITNESS = "trpc/settings.health"
"""The query that needs no key and reads the database."""

HANGS = 0.25
"""The fraction of calls during a database outage that wait for its end."""

LATE = 1.0
"""Seconds after its return within which hanging calls are carried out, even without callers."""


@dataclass
class RecordingBackend(Builder):
    """Applications `app-0` … and everything that happens to them.

    Attributes:
        git: the clone address of all apps' repositories, without the name.
        branches: the branch of each app that does not deploy from `main`.
        services: the applications by their ids.
        keeps: whether builds are kept, to go back to.
        ledger: the bridge's requests, in the order in which they were carried out.
        faults: by procedure and app ("" if it names none), one for each request.
        arrivals: every request: procedure, app, when.
        askers: the number of requests by procedure and API key.
        down: held while it is away, so only one fault takes it away at a time.
        restarts: when it was restarted.
        troubles: when it, or its database, went away and came back.
    """

    apps: int = 0
    listing_delay: float = 0.0
    url: str = ""
    git: str = GIT
    branches: dict[str, str] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    keeps: bool = False
    ledger: list[Asked] = field(default_factory=list)
    faults: dict[tuple[str, str], list[Fault]] = field(default_factory=lambda: defaultdict(list))
    arrivals: list[tuple[str, str, float]] = field(default_factory=list)
    askers: Counter[tuple[str, str]] = field(default_factory=Counter)
    restarts: list[float] = field(default_factory=list)
    troubles: list[tuple[float, float]] = field(default_factory=list)
    away: bool = True
    down: asyncio.Lock = field(default_factory=asyncio.Lock)
    runner: web.AppRunner | None = None
    listener: asyncio.Server | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.proxy = CachingProxy(self.chance)
        for n in range(self.apps):
            name = f"app-{n}"
            config = Config(branch=self.branches.get(name, "main"), watch_paths=(f"{name}/**",))
            self.has(name, config)

    def has(self, name: str, config: Config) -> None:
        """Add an application."""
        self.services[name] = Service(name, [(0.0, config)])

    # ── what a test does to it ────────────────────────────────────────────

    def fail(self, procedure: str, faults: Iterable[Fault], app: str = "") -> None:
        """Let the next requests fail, one after the other."""
        self.faults[procedure, app] += faults

    async def go_away(self) -> None:
        """Refuse connections, and drop the open ones; one caller at a time."""
        await self.down.acquire()
        assert self.listener is not None
        assert self.runner is not None
        assert self.runner.server is not None
        self.away = True
        await close_all([self.listener])
        for connection in list(self.runner.server.connections):
            if connection.transport is not None:
                connection.transport.abort()

    async def come_back(self) -> None:
        """Listen, under the same address as before."""
        assert self.runner is not None
        assert self.runner.server is not None
        port = int(self.url.rpartition(":")[2]) if self.url else 0
        loop = asyncio.get_running_loop()
        self.listener = await loop.create_server(self.runner.server, "127.0.0.1", port)
        port = self.listener.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.away = False
        if self.down.locked():
            self.down.release()

    async def restart(self, seconds: float) -> None:
        """Go down for a while, and lose the queue."""
        began = time.time()
        await self.go_away()
        await self.forget()
        await asyncio.sleep(seconds)
        await self.come_back()
        self.troubles.append((began, time.time()))

    async def lose_database(self, seconds: float) -> None:
        """Lose the database for a while."""
        began = time.time()
        self.database.clear()
        await asyncio.sleep(seconds)
        self.database.set()
        self.troubles.append((began, time.time() + LATE))

    def was_away(self, since: float) -> bool:
        """Return whether it was ever unreachable within a quarter minute after `since`."""
        return any(began < since + 20 and ended > since for began, ended in self.troubles)

    async def forget(self) -> None:
        """Treat jobs like a restart does; see `Builder.forget`."""
        self.restarts.append(time.time())
        await super().forget()

    def person_deploys(self, app: str) -> None:
        """Press *Deploy* in the dashboard, as a person does; the title is Dokploy's own."""
        number = f"d{next(self.numbers)}"
        self.add(Job(number, app, "Manual deployment", "", time.time(), by=PERSON), "0" * 40)

    # ── what it does ──────────────────────────────────────────────────────

    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Fail if a fault is due, else answer."""
        if self.away:  # its connection was being made when the others were dropped
            return cut_off(request)
        procedure = request.path.removeprefix("/api/")
        if procedure.startswith("trpc/") and procedure != WITNESS:  # it names each query
            procedure = "trpc"
        try:
            body = await request.json() if request.method == "POST" else {}
        except ConnectionResetError:  # its sender was killed
            return cut_off(request)
        app = str(body.get("applicationId") or request.query.get("applicationId") or "")
        self.arrivals.append((procedure, app, time.monotonic()))
        self.askers[procedure, request.headers.get("x-api-key", "")] += 1
        due = self.faults.get((procedure, app)) or self.faults.get((procedure, ""))
        if due:
            return await due.pop(0)(request, handler)
        if self.database.is_set() or procedure == "health":
            return await handler(request)
        if procedure == WITNESS:
            return web.json_response({"error": "Failed query: SELECT 1"}, status=500)
        return await self._without_database(request, handler, procedure)

    async def _without_database(
        self, request: web.Request, handler: Handler, procedure: str
    ) -> web.StreamResponse:
        """Answer without a database: 401 at once or later, or nothing until it is back."""
        if self.chance.random() < HANGS:
            await self.database.wait()
            await asyncio.sleep(self.chance.uniform(0, LATE))
            return await handler(request)
        await asyncio.sleep(self.chance.choice((0, 0, LATE)))
        said: dict[str, Any] = {"message": "Unauthorized"}
        if self.chance.random() < 0.3:
            data = {"code": "UNAUTHORIZED", "httpStatus": 401, "path": procedure}
            said = {"message": "UNAUTHORIZED", "code": "UNAUTHORIZED", "data": data}
        return web.json_response(said, status=401)

    async def deploy(self, request: web.Request) -> web.Response:
        return await self._asked(request, clones=True)

    async def redeploy(self, request: web.Request) -> web.Response:
        return await self._asked(request, clones=False)

    async def _asked(self, request: web.Request, *, clones: bool) -> web.Response:
        asked = await request.json()
        app, text = asked["applicationId"], asked["title"] + asked["description"]
        if not self.has_app(app):
            return missing()
        going = any(job.going and job.ended is None and not job.by for job in self.jobs[app])
        token, found, delivery = (form.search(text) for form in (TOKEN, COMMIT, DELIVERY))
        assert token is not None
        commit = found[1] if found else "0" * 40  # a person asked: no push, so no commit
        now, number = time.time(), f"d{next(self.numbers)}"
        job = Job(number, app, asked["title"], asked["description"], now, clones=clones)
        entry = Asked(app, token[0], commit, going, job, now, delivery[1] if delivery else "")
        before = [o for o in self.ledger if (o.app, o.delivery) == (app, entry.delivery)]
        entry.after = before[-1].job.fate if before and entry.delivery else None
        self.ledger.append(entry)
        self.add(job, commit)
        return web.Response(body=b"", content_type="application/json")

    async def clean_queues(self, request: web.Request) -> web.Response:
        self.drop_waiting(Fate.WITHDRAWN, (await request.json())["applicationId"])
        return web.Response(body=b"", content_type="application/json")

    async def cancel(self, _request: web.Request) -> web.Response:
        said = "Deployment cancellation only available in cloud version"
        return web.json_response({"message": said, "code": "BAD_REQUEST"}, status=400)

    async def roll_back(self, request: web.Request) -> web.Response:
        """Serve a kept build again: no record, no queue, and no change of the application."""
        point = (await request.json())["rollbackId"]
        job = next((o for o in self._all() if self.keeps and kept_as(o) == point), None)
        if job is None:
            said = {"message": "Error input: Rolling back", "code": "BAD_REQUEST"}
            return web.json_response(said, status=400)
        self.backs.append(Served(job, time.time(), back=True))
        self._moved()
        return web.Response(body=b"", content_type="application/json")

    # ── what it tells ─────────────────────────────────────────────────────

    def visible(self, app: str | None = None) -> list[Job]:
        known = self.jobs[app] if app else self._all()
        return [job for job in known if time.time() - job.created >= self.listing_delay]

    async def deployments(self, request: web.Request) -> web.Response:
        app = request.query["applicationId"]
        if not self.has_app(app):
            return missing()
        started = [job for job in self.visible(app) if job.status != "waiting"]
        shown = reversed(started[-RECORDS:])
        return self._listed(request, [record(job, keeps=self.keeps) for job in shown])

    async def queue(self, request: web.Request) -> web.Response:
        waiting = [job for job in self.visible() if job.going and job.ended is None]
        return self._listed(request, [queued(job) for job in waiting])

    async def log(self, request: web.Request) -> web.Response:
        jobs = {job.id: job for job in self._all() if job.status != "waiting"}
        job = jobs.get(request.query["deploymentId"])
        if job is None:
            return missing("Deployment not found")
        lines = [f"Cloning {job.app}", *job.log] if job.has_log else [""]
        return web.json_response("\n".join(lines) + "\n")

    async def projects(self, _request: web.Request) -> web.Response:
        others = self.made.environments_listed()
        return web.json_response(projects(self._services(), others))

    async def overview(self, _request: web.Request) -> web.Response:
        return web.json_response(overview(self._services(), self.made.services_listed()))

    async def application(self, request: web.Request) -> web.Response:
        id_ = request.query["applicationId"]
        return web.json_response(self._told_of(id_)) if self.has_app(id_) else missing()

    async def batch(self, request: web.Request) -> web.Response:
        """Answer several `application.one` in one request, as tRPC batches them."""
        asked = json.loads(request.query["input"])
        ids = [asked[str(at)]["json"]["applicationId"] for at in range(len(asked))]
        gone = {"message": MISSING, "data": {"code": "NOT_FOUND", "httpStatus": 404}}
        answers = [
            {"result": {"data": {"json": self._told_of(id_)}}}
            if self.has_app(id_)
            else {"error": {"json": gone}}
            for id_ in ids
        ]
        return web.json_response(answers)

    async def make(self, request: web.Request) -> web.Response:
        """Answer what is only about the bridge's own applications."""
        procedure = request.path.removeprefix("/api/")
        asked = await request.json() if request.method == "POST" else dict(request.query)
        answered = self.made.call(procedure, asked)
        assert answered is not None, procedure
        return web.json_response(answered[1], status=answered[0])

    def has_app(self, app: str) -> bool:
        return app in self.services or app in self.made

    def source(self, app: str) -> tuple[str, str]:
        """Return the repository and the branch that an application is built from at present."""
        if app in self.made:
            return self.made.source(app)
        config = self.services[app].now
        return config.repository, config.branch

    def _told_of(self, id_: str) -> dict[str, Any]:
        if id_ in self.made:
            return self.made.told(id_)
        service = self.services[id_]
        service.reads.append(time.time())
        return service.told(self.git, keeps=self.keeps)

    async def health(self, _request: web.Request) -> web.Response:
        return web.json_response({"ok": True})

    async def database_health(self, _request: web.Request) -> web.Response:
        return web.json_response({"result": {"data": {"json": {"status": "ok"}}}})

    async def version(self, _request: web.Request) -> web.Response:
        return web.json_response("v0.30.2")

    async def whose(self, _request: web.Request) -> web.Response:
        return web.json_response({"role": "owner", "user": {"apiKeys": []}})

    async def permissions(self, _request: web.Request) -> web.Response:
        return web.json_response({"deployment": {"create": True, "read": True}})

    async def told(self, _request: web.Request) -> web.Response:
        """Return the ledger, for other processes."""
        return web.json_response([[a.app, a.commit, a.at, a.overlapped] for a in self.ledger])

    def _listed(self, request: web.Request, rows: list[dict[str, Any]]) -> web.Response:
        body = self.proxy.answer(request.path_qs, json.dumps(rows).encode())
        return web.Response(body=body, content_type="application/json")

    def _services(self) -> list[Service]:
        """Return them with the status and time of their newest records."""
        for app, service in self.services.items():
            started = [job for job in self.jobs[app] if job.status != "waiting"]
            if started:
                last = started[-1]
                service.status = {"cancelled": "idle"}.get(last.status, last.status)
                service.last_deploy = record(last)["createdAt"]
        return list(self.services.values())


def missing(message: str = MISSING) -> web.Response:
    """Answer that something is not there."""
    said = {"message": message, "code": "NOT_FOUND"}
    return web.json_response(said, status=404)


_GIVEN: set[int] = set()


def free_port() -> int:
    """Return a port below the ephemeral range, so no outgoing connection takes it meanwhile.

    Each port is given once, so its user may start to listen later.
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
    """Return GitHub's payload for a push that changed files of some apps."""
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
            "html_url": "https://github.com/my-org/mono",
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
    """Run one on loopback."""
    url = f"http://127.0.0.1:{port}" if port else ""
    backend = RecordingBackend(
        build_seconds, apps=apps, listing_delay=listing_delay, url=url, branches=branches or {}
    )

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await backend.answer(request, handler)

    app = web.Application(middlewares=[answer])
    for procedure, answered in {
        "health": backend.health,
        WITNESS: backend.database_health,
        "settings.getDokployVersion": backend.version,
        "user.get": backend.whose,
        "user.getPermissions": backend.permissions,
        "overview.services": backend.overview,
        "project.all": backend.projects,
        "application.one": backend.application,
        "deployment.all": backend.deployments,
        "deployment.queueList": backend.queue,
        "deployment.readLogs": backend.log,
    }.items():
        app.router.add_get(f"/api/{procedure}", answered)
    for procedure, done in {
        "application.deploy": backend.deploy,
        "application.redeploy": backend.redeploy,
        "application.cleanQueues": backend.clean_queues,
        "application.cancelDeployment": backend.cancel,
        "rollback.rollback": backend.roll_back,
    }.items():
        app.router.add_post(f"/api/{procedure}", done)
    for procedure in made.READS:
        app.router.add_get(f"/api/{procedure}", backend.make)
    for procedure in made.CHANGES:
        app.router.add_post(f"/api/{procedure}", backend.make)
    app.router.add_get("/api/trpc/{questions}", backend.batch)
    app.router.add_get("/ledger", backend.told)
    backend.runner = runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await backend.come_back()
    try:
        yield backend
    finally:
        await backend.end()
        await close_all([backend.listener] if backend.listener is not None else [])
        await runner.cleanup()
