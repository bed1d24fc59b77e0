"""Versions that break, and a bridge that goes back by itself."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from pydantic import SecretStr

from bridge.core.apps import App, Rules
from bridge.core.configuration.configuration import Environment, Saved
from bridge.core.events import Action, Asked, parse_command
from bridge.core.gates.locks import BY_ITSELF
from bridge.core.lifecycle import Deployment, State
from bridge.core.policies import VerifyPolicy
from bridge.pipeline.deploying.auto_rollback import GoingBack
from bridge.pipeline.deploying.deployments import Deployer
from bridge.pipeline.deploying.rollback_plan import Ways
from bridge.pipeline.deploying.serving import Looks
from bridge.ports.inbox import NewDelivery
from bridge.ports.probes import Answer
from tests.fakes.journey import Death, FakeBackend, KeptSteps, Lifetime
from tests.worlds.deployer import PACE, ShowsImages, Stage, image_of

POLICY = VerifyPolicy(within=10.0, every=2.0, rollback=True)
ONE, TWO, THREE = "1" * 40, "2" * 40, "3" * 40


class ShowsItsSettings(FakeBackend):
    """A backend that shows how its apps are configured."""

    env = "A=1"

    async def saved(self, app: App) -> Saved:
        return await self._do(
            "saved", lambda: Saved(None, None, Environment(env=SecretStr(self.env)))
        )


class ShowsItAll(ShowsItsSettings, ShowsImages):
    """One that shows which image runs, too."""


@dataclass
class Kept:
    """An inbox that only keeps; a delivery id is kept once."""

    found: dict[str, NewDelivery] = field(default_factory=dict)
    dies: bool = False

    async def keep(self, new: NewDelivery) -> None:
        if self.dies:
            raise Death
        self.found.setdefault(new.id, new)


@dataclass
class World:
    stage: Stage
    inbox: Kept = field(default_factory=Kept)

    @classmethod
    def of(cls, stage: Stage, backend: type[FakeBackend] = ShowsItsSettings) -> "World":
        """Return a world on a stage, whose app is rolled back by itself."""
        stage.backend = backend(stage.clock)
        stage.app = replace(stage.app, url="https://web.test")
        stage.rules = Rules(verify=POLICY)
        return cls(stage)

    @property
    def asked(self) -> list[Asked]:
        """The rollbacks that the bridge has asked for by itself, in order."""
        those = self.inbox.found.values()
        return [parse_command(one.event, bytes(one.body)) for one in those]

    async def decided(self, seq: int, left: Deployment) -> Deployment:
        """Decide on the newest one, as ingest does: it waits for its turn."""
        asked = self.asked[-1]
        return await self.stage.wish(
            seq,
            action=Action.ROLLBACK,
            target=asked.deployment,
            way=asked.way,
            image=asked.image or None,
            commit=None,
            trigger="cli: the bridge",
            person=BY_ITSELF,
            back_from=left.id,
        )

    def deployer(self, life: Lifetime | None = None) -> Deployer:
        stage, life = self.stage, life or Lifetime()
        backends: Any = {"dokploy": life.mortal(stage.backend)}
        journal: Any = life.mortal(stage.journal)
        inbox: Any = life.mortal(self.inbox)
        ways = Ways(backends, Looks(journal, stage.clock))
        self.back = GoingBack(backends, journal, inbox, ways, stage.clock)
        return Deployer(
            backends, journal, stage.clock, PACE,
            book=[("shop/*", stage.rules)], fingerprint=self.back.fingerprint,
            sleep=stage.clock.sleep,
        )  # fmt: skip

    async def live(
        self, new: Deployment, life: Lifetime | None = None, steps: KeptSteps | None = None
    ) -> None:
        """Run a deployment's flow, and watch it."""
        deployer = self.deployer(life)
        await deployer.run(steps or KeptSteps(), new.id)
        now = await self.stage.now(new)
        if now.state is State.VERIFYING or now.back_to is not None:
            await self.stage.watching(deployer.ending, self.back).watch(new.id)

    async def pushed(self, seq: int, head: str, **facts: Any) -> Deployment:
        """Record the deployment of a version, which the backend would build."""
        self.stage.backend.head = head
        self.stage.backend.log = f"#9 writing image {image_of(head)} done\n"
        return await self.stage.wish(seq, commit=head, **facts)

    async def announced(self) -> Deployment:
        """Deploy a version that does not work, and die once its rollback is announced."""
        await self.deploy(1, ONE)
        self.break_()
        second = await self.pushed(2, TWO)
        self.inbox.dies = True
        with pytest.raises(Death):
            await self.live(second)
        self.inbox.dies = False
        return second

    async def deploy(self, seq: int, head: str, **facts: Any) -> Deployment:
        """Deploy a version; the page is well unless `break_` was called."""
        new = await self.pushed(seq, head, **facts)
        await self.live(new)
        self.stage.clock.now += 60
        return await self.stage.now(new)

    def break_(self) -> None:
        self.stage.site.answers = lambda url: Answer(url, 500, "Oh")

    def mend(self) -> None:
        self.stage.site.answers = lambda url: Answer(url, 200, "OK")
