"""A small Dokploy on loopback for scenes: its answers are recorded ones, with some fields changed.

Ids and times are fixed. `tests/fixtures/dokploy/scenes.jsonl` has exchanges with a real v0.30.2,
of which every answer here is made; ids and keys of that server are none that exist.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.scenes.hostile import BRANCH, DEEP, EVIL, LONG

RECORDED = Path(__file__).parents[1] / "fixtures" / "dokploy" / "scenes.jsonl"

KEY = "0123456789abcdefghijklmnop"
FAILED = "4qYzJ5bT"
"""The failed deployment of `app_web`, by the server's id."""

HIDDEN = "a\u200bb\u3164c"
"""Letters with something between them that nobody sees."""

APPLICATIONS: Mapping[str, Mapping[str, Any]] = {
    "app_web": {
        "name": "web",
        "sourceType": "github",
        "owner": "my-org",
        "repository": "mono",
        "branch": "main",
        "githubId": "Qm3Xw0Zy5pA1",
        "watchPaths": ["web/**"],
        "buildType": "dockerfile",
        "dockerfile": "web/Dockerfile",
        "dockerBuildStage": "release",
        "env": "LOG_LEVEL=debug\nAPI_KEY=hunter2\n# ours\nA-B='two words'",
        "buildArgs": "NODE_ENV=production",
        "buildSecrets": "NPM_TOKEN=hunter2",
    },
    "app_worker": {
        "name": "worker-that-sends-the-newsletters",
        "sourceType": "gitlab",
        "gitlabOwner": LONG,
        "gitlabRepository": "mono",
        "gitlabPathNamespace": f"{LONG}/a/b/c/mono",
        "gitlabProjectId": 271_828,
        "gitlabBranch": BRANCH,
        "gitlabBuildPath": f"/{DEEP.removesuffix('/main.py')}",
        "gitlabId": "k-2aT0pQ9yQ1",
        "watchPaths": ["services/worker/**", f"{DEEP}/**", "libraries/**", "!**/*.md"],
        "enableSubmodules": True,
        "buildType": "static",
        "publishDirectory": DEEP,
        "isStaticSpa": True,
        "env": f'CERTIFICATE="-----BEGIN CERTIFICATE-----\n{"MIIDdzCCAl" * 12}\n-----END-----"'
        f"\n{LONG.upper().replace('-', '_')}_{LONG.upper().replace('-', '_')}=x",
    },
    "app_odd": {
        "name": f"odd {EVIL}",
        "sourceType": "git",
        "customGitUrl": f"https://ada:hunter2@git.example.com/{HIDDEN}/{EVIL}.git",
        "customGitBranch": "main",
        "customGitBuildPath": f"/{EVIL}",
        "watchPaths": [f"{EVIL}/**", f"{HIDDEN}/**"],
        "buildType": "dockerfile",
        "dockerfile": f"Dockerfile.{EVIL}",
        "dockerContextPath": HIDDEN,
        "env": f"KEY={EVIL}{HIDDEN}",
    },
    "app_image": {
        "name": "db",
        "sourceType": "docker",
        "dockerImage": "registry.example.com/team/postgres:17",
        "username": "robot",
        "password": "hunter2",
        "registryUrl": "https://registry.example.com",
    },
    "app_broken": {"name": "broken", "watchPaths": {"a": 1}},
    "app_half": {
        "name": "half",
        "sourceType": "bitbucket",
        "bitbucketRepository": "mono",
    },
}
"""What each application has set; everything else is as Dokploy makes it."""

STACKS: Mapping[str, Mapping[str, Any]] = {"app_stack": {"name": "stack", "env": "A=1"}}
FORBIDDEN = "app_api"
"""An app that the key may not read."""

DEPLOYMENTS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "app_web": (
        {"deploymentId": FAILED, "status": "error", "title": "feat: later", "description": ""},
        {"deploymentId": "Zk1u8RwLq0Aa", "status": "done", "title": "feat: first"},
    ),
    "app_odd": ({"deploymentId": "Odd0Odd0Odd0", "status": "error", "title": EVIL},),
    "app_worker": ({"deploymentId": "CLearEd0CLea", "status": "running", "title": "clear"},),
    "app_image": (),
}

HOSTILE_LOG = (
    f"Cloning into 'code'...\n\x1b[31m#5 RUN make {EVIL}\x1b[0m\n{HIDDEN}\n"
    "#6 1%\r#6 50%\r#6 100%\n\tat main (main.js:1)\n"
    f"fatal: Remote branch {BRANCH} not found in upstream origin\n\n"
    "Error occurred ❌, check the logs for details.\n"
)


@cache
def recorded() -> Mapping[str, Mapping[str, Any]]:
    """The recorded answers by their names."""
    rows = map(json.loads, RECORDED.read_text("utf-8").splitlines())
    return {row["name"]: row["response"] for row in rows}


KEYLESS = ("health", "trpc/settings.health")
"""What a real server answers without a key."""

Answer = tuple[int, Any]


def answer(procedure: str, asked: Mapping[str, str]) -> Answer:
    """Return what a real server answers to a question, as a status and JSON."""
    id_ = asked.get("applicationId") or asked.get("composeId") or ""
    if id_ == FORBIDDEN:
        return _as_recorded("95-member-deployment.all", procedure)
    match procedure:
        case "application.one" if id_ in APPLICATIONS:
            fresh = _filled("22-application.one-fresh", applicationId=id_)
            return 200, {**fresh, **APPLICATIONS[id_]}
        case "compose.one" if id_ in STACKS:
            return 200, {**_filled("80-compose.one", composeId=id_), **STACKS[id_]}
        case "trpc/settings.health":
            return 200, recorded()["300-witness-database-well"]["json"]
        case "deployment.all":
            (_, *_, blank) = recorded()["53-deployment.all-after-kill"]["json"]
            rows = DEPLOYMENTS.get(id_, ())
            return 200, [blank | {"applicationId": id_} | one for one in rows]
        case "deployment.readLogs":
            return _log(asked["deploymentId"], int(asked["tail"]))
    return _as_recorded("22-application.one-unknown", procedure)


def _log(deployment: str, tail: int) -> Answer:
    texts = {
        FAILED: recorded()["45-deployment.readLogs"]["json"],
        "Odd0Odd0Odd0": HOSTILE_LOG,
        "CLearEd0CLea": recorded()["72-readLogs-after-clear"]["json"],
    }
    if deployment not in texts:
        return _as_recorded("45-deployment.readLogs-unknown", "deployment.readLogs")
    lines = texts[deployment].split("\n")
    return 200, "\n".join(lines[-tail - 1 :])


def _filled(name: str, **fields: Any) -> dict[str, Any]:
    return {**recorded()[name]["json"], **fields}


def _as_recorded(name: str, procedure: str) -> Answer:
    found = recorded()[name]
    said = found["json"]
    return found["status"], said | {"data": said["data"] | {"path": procedure}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        procedure = parts.path.removeprefix("/api/")
        asked = {name: value[0] for name, value in parse_qs(parts.query).items()}
        if self.headers["x-api-key"] == KEY or procedure in KEYLESS:
            status, said = answer(procedure, asked)
        else:
            refused = recorded()["12-auth-bad-key"]
            status, said = refused["status"], refused["json"]
        self._send(status, said)

    def _send(self, status: int, said: Any) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


THOSE = ("app_web", "app_worker", "app_odd", "app_image", "app_half")
KINDS = {**dict.fromkeys(THOSE, "application"), **dict.fromkeys(STACKS, "compose")}


def project() -> dict[str, Any]:
    applications = [
        {"applicationId": id_, "name": APPLICATIONS[id_]["name"], "applicationStatus": "done"}
        for id_ in THOSE
    ]
    stacks = [
        {"composeId": id_, "name": one["name"], "composeStatus": "done"}
        for id_, one in STACKS.items()
    ]
    environment = {"environmentId": "e", "name": "production", "isDefault": True}
    inside = {"applications": applications, "compose": stacks}
    return {"projectId": "p", "name": "shop", "environments": [environment | inside]}


class Recorded(_Handler):
    """A Dokploy with recorded answers, whose apps keep what an update names."""

    written: dict[str, dict[str, Any]]
    updates: list[tuple[str, dict[str, Any]]]
    silent: set[str]

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        procedure = parts.path.removeprefix("/api/")
        asked = {name: value[0] for name, value in parse_qs(parts.query).items()}
        id_ = asked.get("applicationId") or asked.get("composeId") or ""
        if procedure == "project.all":
            self._send(200, [project()])
            return
        if not procedure.endswith(".one") or id_ not in KINDS:
            super().do_GET()
            return
        status, said = answer(procedure, asked)
        self._send(status, said | self.written.get(id_, {}))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        procedure = self.path.removeprefix("/api/")
        self.updates.append((procedure, dict(body)))
        id_ = body.pop("applicationId", None) or body.pop("composeId")
        if id_ not in self.silent:
            self.written.setdefault(id_, {}).update(body)
        self._send(200, True)


@contextmanager
def dokploy() -> Iterator[dict[str, str]]:
    """Serve it; yields the settings that lead there."""
    with _serving(_Handler) as url:
        yield {"BRIDGE_DOKPLOY_URL": url, "BRIDGE_DOKPLOY_API_KEY": KEY}


@contextmanager
def adoptable(on: set[str]) -> Iterator[tuple[str, type[Recorded]]]:
    """Serve one whose apps can be changed; yields its address and what it keeps.

    Args:
        on: ids of the apps that it deploys by itself.
    """
    state = {"written": {id_: {"autoDeploy": id_ in on} for id_ in KINDS}}
    handler = type("Handler", (Recorded,), {**state, "updates": [], "silent": set()})
    with _serving(handler) as url:
        yield url, handler


@contextmanager
def _serving(handler: type[_Handler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
