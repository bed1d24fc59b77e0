"""A keeper of previews with the real journal, inbox and Dokploy client, and fakes around them.

Nothing goes on by itself: `settle` lets the keeper, the deployments and the builds have their turns
until all is at rest, on a clock that only it moves.
"""

import re
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bridge.backends.dokploy.client import Dokploy
from bridge.core.apps import App, Rules
from bridge.core.decision import Policy
from bridge.core.errors import BridgeError, NotFound, Unanswered, Unreachable
from bridge.core.events import Action, Repository, parse_command
from bridge.core.pins import pin_for
from bridge.core.policies import PreviewPolicy
from bridge.core.previews.preview import Preview
from bridge.core.pulls import PullRequest
from bridge.pipeline.deciding.catalog import Catalog
from bridge.pipeline.deploying.pinning import Pins
from bridge.pipeline.previews.apps import PreviewApps
from bridge.pipeline.previews.previews import POLL, PreviewKeeper
from bridge.pipeline.previews.sweep import PreviewSweep
from bridge.ports.backends import Backend
from bridge.ports.githosts import ChangeSet
from bridge.ports.inbox import DeliveryState, Finished
from tests.fakes.dokploy_building import BuildingDokploy
from tests.fakes.git_api import FakeHostApi, T
from tests.fakes.journey import Lifetime, ManualClock
from tests.worlds import inbox as inboxes
from tests.worlds import journal as journals
from tests.worlds.own_apps import DokployMaking, furnished_dokploy

MONO = Repository("github", "4711", "my-org/mono", frozenset({"git.example.com/my-org/mono"}))
HOMES = {"git.example.com": "github"}
POLICY = PreviewPolicy(host="pr-{number}-{app}.preview.example.com", ci_secrets_for_forks=True)
SHAS = [f"{number:040x}" for number in range(1, 1000)]


class Hiccup(Lifetime):
    """A life in which a call fails at one moment, instead of being the last one."""

    def passes(self) -> None:
        self.moments += 1
        if self.moments == self._until:
            raise Unanswered("somebody", "the answer was lost")


class HostWithBranches(FakeHostApi):
    """A Git host whose branches can be moved, too.

    Attributes:
        repositories: by the names that it knows them by.
        unlisted: open pull requests that its lists lack.
        limited: the owner whose rate limit is used up.
    """

    def __init__(self) -> None:
        super().__init__()
        self.branches: dict[str, str] = {}
        self.repositories = {MONO.name: MONO}
        self.unlisted = set[int]()
        self.limited = ""

    async def repository(self, name: str) -> Repository:
        def found() -> Repository:
            if name not in self.repositories:
                raise NotFound(f"github has no repository {name}")
            return self.repositories[name]

        return await self._do(("repository", name), found)

    async def _do(self, call: tuple[object, ...], action: Callable[[], T]) -> T:
        if str(call[1]).partition("/")[0] == self.limited:
            self.calls.append(call)
            raise Unreachable("github", "rate limit", retry_after=60.0)
        return await super()._do(call, action)

    async def open_pulls(self, repository: str) -> list[PullRequest]:
        found = await super().open_pulls(repository)
        return [one for one in found if one.number not in self.unlisted]

    async def head(self, repository: str, branch: str) -> str | None:
        return await self._do(("head", repository, branch), lambda: self.branches.get(branch))

    async def tags(self, repository: str, limit: int) -> list[Any]:
        return []

    async def move_branch(self, repository: str, branch: str, commit: str) -> None:
        call = ("move_branch", repository, branch, commit)
        await self._do(call, lambda: self.branches.update({branch: commit}))

    async def delete_branch(self, repository: str, branch: str) -> None:
        call = ("delete_branch", repository, branch)
        await self._do(call, lambda: self.branches.pop(branch, None))


@dataclass
class KeeperWorld:
    """The parts, and what was asked for.

    Attributes:
        asked: how often a deployment of each app and push was asked for.
        deployed: what each app was asked to build last.
        commits: what was asked to be built, by pull request.
        more: further backends.
        poll: seconds between two looks of a keeper that runs and that nobody wakes.
        patience: seconds that a look waits for a lane; nothing hangs unless a test says so.
    """

    clock: ManualClock
    journal: Any
    inbox: Any
    making: DokployMaking
    server: BuildingDokploy
    api: HostWithBranches = field(default_factory=HostWithBranches)
    policy: PreviewPolicy = POLICY
    limit: int = 20
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    deployed: dict[str, str] = field(default_factory=dict)
    commits: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    more: Mapping[str, Backend] = field(default_factory=dict)
    poll: float = POLL
    patience: float = 60.0
    life: Lifetime = field(default_factory=Lifetime)
    catalog: Catalog = field(init=False)
    keeper: PreviewKeeper = field(init=False)
    sweep: PreviewSweep = field(init=False)

    async def start(
        self,
        life: Lifetime | None = None,
        backend: Dokploy | None = None,
        *,
        knows_apps: bool = True,
    ) -> None:
        """Begin as a fresh process does, with calls that may fail by `life`."""
        self.life = life = life or Lifetime()
        journal, inbox, api = map(life.mortal, (self.journal, self.inbox, self.api))
        mine: Any = life.mortal(backend or self.making.backend)
        backends: Mapping[str, Backend] = {"dokploy": mine, **self.more}
        book = (("shop/web*", Rules(previews=self.policy)),)
        # The catalog lives: what it reads is not the keeper's.
        self.catalog = Catalog(
            {"dokploy": self.making.backend, **self.more}, self.journal, self.clock, book=book
        )
        if knows_apps:
            await self.catalog.load()
            await self.catalog.refresh()
        apis: dict[str, Any] = {"github": api}
        pins = Pins(apis, HOMES, book)
        apps = PreviewApps(journal, inbox, backends, pins, self.clock)
        self.keeper = PreviewKeeper(
            *(journal, self.catalog, apps, apis, self.clock, Policy()),
            limit=self.limit,
            patience=self.patience,
            poll=self.poll,
        )
        self.journal.preview_asked = self.keeper.wake
        self.sweep = PreviewSweep(
            self.keeper, journal, api, HOMES, self.catalog.all, self.clock, every=300, turn=_turn
        )

    # ── what happens ──────────────────────────────────────────────────────

    def put(self, number: int, **changed: Any) -> PullRequest:
        """Have the host change a pull request, or open it."""
        fresh = PullRequest(number, f"topic-{number}", SHAS[number], open=True, base="main")
        known = self.api.known.get(number, fresh)
        pull = replace(known, **{"updated_at": float(int(self.clock.now))} | changed)
        self.api.files[number] = ChangeSet(("apps/web/index.html",))
        return self.api.put(pull)

    async def report(self, pull: PullRequest) -> None:
        """Have a webhook tell of it."""
        await self.keeper.report(MONO, pull)

    async def tell(self, number: int, **changed: Any) -> PullRequest:
        """Have the host change a pull request, and tell so."""
        self.clock.now += 1
        pull = self.put(number, **changed)
        await self.report(pull)
        return pull

    # ── turns ─────────────────────────────────────────────────────────────

    async def look(self) -> None:
        """Let the keeper look once."""
        try:
            await self.keeper.look()
        except BridgeError:
            self.clock.now += 2

    async def swept(self) -> None:
        """Let the sweep look once."""
        try:
            await self.sweep.look()
        except BridgeError:
            self.clock.now += 2

    async def deploy(self) -> None:
        """Decide what is in the inbox, and ask the backend for it."""
        for one in await self.inbox.due(self.clock.now, 100):
            asked = parse_command(one.event, one.body)
            if asked.action is Action.DEPLOY:
                commit = asked.commit or self._head_of(asked.target)
                self.asked[one.id, commit] += 1
                self.deployed[asked.target] = commit
                number = re.search(r"#(\d+)", asked.actor.name)
                assert number is not None
                self.commits[int(number[1])].add(commit)
                app = await self.journal.app(asked.target)
                if asked.commit and app is not None:  # as the deployment of a pinned app does
                    self.api.branches[pin_for(app)] = commit
                self.server.ask(asked.target, commit)
            done = Finished(one.seq, one.host, one.id, DeliveryState.DECIDED)
            await self.inbox.finish([done])

    def _head_of(self, app_id: str) -> str:
        """What an app's branch is at."""
        branch = self.server.rows.get(app_id, {}).get("customGitBranch")
        heads = {pull.head: pull.head_sha for pull in self.api.known.values() if pull.own}
        return heads.get(str(branch), "")

    async def settle(self, *, builds: bool = True, rounds: int = 60) -> None:
        """Give everybody turns until nothing is due within a minute."""
        for _ in range(rounds):
            await self.look()
            await self.deploy()
            self.server.begin()
            if builds:
                self.server.end()
            soon = await self.journal.previews_due(self.clock.now + 60)
            at = min(soon.values(), default=None)
            is_busy = bool(self.server.waiting or self.server.current) and builds
            if at is None and not is_busy:
                return
            self.clock.now = max(self.clock.now + 0.5, min(at or 0.0, self.clock.now + 60))

    # ── what there is ─────────────────────────────────────────────────────

    async def rows(self) -> dict[int, Preview]:
        return {one.pull.number: one for one in await self.journal.previews(ended=True)}

    async def row(self, number: int = 1) -> Preview:
        return (await self.rows())[number]

    def live(self) -> list[str]:
        """The markers of all apps that the bridge has made."""
        return sorted(self.server.rows[id_]["description"] for id_ in self.server.own())

    @property
    def orphans(self) -> list[str]:
        """Services whose app is gone."""
        known = {row["appName"] for row in self.server.rows.values()}
        names = [one["name"].partition(".")[0] for one in self.server.containers]
        return [name for name in names if name not in known]

    @property
    def model(self) -> App:
        return self.making.model

    async def another(self, name: str, **fields: Any) -> App:
        """Create an app that is built like the model."""
        made = await self.making.create(name, self.making.production)
        like = ("sourceType", "customGitUrl", "customGitBranch", "customGitBuildPath", "buildType")
        row = self.server.rows[self.model.id]
        body = {one: row[one] for one in like} | fields | {"applicationId": made.id}
        await self.making.ask("POST", "application.update", **body)
        await self.catalog.refresh()
        return made

    def marker(self, number: int = 1) -> str:
        return f"bridge:github:4711#{number}:{self.model.id}"


async def _turn() -> None:
    pass


@asynccontextmanager
async def keeper_world(
    folder: Path, postgres: str | None = None, **parts: Any
) -> AsyncIterator[KeeperWorld]:
    """Make one that has started, on SQLite or Postgres."""
    folder.mkdir(exist_ok=True)
    clock, server = ManualClock(), BuildingDokploy()
    async with AsyncExitStack() as stack:
        making = await stack.enter_async_context(furnished_dokploy(server))
        if postgres is None:
            kept: Any = journals.journal_in_memory(clock)
            inbox: Any = await inboxes.open_sqlite(folder)
        else:
            kept = await journals.open_postgres(postgres, clock)
            inbox = await inboxes.open_postgres(postgres)
        stack.push_async_callback(kept.stop)
        stack.push_async_callback(inbox.stop)
        world = KeeperWorld(clock, kept, inbox, making, server, **parts)
        await world.start()
        yield world
