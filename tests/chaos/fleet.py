"""The bridge as in production: one process on SQLite, three workers and two webs on Postgres.

Each is started again when it has died, as platforms do, under the same address.
"""

import asyncio
import os
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import ClassVar

from bridge.settings import Settings, read_settings
from tests.chaos.cluster import ROOT, Process
from tests.chaos.process import CLOCK, set_clock

RESTART_PAUSE = 0.3
"""Seconds until a process that has died is started again."""

LEAVES_WITHIN = 10.0
"""Seconds after SIGTERM in which a process must have left."""

ROLES = {"sqlite": ("all",), "postgres": ("web", "web", "worker", "worker", "worker")}


@dataclass
class Kept(Process):
    """A process that is kept alive; what it does by itself is noted.

    Attributes:
        deaths: exit codes of ends that nobody asked for.
    """

    module: ClassVar[str] = "tests.chaos.process"
    path: ClassVar[str] = "/readyz"

    deaths: list[int] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    keeper: asyncio.Task[None] | None = None
    wanted: bool = True
    killed: bool = False

    @property
    def name(self) -> str:
        return self.log.stem

    def set_clock(self, offset: float) -> None:
        """Have its clock be so many seconds off from now on."""
        set_clock(Path(self.environment[CLOCK]), offset)

    async def start(self) -> None:
        """Start it and keep it running."""
        self.set_clock(0.0)
        self.starts.append(time.time())
        await super().start()
        self.keeper = asyncio.create_task(self._keep())

    async def run(self) -> None:
        """Start it once; nobody starts it again."""
        await super().start()

    async def kill(self) -> None:
        """SIGKILL, and whoever keeps it starts it again."""
        self.killed = True
        await super().kill()

    async def leave(self) -> float:
        """SIGTERM for good; how many seconds it took."""
        self.wanted = False
        took = await super().leave()
        assert self.keeper is not None
        await self.keeper
        return took

    async def end(self) -> None:
        """End it, however it is."""
        self.wanted = False
        if self.keeper is not None:
            if self.running is not None and self.running.returncode is None:
                self.thaw()
                self.running.kill()
            await self.keeper

    async def _keep(self) -> None:
        while True:
            assert self.running is not None
            code = await self.running.wait()
            if self.wanted and not self.killed:
                self.deaths.append(code)
            self.killed = False
            await asyncio.sleep(RESTART_PAUSE)
            if not self.wanted:
                return
            self.starts.append(time.time())
            await super().start()


def key_of(name: str) -> str:
    """The API key of the process with that name."""
    return f"key-of-{name}"


@cache
def known_to(release: Path) -> frozenset[str]:
    """The variables of all settings of a release: an older one refuses those it does not know."""
    script = "from bridge.settings import variables; print(*variables())"
    environment = {"PYTHONPATH": str(release), "PATH": os.environ["PATH"]}
    told = subprocess.run(
        [sys.executable, "-c", script],
        cwd=release, env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return frozenset(told.stdout.split())


@dataclass
class Fleet:
    """All processes that work together."""

    kind: str
    folder: Path
    variables: dict[str, str]
    release: Path = ROOT
    """The tree whose code new processes run."""
    processes: list[Kept] = field(default_factory=list)
    every: list[Kept] = field(default_factory=list)
    """Those that have left, too."""

    @property
    def settings(self) -> Settings:
        """By which a reader finds the stores."""
        return read_settings(None, self.variables)

    @property
    def urls(self) -> list[str]:
        """Where webhooks may be sent."""
        return [one.url for one in self.processes if one.role != "worker"]

    @property
    def deaths(self) -> list[str]:
        """Ends that nobody asked for."""
        return [f"{one.name} with {code}" for one in self.every for code in one.deaths]

    def with_key(self, key: str) -> Kept | None:
        """The process that uses an API key; None where it has left."""
        return next((one for one in self.processes if key_of(one.name) == key), None)

    def some(self, chance: random.Random, role: str = "") -> Kept:
        """One of them, drawn."""
        return chance.choice([p for p in self.processes if not role or p.role in (role, "all")])

    async def start(self) -> None:
        for role in ROLES[self.kind]:
            self.processes.append(self.made(role))
        for process in self.processes:  # all make the tables at the same time
            await process.start()
        for process in self.processes:
            await process.ready()

    def made(self, role: str) -> Kept:
        """Another process, not started yet."""
        name = self.folder / f"{role}-{len(self.every) + 1}"
        self.every.append(made := Kept(role, self._environment(name), name.with_suffix(".log")))
        return made

    def _environment(self, name: Path) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("BRIDGE_") and name not in ("DATABASE_URL", "PORT")
        }
        mine = {
            "PYTHONPATH": str(self.release),
            CLOCK: f"{name}.clock",
            "BRIDGE_DOKPLOY_API_KEY": key_of(name.name),  # so that the backend can tell who asks
        }
        settings = known_to(self.release)
        known = {
            name: value
            for name, value in self.variables.items()
            if name in settings or not name.startswith("BRIDGE_")
        }
        return inherited | known | mine

    def run(self, release: Path) -> None:
        """Have all processes run the code of that tree from their next start on."""
        self.release = release
        for process in self.processes:
            process.environment = self._environment(process.log.with_suffix(""))

    async def replace(self, old: Kept) -> float:
        """A new process comes, then the old one leaves: how many seconds that took.

        On SQLite the new one is refused until the old one has left.
        """
        new = self.made(old.role)
        await new.start()
        if self.kind != "sqlite":
            await new.ready()
        self.processes[self.processes.index(old)] = new
        left = await old.leave()
        await new.ready()
        return left

    @asynccontextmanager
    async def down(self) -> AsyncIterator[None]:
        """While all of them are killed, and nobody starts them again."""
        await asyncio.gather(*(process.end() for process in self.processes))
        yield
        for process in self.processes:
            process.wanted = True
            await process.start()
        for process in self.processes:
            await process.ready()

    async def end(self) -> None:
        await asyncio.gather(*(process.end() for process in self.every))

    def last_words(self, lines: int = 12) -> str:
        """The ends of their logs, for who has to find out why a test failed."""
        found = []
        for log in sorted(self.folder.glob("*.log")):
            text = log.read_text(errors="replace").splitlines()[-lines:]
            found.append("\n".join([f"── {log.name}", *text]))
        return "\n".join(found)


@asynccontextmanager
async def running_fleet(
    kind: str, folder: Path, variables: dict[str, str], release: Path = ROOT
) -> AsyncIterator[Fleet]:
    """A running one; nothing of it stays."""
    fleet = Fleet(kind, folder, variables, release)
    try:
        await fleet.start()
        yield fleet
    finally:
        await fleet.end()
