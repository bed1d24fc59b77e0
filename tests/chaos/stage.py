"""Everything around the bridge, and the load on it: senders, backend, Git host, Slack, Postgres."""

import asyncio
import itertools
import json
import random
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bridge.app.storage import open_stores
from bridge.core.events import COMMAND_HOST, Action, Asked, write_command
from bridge.core.people import Actor
from bridge.ports.inbox import DeliveryState, NewDelivery
from tests.chaos.cluster import ROOT
from tests.chaos.disk import SmallDisk
from tests.chaos.dokploy.services import Config
from tests.chaos.fleet import Fleet, Kept, running_fleet
from tests.chaos.line import Line, line_to
from tests.chaos.pages import Pages, pages_of
from tests.chaos.planted import FAULT
from tests.chaos.pulls import CONFIG, FRONT, PREVIEWED, RULE, SETTINGS, Authors
from tests.chaos.pushes import MONO, Origin
from tests.chaos.recording_backend import RecordingBackend, recording_backend
from tests.chaos.sender import Sender
from tests.fakes.github import FakeGithub
from tests.fakes.host import FakeRepository
from tests.fakes.slack.methods import BOT_TOKEN
from tests.fakes.slack.server import FakeSlack, running_slack
from tests.worlds.bridge import SECRET, TOKEN
from tests.worlds.embedded import until
from tests.worlds.postgres import Server

APPS = 6
BRANCHES = ("main", "staging")
CHANNELS = 3

SITE = Origin("github", "my-org/site", 4712)
SHOP = Origin("gitlab", "group/shop", 4713)
OTHERS = {
    "tagged": Config(trigger="tag", host="github"),
    "mover": Config(watch_paths=("mover/**",), host="github"),
    "site-0": Config(SITE.repository, watch_paths=("site-0/**",), host="github"),
    "site-1": Config(SITE.repository, host="github"),
    "shop-0": Config(SHOP.repository, watch_paths=("shop-0/**",), host="gitlab", project=SHOP.id),
    "shop-1": Config(SHOP.repository, watch_paths=("shop-1/**",), host="gitlab", project=SHOP.id),
    PREVIEWED: CONFIG,
}
"""Applications besides `app-0` …: one that deploys on tags, one that people reconfigure while
pushes come, those of another repository at GitHub and of one at GitLab, and one whose pull requests
have previews."""


LOOKS = {"BRIDGE_VERIFY_ALLOW": "127.0.0.0/8", "BRIDGE_JOURNEY_CATALOG_EVERY": "2"}
"""Settings of a bridge that verifies, and soon notices what others have deployed."""


@dataclass(frozen=True)
class Pace:
    """Durations in seconds.

    Attributes:
        outage: a service is away, or fails.
        stop: a process is stopped (SIGSTOP).
        database: Postgres is away.
        quiet: how long everything may take to end after a scenario.
        kills: the number in a scenario that kills.
        replaced: processes in a rolling upgrade.
        told: after the last event, until every place says what is live.
        tires: the pushes to a branch after which its pauses are twice as long: all must be shown.
    """

    outage: float
    stop: float
    database: float
    quiet: float
    kills: int
    replaced: int
    told: float = 60.0
    tires: int = 20


SHORT = Pace(outage=1.5, stop=2.0, database=2.5, quiet=240.0, kills=2, replaced=2, tires=2)
LONG = Pace(outage=20.0, stop=20.0, database=30.0, quiet=240.0, kills=8, replaced=5)


@dataclass
class Cancel:
    """A person's request on the command line to cancel an app's deployments.

    Attributes:
        id: its delivery's.
        kept: when the inbox had it; seconds since 1970.
        decided: when the harness saw that it was decided; None: not yet.
    """

    app: str
    id: str
    kept: float
    decided: float | None = None


@dataclass
class Closed:
    """A person's lock or freeze.

    Attributes:
        apps: those that it surely holds; others may be held too.
        since: when its answer was there; until: when somebody asked to end it. Seconds since 1970.
    """

    what: str
    apps: frozenset[str]
    since: float
    until: float = float("inf")


@dataclass
class Stage:
    """Everything that a scenario can use."""

    fleet: Fleet
    backend: RecordingBackend
    github: FakeGithub
    repositories: dict[str, FakeRepository]
    slack: FakeSlack
    senders: list[Sender]
    authors: Authors | None
    chance: random.Random
    pace: Pace
    database: Server | None = None
    line: Line | None = None
    disk: SmallDisk | None = None
    pages: Pages | None = None
    """The apps' pages, by which the bridge verifies what it deploys, and goes back."""
    cancels: list[Cancel] = field(default_factory=list)
    clocks_jumped: bool = False
    clocks_off: float = 0.0
    """Seconds by which the processes' clocks may be off for it: they follow a jump slowly."""
    aimed: int = 0
    """Kills that hit exactly their instant."""
    left: list[float] = field(default_factory=list)
    """Seconds that processes took to exit after SIGTERM."""
    closed: list[Closed] = field(default_factory=list)
    passed: dict[str, dict[str, float]] = field(default_factory=dict)
    """For each app whose gates judge commits: those that may pass, and since when."""
    lifted: set[str] = field(default_factory=set)
    """Deployments that a person let pass."""
    healed_at: float = 0.0
    """When all faults were over the last time; seconds since 1970."""

    @property
    def apps(self) -> list[str]:
        return list(self.backend.services)

    @property
    def repository(self) -> FakeRepository:
        """The one with the most apps."""
        return self.repositories[MONO.repository]

    async def just_answered(self) -> Kept:
        """Return the process that has just acknowledged a webhook, which it must have kept."""
        answered = asyncio.get_running_loop().create_future()
        for sender in self.senders:
            sender.awaited.append(answered)
        url = await answered
        return next(process for process in self.fleet.processes if process.url == url)

    async def later(self, most: float) -> None:
        """Wait for a random time."""
        await asyncio.sleep(self.chance.uniform(most / 3, most))

    async def cancel(self, app: str) -> None:
        """Cancel an app's deployments on the command line; return once that is decided."""
        id_ = f"cli-{uuid.uuid4().hex}"
        body = write_command(Asked(Action.CANCEL, app, Actor("cli", "ada")))
        async with open_stores(self.fleet.settings) as stores:
            await stores.inbox.keep(
                NewDelivery(COMMAND_HOST, id_, Action.CANCEL, {}, body, time.time())
            )
            self.cancels.append(cancel := Cancel(app, id_, time.time()))
            await until(
                lambda: stores.inbox.find(COMMAND_HOST, id_),
                lambda found: found is not None and found.state is not DeliveryState.KEPT,
                patience=self.pace.quiet,  # the bridge may be killed again and again meanwhile
            )
        cancel.decided = time.time()

    def open_pulls(self) -> None:
        """Open one more pull request for each branch, so its next push has one more comment."""
        for branch in BRANCHES:
            self.repository.open_pull(branch, base="release")

    @asynccontextmanager
    async def load(self, *, unharmed: bool) -> AsyncIterator[None]:
        """Send pushes; the last ones are answered in the end.

        Args:
            unharmed: nothing happens to the bridge itself, so it must acknowledge all.
        """
        for sender in self.senders:
            sender.start(unharmed=unharmed, tires=self.pace.tires)
        if self.authors is not None:
            self.authors.start()
        try:
            yield
        finally:
            await asyncio.gather(*(sender.stop() for sender in self.senders))
            if self.authors is not None:
                await self.authors.stop()

    async def recover(self) -> None:
        """End all planned faults except lost answers, and wait until the bridge is ready."""
        self.backend.faults.clear()
        for process in self.fleet.processes:
            await process.ready()

    async def heal(self) -> None:
        """End all faults, and push once more: the bridge receives everything."""
        await self.recover()
        for sender in self.senders:  # the apps that check commits have a last one in any case
            await sender.once(apps=[app for app in sender.apps if app in self.passed])
        if self.authors is not None:
            await self.authors.leave()
        self.healed_at = time.time()


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
    others: Mapping[str, str] = MappingProxyType({}),
    rules: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    release: Path = ROOT,
    pulls: bool = True,
    verified: bool = False,
) -> AsyncIterator[Stage]:
    """Run everything.

    Args:
        database: on Postgres, the server; the bridge reaches it through a line that can go silent.
        disk: where the database's files are; None: SQLite's in the folder, Postgres's where all
            others of that server are.
        fault: the bug to plant in all processes of the bridge (`planted.py`).
        others: further settings of the bridge.
        rules: further rules of apps, by name.
        release: the source tree to run.
        pulls: whether people open pull requests, which have previews.
        verified: whether the apps have pages, by which the bridge verifies what it deploys.
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
        repositories = _repositories(github)
        _like_a_real_one(backend, repositories, chance)
        pages = None
        if verified:
            backend.keeps = True
            pages = await stack.enter_async_context(pages_of(backend, repositories))
            others = {**LOOKS, **others}
            rules = {app: {**pages.rule(app), **rules.get(app, {})} for app in backend.services}
        if pulls:
            others, rules = {**SETTINGS, **others}, {PREVIEWED: RULE, **rules}
        data = disk.folder if disk and database is None else folder / "data"
        variables = _variables(data, backend, github, slack, rules) | {FAULT: fault, **others}
        line = None
        if database is not None:
            line = await stack.enter_async_context(line_to(database.port))
            url = database.fresh_in(disk.folder) if disk else database.fresh()
            stack.callback(database.drop, url)
            variables["DATABASE_URL"] = url.replace(f":{database.port}/", f":{line.port}/")
        fleet = await stack.enter_async_context(running_fleet(kind, folder, variables, release))
        senders = _senders(fleet, branches, repositories, chance)
        authors = None
        if pulls:
            authors = Authors(github, repositories[FRONT.repository], lambda: fleet.urls, chance)
        yield Stage(
            *(fleet, backend, github, repositories, slack, senders, authors, chance, pace),
            *(database, line, disk, pages),
        )


def _repositories(github: FakeGithub) -> dict[str, FakeRepository]:
    """Each branch of the first repository has a pull request, so its pushes have a comment.

    GitLab shows nothing: only GitHub's feedback is judged.
    """
    known = (MONO, SITE, FRONT)
    made = {one.repository: github.repository(one.repository, id=one.id) for one in known}
    made[SHOP.repository] = FakeRepository(SHOP.repository, SHOP.id, itertools.count(1))
    for repository in made.values():
        first = repository.commit({"README.md": "first"})
        repository.branches |= dict.fromkeys((*BRANCHES, "release"), first)
    for branch in BRANCHES:
        made[MONO.repository].open_pull(branch, base="release")
    return made


def _like_a_real_one(
    backend: RecordingBackend, repositories: dict[str, FakeRepository], chance: random.Random
) -> None:
    """Run two builds at a time, of the branches' heads, and report their commits a little late."""

    def head(app: str) -> tuple[str, str]:
        name, branch = backend.source(app)
        repository = repositories[name]
        sha = repository.branches[branch]
        return sha, repository.commits[sha].message

    backend.concurrency, backend.text_delay = 2, 0.4
    backend.head, backend.chance = head, chance
    for name, config in OTHERS.items():
        backend.has(name, config)


def _senders(
    fleet: Fleet,
    branches: dict[str, str],
    repositories: dict[str, FakeRepository],
    chance: random.Random,
) -> list[Sender]:
    """Create one for each branch that is pushed to; the last two push seldom."""

    def sender(branch: str, apps: list[str], origin: Origin, pause: tuple[float, float]) -> Sender:
        repository = repositories[origin.repository]
        return Sender(branch, apps, lambda: fleet.urls, repository, chance, pause, origin)

    made = [
        sender(branch, [app for app in branches if branches[app] == branch], MONO, (0.05, 0.4))
        for branch in BRANCHES
    ]
    made[0].habits.tagged = 0.05
    made.append(sender("main", ["site-0", "site-1"], SITE, (0.4, 1.2)))
    made.append(sender("main", ["shop-0", "shop-1"], SHOP, (0.4, 1.2)))
    return made


def _variables(
    data: Path,
    backend: RecordingBackend,
    github: FakeGithub,
    slack: FakeSlack,
    more: Mapping[str, Mapping[str, Any]],
) -> dict[str, str]:
    rules = [
        {"apps": f"shop/{name}", "channels": [f"C{n % CHANNELS}"]} | dict(more.get(name, {}))
        for n, name in enumerate(backend.services)
    ]
    return {
        "BRIDGE_DATA": str(data),
        "BRIDGE_GITHUB_WEBHOOK_SECRETS": SECRET,
        "BRIDGE_GITLAB_WEBHOOK_TOKENS": TOKEN,
        "BRIDGE_GITLAB_WEB_URL": "https://gitlab.example.com",
        "BRIDGE_DOKPLOY_URL": backend.url,
        "BRIDGE_DOKPLOY_API_KEY": "a-key",
        "BRIDGE_DOKPLOY_READ_TIMEOUT": "3",
        "BRIDGE_SLACK_BOT_TOKEN": BOT_TOKEN,
        "BRIDGE_SLACK_SIGNING_SECRET": "a secret of Slack's",
        "BRIDGE_SLACK_API_URL": f"{slack.url}/api/",
        "BRIDGE_RULES": json.dumps(rules),
        "BRIDGE_JOURNEY_LOOK": "0.05",
        "BRIDGE_JOURNEY_LOOK_AT_MOST": "0.3",
        "BRIDGE_JOURNEY_ADOPT": "2.5",
        "BRIDGE_JOURNEY_LOST": "3",
        "BRIDGE_JOURNEY_UNTOLD": "10",
        "BRIDGE_JOURNEY_UNCLOSED": "4",
        "BRIDGE_FEEDBACK_RETRY_AT_MOST": "3",
        "BRIDGE_LOG_LEVEL": "warning",
    } | github.settings
