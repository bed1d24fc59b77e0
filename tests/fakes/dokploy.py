"""A Dokploy that lists its apps over HTTP, and counts its requests.

Behaves as in docs/dokploy.md: no list contains Git fields, a save of a source sets the status to
"idle", and several queries may come in one request at `/api/trpc` (docs/notes/0025).
"""

import asyncio
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

import httpx

from bridge.backends.dokploy.client import Dokploy
from bridge.ports.clock import Clock


@dataclass
class CountingDokploy:
    """Apps by id, in one project.

    Attributes:
        clock: dates its answers.
        overview: whether it answers `overview.services`, as from v0.30.0 on.
        batches: whether it answers several queries in one request.
        away: the connection is refused.
        silent: set while queries for single apps get no answer.
        forbidden: ids of apps that are listed but may not be read.
        reads: how often each app was read, by id.
    """

    clock: Clock = time.time
    apps: dict[str, dict[str, Any]] = field(default_factory=dict)
    overview: bool = True
    batches: bool = True
    away: bool = False
    silent: asyncio.Event | None = None
    forbidden: set[str] = field(default_factory=set)
    requests: list[str] = field(default_factory=list)
    reads: Counter[str] = field(default_factory=Counter)

    def add(self, *ids: str, status: str = "done", **fields: Any) -> None:
        """Create apps that deploy `my-org/mono` when a file below their name changes."""
        for id_ in ids:
            self.apps[id_] = {
                "name": id_,
                "status": status,
                "sourceType": "github",
                "owner": "my-org",
                "repository": "mono",
                "branch": "main",
                "triggerType": "push",
                "watchPaths": [f"{id_}/**"],
                "autoDeploy": False,
            } | fields

    def save_provider(self, id_: str, **fields: Any) -> None:
        """Change an app's source, as a person does in the dashboard."""
        self.apps[id_] |= fields | {"status": "idle"}

    def deployed(self, id_: str, at: str, status: str = "done") -> None:
        """Deploy an app, as a person does in the dashboard; `at` is when that began."""
        self.apps[id_] |= {"status": status, "lastDeployAt": at}

    def client(self) -> Dokploy:
        """Return the bridge's client of this server."""
        transport = httpx.MockTransport(self.answer)
        return Dokploy(
            "https://dokploy.test",
            "key-0123456789",
            transport=transport,
            clock=self.clock,
            read_retries=0,
        )

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer a request, dated by the server's clock."""
        answer = await self._answer(request)
        answer.headers["date"] = formatdate(self.clock(), usegmt=True)
        return answer

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/")
        self.requests.append("trpc" if path.startswith("trpc/") else path)
        if self.away:
            raise httpx.ConnectError("refused")
        if path == "overview.services" and self.overview:
            return httpx.Response(200, json=[self._service(id_) for id_ in self.apps])
        if path == "project.all":
            return httpx.Response(200, json=[self._project()])
        if self.silent is not None:
            await self.silent.wait()
        if path == "docker.getContainers":
            return httpx.Response(200, json=[self._container(id_) for id_ in self.apps])
        if path == "deployment.all":
            return httpx.Response(200, json=self._deployments(request.url.params["applicationId"]))
        if path == "application.one":
            status, said = self._one(request.url.params["applicationId"])
            return httpx.Response(status, json=said)
        if path.startswith("trpc/") and self.batches:
            asked = json.loads(request.url.params["input"])
            ids = [asked[str(at)]["json"]["applicationId"] for at in range(len(asked))]
            answers = [self._one(id_) for id_ in ids]
            same = {status for status, _ in answers}
            status = same.pop() if len(same) == 1 else 207
            return httpx.Response(status, json=[self._wrapped(*answer) for answer in answers])
        return httpx.Response(404, json={"message": "Not found", "code": "NOT_FOUND"})

    def _deployments(self, id_: str) -> list[dict[str, Any]]:
        """Return the records of an app: one, if it was ever deployed."""
        at = self.apps[id_].get("lastDeployAt")
        record = {"deploymentId": f"dep-{id_}", "title": "", "status": "done", "createdAt": at}
        return [record | {"description": f"Commit: {'d' * 40}", "finishedAt": at}] if at else []

    def _one(self, id_: str) -> tuple[int, dict[str, Any]]:
        if id_ in self.forbidden:
            return 401, {"message": "You don't have access", "code": "UNAUTHORIZED"}
        if id_ not in self.apps:
            return 404, {"message": "Application not found", "code": "NOT_FOUND"}
        self.reads[id_] += 1
        return 200, {"applicationId": id_} | self.apps[id_]

    def _wrapped(self, status: int, said: dict[str, Any]) -> dict[str, Any]:
        if status == 200:
            return {"result": {"data": {"json": said}}}
        return {"error": {"json": {"message": said["message"], "data": {"httpStatus": status}}}}

    def _service(self, id_: str) -> dict[str, Any]:
        app = self.apps[id_]
        listed = {"id": id_, "name": app["name"], "status": app["status"], "type": "application"}
        where = {
            "projectId": "p", "projectName": "shop", "environmentId": "e",
            "environmentName": "production",
        }  # fmt: skip
        return listed | where | {"appName": id_, "lastDeployAt": app.get("lastDeployAt")}

    def _container(self, id_: str) -> dict[str, Any]:
        return {"containerId": f"c-{id_}", "name": f"{id_}.1.task", "state": "running"}

    def _project(self) -> dict[str, Any]:
        listed = [
            {"applicationId": id_, "name": one["name"], "applicationStatus": one["status"]}
            for id_, one in self.apps.items()
        ]
        environment = {
            "environmentId": "e", "name": "production", "isDefault": True, "applications": listed,
        }  # fmt: skip
        return {"projectId": "p", "name": "shop", "environments": [environment]}
