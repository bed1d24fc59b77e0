"""What is unhealthy is rolled back by itself: once, where it still fits, and it says so."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from pydantic import SecretStr

from bridge.core.apps import App, Rules
from bridge.core.configuration.configuration import Environment, Saved
from bridge.core.errors import Unreachable
from bridge.core.events import Action, parse_command
from bridge.core.gates.locks import BY_ITSELF
from bridge.core.health.policy import VerifyPolicy
from bridge.core.lifecycle import Deployment, State, Verdict
from bridge.pipeline.auto_rollback import GoingBack
from bridge.pipeline.deployments import Deployer
from bridge.pipeline.rollback_plan import Ways
from bridge.pipeline.serving import Looks
from bridge.ports.inbox import NewDelivery
from bridge.ports.probes import Answer, Unprobed
from tests.fakes.journey import Death, FakeBackend, KeptSteps, Lifetime
from tests.worlds.deployer import PACE, Stage, asked_for, fails

POLICY = VerifyPolicy(within=10.0, every=2.0, rollback=True)
ONE, TWO, THREE = "1" * 40, "2" * 40, "3" * 40


class ShowsItsSettings(FakeBackend):
    """A backend that shows how its apps are configured."""

    env = "A=1"

    async def saved(self, app: App) -> Saved:
        return await self._do(
            "saved", lambda: Saved(None, None, Environment(env=SecretStr(self.env)))
        )


@dataclass
class Kept:
    """An inbox that only keeps; a delivery id is kept once."""

    found: dict[str, NewDelivery] = field(default_factory=dict)
    times: int = 0

    async def keep(self, new: NewDelivery) -> None:
        self.times += 1
        self.found.setdefault(new.id, new)


@dataclass
class World:
    stage: Stage
    inbox: Kept = field(default_factory=Kept)

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

    async def deploy(self, seq: int, head: str) -> Deployment:
        """Deploy a version; the page is well unless `break_` was called."""
        self.stage.backend.head = head
        new = await self.stage.wish(seq, commit=head)
        await self.live(new)
        self.stage.clock.now += 60
        return await self.stage.now(new)

    def break_(self) -> None:
        self.stage.site.answers = lambda url: Answer(url, 500, "Oh")

    def mend(self) -> None:
        self.stage.site.answers = lambda url: Answer(url, 200, "OK")


def must_not_be_asked(url: str) -> Answer:
    raise Unprobed("it must not be asked")


@pytest.fixture
async def world(stage: Stage) -> World:
    stage.backend = ShowsItsSettings(stage.clock)
    stage.app = replace(stage.app, url="https://web.test")
    stage.rules = Rules(verify=POLICY)
    return World(stage)


async def test_an_unhealthy_version_asks_for_the_one_before(world: World) -> None:
    first = await world.deploy(1, ONE)
    world.break_()

    second = await world.deploy(2, TWO)

    assert second.state is State.UNHEALTHY
    assert second.note.endswith("500 Oh, expected 2xx; it goes back to 1111111 by itself")
    (asked,) = world.inbox.found.values()
    command = parse_command(asked.event, bytes(asked.body))
    assert (command.action, command.deployment, command.way, command.actor) == (
        Action.ROLLBACK, first.id, "kept", "the bridge",
    )  # fmt: skip


async def test_without_the_rule_nothing_is_asked(world: World) -> None:
    await world.deploy(1, ONE)
    world.stage.rules = Rules(verify=replace(POLICY, rollback=False))
    world.break_()

    second = await world.deploy(2, TWO)

    assert second.state is State.UNHEALTHY
    assert "rolled back" not in second.note
    assert world.inbox.found == {}


async def test_a_changed_environment_is_left_to_people(world: World) -> None:
    await world.deploy(1, ONE)
    world.stage.backend.env = "A=2"  # type: ignore[attr-defined]
    world.break_()

    second = await world.deploy(2, TWO)

    assert "not rolled back: its source or environment has changed since 1111111" in second.note
    assert world.inbox.found == {}


async def test_what_is_not_known_of_then_is_not_guessed(world: World) -> None:
    world.stage.rules = Rules()
    await world.deploy(1, ONE)
    world.stage.rules = Rules(verify=POLICY)
    world.break_()

    second = await world.deploy(2, TWO)

    assert "not rolled back: it is not known whether its source or environment" in second.note


async def test_the_same_version_is_rolled_back_once(world: World) -> None:
    await world.deploy(1, ONE)
    world.break_()
    await world.deploy(2, TWO)

    again = await world.deploy(3, TWO)

    assert "not rolled back: 2222222 was unhealthy before" in again.note
    assert len(world.inbox.found) == 1


async def test_nothing_to_go_back_to_is_said(world: World) -> None:
    world.break_()

    first = await world.deploy(1, ONE)

    assert first.state is State.UNHEALTHY
    assert "not rolled back: no healthy version before 1111111 is known" in first.note


async def test_it_never_goes_back_to_a_version_that_was_bad_too(world: World) -> None:
    first = await world.deploy(1, ONE)
    world.break_()
    await world.deploy(2, TWO)
    third = await world.deploy(3, THREE)

    assert third.note.endswith("it goes back to 1111111 by itself")
    targets = {
        parse_command(one.event, bytes(one.body)).deployment for one in world.inbox.found.values()
    }
    assert targets == {first.id}


async def test_a_backend_that_is_away_is_named(world: World) -> None:
    await world.deploy(1, ONE)
    world.break_()
    seen = world.stage.site.asked

    def answers(url: str) -> Answer:
        if len(seen) > 5:
            for _ in range(3):
                world.stage.backend.next("deployments", Unreachable("dokploy", "ConnectError"))
        return Answer(url, 500, "Oh")

    world.stage.site.answers = answers

    second = await world.deploy(2, TWO)

    assert second.state is State.UNHEALTHY
    assert "not rolled back: dokploy can't be reached" in second.note


async def test_a_fix_that_has_come_meanwhile_is_not_undone(world: World) -> None:
    await world.deploy(1, ONE)
    world.break_()
    broken = world.stage.site.answers

    def answers(url: str) -> Answer:
        world.stage.backend.next("output", Unreachable("dokploy", "ConnectError"))
        return broken(url)

    world.stage.site.answers = answers
    world.stage.backend.head = TWO
    second = await world.stage.wish(2, commit=TWO)
    world.stage.clock.after(12.0, lambda: asked_for(world.stage, 3, commit=THREE))
    world.stage.clock.after(60.0, lambda: fails(world.stage, 3))
    await world.live(second)

    ended = await world.stage.now(second)
    assert ended.state is State.UNHEALTHY
    assert ended.finished_at is not None
    assert ended.live_at is not None
    assert ended.finished_at - ended.live_at > 45  # it was watched on once the fix had failed
    assert ended.note.endswith("it goes back to 1111111 by itself")


@pytest.mark.parametrize("state", [State.HELD, State.WAITING])
async def test_a_newer_push_that_is_not_asked_for_leaves_nothing_broken(
    world: World, state: State
) -> None:
    await world.deploy(1, ONE)
    world.break_()
    world.stage.backend.head = TWO
    second = await world.stage.wish(2, commit=TWO)
    world.stage.clock.after(8.0, lambda: world.stage.wish(3, commit=THREE, state=state))

    await world.live(second)

    ended = await world.stage.now(second)
    assert ended.note.endswith("it goes back to 1111111 by itself")
    assert len(world.inbox.found) == 1


async def test_of_two_broken_pushes_the_second_leads_to_the_verified_version(world: World) -> None:
    """The first of them was not verified when the second replaced it, which says nothing good."""
    first = await world.deploy(1, ONE)
    world.break_()
    world.stage.backend.head = TWO
    second = await world.stage.wish(2, commit=TWO)
    await world.deployer().run(KeptSteps(), second.id)
    assert (await world.stage.now(second)).state is State.VERIFYING

    third = await world.deploy(3, THREE)

    replaced = await world.stage.now(second)
    assert (replaced.state, replaced.verdict) == (State.DONE, Verdict.UNVERIFIED)
    assert replaced.note.endswith("; not verified: deployment #3 is served now")
    assert third.note.endswith("it goes back to 1111111 by itself")
    (asked,) = world.inbox.found.values()
    assert parse_command(asked.event, bytes(asked.body)).deployment == first.id


async def test_an_unverified_version_is_gone_back_to_only_where_none_is_verified(
    world: World,
) -> None:
    world.stage.rules = Rules(verify=replace(POLICY, url="/none", containers=False))
    world.stage.site.answers = must_not_be_asked
    first = await world.deploy(1, ONE)
    assert (first.state, first.verdict) == (State.DONE, Verdict.UNVERIFIED)
    world.break_()

    second = await world.deploy(2, TWO)

    assert second.note.endswith("it goes back to 1111111, which was never verified, by itself")


async def test_an_unhealthy_rollback_goes_one_verified_version_further(world: World) -> None:
    for seq, head in ((1, ONE), (2, TWO), (3, THREE)):
        last = await world.deploy(seq, head)
        assert last.verdict is Verdict.VERIFIED
    world.break_()
    last = await world.deploy(4, "4" * 40)
    targets = []
    for seq in (5, 6, 7, 8):
        commands = [parse_command(one.event, bytes(one.body)) for one in world.inbox.found.values()]
        if len(commands) < seq - 4:
            break
        targets.append(commands[-1].deployment)
        back = await world.stage.wish(
            seq,
            action=Action.ROLLBACK,
            target=targets[-1],
            way="kept",
            trigger="cli: the bridge",
            person=BY_ITSELF,
            back_from=last.id,
        )
        await world.live(back)
        world.stage.clock.now += 60
        last = await world.stage.now(back)

    assert [int(one.partition(".")[0]) for one in targets] == [3, 2, 1]
    assert last.state is State.UNHEALTHY
    assert last.note.endswith("so there is nothing to go back to")


async def test_a_version_that_breaks_after_ten_minutes_is_noticed_and_left(world: World) -> None:
    await world.deploy(1, ONE)
    world.stage.rules = Rules(verify=replace(POLICY, keep=1800.0))
    world.stage.backend.head = TWO
    second = await world.stage.wish(2, commit=TWO)
    world.stage.clock.after(600.0, world.break_)

    await world.live(second)

    ended = await world.stage.now(second)
    assert (await world.stage.states(second))[-2:] == ["done", "unhealthy"]
    assert ended.note.endswith("it goes back to 1111111 by itself")
    assert ended.finished_at is not None
    assert ended.live_at is not None
    assert 590 < ended.finished_at - ended.live_at < 660


async def test_an_announced_rollback_waits_for_the_backend(world: World) -> None:
    """The process died after it was announced, and the backend comes up later than the bridge."""
    await world.deploy(1, ONE)
    world.break_()
    world.stage.backend.head = TWO
    second = await world.stage.wish(2, commit=TWO)
    keep = world.inbox.keep

    async def dies(new: NewDelivery) -> None:
        raise Death

    world.inbox.keep = dies  # type: ignore[method-assign]
    with pytest.raises(Death):
        await world.live(second)
    world.inbox.keep = keep  # type: ignore[method-assign]
    assert "it goes back to 1111111 by itself" in (await world.stage.now(second)).note
    for _ in range(3):
        world.stage.backend.next("deployments", Unreachable("dokploy", "ConnectError"))

    await world.live(second)

    assert len(world.inbox.found) == 1
    assert (await world.stage.now(second)).back_to is None


@pytest.mark.slow
async def test_death_at_any_moment_asks_once(staged: Any) -> None:
    async def scene() -> tuple[World, Deployment]:
        stage = staged(waits=0.5, builds=1.0)
        stage.backend = ShowsItsSettings(stage.clock, waits=0.5, builds=1.0)
        stage.app = replace(stage.app, url="https://web.test")
        stage.rules = Rules(verify=POLICY)
        made = World(stage)
        await made.deploy(1, ONE)
        made.break_()
        stage.backend.head = TWO
        return made, await stage.wish(2, commit=TWO)

    whole, new = await scene()
    life = Lifetime()
    await whole.live(new, life)

    for moment in range(1, life.moments + 1):
        world, new = await scene()
        steps = KeptSteps()
        with pytest.raises(Death):
            await world.live(new, Lifetime(moment), steps)
        world.stage.clock.now += 3
        await world.live(new, None, steps)

        ended = await world.stage.now(new)
        assert ended.state is State.UNHEALTHY, moment
        assert len(world.inbox.found) == 1, moment
