"""Backends to test through their port, each with its server behind it, and a git server.

The embedded backend is driven through the Dokploy client over real HTTP, as the bridge does it,
and clones with real git. A gate in the git server holds a build where a test needs it to run.
"""

import asyncio
import contextlib
import json
import subprocess
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
from pydantic import SecretStr

from bridge.backends import embedded_client
from bridge.core.apps import App
from bridge.core.configuration.configuration import BuildType, GitSource
from bridge.embedded.server import EmbeddedServer
from bridge.ports.backends import BackendDeployment, Progress
from bridge.ports.providers import BackendServer
from tests.fakes.toy_backend import CRANE, CraneSettings, Yard

T = TypeVar("T")
PATIENCE = 20.0
STATIC = BuildType(build_type="static", publish_directory="site")


async def until(
    probe: Callable[[], Awaitable[T]], fits: Callable[[T], object], what: str = "it"
) -> T:
    """Ask until the answer fits; the deadline is generous, since the machine may be busy."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not fits(found := await probe()):
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"{what} did not come within {PATIENCE:g} s; last was {found!r}")
        await asyncio.sleep(0.02)
    return found


@dataclass
class Repository:
    """A git repository, and a git server for it that can be held."""

    path: Path
    port: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    clones: set[asyncio.Task[Any]] = field(default_factory=set)
    over: bool = False

    @property
    def url(self) -> str:
        return self.path.as_uri()

    @property
    def held_url(self) -> str:
        """Cloning from here waits for the gate."""
        return f"git://127.0.0.1:{self.port}/{self.path.name}"

    def git(self, *words: str) -> str:
        who = [
            "-c",
            "user.name=Ada",
            "-c",
            "user.email=a@example.com",
            "-c",
            "commit.gpgsign=false",
        ]
        done = subprocess.run(
            ["git", *who, *words], cwd=self.path, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, message: str, text: str = "hello") -> str:
        (self.path / "site").mkdir(exist_ok=True)
        (self.path / "site" / "index.html").write_text(text)
        self.git("add", "-A")
        self.git("commit", "--allow-empty", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The git protocol: one line that names the repository, then git talks itself."""
        task = asyncio.current_task()
        assert task is not None
        self.clones.add(task)
        git = None
        try:
            size = int(await reader.readexactly(4), 16)
            await reader.readexactly(size - 4)
            await self.gate.wait()
            if self.over:
                return
            git = await asyncio.create_subprocess_exec(
                "git", "upload-pack", str(self.path),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            assert git.stdin is not None
            assert git.stdout is not None
            async with asyncio.TaskGroup() as group:
                group.create_task(_copy(reader, git.stdin))
                group.create_task(_copy(git.stdout, writer))
        except* (OSError, asyncio.IncompleteReadError):
            pass  # the clone was cancelled
        finally:
            writer.close()
            if git is not None:
                with contextlib.suppress(ProcessLookupError):
                    git.kill()
                await git.communicate()
            self.clones.discard(task)

    async def close(self) -> None:
        """Wait for the clones that a test left, so that none outlives its event loop."""
        self.over = True
        self.gate.set()
        await asyncio.wait_for(asyncio.gather(*self.clones), PATIENCE)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while part := await reader.read(65536):
        writer.write(part)
        await writer.drain()
    writer.close()


@dataclass
class Stage(ABC):
    """A backend under test, and the server behind it.

    Attributes:
        own_title: what it calls a deployment that was given no title.
        keeps_words: title and description stay as they were asked for when a deployment ends.
    """

    backend: Any  # Backend and what else it can: there is no type for all
    own_title: str
    keeps_words: bool

    @abstractmethod
    async def app(self, name: str, source: Any = None) -> App:
        """A new application, with a source where one is given."""

    @abstractmethod
    async def delete(self, app: App) -> None:
        """Take an application away."""

    @abstractmethod
    async def stop(self) -> None:
        """Stop the server."""

    async def named(self, name: str) -> App:
        apps: Sequence[App] = await self.backend.apps()
        return next(app for app in apps if app.name == name)

    async def newest(self, app: App) -> BackendDeployment | None:
        return next(iter(await self.backend.deployments(app)), None)

    async def running(self, app: App, title: str) -> BackendDeployment:
        """Wait until the deployment with that title runs."""
        found = await until(
            lambda: self.newest(app),
            lambda one: one and one.title == title and one.status is Progress.RUNNING,
            f"the running deployment {title!r}",
        )
        assert found is not None
        return found

    async def ended(self, app: App, count: int = 1) -> list[BackendDeployment]:
        """Wait until so many deployments of the app have ended, and none runs or waits."""

        async def look() -> tuple[list[BackendDeployment], list[str]]:
            waiting = [job.title for job in await self.backend.queue() if job.app == app.id]
            return await self.backend.deployments(app), waiting

        found, _ = await until(
            look,
            lambda seen: (
                len(seen[0]) == count
                and not seen[1]
                and all(one.status is not Progress.RUNNING for one in seen[0])
            ),
            f"the end of {count} deployments",
        )
        return found

    async def queued(self, app: App) -> list[tuple[str, bool]]:
        """The app's jobs and whether each runs, in the order of their turns."""
        jobs = await self.backend.queue()
        return [(job.title, job.active) for job in jobs if job.app == app.id]


@dataclass
class EmbeddedStage(Stage):
    """A running embedded server."""

    server: EmbeddedServer
    environment: str = ""

    async def ask(self, method: str, path: str, **fields: Any) -> Any:
        """Speak to the server behind the port, to prepare and to look closely."""
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.request(
                method,
                f"{self.server.url}/api/{path}",
                headers={"x-api-key": self.server.api_key},
                params=fields if method == "GET" else None,
                json=None if method == "GET" else fields,
            )
        assert answer.status_code == 200, answer.text
        return json.loads(answer.content) if answer.content else None

    async def app(self, name: str, source: Any = None) -> App:
        """A new application, with a source and a static build where one is given."""
        body = {"name": name, "appName": name, "environmentId": self.environment}
        id_ = (await self.ask("POST", "application.create", **body))["applicationId"]
        if source is not None:
            app = await self.named(name)
            await self.backend.save_provider(app, source)
            await self.backend.save_build_type(app, STATIC)
        found = await self.named(name)
        assert found.id == id_
        return found

    async def delete(self, app: App) -> None:
        await self.ask("POST", "application.delete", applicationId=app.id)

    async def stop(self) -> None:
        await self.server.stop()

    async def one(self, app: App) -> Any:
        return await self.ask("GET", "application.one", applicationId=app.id)


@asynccontextmanager
async def embedded(folder: Path) -> AsyncIterator[Stage]:
    server = EmbeddedServer(folder / "data", host="127.0.0.1", port=0)
    await server.start()
    backend = embedded_client(server.url, server.api_key, read_retries=0)
    stage = EmbeddedStage(backend, "Manual deployment", keeps_words=False, server=server)
    project = await stage.ask("POST", "project.create", name="shop")
    stage.environment = project["environment"]["environmentId"]
    yield stage
    await backend.close()
    await server.stop()


@dataclass
class CraneStage(Stage):
    """A yard that is open."""

    yard: Yard
    still_open: contextlib.AsyncExitStack

    async def app(self, name: str, source: Any = None) -> App:
        given = source or GitSource(url="https://example.com/none.git", branch="main")
        self.yard.bring(name, given.url, given.branch, *(given.watch_paths or ()))
        return await self.named(name)

    async def delete(self, app: App) -> None:
        del self.yard.loads[app.id]

    async def stop(self) -> None:
        await self.still_open.aclose()


@asynccontextmanager
async def crane(_folder: Path) -> AsyncIterator[Stage]:
    async with contextlib.AsyncExitStack() as still_open:
        yard = await still_open.enter_async_context(Yard().open())
        given = CraneSettings(yard=yard.url, badge=SecretStr(yard.badge))
        backend = BackendServer("crane", CRANE, given).open()
        yield CraneStage(backend, "Lifted by hand", True, yard, still_open)
        await backend.close()


STAGES: dict[str, Callable[[Path], AbstractAsyncContextManager[Stage]]] = {
    "embedded": embedded,
    "crane": crane,
}
"""Every backend that is tested through the port, by name."""
