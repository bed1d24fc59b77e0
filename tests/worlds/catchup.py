"""The parts for catching up, and a GitHub under the test's control."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bridge.core.apps import App, Trigger
from bridge.core.errors import NotFound, Refused, Unreachable
from bridge.core.events import Commit, Repository
from bridge.githosts.github.webhooks import GitHub
from bridge.pipeline.deciding.catchup import CatchUpTiming, Sweeper
from bridge.pipeline.deciding.reconcile import Budget, Reconciler
from bridge.ports.githosts import Hook, Payload, Sending, TagAt
from bridge.ports.outcomes import Outcome, PushSeen
from bridge.storage.inbox.sqlite import SqliteInbox
from tests.fakes.journey import ManualClock, app
from tests.worlds.journal import journal_in_memory

A, B, C = "a" * 40, "b" * 40, "c" * 40
MAIN = "github 4711 refs/heads/main"
TAGGED = app("app-tagged", trigger=Trigger.TAG)


@dataclass
class FakeApi:
    """A GitHub under the test's control."""

    heads: dict[str, str | None] = field(default_factory=dict)
    tagged: dict[str, str] = field(default_factory=dict)
    listed: list[Hook] = field(default_factory=list)
    tries: list[Sending] = field(default_factory=list)
    payloads: dict[str, Payload | None] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)
    refuses: bool = False
    asked: list[str] = field(default_factory=list)
    away: bool = False
    asks_to_wait: float | None = None

    async def repository(self, name: str) -> Repository:
        self._ask(f"repository {name}")
        return Repository("github", "4711", name)

    async def commit(self, repository: str, sha: str) -> Commit:
        self._ask(f"commit {sha}")
        if sha == C:
            raise NotFound("github: no such commit")
        return self.commits.get(sha, Commit(sha, "feat: something", "Ada"))

    async def head(self, repository: str, branch: str) -> str | None:
        self._ask(f"head {branch}")
        return self.heads.get(branch)

    async def tags(self, repository: str, limit: int) -> list[TagAt]:
        self._ask("tags")
        return [TagAt(name, commit) for name, commit in self.tagged.items()]

    async def hooks(self, repository: str) -> list[Hook]:
        self._ask("hooks")
        return self.listed

    async def sendings(self, hook: Hook, since: float) -> AsyncIterator[Sending]:
        self._ask(f"sendings {hook.id}")
        dated = [(one.at, one) for one in self.tries if one.at is not None]
        for at, sending in sorted(dated, key=lambda one: -one[0]):
            if at >= since:
                yield sending

    async def payload(self, hook: Hook, id_: str) -> Payload | None:
        self._ask(f"payload {id_}")
        return self.payloads[id_]

    async def redeliver(self, hook: Hook, id_: str) -> None:
        self._ask(f"redeliver {id_}")
        if self.refuses:
            raise Refused("github", "it needs Webhooks write", status=403)

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.away:
            raise Unreachable("github", "connection refused", retry_after=self.asks_to_wait)


@dataclass
class Scene:
    """The parts for catching up, with everything around them."""

    api: FakeApi
    clock: ManualClock
    inbox: SqliteInbox
    journal: Any
    reconciler: Reconciler
    sweeper: Sweeper

    async def decided(self, ref_key: str, before: str, after: str) -> None:
        """Record a push that a webhook brought, and that was decided."""
        seq = int(self.clock.now)
        await self.journal.record(
            [Outcome(seq, f"d-{seq}", (), push=PushSeen(ref_key, before, after))], window=600
        )
        self.clock.now += 1

    def sweeper_anew(self, public_url: str | None = None) -> Sweeper:
        """Replace the parts, as after another start."""
        apis: dict[str, Any] = {"github": self.api}
        return Sweeper(
            apis,
            {"github": GitHub(["secret"])},
            self.inbox,
            self.journal,
            self.clock,
            Budget(self.clock, hourly=3600, burst=1000, sleep=self.clock.sleep),
            CatchUpTiming(),
            public_url=public_url,
        )

    async def looks(self, *apps: App) -> int:
        """Reconcile twice, with enough time for a webhook in between."""
        first = await self.reconciler.round(apps)
        self.clock.now += 100
        return first + await self.reconciler.round(apps)

    async def kept(self) -> list[Any]:
        return [await self.inbox.get(one.seq) for one in await self.inbox.newest(100)][::-1]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    clock, api = ManualClock(), FakeApi()
    inbox, journal = SqliteInbox(tmp_path / "inbox.sqlite"), journal_in_memory(clock)
    await inbox.start()
    budget = Budget(clock, hourly=3600, burst=1000, sleep=clock.sleep)
    apis: dict[str, Any] = {"github": api}
    hosts = {"github": GitHub(["secret"])}
    yield Scene(
        api,
        clock,
        inbox,
        journal,
        Reconciler(apis, inbox, journal, clock, budget),
        Sweeper(apis, hosts, inbox, journal, clock, budget, CatchUpTiming()),
    )
    await inbox.stop()
    await journal.stop()
