"""A backend that is not idempotent and keeps a ledger of every deployment it was asked for.

Speaks as much of Dokploy's API as a journey needs, behaves as facts.md tells (no id in the
answer, titles overwritten at the end), and lists its jobs a little late.
"""

import asyncio
import itertools
import re
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

TOKEN = re.compile(r"\[br-[0-9a-f]+\]")
COMMIT = re.compile(r"commit ([0-9a-f]{40})")


@dataclass
class Asked:
    """One deployment that was asked for."""

    app: str
    token: str
    commit: str
    overlapped: bool


@dataclass
class Job:
    id: str
    app: str
    title: str
    description: str
    created: float
    status: str = "waiting"
    finished: float | None = None


@dataclass
class RecordingBackend:
    """Applications `app-0` … and everything that happens to them."""

    apps: int
    build_seconds: float
    listing_delay: float
    url: str = ""
    ledger: list[Asked] = field(default_factory=list)
    jobs: dict[str, list[Job]] = field(default_factory=lambda: defaultdict(list))
    numbers: Any = field(default_factory=itertools.count)
    building: set[asyncio.Task[None]] = field(default_factory=set)
    down: bool = False

    async def deploy(self, request: web.Request) -> web.Response:
        asked = await request.json()
        app, text = asked["applicationId"], asked["title"] + asked["description"]
        going = [job for job in self.jobs[app] if job.finished is None]
        token, commit = TOKEN.search(text), COMMIT.search(text)
        assert token is not None
        assert commit is not None
        self.ledger.append(Asked(app, token[0], commit[1], bool(going)))
        job = Job(f"d{next(self.numbers)}", app, asked["title"], asked["description"], time.time())
        self.jobs[app].append(job)
        task = asyncio.create_task(self.build(job, commit[1]))
        self.building.add(task)
        task.add_done_callback(self.building.discard)
        return web.Response(body=b"", content_type="application/json")

    async def build(self, job: Job, commit: str) -> None:
        await asyncio.sleep(self.build_seconds / 4)
        job.status, job.created = "running", time.time()
        await asyncio.sleep(self.build_seconds)
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
        return web.json_response([queued(job) for job in self.visible() if job.status == "waiting"])

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

    async def application(self, request: web.Request) -> web.Response:
        id_ = request.query["applicationId"]
        return web.json_response(
            {
                "applicationId": id_,
                "name": id_,
                "sourceType": "git",
                "customGitUrl": "https://git.example.com/my-org/mono.git",
                "customGitBranch": "main",
                "triggerType": "push",
                "watchPaths": [f"{id_}/**"],
                "autoDeploy": False,
                "environment": {
                    "name": "production",
                    "isDefault": True,
                    "project": {"name": "shop"},
                },
            }
        )


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
        "state": "waiting",
    }


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


@asynccontextmanager
async def recording_backend(
    *, apps: int, build_seconds: float, listing_delay: float
) -> AsyncIterator[RecordingBackend]:
    """A running one, on loopback."""
    backend = RecordingBackend(apps, build_seconds, listing_delay)
    app = web.Application()
    app.router.add_post("/api/application.deploy", backend.deploy)
    app.router.add_get("/api/deployment.all", backend.deployments)
    app.router.add_get("/api/deployment.queueList", backend.queue)
    app.router.add_get("/api/project.all", backend.projects)
    app.router.add_get("/api/application.one", backend.application)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    backend.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield backend
    finally:
        for task in backend.building:
            task.cancel()
        await asyncio.gather(*backend.building, return_exceptions=True)
        await runner.cleanup()
