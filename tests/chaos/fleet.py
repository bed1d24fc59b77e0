"""The bridge as in production: one process on SQLite, three workers and two webs on Postgres.

Each is restarted under the same address when it has died, as platforms do.
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
from typing import IO, ClassVar

from bridge.settings import Settings, read_settings
from tests.chaos.cluster import ROOT, Process
from tests.chaos.planted import FAULT
from tests.chaos.process import CHAOTIC, CLOCK, set_clock
from tests.worlds.processes import STDOUT, Running, start_bridge

RESTART_PAUSE = 0.3
"""Seconds until a dead process is restarted."""

LEAVES_WITHIN = 10.0
"""Seconds after SIGTERM within which a process must exit."""

ROLES = {"sqlite": ("all",), "postgres": ("web", "web", "worker", "worker", "worker")}


@dataclass
class Kept(Process):
    """A supervised process; its unrequested exits are recorded.

    Attributes:
        deaths: exit codes of unrequested exits.
    """

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
        """Set its clock off by this many seconds from now on."""
        set_clock(Path(self.environment[CLOCK]), offset)

    async def start(self) -> None:
        """Start it and keep it running."""
        self.set_clock(0.0)
        self.starts.append(time.time())
        await super().start()
        self.keeper = asyncio.create_task(self._keep())

    async def begun(self, environment: dict[str, str], log: IO[bytes]) -> Running:
        """Begin a process whose clock jumps.

        Another release is not forked. Nor is a process with a planted bug, which must be there
        before others import what it replaces.
        """
        words, folder = ("serve", "--role", self.role), self.log.parent
        if environment["PYTHONPATH"] == str(ROOT) and not environment[FAULT]:
            return await start_bridge(
                *words, cwd=folder, env=environment, stdout=log, stderr=STDOUT, program=CHAOTIC
            )
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", CHAOTIC.module, *words),
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=STDOUT,
        )

    async def run(self) -> None:
        """Start it once, without restarts."""
        await super().start()

    async def kill(self) -> None:
        """Kill it with SIGKILL; its supervisor restarts it."""
        self.killed = True
        await super().kill()

    async def leave(self) -> float:
        """Stop it with SIGTERM for good; return how many seconds that took."""
        self.wanted = False
        took = await super().leave()
        assert self.keeper is not None
        await self.keeper
        return took

    async def end(self) -> None:
        """End it, whatever its state."""
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
    """Return the API key of the process with that name."""
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
    """All processes of one bridge."""

    kind: str
    folder: Path
    variables: dict[str, str]
    release: Path = ROOT
    """The source tree that new processes run."""
    processes: list[Kept] = field(default_factory=list)
    every: list[Kept] = field(default_factory=list)
    """Includes processes that have exited."""

    @property
    def settings(self) -> Settings:
        """The settings by which a reader finds the stores."""
        return read_settings(None, self.variables)

    @property
    def urls(self) -> list[str]:
        """Return the addresses for webhooks."""
        return [one.url for one in self.processes if one.role != "worker"]

    @property
    def deaths(self) -> list[str]:
        """Return the unrequested exits."""
        return [f"{one.name} with {code}" for one in self.every for code in one.deaths]

    def with_key(self, key: str) -> Kept | None:
        """Return the process that uses an API key; None if it has exited."""
        return next((one for one in self.processes if key_of(one.name) == key), None)

    def some(self, chance: random.Random, role: str = "") -> Kept:
        """Return a random one."""
        return chance.choice([p for p in self.processes if not role or p.role in (role, "all")])

    async def start(self) -> None:
        for role in ROLES[self.kind]:
            self.processes.append(self.made(role))
        for process in self.processes:  # all create the tables at the same time
            await process.start()
        for process in self.processes:
            await process.ready()

    def made(self, role: str) -> Kept:
        """Return another process, not started yet."""
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
            "BRIDGE_DOKPLOY_API_KEY": key_of(name.name),  # so the backend can identify the process
        }
        settings = known_to(self.release)
        known = {
            name: value
            for name, value in self.variables.items()
            if name in settings or not name.startswith("BRIDGE_")
        }
        return inherited | known | mine

    def run(self, release: Path) -> None:
        """Let all processes run that tree's code from their next start on."""
        self.release = release
        for process in self.processes:
            process.environment = self._environment(process.log.with_suffix(""))

    async def replace(self, old: Kept) -> float:
        """Start a new process, then stop the old one; return how many seconds that took.

        On SQLite the new one is refused until the old one has exited.
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
        """Keep all processes dead, without restarts."""
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
        """Return the ends of their logs, to explain a failed test."""
        found = []
        for log in sorted(self.folder.glob("*.log")):
            text = log.read_text(errors="replace").splitlines()[-lines:]
            found.append("\n".join([f"── {log.name}", *text]))
        return "\n".join(found)


@asynccontextmanager
async def running_fleet(
    kind: str, folder: Path, variables: dict[str, str], release: Path = ROOT
) -> AsyncIterator[Fleet]:
    """Run a fleet; nothing of it stays."""
    fleet = Fleet(kind, folder, variables, release)
    try:
        await fleet.start()
        yield fleet
    finally:
        await fleet.end()
