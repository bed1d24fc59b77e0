"""A bridge as it really runs, for tests that do it harm: one process on SQLite, five on Postgres.

The sender, the backend and the harm stand outside; what they wrote down is compared with what
the bridge says in the end.
"""

import asyncio
import contextlib
import itertools
import os
import random
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bridge.app.storage import open_stores
from bridge.core.lifecycle import Deployment
from bridge.ports import Delivery, DeliveryState
from tests.chaos.recording_backend import RecordingBackend, push_payload
from tests.fake_github import FakeGithub
from tests.fake_host import FakeCommit, FakePull
from tests.postgres import Server
from tests.world import SECRET, hook_headers, settings_for

ROOT = Path(__file__).parents[2]
SETTLE_SECONDS = float(os.environ.get("CHAOS_SETTLE", "120"))
"""How long all may take to come to its end, once nothing harms it any more."""

_ports = itertools.count(random.Random(os.getpid()).randrange(10_000, 19_000))


def free_port() -> int:
    """A port that nobody has, nor had before; below the ephemeral range."""
    for port in _ports:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port")


@dataclass
class Process:
    """`serve` as a process of its own, killed and started again under one address."""

    role: str
    environment: dict[str, str]
    log: Path
    port: int = field(default_factory=free_port)
    running: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self.running = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "bridge", "serve", "--role", self.role),
                env=self.environment | {"PORT": str(self.port)},
                cwd=self.log.parent,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
            )

    async def started(self) -> None:
        await self.start()
        await self.ready()

    async def ready(self) -> None:
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=5) as web:
            async with asyncio.timeout(60):
                while not await _answers(web):  # noqa: ASYNC110 - it is another process
                    await asyncio.sleep(0.05)

    async def kill(self) -> None:
        assert self.running is not None
        if self.running.returncode is None:
            self.running.kill()
        await self.running.wait()

    async def leave(self) -> float:
        """Told to stop; returns how many seconds that took."""
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


async def _answers(web: httpx.AsyncClient) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return (await web.get("/healthz")).status_code == 200
    return False


@dataclass
class Push:
    """What the sender knows of one push."""

    id: str
    after: str
    apps: set[str]
    answered: bool = False


@dataclass
class Sender:
    """Sends one push after the other and keeps its own ledger of what was answered."""

    urls: Callable[[], list[str]]
    apps: int
    random: random.Random
    pause: tuple[float, float]
    told: Callable[[str, str], None] = lambda before, after: None
    head: str = "0" * 40
    sent: list[Push] = field(default_factory=list)
    refused: Counter[int] = field(default_factory=Counter)

    @property
    def answered(self) -> set[str]:
        return {push.id for push in self.sent if push.answered}

    async def run(self) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=15) as web:
            while True:
                await self.push(web)
                await asyncio.sleep(self.random.uniform(*self.pause))

    async def push(self, web: httpx.AsyncClient) -> None:
        apps = set(self.random.sample([f"app-{n}" for n in range(self.apps)], 2))
        before, after = self.head, f"{self.random.getrandbits(160):040x}"
        payload = push_payload(before, after, apps)
        content = httpx.Request("POST", "http://h", json=payload).content
        headers = hook_headers("github", payload, content)
        self.head = after
        self.told(before, after)
        self.sent.append(push := Push(headers["X-GitHub-Delivery"], after, apps))
        url = self.random.choice(self.urls())
        try:
            answer = await web.post(f"{url}/hooks/github", content=content, headers=headers)
        except httpx.TransportError:
            return
        if answer.status_code != 202:
            self.refused[answer.status_code] += 1
        assert answer.status_code in (202, 503), answer.text
        push.answered = answer.status_code == 202


@dataclass
class Cluster:
    """Everything that is harmed.

    Attributes:
        pull: the pull request that every push belongs to.
        server: the Postgres; None on SQLite.
        leaves_within: seconds that a process may take to end when it is told to.
    """

    folder: Path
    backend: RecordingBackend
    github: FakeGithub
    pull: FakePull | None
    chance: random.Random
    server: Server | None = None
    database: str | None = None
    leaves_within: float = 10.0
    processes: list[Process] = field(default_factory=list)
    names: Iterator[int] = field(default_factory=itertools.count)
    done: list[str] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.folder / "bridge"

    @property
    def hearing(self) -> list[Process]:
        return [one for one in self.processes if one.role != "worker"]

    @property
    def working(self) -> list[Process]:
        return [one for one in self.processes if one.role != "web"]

    def clock(self, process: Process) -> Path:
        return Path(process.environment["CHAOS_CLOCK"])

    def new(self, role: str) -> Process:
        """One more process, not started yet."""
        name = f"{role}-{next(self.names)}"
        clock = self.folder / f"{name}.clock"
        clock.write_text("0")
        kept = {k: v for k, v in os.environ.items() if not k.startswith("BRIDGE_")}
        settings = {
            "BRIDGE_DATA": str(self.data),
            "BRIDGE_GITHUB_WEBHOOK_SECRETS": SECRET,
            "BRIDGE_DOKPLOY_URL": self.backend.url,
            "BRIDGE_DOKPLOY_API_KEY": "a key",
            "BRIDGE_DOKPLOY_READ_TIMEOUT": "2",
            "BRIDGE_JOURNEY_LOOK": "0.05",
            "BRIDGE_JOURNEY_LOOK_AT_MOST": "0.2",
            "BRIDGE_JOURNEY_ADOPT": "1.5",
            "BRIDGE_GITHUB_FEEDBACK": "comment",
            "BRIDGE_CATCHUP_SWEEP": "false",
            "BRIDGE_CATCHUP_RECONCILE": "false",
            "BRIDGE_LOG_LEVEL": "warning",
            "PYTHONPATH": f"{Path(__file__).with_name('clock')}{os.pathsep}{ROOT}",
            "CHAOS_CLOCK": str(clock),
        }
        if self.database is not None:
            settings["DATABASE_URL"] = self.database
        process = Process(role, kept | settings | self.github.settings, self.folder / f"{name}.log")
        self.processes.append(process)
        return process

    async def start(self, *roles: str) -> None:
        """Start so many processes, all at once."""
        new = [self.new(role) for role in roles]
        await asyncio.gather(*(process.started() for process in new))

    async def end(self) -> None:
        for process in self.processes:
            if process.running is not None and process.running.returncode is None:
                process.thaw()
                process.running.kill()
                await process.running.wait()

    def pushed(self, before: str, after: str) -> None:
        """The host has a new commit, which belongs to the pull request."""
        (repository,) = self.github.repositories.values()
        repository.commits[after] = FakeCommit(after, (before,), {})
        assert self.pull is not None
        self.pull.commits.add(after)

    def comments(self) -> list[str]:
        assert self.pull is not None
        return [one.body for one in self.pull.comments if one.author == self.github.login]

    def note(self, what: str) -> None:
        self.done.append(what)


@dataclass(frozen=True)
class Verdict:
    """What the ledgers say in the end."""

    sent: int
    answered: int
    refused: int
    kept: int
    deployments: int
    asked: int
    states: Counter[str]
    lost: set[str]
    twice: dict[str, int]
    overlapping: int
    stale: dict[str, str]
    comments: int
    untold: list[str]

    def line(self) -> str:
        states = ", ".join(f"{count} {state}" for state, count in sorted(self.states.items()))
        return (
            f"{self.sent} sent, {self.answered} answered, {self.refused} refused, {self.kept} kept"
            f" and decided, {self.deployments} deployments ({states}), {self.asked} asked;"
            f" lost {len(self.lost)}, twice {len(self.twice)}, overlapping {self.overlapping},"
            f" not newest last {len(self.stale)}; {self.comments} comment, wrong in"
            f" {len(self.untold)} places"
        )


@asynccontextmanager
async def sending(cluster: Cluster, pause: tuple[float, float]) -> AsyncIterator[Sender]:
    """Pushes come as long as this is open."""
    sender = Sender(
        lambda: [process.url for process in cluster.hearing],
        cluster.backend.apps,
        cluster.chance,
        pause,
        cluster.pushed,
    )
    task = asyncio.create_task(sender.run())
    try:
        yield sender
    finally:
        task.cancel()
        found = await asyncio.gather(task, return_exceptions=True)
    for error in found:
        if not isinstance(error, asyncio.CancelledError) and isinstance(error, Exception):
            raise error


async def verdict(cluster: Cluster, sender: Sender) -> Verdict:
    """Compare the ledgers, once all is decided and has ended."""
    kept, deployments = await _all_ended(cluster, sender.answered)
    ledger, comments = cluster.backend.ledger, cluster.comments()
    asked = Counter(entry.token for entry in ledger)
    # One that was kept and cut off before its answer counts as well.
    pushed = [push for push in sender.sent if push.id in kept]
    newest = {app: push.after for push in pushed for app in push.apps}
    last = {entry.app: entry.commit for entry in ledger}
    return Verdict(
        sent=len(sender.sent),
        answered=len(sender.answered),
        refused=sender.refused.total(),
        kept=len(kept),
        deployments=len(deployments),
        asked=len(ledger),
        states=Counter(str(one.state) for one in deployments),
        lost=sender.answered - set(kept),
        twice={token: count for token, count in asked.items() if count > 1},
        overlapping=sum(entry.overlapped for entry in ledger),
        stale={app: commit for app, commit in newest.items() if last.get(app) != commit},
        comments=len(comments),
        untold=_untold(comments[-1] if comments else "", newest, pushed[-1].after),
    )


def _untold(comment: str, newest: dict[str, str], pushed: str) -> list[str]:
    """What the pull request's comment does not say of how everything stands in the end."""
    lines = comment.splitlines()
    rows = {app: next((line for line in lines if f"/{app}`" in line), "") for app in newest}
    wrong = [
        f"{app}: {row}"
        for app, row in rows.items()
        if "deployed" not in row or newest[app][:7] not in row
    ]
    headed = any(pushed[:7] in line for line in lines[:3])
    return wrong if headed else [*wrong, f"not about {pushed[:7]}: {lines[:3]}"]


async def _all_ended(
    cluster: Cluster, answered: set[str]
) -> tuple[dict[str, Delivery], list[Deployment]]:
    """What is kept, and every deployment, once nothing goes on; else it fails."""
    others = {} if cluster.database is None else {"DATABASE_URL": cluster.database}
    async with open_stores(settings_for(cluster.data, **others)) as stores:
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            kept = {one.id: one for one in await stores.inbox.newest(100_000)}
            undecided = [d.id for d in kept.values() if d.state is not DeliveryState.DECIDED]
            going = await stores.journal.open_deployments()
            figures = await stores.journal.figures()
            going_on = undecided or going or figures.raised
            if not going_on or not answered <= set(kept):
                return kept, await stores.journal.deployments(limit=100_000)
            assert time.monotonic() < deadline, (
                undecided[:5],
                going[:3],
                figures,
                await stores.journal.feedback(limit=3, failing=True),
                _logs(cluster),
            )
            await asyncio.sleep(0.2)


def _logs(cluster: Cluster) -> str:
    return "\n".join(
        f"{process.log.name}: {process.log.read_text(errors='replace')[-1500:]}"
        for process in cluster.processes
    )
