"""A `FakeDokploy` in which applications are made and removed, as a real v0.30.2 does it.

Names are not unique. Values are coerced. Deleting in the middle of a build lets the build go on,
and its end then creates the service of an application that is no more. Lists come in no order.
What a key may see is in a list of its user, which a creation adds to.
"""

import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.fakes.dokploy_server import FakeDokploy
from tests.oracles.dokploy_recordings import recording

Row = dict[str, Any]

_FRESH: Row = next(
    row["response"]["json"]
    for row in recording("recorded-2")
    if row["name"] == "212-application.create-name-only"
)
_PREVIEW: Row = next(
    row["response"]["json"][0]
    for row in recording("recorded-2")
    if row["name"] == "273-previewDeployment.all"
)
_LISTED = ("name", "description", "appName", "createdAt", "serverId", "applicationStatus")
_FLAGS = ("autoDeploy", "isPreviewDeploymentsActive", "enableSubmodules", "createEnvFile")
_TEXTS = ("memoryLimit", "cpuLimit", "env", "buildArgs", "buildSecrets")
_HOST = re.compile(r"[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)*")
_RELATIONS: Mapping[str, Any] = dict.fromkeys(
    ("mounts", "redirects", "security", "ports", "deployments", "previewDeployments"), ()
)


@dataclass
class MakingDokploy(FakeDokploy):
    """It begins with the project "shop" and its default environment.

    Attributes:
        rows: the columns of each application, by id.
        previews: those that it has made by itself; see `preview`.
        building: ids of applications that are built; `end_builds` ends these builds.
        tasks: of Swarm services whose containers run on other nodes.
        keeps_as: the values that columns get, whatever is sent.
        sees: the ids of the services that the key's user may see; None for an owner.
        notes_new: whether a new application is added to these.
        server_ip: as set in its settings, for the domains that it suggests.
        first: the number from which ids are made; two servers have no id in common.
    """

    rows: dict[str, Row] = field(default_factory=dict)
    projects: dict[str, str] = field(default_factory=lambda: {"p1": "shop"})
    environments: list[Row] = field(default_factory=list)
    domains: list[Row] = field(default_factory=list)
    previews: list[Row] = field(default_factory=list)
    building: set[str] = field(default_factory=set)
    tasks: list[Row] = field(default_factory=list)
    keeps_as: Row = field(default_factory=dict)
    sees: set[str] | None = None
    notes_new: bool = True
    server_ip: str = "203.0.113.7"
    dropped: list[str] = field(default_factory=list)
    first: int = 0
    _orphans: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._numbers = itertools.count(self.first)
        for id_ in self.projects:
            self.environments.append(self._new_environment("production", id_, is_default=True))

    def preview(self, app_id: str, number: int, status: str = "done", sha: str = "a" * 40) -> Row:
        """Have its own webhook make the preview of a pull request, or build it again."""
        for known in self.previews:
            if (known["applicationId"], known["pullRequestNumber"]) == (app_id, str(number)):
                self.previews.remove(known)
        id_, moment = self._next("v")
        build = _PREVIEW["deployments"][0] | {
            "status": status,
            "description": f"Hash: {sha}",
            "previewDeploymentId": id_,
            "createdAt": moment,
        }
        made = _PREVIEW | {
            "previewDeploymentId": id_,
            "applicationId": app_id,
            "pullRequestNumber": str(number),
            "pullRequestURL": f"https://github.com/acme/site/pull/{number}",
            "previewStatus": "done" if status == "done" else "running",
            "createdAt": moment,
            "deployments": [build],
            "domain": _PREVIEW["domain"] | {"host": f"preview-{number}.sslip.io"},
        }
        self.previews.append(made)
        return made

    def end_builds(self) -> None:
        """End what is built; the service of a deleted application is created all the same."""
        for id_ in [*self.building]:
            self.end_build(id_)

    def end_build(self, id_: str) -> None:
        """End the build of an application; see `end_builds`."""
        name = self._orphans.pop(id_, None) or self.rows[id_]["appName"]
        self.containers = [one for one in self.containers if one["name"] != f"{name}.1.abcdef"]
        self.containers.append(
            {"name": f"{name}.1.abcdef", "state": "running", "status": "Up 2 seconds"}
        )
        self.building.discard(id_)

    # ── Procedures ───────────────────────────────────────────────────────────

    def call(self, procedure: str, asked: Row) -> tuple[int, Any] | None:
        """Return status and answer of a procedure; None if it is none of those here."""
        run: Callable[[Row], tuple[int, Any]] | None
        run = getattr(self, "_" + procedure.replace(".", "_"), None)
        return None if run is None else run(asked)

    def _answer(self, request: web.Request, body: Row) -> tuple[int, Any]:
        procedure = request.match_info["procedure"]
        if request.headers.get("x-api-key") != self.key:
            return super()._answer(request, body)
        if procedure in self.forbidden:
            return self._not_allowed(procedure)
        asked = body if request.method == "POST" else dict(request.query)
        return self.call(procedure, asked) or super()._answer(request, body)

    @staticmethod
    def _not_allowed(procedure: str) -> tuple[int, Any]:
        why = 'unauthorized to access resource "service"'
        if procedure == "domain.create":  # which wraps every error
            return 400, {"message": why, "code": "BAD_REQUEST", "data": {"path": procedure}}
        data = {"code": "UNAUTHORIZED", "httpStatus": 401, "path": procedure}
        return 401, {"message": why, "code": "UNAUTHORIZED", "data": data}

    @staticmethod
    def _gone(what: str) -> tuple[int, Any]:
        return 404, {"message": f"{what} not found", "code": "NOT_FOUND"}

    @staticmethod
    def _bad(message: str) -> tuple[int, Any]:
        return 400, {"message": message, "code": "BAD_REQUEST"}

    def _next(self, kind: str) -> tuple[str, str]:
        """Return an id and the moment of its creation; ids say nothing of the order."""
        number = next(self._numbers)
        moment = f"2026-11-24T22:{number // 60:02}:{number % 60:02}.000Z"
        return f"{kind}{(number * 7919) % 10_007}", moment

    def _new_environment(self, name: str, project: str, *, is_default: bool) -> Row:
        id_, moment = self._next("e")
        row = {"environmentId": id_, "name": name, "createdAt": moment, "projectId": project}
        return row | {"isDefault": is_default, "env": "SHARED=environment's"}

    def _project_all(self, _query: Row) -> tuple[int, Any]:
        keys = ("applicationId", "name", "applicationStatus")
        return 200, [self._tree(id_, keys, ("environmentId", "name")) for id_ in self.projects]

    def _overview_services(self, _query: Row) -> tuple[int, Any]:
        """List the services that the key's user may see, of whatever project."""
        environments = {env["environmentId"]: env for env in self.environments}
        return 200, [
            {key: row[key] for key in ("name", "appName", "createdAt", "serverId")}
            | {"id": row["applicationId"], "type": "application"}
            | {"status": row["applicationStatus"], "lastDeployAt": self._last_deploy_at(row)}
            | self._place(environments[row["environmentId"]])
            for row in self.rows.values()
            if self._seen(row)
        ]

    def _place(self, environment: Row) -> Row:
        project = environment["projectId"]
        return {
            "environmentId": environment["environmentId"],
            "environmentName": environment["name"],
            "projectId": project,
            "projectName": self.projects[project],
        }

    def _last_deploy_at(self, row: Row) -> str | None:
        made = self.made.get(row["applicationId"])
        return made[0]["createdAt"] if made else None

    def _project_one(self, query: Row) -> tuple[int, Any]:
        if query["projectId"] not in self.projects:
            return self._gone("Project")
        tree = self._tree(query["projectId"], ("applicationId", *_LISTED), tuple(_ENVIRONMENT))
        return 200, tree

    def _tree(self, id_: str, app_keys: tuple[str, ...], keys: tuple[str, ...]) -> Row:
        environments = [
            {key: env[key] for key in (*keys, "isDefault")}
            | {
                "applications": [
                    {key: row[key] for key in app_keys}
                    for row in reversed(self.rows.values())
                    if row["environmentId"] == env["environmentId"] and self._seen(row)
                ],
                "compose": [],
            }
            for env in reversed(self.environments)
            if env["projectId"] == id_
        ]
        return {"projectId": id_, "name": self.projects[id_], "environments": environments}

    def _seen(self, row: Row) -> bool:
        return self.sees is None or row["applicationId"] in self.sees

    def _project_create(self, body: Row) -> tuple[int, Any]:
        id_, _ = self._next("p")
        self.projects[id_] = body["name"]
        environment = self._new_environment("production", id_, is_default=True)
        self.environments.append(environment)
        return 200, {"project": {"projectId": id_}, "environment": environment}

    def _environment_create(self, body: Row) -> tuple[int, Any]:
        if body["name"] == "production":
            return self._bad("You cannot create a environment with the name 'production'")
        if body["projectId"] not in self.projects:
            return self._bad("Error creating the environment: Failed query: insert into …")
        made = self._new_environment(body["name"], body["projectId"], is_default=False)
        self.environments.append(made)
        return 200, made

    def _application_create(self, body: Row) -> tuple[int, Any]:
        if all(env["environmentId"] != body["environmentId"] for env in self.environments):
            return self._gone("Environment")
        id_, moment = self._next("a")
        name = f"{body.get('appName', 'app-made-up')}-{id_}"
        row = _FRESH | body | {"applicationId": id_, "appName": name, "createdAt": moment}
        self.rows[id_] = row
        if self.sees is not None and self.notes_new:
            self.sees.add(id_)
        return 200, row

    def _application_one(self, query: Row) -> tuple[int, Any]:
        row = self.rows.get(query["applicationId"])
        if row is None:
            return self._gone("Application")
        environment = next(
            env for env in self.environments if env["environmentId"] == row["environmentId"]
        )
        id_ = row["applicationId"]
        domains = [one for one in self.domains if one["applicationId"] == id_]
        return 200, {**_RELATIONS, **row, "environment": environment, "domains": domains}

    def _application_update(self, body: Row) -> tuple[int, Any]:
        sent = {key: value for key, value in body.items() if key in _FRESH}
        sent.pop("applicationId"), sent.pop("appName", None), sent.pop("serverId", None)
        if not sent:
            return 500, {"message": "No values to set", "code": "INTERNAL_SERVER_ERROR"}
        if body["applicationId"] not in self.rows:
            return self._bad("Error updating application")
        for key, value in sent.items():
            if key in _TEXTS and not isinstance(value, str | None):
                return self._bad(f"Input validation failed: {key}")
            if key in _FLAGS and value is not None:
                sent[key] = bool(value)
        self.rows[body["applicationId"]] |= sent | self.keeps_as
        return 200, True

    def _application_cleanQueues(self, body: Row) -> tuple[int, Any]:  # noqa: N802
        self.dropped.append(body["applicationId"])
        return 200, None

    def _application_delete(self, body: Row) -> tuple[int, Any]:
        id_ = body["applicationId"]
        row = self.rows.pop(id_, None)
        if row is None:
            return self._gone("Application")
        self.domains = [one for one in self.domains if one["applicationId"] != id_]
        self.containers = [
            one for one in self.containers if not one["name"].startswith(f"{row['appName']}.")
        ]
        if id_ in self.building:
            self._orphans[id_] = row["appName"]
        return 200, row

    def _domain_create(self, body: Row) -> tuple[int, Any]:
        if not _HOST.fullmatch(body["host"]):
            return self._bad("Input validation failed: host")
        if body["applicationId"] not in self.rows:
            return self._bad('Failed query: insert into "domain"')
        id_, moment = self._next("d")
        plain = {"https": False, "port": 3000, "path": "/", "certificateType": "none"}
        made = plain | {"customCertResolver": None} | body
        self.domains.append(made | {"domainId": id_, "createdAt": moment})
        return 200, self.domains[-1]

    def _domain_byApplicationId(self, query: Row) -> tuple[int, Any]:  # noqa: N802
        own = [one for one in self.domains if one["applicationId"] == query["applicationId"]]
        return 200, own[::-1]

    def _domain_delete(self, body: Row) -> tuple[int, Any]:
        gone = [one for one in self.domains if one["domainId"] == body["domainId"]]
        if not gone:
            return self._gone("Domain")
        self.domains.remove(gone[0])
        return 200, gone[0]

    def _domain_generateDomain(self, body: Row) -> tuple[int, Any]:  # noqa: N802
        number = next(self._numbers)
        return 200, f"{body['appName']}-{number}-{self.server_ip.replace('.', '-')}.sslip.io"

    def _previewDeployment_all(self, query: Row) -> tuple[int, Any]:  # noqa: N802
        of_app = [one for one in self.previews if one["applicationId"] == query["applicationId"]]
        return 200, of_app[::-1]

    def _previewDeployment_one(self, query: Row) -> tuple[int, Any]:  # noqa: N802
        for one in self.previews:
            if one["previewDeploymentId"] == query["previewDeploymentId"]:
                return 200, {key: one[key] for key in one if key != "deployments"}
        return self._gone("Preview Deployment")

    def _docker_getContainersByAppNameMatch(self, query: Row) -> tuple[int, Any]:  # noqa: N802
        return 200, [one for one in self.containers if one["name"].startswith(query["appName"])]

    def _docker_getServiceContainersByAppName(  # noqa: N802
        self, query: Row
    ) -> tuple[int, Any]:
        name = query["appName"]
        return 200, [one for one in self.tasks if one["name"].partition(".")[0] == name]


_ENVIRONMENT = ("environmentId", "name", "createdAt", "projectId", "env")
