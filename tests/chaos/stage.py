"""Everything around the bridge, and the load on it: senders, backend, Git host, Slack, Postgres."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.disk import SmallDisk
from tests.chaos.fleet import Fleet, Kept, running_fleet
from tests.chaos.line import Line, line_to
from tests.chaos.planted import FAULT
from tests.chaos.recording_backend import RecordingBackend, recording_backend
from tests.chaos.sender import Sender
from tests.fakes.github import FakeGithub
from tests.fakes.host import FakeRepository
from tests.fakes.slack.server import BOT_TOKEN, FakeSlack, running_slack
from tests.worlds.bridge import SECRET
from tests.worlds.postgres import Server

APPS = 6
BRANCHES = ("main", "staging")
CHANNELS = 3


@dataclass(frozen=True)
class Pace:
    """How long things last; seconds.

    Attributes:
        outage: a service is away, or fails.
        stop: a process is stopped (SIGSTOP).
        database: Postgres is away.
        quiet: how long all may take to come to its end after a scenario.
        kills: in a scenario that kills.
        replaced: processes in a rolling upgrade.
    """

    outage: float
    stop: float
    database: float
    quiet: float
    kills: int
    replaced: int


SHORT = Pace(outage=1.5, stop=2.0, database=2.5, quiet=120.0, kills=2, replaced=2)
LONG = Pace(outage=20.0, stop=20.0, database=30.0, quiet=240.0, kills=8, replaced=5)


@dataclass
class Stage:
    """What a scenario can lay hands on."""

    fleet: Fleet
    backend: RecordingBackend
    github: FakeGithub
    repository: FakeRepository
    slack: FakeSlack
    senders: list[Sender]
    chance: random.Random
    pace: Pace
    database: Server | None = None
    line: Line | None = None
    disk: SmallDisk | None = None
    left: list[float] = field(default_factory=list)
    """How many seconds processes took to leave after SIGTERM."""

    @property
    def apps(self) -> list[str]:
        return [f"app-{n}" for n in range(APPS)]

    async def just_answered(self) -> Kept:
        """The process that has acknowledged a webhook right now: it must have kept it."""
        answered = asyncio.get_running_loop().create_future()
        for sender in self.senders:
            sender.awaited.append(answered)
        url = await answered
        return next(process for process in self.fleet.processes if process.url == url)

    async def later(self, most: float) -> None:
        """Wait for a moment that is drawn."""
        await asyncio.sleep(self.chance.uniform(most / 3, most))

    def open_pulls(self) -> None:
        """Each branch has one more pull request, so that its next push has one more comment."""
        for branch in BRANCHES:
            self.repository.open_pull(branch, base="release")

    @asynccontextmanager
    async def load(self, *, unharmed: bool) -> AsyncIterator[None]:
        """Pushes come, and the last of them are answered in the end.

        Args:
            unharmed: nothing happens to the bridge itself, so it must acknowledge all.
        """
        for sender in self.senders:
            sender.start(unharmed=unharmed)
        try:
            yield
        finally:
            await asyncio.gather(*(sender.stop() for sender in self.senders))

    async def heal(self) -> None:
        """Nothing more goes wrong by plan, but for answers that get lost; the bridge hears all."""
        self.backend.faults.clear()
        for process in self.fleet.processes:
            await process.ready()
        for sender in self.senders:
            await sender.once()


@asynccontextmanager
async def stage(
    kind: str,
    folder: Path,
    chance: random.Random,
    pace: Pace,
    *,
    database: Server | None = None,
    disk: SmallDisk | None = None,
    fault: str = "",
) -> AsyncIterator[Stage]:
    """All of it, running.

    Args:
        database: on Postgres, the server; the bridge reaches it by a line that can fall silent.
        disk: where the database's files are; None: SQLite's in the folder, Postgres's where all
            others of that server are.
        fault: is planted in all processes of the bridge (`planted.py`).
    """
    branches = {f"app-{n}": BRANCHES[n % len(BRANCHES)] for n in range(APPS)}
    async with AsyncExitStack() as stack:
        backend = await stack.enter_async_context(
            recording_backend(apps=APPS, build_seconds=0.2, listing_delay=0.1, branches=branches)
        )
        github = await stack.enter_async_context(FakeGithub())
        slack = await stack.enter_async_context(running_slack())
        slack.scopes.add("channels:history")
        for n in range(CHANNELS):
            slack.channel(f"C{n}", f"c{n}")
        repository = _repository(github)
        data = disk.folder if disk and database is None else folder / "data"
        variables = _variables(data, backend, github, slack) | {FAULT: fault}
        line = None
        if database is not None:
            line = await stack.enter_async_context(line_to(database.port))
            url = database.fresh_in(disk.folder) if disk else database.fresh()
            stack.callback(database.drop, url)
            variables["DATABASE_URL"] = url.replace(f":{database.port}/", f":{line.port}/")
        fleet = await stack.enter_async_context(running_fleet(kind, folder, variables))
        senders = [
            Sender(
                branch,
                [app for app in branches if branches[app] == branch],
                lambda: fleet.urls,
                repository,
                chance,
                pause=(0.05, 0.4),
            )
            for branch in BRANCHES
        ]
        yield Stage(
            fleet, backend, github, repository, slack, senders, chance, pace, database, line, disk
        )


def _repository(github: FakeGithub) -> FakeRepository:
    """Each branch has a pull request, so that its pushes have a comment."""
    made = github.repository("my-org/mono")
    first = made.commit({"README.md": "first"})
    made.branches |= dict.fromkeys((*BRANCHES, "release"), first)
    for branch in BRANCHES:
        made.open_pull(branch, base="release")
    return made


def _variables(
    data: Path, backend: RecordingBackend, github: FakeGithub, slack: FakeSlack
) -> dict[str, str]:
    rules = [{"apps": f"shop/app-{n}", "channels": [f"C{n % CHANNELS}"]} for n in range(APPS)]
    return {
        "BRIDGE_DATA": str(data),
        "BRIDGE_GITHUB_WEBHOOK_SECRETS": SECRET,
        "BRIDGE_DOKPLOY_URL": backend.url,
        "BRIDGE_DOKPLOY_API_KEY": "a key",
        "BRIDGE_DOKPLOY_READ_TIMEOUT": "3",
        "BRIDGE_SLACK_BOT_TOKEN": BOT_TOKEN,
        "BRIDGE_SLACK_SIGNING_SECRET": "a secret of Slack's",
        "BRIDGE_SLACK_API_URL": f"{slack.url}/api/",
        "BRIDGE_RULES": json.dumps(rules),
        "BRIDGE_JOURNEY_LOOK": "0.05",
        "BRIDGE_JOURNEY_LOOK_AT_MOST": "0.3",
        "BRIDGE_JOURNEY_ADOPT": "1.5",
        "BRIDGE_FEEDBACK_RETRY_AT_MOST": "3",
        "BRIDGE_LOG_LEVEL": "warning",
    } | github.settings
