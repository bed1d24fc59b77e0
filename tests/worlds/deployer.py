"""A deployer, its backend and its journal, on a clock that advances only during sleeps."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest

from bridge.core.apps import App, Rules
from bridge.core.backoff import Backoff
from bridge.core.decision import Decision, Reason
from bridge.core.errors import Refused, Unanswered, Unreachable
from bridge.core.lifecycle import Deployment, State, deployment_id
from bridge.pipeline.deploying.auto_rollback import GoingBack
from bridge.pipeline.deploying.deployments import Deployer
from bridge.pipeline.deploying.outcome import Ending, FollowTiming
from bridge.pipeline.deploying.serving import Looks
from bridge.pipeline.deploying.verify import Prover, Verifier
from bridge.pipeline.deploying.watch import Watching
from bridge.ports.backends import Progress
from bridge.ports.outcomes import Outcome
from bridge.storage.journal import SqlJournal
from tests.fakes.journey import (
    FakeBackend,
    KeptSteps,
    Lifetime,
    ManualClock,
    app,
    deployment,
)
from tests.fakes.site import FakeSite
from tests.worlds.journal import journal_in_memory

if TYPE_CHECKING:
    from bridge.ports.journal import Journal

LOOK = Backoff(0.8, 2.0, factor=1.3)
PACE = FollowTiming(look=LOOK, adopt=10.0, settle=1.5, long=600.0, failures=3)
AWAY = Unreachable("dokploy", "ConnectError")
SILENT = Unanswered("dokploy", "ReadTimeout")
NO = Refused("dokploy", "Application not found", status=404)


UNRECORDED = """image built
Failed query: update "deployment" set "status" = $1, "finishedAt" = $2
params: done,2026-11-26T20:10:00.000Z,dep-1

Error occurred ❌, check the logs for details.
"""


@dataclass
class Stage:
    """A deployer and its surroundings."""

    clock: ManualClock
    backend: FakeBackend
    journal: SqlJournal
    app: App = field(default_factory=app)
    ended: list[int] = field(default_factory=list)
    rules: Rules = field(default_factory=Rules)
    site: FakeSite = field(default_factory=FakeSite)

    @classmethod
    def make(cls, **backend: Any) -> "Stage":
        clock = ManualClock()
        return cls(clock, FakeBackend(clock, **backend), journal_in_memory(clock))

    @property
    def showing(self) -> "ShowsImages":
        """Its backend, which shows the images that run."""
        assert isinstance(self.backend, ShowsImages)
        return self.backend

    def deployer(self, life: Lifetime | None = None) -> Deployer:
        """Create a new one, as after every start; `life` determines when its process dies."""
        life = life or Lifetime()
        backends = {"dokploy": life.mortal(self.backend)}
        return Deployer(
            backends, life.mortal(self.journal), self.clock, PACE,
            book=[("shop/*", self.rules)],
            changed=lambda: self.ended.append(1), sleep=self.clock.sleep,
        )  # fmt: skip

    def watching(self, ending: Ending, going_back: GoingBack | None = None) -> Watching:
        """Return what watches deployments."""
        verifier = Verifier(self.site, ending, self.clock)
        prover = Prover(ending.journal, ending)
        journal = cast("Journal", ending.journal)  # of which it uses a part
        looks = Looks(journal, self.clock, {"dokploy": "Dokploy"})
        parts = (ending.journal, ending, verifier, prover, looks, self.clock, going_back)
        return Watching(*parts, sleep=self.clock.sleep)

    async def wish(self, seq: int = 1, **others: Any) -> Deployment:
        """A deployment that waits for its turn."""
        self.backend.found = [self.app]
        await self.journal.save_apps("dokploy", [self.app])
        new = deployment(seq, **others)
        because = Decision(self.app.id, self.app.label, Reason.NO_WATCH_PATHS, "because")
        outcome = Outcome(seq, f"delivery-{seq}", (because,), (new,))
        await self.journal.record([outcome], window=0)
        return new

    async def run(self, new: Deployment | None = None) -> Deployment:
        """Run the whole flow; return its outcome."""
        new = new or await self.wish()
        deployer = self.deployer()
        await deployer.run(KeptSteps(), new.id)
        if (await self.now(new)).state is State.VERIFYING:
            await self.watching(deployer.ending).watch(new.id)
        return await self.now(new)

    async def now(self, new: Deployment) -> Deployment:
        found = await self.journal.deployment(new.id)
        assert found is not None
        return found

    async def history(self, new: Deployment) -> list[tuple[str, str]]:
        changes = await self.journal.changes(new.id)
        return [(str(change.state), change.note) for change in changes]

    async def notes(self, new: Deployment) -> list[str]:
        return [note for _, note in await self.history(new)]

    async def states(self, new: Deployment) -> list[str]:
        return [state for state, _ in await self.history(new)]


@pytest.fixture
async def staged() -> AsyncIterator[Callable[..., Stage]]:
    made: list[Stage] = []

    def make(**backend: Any) -> Stage:
        made.append(Stage.make(**backend))
        return made[-1]

    yield make
    for stage in made:
        await stage.journal.stop()


@pytest.fixture
def stage(staged: Callable[..., Stage]) -> Stage:
    return staged()


def image_of(commit: str) -> str:
    return f"sha256:{commit[0] * 64}"


@dataclass
class ShowsImages(FakeBackend):
    """A backend that shows which image its app runs.

    Attributes:
        stuck: the commit that it goes on serving, whatever was built.
        beside: another one that runs as well.
        crashing: ids of apps of which other containers run at each look.
    """

    stuck: str | None = None
    beside: str | None = None
    crashing: set[str] = field(default_factory=set)
    hidden: bool = False
    logs_image: bool = True

    async def images(self, app: App) -> tuple[str, ...] | None:
        self.calls.append("images")
        if self.is_stopped:
            return ()
        runs = {one for one in (self.stuck or self.head, self.beside) if one is not None}
        return None if self.hidden else tuple(sorted(map(image_of, runs)))

    async def fingerprints(self, apps: Sequence[App]) -> dict[str, str]:
        self.calls.append("fingerprints")
        runs = "" if self.is_stopped else self.stuck or self.head
        deployed = {job.app: runs for job in self.jobs}
        crashing = {id_: str(len(self.calls)) for id_ in self.crashing}
        ran = {app.id: "" for app in apps} | deployed | crashing
        return {} if self.hidden else ran


async def deploy(stage: Stage, seq: int, head: str, *, by_others: str | None = None) -> Deployment:
    """Deploy a version, and watch it until there is nothing more to see.

    Args:
        by_others: what somebody deploys at the backend before it is watched.
    """
    stage.backend.head = head
    named = getattr(stage.backend, "logs_image", True)
    stage.backend.log = f"#9 writing image {image_of(head)} done\n" if named else "built\n"
    new = await stage.wish(seq, commit=head)
    deployer = stage.deployer()
    await deployer.run(KeptSteps(), new.id)
    if by_others is not None:
        stage.clock.now += 10
        stage.backend.foreign(stage.app, head=by_others)
        stage.backend.head = by_others
        stage.clock.now += 60
    await stage.watching(deployer.ending).watch(new.id)
    return await stage.now(new)


async def asked_for(stage: Stage, seq: int, **facts: Any) -> Deployment:
    """A newer deployment for which the backend has been asked."""
    new = await stage.wish(seq, **facts)
    await stage.journal.move(new.id, State.ASKED, "accepted", asked_at=stage.clock())
    return new


async def fails(stage: Stage, seq: int, to: State = State.FAILED) -> None:
    """End a deployment without bringing anything up, as far as is known."""
    await stage.journal.move(deployment_id(seq, stage.app.id), to, "its build failed")


async def superseded(stage: Stage, seqs: Iterable[int]) -> None:
    """Record deployments that never ran, as of pushes during a freeze."""
    for seq in seqs:
        await stage.wish(seq, state=State.SUPERSEDED)


def interrupt(stage: Stage) -> None:
    """Restart the backend, which interrupts builds."""
    job = stage.backend.jobs[-1]
    job.ends_at, job.ending, job.restarted = stage.clock(), Progress.CANCELLED, True


def restarted(stage: Stage, *, at: float, lasts: float = 4.0) -> float:
    """Restart the backend, which drops waiting jobs; return the time of its return."""

    def gone() -> None:
        stage.backend.away = True
        stage.backend.jobs.clear()
        stage.backend.waits = 1.0

    stage.clock.after(at, gone)
    stage.clock.after(at + lasts, lambda: setattr(stage.backend, "away", False))
    return stage.clock.now + at + lasts
