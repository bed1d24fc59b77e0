"""Gates and their surroundings: a Git host with checks, a backend, and one process."""

from dataclasses import dataclass, field
from typing import Any

from bridge.core.apps import App
from bridge.core.checks import Check, CheckState, Required
from bridge.core.decision import Decision, Policy, Reason
from bridge.core.errors import Unreachable
from bridge.core.events import Commit, Repository
from bridge.core.gates.freezes import Freeze
from bridge.core.lifecycle import Deployment, deployment_of
from bridge.core.people import Actor, Identities, Writer
from bridge.pipeline.deciding.changes import Changes
from bridge.pipeline.deciding.deliveries import DEPLOYMENT_FLOW, Starting
from bridge.pipeline.deploying.deployments import Deployer
from bridge.pipeline.deploying.pinning import Pins
from bridge.pipeline.gates.brought import AuthorsOfRanges, Contents
from bridge.pipeline.gates.ci import CiReader
from bridge.pipeline.gates.commands import GateCommands, Requester
from bridge.pipeline.gates.gates import Gatekeeper, Heads, Judges
from bridge.ports.authors import Authored
from bridge.ports.gates import PinsCommits
from bridge.ports.githosts import TagAt
from bridge.ports.outcomes import Outcome
from tests.fakes.git_api import FakeHostApi
from tests.fakes.journey import FakeBackend, FakeFlows, KeptSteps, ManualClock, app, deployment
from tests.worlds.deployer import PACE
from tests.worlds.journal import journal_in_memory

ADA = Requester("cli:ada", Actor("cli", "Ada"), "ada@example.com")
GRACE = Requester("slack:U2", Actor("slack", "Grace"), "grace@example.com")
PEOPLE = Identities(
    {
        one: frozenset({mark, f"github:{one}"})
        for one, mark in (("ada", "cli:ada"), ("grace", "slack:U2"), ("eve", "slack:U3"))
    }
)
REPOSITORY = "my-org/mono"
MONO = Repository("github", "4711", REPOSITORY)


@dataclass
class ChecksHost(FakeHostApi):
    """A Git host with the heads of branches and the checks of commits."""

    heads: dict[str, str] = field(default_factory=dict)
    listed: dict[str, list[Check]] = field(default_factory=dict)
    required: tuple[Required, ...] | None = ()
    away: bool = False
    lists: int = 0

    def _answer(self) -> None:
        if self.away:
            raise Unreachable("github", "ConnectError")

    async def head(self, repository: str, branch: str) -> str | None:
        self._answer()
        return self.heads.get(branch)

    async def move_branch(self, repository: str, branch: str, commit: str) -> None:
        self._answer()
        await self._do(("move_branch", repository, branch, commit), lambda: None)
        self.heads[branch] = commit

    async def delete_branch(self, repository: str, branch: str) -> None:
        self._answer()
        await self._do(("delete_branch", repository, branch), lambda: None)
        self.heads.pop(branch, None)

    async def tags(self, repository: str, limit: int) -> list[TagAt]:
        self._answer()
        return []

    async def checks(self, repository: str, commit: str) -> list[Check]:
        self._answer()
        self.lists += 1
        return list(self.listed.get(commit, []))

    async def required_checks(self, repository: str, branch: str) -> tuple[Required, ...] | None:
        self._answer()
        return self.required

    async def authors(self, repository: str, base: str | None, head: str) -> Authored:
        self._answer()
        return await super().authors(repository, base, head)

    async def commit(self, repository: str, sha: str) -> Commit:
        self._answer()
        return Commit(sha, "fix: the head", "Somebody", email="somebody@example.com")


class WatchedBackend(FakeBackend):
    """A backend that shows each request to the test before it is carried out."""

    def watch(self, app: App) -> None:
        """Look at a request; a test replaces this."""

    async def deploy(self, app: App, *, title: str, description: str) -> None:
        self.watch(app)
        await super().deploy(app, title=title, description=description)


@dataclass
class Shelf:
    """The known apps, as the catalog has them."""

    apps: dict[str, App] = field(default_factory=dict)

    def get(self, app_id: str) -> App | None:
        return self.apps.get(app_id)

    def all(self) -> tuple[App, ...]:
        return tuple(self.apps.values())


@dataclass
class GateWorld:
    """A process with gates; time passes only in sleeps, and flows run when `settle` is called."""

    clock: ManualClock = field(default_factory=ManualClock)
    host: ChecksHost = field(default_factory=ChecksHost)
    freezes: list[Freeze] = field(default_factory=list)
    shelf: Shelf = field(default_factory=Shelf)
    wrote: dict[int, str] = field(default_factory=dict)
    """The login of who wrote a push, by its seq."""
    identities: Identities = PEOPLE

    def __post_init__(self) -> None:
        self.backend = WatchedBackend(self.clock)
        self.journal = journal_in_memory(self.clock)
        self.seq = 0
        self.start()

    def start(self) -> None:
        """Start a process: nothing but the journal and the engine's flows is left of the last."""
        self.flows = FakeFlows()
        self.ran: set[str] = set()
        heads = Heads({"github": self.host}, self.clock, {})
        catalog: Any = self.shelf
        self.ci = CiReader(self.journal, {"github": self.host}, self.clock)
        changes = Changes({"github": self.host}, self.clock, sleep=self.clock.sleep)
        contents = Contents(changes, {}, Policy(), self.clock)
        self.judges = Judges(
            catalog,
            self.journal,
            heads,
            contents,
            self.freezes,
            self.clock,
            authors=AuthorsOfRanges(
                {"github": self.host}, self.clock, self.identities, self.pushed
            ),
        )
        self.keeper = Gatekeeper(
            self.journal, self.judges, Starting(self.flows).release, self.clock
        )
        self.commands = GateCommands(
            self.journal,
            self.shelf.all,
            self.clock,
            head_of=heads.told,
            identities=self.identities,
        )
        self.deployer = Deployer(
            {"dokploy": self.backend},
            self.journal,
            self.clock,
            PACE,
            judging=self.judges.now,
            pins=self.pins(),
            sleep=self.clock.sleep,
        )

    async def pushed(self, seq: int) -> frozenset[tuple[str, Writer]]:
        login = self.wrote.get(seq, "author")
        return frozenset({("github", Writer(login, email=f"{login}@example.com"))})

    def pins(self) -> PinsCommits:
        return Pins({"github": self.host})

    async def add(self, *apps: App) -> None:
        self.shelf.apps |= {one.id: one for one in apps}
        await self.journal.save_apps("dokploy", list(self.shelf.apps.values()))

    async def push(self, commit: str, app_id: str = "app-web", **facts: Any) -> Deployment:
        """Push a commit to `main`, and decide that it deploys the app."""
        self.seq += 1
        self.host.heads["main"] = commit
        self.backend.head = commit
        new = deployment(self.seq, app_id, commit=commit, created_at=self.clock.now, **facts)
        because = Decision(app_id, new.app, Reason.NO_WATCH_PATHS, "because")
        outcome = Outcome(self.seq, f"delivery-{self.seq}", (because,), (new,))
        recorded = await self.journal.record([outcome], window=0)
        await self.journal.look_again(list(self.shelf.apps))  # the branch has moved for all
        await Starting(self.flows).follow(recorded)
        return new

    async def approve(self, actor: Requester, wanted: Deployment) -> bool:
        """Approve what is shown of a held deployment."""
        held = await self.now(wanted)
        commit = held.head or held.commit or ""
        return await self.commands.approve(actor, held, commit)

    def check(self, commit: str, name: str, state: CheckState) -> Check:
        """Change a check at the host; nobody is told."""
        new = Check(name, state)
        others = [one for one in self.host.listed.get(commit, []) if one.name != name]
        self.host.listed[commit] = [*others, new]
        return new

    async def settle(self) -> None:
        """Let everything happen that can happen now."""
        for _ in range(50):
            if not await self._turn():
                return
        raise AssertionError("it never comes to rest")

    async def _turn(self) -> bool:
        await self.ci.look()
        await self.keeper.look()
        await Starting(self.flows).resume(await self.journal.open_deployments(held=False))
        waiting = [one for one in self.flows.ids(DEPLOYMENT_FLOW) if one not in self.ran]
        for flow in waiting:
            self.ran.add(flow)
            await self.deployer.run(KeptSteps(), flow)
        return bool(waiting)

    async def now(self, wanted: Deployment) -> Deployment:
        found = await self.journal.deployment(deployment_of(wanted.id))
        assert found is not None
        return found

    async def state(self, wanted: Deployment) -> str:
        return str((await self.now(wanted)).state)


def gated(app_id: str = "app-web", **others: Any) -> App:
    """Return an app with its name and source, and the rules of the test."""
    return app(app_id, **others)
