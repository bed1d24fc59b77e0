"""A Dokploy on loopback that can be set up wrongly: its key, its role, its version, its clock.

Answers are as docs/dokploy.md and `recorded.jsonl` have them. A key with a rate limit is refused
like a wrong one once it is used up, which no header announces.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from typing import Any, Self

from aiohttp import web

from tests.fakes.serving import served
from tests.oracles.dokploy_recordings import recording

KEY = "bridgeQ2x7VnPq0123456789abcdefghij"

OWNER = {
    "service": {"create": True, "read": True, "delete": True},
    "deployment": {"read": True, "create": True, "cancel": True},
    "docker": {"read": True},
}
MEMBER = OWNER | {"service": {"create": False, "read": True, "delete": False}}

BUILDS_FOR = timedelta(seconds=0.2)
"""Long enough that who follows a deployment sees it under its own title."""


@dataclass
class FakeDokploy:
    """The server; `settings` lead a bridge to it.

    Attributes:
        apps: the fields of each application, by id.
        lacks: procedures that it is too old for.
        forbidden: procedures that the key's role may not call.
        uses: how often the key is still accepted; None: without a limit.
        expires_at: when the key does, as the server says it.
        page: answered to everything, as by another server.
        silent: nothing is answered; `hangs`: these procedures are not.
        head: the commit that a deploy builds.
        keeps: whether it keeps what it builds, and can restore it.
        made: the records of what it has deployed, by app, newest first.
        restored: what it was told to go back to.
        containers: of all apps, as Docker shows them.
        images: what containers were made from, by their ids.
        refuses: it restores nothing, for no reason that it tells.
        refuses_deploys: it accepts no deployment.
    """

    key: str = KEY
    version: str = "v0.30.2"
    role: str = "owner"
    permissions: dict[str, Any] = field(default_factory=lambda: dict(OWNER))
    in_organisation: bool = True
    apps: dict[str, dict[str, Any]] = field(default_factory=dict)
    lacks: set[str] = field(default_factory=set)
    forbidden: set[str] = field(default_factory=set)
    uses: int | None = None
    expires_at: str | None = None
    clock_ahead: float = 0.0
    page: str = ""
    silent: bool = False
    hangs: set[str] = field(default_factory=set)
    head: str = "a" * 40
    keeps: bool = True
    made: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    restored: list[str] = field(default_factory=list)
    containers: list[dict[str, str]] = field(default_factory=list)
    images: dict[str, str] = field(default_factory=dict)
    refuses: bool = False
    refuses_deploys: bool = False
    url: str = ""

    @property
    def settings(self) -> dict[str, str]:
        return {
            "BRIDGE_DOKPLOY_URL": self.url,
            "BRIDGE_DOKPLOY_API_KEY": KEY,
            "BRIDGE_DOKPLOY_CONNECT_TIMEOUT": "60",  # on a busy machine
            "BRIDGE_DOKPLOY_READ_TIMEOUT": "60",
        }

    def app(self, id_: str, **fields: Any) -> None:
        """Add an application that deploys `my-org/mono`."""
        self.apps[id_] = {
            "name": id_,
            "sourceType": "github",
            "owner": "my-org",
            "repository": "mono",
            "branch": "main",
            "triggerType": "push",
            "watchPaths": None,
            "autoDeploy": False,
        } | fields

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        app = web.Application()
        app.router.add_route("*", "/api/{procedure:.*}", self._handle)
        async with served(app, cancels=True) as self.url:
            yield self

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if self.silent or request.match_info["procedure"] in self.hangs:
            await asyncio.Event().wait()
        if self.page:
            return web.Response(text=self.page, content_type="text/html")
        body = await request.json() if request.method == "POST" else {}
        status, said = self._answer(request, body)
        headers = {"Date": formatdate(time.time() + self.clock_ahead, usegmt=True)}
        text = "" if said is None else json.dumps(said)
        return web.Response(
            status=status, text=text, headers=headers, content_type="application/json"
        )

    def _answer(self, request: web.Request, body: dict[str, Any]) -> tuple[int, Any]:
        procedure, query = request.match_info["procedure"], request.query
        if procedure == "health":
            return 200, {"ok": True}
        if procedure == "trpc/settings.health":
            return 200, {"result": {"data": {"json": {"status": "ok"}}}}
        if request.headers.get("x-api-key") != self.key or self.uses == 0:
            return 401, {"message": "Unauthorized"}
        if self.uses is not None:
            self.uses -= 1
        if procedure in self.forbidden:
            why = 'unauthorized to access resource "service"'
            data = {"code": "UNAUTHORIZED", "httpStatus": 401, "path": procedure}
            return 401, {"message": why, "code": "UNAUTHORIZED", "data": data}
        if procedure in self.lacks:
            return 404, {"message": "Not found", "code": "NOT_FOUND"}
        if request.method == "POST":
            return self._changed(procedure, body)
        if procedure == "docker.getConfig":
            return 200, self._inspected(query["containerId"])
        return self._known(procedure, query.get("applicationId", ""), query.get("input", "{}"))

    def _changed(self, procedure: str, body: dict[str, Any]) -> tuple[int, Any]:
        id_ = body.get("applicationId", "")
        if procedure == "application.deploy" and self.refuses_deploys:
            return 400, {"message": "Server is inactive", "code": "BAD_REQUEST"}
        if procedure == "application.deploy":
            self.made.setdefault(id_, []).insert(0, self._built(body["title"]))
            return 200, None
        if procedure == "application.update":
            self.apps[id_] |= body
            return 200, True
        assert procedure == "rollback.rollback", procedure
        recorded = recording("recorded-2")
        known = {one["rollbackId"] for those in self.made.values() for one in those}
        may = body["rollbackId"] in known and not self.refuses
        name = "262-rollback.rollback" + ("" if may else "-unknown")
        answer = next(row["response"] for row in recorded if row["name"] == name)
        if answer["status"] == 200:
            self.restored.append(body["rollbackId"])
        return answer["status"], answer["json"]

    def _built(self, title: str) -> dict[str, Any]:
        """Return the record of a deploy, which runs for a moment, and until it was read once."""
        number = sum(map(len, self.made.values())) + 1
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        return {
            "deploymentId": f"d{number}",
            "title": title,
            "description": "",
            "status": "running",
            "rollbackId": f"r{number}" if self.keeps else None,
            "createdAt": now,
            "startedAt": now,
            "finishedAt": None,
        }

    def _records(self, id_: str) -> list[dict[str, Any]]:
        """Return an app's records; of a Git source an ended one names its commit."""
        records = self.made.get(id_, [])
        shown = [dict(one) for one in records]
        for one in records:
            age = datetime.now(UTC) - datetime.fromisoformat(one["startedAt"])
            if one["status"] == "running" and age > BUILDS_FOR:
                one |= {"status": "done", "finishedAt": one["startedAt"]}
                if self.apps[id_]["sourceType"] != "docker":
                    one |= {"title": "feat: more", "description": f"Commit: {self.head}"}
        return shown or [self._deployment(id_)]

    def _known(self, procedure: str, id_: str, asked: str) -> tuple[int, Any]:
        if procedure.startswith("trpc/"):
            ids = [one["json"]["applicationId"] for one in json.loads(asked).values()]
            return 200, [{"result": {"data": {"json": self._one(one)}}} for one in ids]
        answers = {
            "settings.getDokployVersion": lambda: self.version,
            "overview.services": lambda: [self._service(id_) for id_ in self.apps],
            "project.all": lambda: [self._project()],
            "application.one": lambda: self._one(id_),
            "deployment.queueList": list,
            "deployment.all": lambda: self._records(id_),
            "docker.getContainersByAppNameMatch": lambda: self.containers,
            "docker.getServiceContainersByAppName": list,
            "deployment.readLogs": lambda: "Cloning\n",
            "user.get": lambda: self._whose() if self.in_organisation else None,
            "user.getPermissions": lambda: self.permissions,
        }
        if procedure not in answers:
            return 404, {"message": "Not found", "code": "NOT_FOUND"}
        return 200, answers[procedure]()

    def _inspected(self, container: str) -> dict[str, Any] | None:
        """Return what `docker inspect` says, variables and all; nothing if it is unknown."""
        if container not in self.images:
            return None
        row = next(row for row in recording("recorded-2") if row["name"] == "264-docker.getConfig")
        return {**row["response"]["json"], "Id": container, "Image": self.images[container]}

    def _one(self, id_: str) -> dict[str, Any]:
        return {"applicationId": id_} | self.apps[id_]

    @staticmethod
    def _deployment(id_: str) -> dict[str, Any]:
        times = dict.fromkeys(("createdAt", "startedAt", "finishedAt"), "2026-11-24T22:39:17.273Z")
        return {
            "deploymentId": f"d{id_}",
            "title": "x",
            "description": "",
            "status": "done",
        } | times

    def _service(self, id_: str) -> dict[str, Any]:
        made = self.made.get(id_)
        return {
            "id": id_,
            "name": self.apps[id_]["name"],
            "appName": self.apps[id_].get("appName", id_),
            "status": "done",
            "type": "application",
            "projectId": "p",
            "projectName": "shop",
            "environmentId": "e",
            "environmentName": "production",
            "lastDeployAt": made[0]["createdAt"] if made else None,
        }

    def _project(self) -> dict[str, Any]:
        listed = [
            {"applicationId": id_, "name": one["name"], "applicationStatus": "done"}
            for id_, one in self.apps.items()
        ]
        environment = {
            "environmentId": "e", "name": "production", "isDefault": True, "applications": listed,
        }  # fmt: skip
        return {"projectId": "p", "name": "shop", "environments": [environment]}

    def _whose(self) -> dict[str, Any]:
        key = {"id": "k", "name": "bridge", "prefix": "bridge", "enabled": True}
        told = key | {"expiresAt": self.expires_at, "createdAt": "2026-11-24T22:39:17.273Z"}
        other = key | {"id": "o", "prefix": None, "expiresAt": None, "createdAt": None}
        return {"id": "m", "role": self.role, "user": {"id": "u", "apiKeys": [told, other]}}
