"""What the tests of the embedded backend share: real repositories, a client, stand-in tools."""

import asyncio
import base64
import json
import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
from aiohttp import web

from bridge.backends.dokploy.client import Dokploy
from bridge.core.apps import App
from bridge.core.configuration.configuration import BuildType, Environment, ProviderSettings
from bridge.core.errors import NotFound
from bridge.embedded.http.procedure import Parts
from bridge.embedded.http.projects import new_git_provider
from bridge.embedded.server import EmbeddedServer
from bridge.embedded.storage.records import Record
from tests.fakes.serving import served

T = TypeVar("T")
PATIENCE = 20.0
NO_SETTINGS = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
"""Keep this machine's own settings of Git, such as the filters of Git LFS, out of repositories."""


async def until(
    probe: Callable[[], Awaitable[T]], fits: Callable[[T], object], *, patience: float = PATIENCE
) -> T:
    """Ask until the answer fits, less often as time goes on.

    The deadline is generous, since the machine may be busy.
    """
    now = asyncio.get_running_loop().time
    began = now()
    while not fits(found := await probe()):
        waited = now() - began
        if waited > patience:
            raise AssertionError(f"it did not come within {patience:g} s; last was {found!r}")
        await asyncio.sleep(min(max(0.01, waited / 20), 0.1))
    return found


@dataclass(frozen=True)
class Repository:
    """A git repository on disk."""

    path: Path

    @classmethod
    def make(cls, path: Path, files: dict[str, str] | None = None) -> "Repository":
        path.mkdir(parents=True)
        repository = cls(path)
        repository.git("init", "-q", "-b", "main", "--template=")
        repository.commit("feat: first commit", files or {"index.html": "<h1>first</h1>"})
        return repository

    @property
    def url(self) -> str:
        return self.path.as_uri()

    def git(self, *words: str) -> str:
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
        allowed = ["-c", "protocol.file.allow=always", "-c", "maintenance.auto=false"]
        done = subprocess.run(
            ["git", *who, *allowed, *words],
            cwd=self.path,
            env=os.environ | NO_SETTINGS,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def commit(self, message: str, files: dict[str, str] | None = None) -> str:
        for name, text in (files or {}).items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.head()

    def head(self) -> str:
        """Return the commit that is checked out."""
        head = (self._data / "HEAD").read_text().strip()
        branch = head.removeprefix("ref: ")
        return head if branch == head else (self._data / branch).read_text().strip()

    @property
    def _data(self) -> Path:
        """Where git keeps its data; a file names the place if it is elsewhere."""
        here = self.path / ".git"
        return Path(here.read_text()[len("gitdir:") :].strip()) if here.is_file() else here


@dataclass(frozen=True)
class Client:
    """Speaks to an embedded server over HTTP."""

    server: EmbeddedServer
    http: httpx.AsyncClient

    async def send(self, method: str, procedure: str, **fields: Any) -> httpx.Response:
        asked: dict[str, Any] = {"params" if method == "GET" else "json": fields}
        return await self.http.request(method, f"/api/{procedure}", **asked)

    async def ask(self, method: str, procedure: str, **fields: Any) -> Any:
        answer = await self.send(method, procedure, **fields)
        assert answer.status_code == 200, answer.text
        return json.loads(answer.content) if answer.content else None

    async def environment(self, project: str = "shop") -> str:
        made = await self.ask("POST", "project.create", name=project)
        return str(made["environment"]["environmentId"])

    async def app(
        self, name: str, url: str | None = None, *, environment: str | None = None, **build: Any
    ) -> dict[str, Any]:
        """A new application; with an address it is a static site from there."""
        where = environment or await self.environment()
        app: dict[str, Any] = await self.ask(
            "POST", "application.create", name=name, environmentId=where
        )
        if url is not None:
            await self.save_git(app["applicationId"], url)
            await self.save_build(app["applicationId"], **build)
        return app

    async def save_git(self, id_: str, url: str, **others: Any) -> None:
        settings = {
            "customGitUrl": url,
            "customGitBranch": "main",
            "customGitBuildPath": "/",
            "watchPaths": None,
        }
        await self.ask(
            "POST", "application.saveGitProvider", applicationId=id_, **settings | others
        )

    async def save_build(self, id_: str, **build: Any) -> None:
        settings = {
            "buildType": "static",
            "dockerfile": None,
            "dockerContextPath": None,
            "dockerBuildStage": None,
            "herokuVersion": None,
            "railpackVersion": None,
        }
        await self.ask("POST", "application.saveBuildType", applicationId=id_, **settings | build)

    async def save_env(self, id_: str, env: str = "", **others: Any) -> None:
        settings = {"env": env, "buildArgs": None, "buildSecrets": None, "createEnvFile": True}
        await self.ask(
            "POST", "application.saveEnvironment", applicationId=id_, **settings | others
        )

    async def deploy(self, id_: str, **words: str) -> None:
        await self.ask("POST", "application.deploy", applicationId=id_, **words)

    async def deployments(self, id_: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.ask("GET", "deployment.all", applicationId=id_)
        return found

    async def queue(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.ask("GET", "deployment.queueList")
        return found

    async def ended(self, id_: str, count: int = 1) -> dict[str, Any]:
        """Wait until so many deployments have ended; returns the newest."""
        found = await until(
            lambda: self.deployments(id_),
            lambda all_: len(all_) == count and all(one["status"] != "running" for one in all_),
        )
        return found[0]

    async def running(self, id_: str) -> dict[str, Any]:
        """Wait until one runs; returns it."""
        found = await until(
            lambda: self.deployments(id_), lambda all_: all_ and all_[0]["status"] == "running"
        )
        return found[0]

    async def deployed(self, id_: str, **words: str) -> dict[str, Any]:
        """Deploy and wait for the end."""
        before = [one["deploymentId"] for one in await self.deployments(id_)]
        await self.deploy(id_, **words)
        found = await until(
            lambda: self.deployments(id_),
            lambda all_: (
                all_ and all_[0]["deploymentId"] not in before and all_[0]["status"] != "running"
            ),
        )
        return found[0]

    async def log(self, deployment: dict[str, Any]) -> str:
        id_ = deployment["deploymentId"]
        return str(await self.ask("GET", "deployment.readLogs", deploymentId=id_, tail=10_000))

    async def page(self, app: dict[str, Any], path: str = "") -> httpx.Response:
        return await self.http.get(self.site(app, path))

    def site(self, app: dict[str, Any], path: str = "") -> str:
        return f"{self.server.sites_url}/apps/{app['appName']}/{path}"


@asynccontextmanager
async def running_server(data_dir: Path, **settings: Any) -> AsyncIterator[Client]:
    """A started server and a client of it."""
    async with EmbeddedServer(data_dir, **settings) as server, client_of(server) as client:
        yield client


@asynccontextmanager
async def client_of(server: EmbeddedServer) -> AsyncIterator[Client]:
    headers = {"x-api-key": server.api_key}
    async with httpx.AsyncClient(
        base_url=server.url, headers=headers, trust_env=False, timeout=PATIENCE
    ) as http:
        yield Client(server, http)


class Maker(Dokploy):
    """The client that the bridge has, with what only the embedded backend lets clients make."""

    def __init__(self, client: Client, name: str) -> None:
        super().__init__(client.server.url, client.server.api_key, name=name, read_retries=0)
        self.client = client

    async def create_app(
        self,
        name: str,
        *,
        project: str,
        source: ProviderSettings | None = None,
        build: BuildType | None = None,
        environment: Environment | None = None,
    ) -> App:
        """Make an app in the default environment of a project, which is made if it is missing."""
        made = await self.client.app(name, environment=await self._environment(project))
        app = await self.app(made["applicationId"])
        if source is not None:
            await self.save_provider(app, source)
        if build is not None:
            await self.save_build_type(app, build)
        if environment is not None:
            await self.save_environment(app, environment)
        return await self.app(app.id)

    async def app(self, id_: str) -> App:
        for one in await self.apps():
            if one.id == id_:
                return one
        raise NotFound(id_)

    async def _environment(self, project: str) -> str:
        for one in await self.client.ask("GET", "project.all"):
            if one["name"] == project:
                return str(one["environments"][0]["environmentId"])
        return await self.client.environment(project)


@asynccontextmanager
async def maker_of(server: EmbeddedServer, name: str = "embedded") -> AsyncIterator[Maker]:
    """The client of a started server."""
    async with client_of(server) as client:
        maker = Maker(client, name)
        try:
            yield maker
        finally:
            await maker.close()


def path_with(folder: Path, **tools: str) -> str:
    """A search path that begins with stand-ins: shell scripts by name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, script in tools.items():
        file = folder / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def path_without(folder: Path, *tools: str) -> str:
    """A search path with git and what it needs, but without some tools."""
    folder.mkdir(parents=True, exist_ok=True)
    for directory in os.environ["PATH"].split(os.pathsep):
        for program in Path(directory).glob("*") if Path(directory).is_dir() else ():
            link = folder / program.name
            if program.name not in tools and not link.exists():
                link.symlink_to(program)
    return str(folder)


def holding(gate: Path) -> str:
    """A stand-in for docker whose build waits for a file; everything else works at once."""
    return f"""
case "$1" in
  build) echo "building"; while [ ! -e {gate} ]; do sleep 0.02; done;;
  run) echo 0123456789abcdef;;
  image) echo null;;
esac
"""


@dataclass
class GitServer:
    """Serves repositories over smart HTTP, and remembers what it was sent.

    Attributes:
        login: "user:password" that is asked for; None lets everybody in.
        gate: clones wait until it is set.
        moved: where a repository is now, by its name here.
        seen: names that were asked for, each with the credential that came along.
    """

    root: Path
    url: str = ""
    login: str | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: int = 0
    moved: dict[str, str] = field(default_factory=dict)
    seen: set[tuple[str, str | None]] = field(default_factory=set)

    async def answer(self, request: web.Request) -> web.Response:
        name, _, rest = request.path_qs.removeprefix("/").partition(".git/")
        self.seen.add((name, request.headers.get("Authorization")))
        if name in self.moved:
            raise web.HTTPMovedPermanently(f"{self.moved[name]}.git/{rest}")
        wanted = base64.b64encode((self.login or "").encode()).decode()
        if self.login is not None and request.headers.get("Authorization") != f"Basic {wanted}":
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="git"'})
        self.waiting += 1
        await self.gate.wait()
        self.waiting -= 1
        path = self.root / request.match_info["name"]
        if not path.exists():
            return web.Response(status=404)
        protocol = request.headers.get("Git-Protocol", "")
        words = ["git", "upload-pack", "--stateless-rpc"]
        head = b""
        if request.method == "GET":
            words.append("--advertise-refs")
            head = b"" if protocol else b"001e# service=git-upload-pack\n0000"
        # In a thread git ends by itself, also if this request is cancelled.
        git = await asyncio.to_thread(
            subprocess.run,
            [*words, str(path)],
            input=await request.read(),
            stdout=subprocess.PIPE,
            env=os.environ | {"GIT_PROTOCOL": protocol},
        )
        what = "advertisement" if request.method == "GET" else "result"
        return web.Response(
            body=head + git.stdout, content_type=f"application/x-git-upload-pack-{what}"
        )


@asynccontextmanager
async def git_server(
    root: Path, *, login: str | None = None, more: Iterable[web.RouteDef] = ()
) -> AsyncIterator[GitServer]:
    """A Git host on loopback; its gate is open until a test shuts it; `more` it serves, too."""
    server = GitServer(root, login=login)
    server.gate.set()
    app = web.Application()
    app.add_routes(more)
    app.router.add_route("GET", "/{name:.+}/info/refs", server.answer)
    app.router.add_route("POST", "/{name:.+}/git-upload-pack", server.answer)
    async with served(app) as server.url:
        try:
            yield server
        finally:
            server.gate.set()


async def add_github(parts: Parts, name: str, url: str, *, id_: str | None = None) -> Record:
    """Store a GitHub provider; the real server creates them only in a browser."""
    git_provider = new_git_provider(parts, name, "github")
    unused = ["githubClientId", "githubClientSecret", "githubInstallationId", "githubPrivateKey"]
    provider: Record = {
        "githubId": id_ or parts.new_id(),
        "githubAppName": name,
        "githubAppId": None,
        **dict.fromkeys(unused),
        "githubWebhookSecret": None,
        "githubUrl": url,
        "gitProviderId": git_provider["gitProviderId"],
        "gitProvider": git_provider,
    }
    await parts.catalog.add_provider(provider["githubId"], "github", provider)
    return provider
