"""Backends in which the bridge makes applications, each with its server behind a lossy proxy."""

import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from bridge.backends import embedded_client
from bridge.backends.dokploy.client import Dokploy
from bridge.core.apps import App
from bridge.embedded.server import EmbeddedServer
from bridge.ports.backends import Address, Build
from tests.fakes.dokploy_making import MakingDokploy
from tests.fakes.lossy import LossyProxy, lossy

SECRETS = {
    "env": "TOKEN=hush-env",
    "buildArgs": "TOKEN=hush-args",
    "buildSecrets": "TOKEN=hush-secrets",
    "previewEnv": "TOKEN=hush-preview",
    "password": "hush-password",
    "username": "hush-user",
    "registryUrl": "hush.example.com",
    "command": "run --token hush-command",
}
"""Columns of the model that nothing else may get."""

BUILT = {
    "sourceType": "git",
    "customGitUrl": "https://git.example.com/my-org/mono.git",
    "customGitBranch": "main",
    "customGitBuildPath": "/apps/web",
    "enableSubmodules": True,
    "buildType": "dockerfile",
    "dockerfile": "Dockerfile.web",
    "dockerContextPath": "apps/web",
    "dockerBuildStage": "run",
    "publishDirectory": "dist",
    "createEnvFile": False,
}
"""Columns of the model that its copies get."""

OTHERS = {
    "watchPaths": ["apps/web/**"],
    "replicas": 3,
    "autoDeploy": True,
    "memoryLimit": "9999999999",
    "isPreviewDeploymentsActive": True,
    "rollbackActive": True,
}
"""Columns of the model that its copies don't get, either."""


@dataclass
class Making(ABC):
    """A backend, and its server.

    Attributes:
        backend: its client, which asks through the proxy.
        production: the environment of the model, which is in the project "shop".
    """

    backend: Dokploy
    proxy: LossyProxy
    project: str
    production: str
    model: App

    async def ask(self, method: str, path: str, **fields: Any) -> Any:
        """Speak to the server itself."""
        body: dict[str, Any] = {"params": fields} if method == "GET" else {"json": fields}
        answer = await self.proxy.upstream.request(method, f"/api/{path}", **body)
        assert answer.status_code == 200, answer.text
        return json.loads(answer.content) if answer.content else None

    async def one(self, app: App) -> dict[str, Any]:
        found: dict[str, Any] = await self.ask("GET", "application.one", applicationId=app.id)
        return found

    async def apps(self) -> list[dict[str, Any]]:
        """All applications, with their environments' names."""
        return [
            app | {"environment": environment["name"]}
            for project in await self.ask("GET", "project.all")
            for environment in project["environments"]
            for app in environment["applications"]
        ]

    async def environments(self) -> list[str]:
        project = await self.ask("GET", "project.one", projectId=self.project)
        return sorted(one["name"] for one in project["environments"])

    async def create(self, name: str, environment: str, **fields: Any) -> App:
        """Create an application as a person does."""
        body = {"name": name, "environmentId": environment} | fields
        made = await self.ask("POST", "application.create", **body)
        return App(made["applicationId"], name, "shop", backend=self.backend.name)

    @abstractmethod
    def restarted(self) -> Dokploy:
        """A client that knows nothing yet, as after a restart of the bridge."""


@dataclass
class DokployMaking(Making):
    """The fake."""

    server: MakingDokploy

    def restarted(self) -> Dokploy:
        return Dokploy(self.proxy.url, self.server.key, read_retries=0)


@dataclass
class EmbeddedMaking(Making):
    """The embedded backend."""

    server: EmbeddedServer

    def restarted(self) -> Dokploy:
        return embedded_client(
            self.proxy.url, self.server.api_key, read_retries=0, sites=self.server.sites_url
        )


@asynccontextmanager
async def _behind(url: str, key: str) -> AsyncIterator[LossyProxy]:
    headers = {"x-api-key": key}
    async with (
        httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=60) as http,
        lossy(http) as proxy,
    ):
        yield proxy


async def _furnished(world: Making) -> None:
    """Give the model a source, a build, secrets and an address."""
    world.model = await world.create("web", world.production, description="the shop's front")
    columns = SECRETS | BUILT | OTHERS
    await world.ask("POST", "application.update", applicationId=world.model.id, **columns)
    domain = {"applicationId": world.model.id, "host": "hush.example.com"}
    await world.ask("POST", "domain.create", **domain)


@asynccontextmanager
async def dokploy(_folder: Path) -> AsyncIterator[Making]:
    async with furnished_dokploy(MakingDokploy()) as world:
        yield world


@asynccontextmanager
async def furnished_dokploy(fake: MakingDokploy) -> AsyncIterator[DokployMaking]:
    """Run a fake with the model in it, behind a lossy proxy."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(fake.running())
        proxy = await stack.enter_async_context(_behind(server.url, server.key))
        backend = Dokploy(proxy.url, server.key, read_retries=0)
        stack.push_async_callback(backend.close)
        production = server.environments[0]["environmentId"]
        world = DokployMaking(backend, proxy, "p1", production, App("", "", ""), server)
        await _furnished(world)
        row = server.rows[world.model.id]
        row["mounts"] = [{"type": "bind", "hostPath": "/hush"}]
        row["ports"] = [{"publishedPort": 8080, "targetPort": 80}]
        row |= {"registryId": "hush-registry", "labelsSwarm": {"traefik": "hush"}}
        yield world


@asynccontextmanager
async def embedded(folder: Path) -> AsyncIterator[Making]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(EmbeddedServer(folder / "data"))
        proxy = await stack.enter_async_context(_behind(server.url, server.api_key))
        backend = embedded_client(proxy.url, server.api_key, read_retries=0, sites=server.sites_url)
        stack.push_async_callback(backend.close)
        world = EmbeddedMaking(backend, proxy, "", "", App("", "", ""), server)
        made = await world.ask("POST", "project.create", name="shop")
        world.project = made["project"]["projectId"]
        world.production = made["environment"]["environmentId"]
        await _furnished(world)
        yield world


WORLDS: dict[str, Callable[[Path], AbstractAsyncContextManager[Making]]] = {
    "dokploy": dokploy,
    "embedded": embedded,
}
"""Every backend in which the bridge makes applications, by name."""


# ── What tests make in them ──

MARKER = "bridge:github:my-org/mono#7:web"
ADDRESSES = (
    Address("pr-7-web.preview.example.com", port=8080, https=True, certificate="letsencrypt"),
    Address("pr-7.own.example.com", certificate="internal", https=True, path="/web"),
)


def build(world: Making, **others: Any) -> Build:
    asked = Build(world.model, "feature/a", "PR=7", "SHA=abc", memory=512 * 2**20, cpus=0.5)
    return replace(asked, **others)


async def make(world: Making, marker: str = MARKER, name: str = "web-pr-7") -> App:
    return await world.backend.make(name, marker, world.model, "previews")


async def complete(world: Making) -> App:
    app = await make(world)
    await world.backend.set_build(app, build(world))
    await world.backend.set_addresses(app, ADDRESSES)
    return app


def hosts(record: dict[str, Any]) -> list[str]:
    return sorted(one["host"] for one in record["domains"])
