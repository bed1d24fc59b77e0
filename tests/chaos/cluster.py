"""Run real bridge processes, for tests that kill and replace them."""

import asyncio
import contextlib
import itertools
import os
import random
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, ClassVar

import httpx

from tests.chaos.recording_backend import RecordingBackend
from tests.fakes.github import FakeGithub
from tests.worlds.bridge import SECRET
from tests.worlds.processes import STDOUT, Running, start_bridge

ROOT = Path(__file__).parents[2]
_ports = itertools.count(random.Random(os.getpid()).randrange(10_000, 19_000))


def free_port() -> int:
    """Return a port that was never used, below the ephemeral range."""
    for port in _ports:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port")


@dataclass
class Process:
    """`serve` as a process of its own, killed and started again under one address."""

    path: ClassVar[str] = "/healthz"

    role: str
    environment: dict[str, str]
    log: Path
    port: int = field(default_factory=free_port)
    running: Running | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self.running = await self.begun(self.environment | {"PORT": str(self.port)}, log)

    async def begun(self, environment: dict[str, str], log: IO[bytes]) -> Running:
        """Begin a process that writes to a log."""
        words, folder = ("serve", "--role", self.role), self.log.parent
        return await start_bridge(*words, cwd=folder, env=environment, stdout=log, stderr=STDOUT)

    async def started(self) -> None:
        await self.start()
        await self.ready()

    async def ready(self) -> None:
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=5) as web:
            async with asyncio.timeout(60):
                while not await self._answers(web):  # noqa: ASYNC110 - it is another process
                    await asyncio.sleep(0.05)

    async def kill(self) -> None:
        assert self.running is not None
        if self.running.returncode is None:
            self.running.kill()
        await self.running.wait()

    async def leave(self) -> float:
        """Stop gracefully; return how many seconds that took."""
        assert self.running is not None
        began = time.monotonic()
        if self.running.returncode is None:
            self.running.terminate()
        code = await self.running.wait()
        assert code == 0, f"{self.role} ended with {code}: {self.log.read_text()[-2000:]}"
        return time.monotonic() - began

    def freeze(self) -> None:
        assert self.running is not None
        self.running.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.running is not None
        self.running.send_signal(signal.SIGCONT)

    async def _answers(self, web: httpx.AsyncClient) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return (await web.get(self.path)).status_code == 200
        return False


@dataclass
class Cluster:
    """Processes that share their stores and deploy on one backend.

    Attributes:
        database: the url of their Postgres; None: SQLite, for one process.
        settings: further settings of all processes created from then on.
    """

    folder: Path
    backend: RecordingBackend
    github: FakeGithub
    database: str | None = None
    settings: dict[str, str] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)
    names: Iterator[int] = field(default_factory=itertools.count)

    @property
    def data(self) -> Path:
        return self.folder / "bridge"

    def new(self, role: str) -> Process:
        """Return one more process, not started yet; backend and Git host can identify it."""
        name = f"{role}-{next(self.names)}"
        kept = {k: v for k, v in os.environ.items() if not k.startswith("BRIDGE_")}
        given = {
            "BRIDGE_DATA": str(self.data),
            "BRIDGE_GITHUB_WEBHOOK_SECRETS": SECRET,
            "BRIDGE_DOKPLOY_URL": self.backend.url,
            "BRIDGE_DOKPLOY_API_KEY": f"key-of-{name}",
            "BRIDGE_DOKPLOY_READ_TIMEOUT": "2",
            "BRIDGE_JOURNEY_LOOK": "0.05",
            "BRIDGE_JOURNEY_LOOK_AT_MOST": "0.2",
            "BRIDGE_JOURNEY_ADOPT": "1.5",
            "BRIDGE_GITHUB_FEEDBACK": "comment",
            "BRIDGE_CATCHUP_SWEEP": "false",
            "BRIDGE_CATCHUP_RECONCILE": "false",
            "BRIDGE_LOG_LEVEL": "warning",
            "PYTHONPATH": str(ROOT),
        }
        if self.database is not None:
            given["DATABASE_URL"] = self.database
        token = f"ghp_of{name}"
        self.github.tokens.add(token)
        given |= self.github.settings | {"BRIDGE_GITHUB_TOKEN": token} | self.settings
        process = Process(role, kept | given, self.folder / f"{name}.log")
        self.processes.append(process)
        return process

    async def start(self, *roles: str) -> None:
        """Start this many processes at once."""
        new = [self.new(role) for role in roles]
        await asyncio.gather(*(process.started() for process in new))

    async def end(self) -> None:
        for process in self.processes:
            if process.running is not None and process.running.returncode is None:
                process.thaw()
                process.running.kill()
                await process.running.wait()
