"""To which version a rollback leads: the last good one that was served before, and has a way."""

from dataclasses import replace
from typing import Any

import pytest

from bridge.core.apps import Rules, Source, SourceType
from bridge.core.events import Action
from bridge.core.lifecycle import Deployment, State
from bridge.pipeline.deploying.rollback_plan import Plan, Ways
from bridge.pipeline.deploying.serving import Looks
from bridge.ports.backends import BackendDeployment
from tests.fakes.journey import Job
from tests.worlds.auto_rollback import POLICY, ShowsItAll, ShowsItsSettings, World
from tests.worlds.deployer import Stage, image_of

ONE, TWO, THREE, FOUR = "1" * 40, "2" * 40, "3" * 40, "4" * 40
ADA = {"person": "cli:ada", "trigger": "cli: ada"}


class KeepsNotAll(ShowsItsSettings):
    """A backend that has kept only some of its builds."""

    gone: tuple[str, ...] = ()

    def _record(self, job: Job, now: float) -> BackendDeployment:
        found = super()._record(job, now)
        return replace(found, restores=None) if job.id in self.gone else found


def world_of(stage: Stage, backend: Any, **app: Any) -> World:
    stage.backend = backend(stage.clock)
    stage.app = replace(stage.app, url="https://web.test", **app)
    stage.rules = Rules(verify=POLICY)
    return World(stage)


@pytest.fixture
def world(stage: Stage) -> World:
    return world_of(stage, KeepsNotAll)


async def plan(world: World, wanted: str | None = None) -> Plan:
    stage = world.stage
    ways = Ways({"dokploy": stage.backend}, Looks(stage.journal, stage.clock))
    return await ways.plan(stage.app, wanted)


async def back(world: World, seq: int, to: Deployment) -> None:
    """Ada goes back, and unlocks the app."""
    facts: dict[str, Any] = {"action": Action.ROLLBACK, "target": to.id, "way": "kept", **ADA}
    await world.live(await world.stage.wish(seq, **facts))
    await world.stage.journal.release_lock("app/app-web", None)
    world.stage.clock.now += 60


async def test_a_verified_version_that_is_not_kept_hides_no_older_one_that_is(
    world: World,
) -> None:
    await world.deploy(1, ONE)
    await world.deploy(2, TWO)
    assert isinstance(world.stage.backend, KeepsNotAll)
    world.stage.backend.gone = ("dep-2",)
    world.break_()

    third = await world.deploy(3, THREE)

    assert third.note.endswith("it goes back to 1111111 by itself")


async def test_what_never_ran_hides_no_version(world: World) -> None:
    first = await world.deploy(1, ONE)
    await world.deploy(2, TWO)
    for seq in range(3, 204):
        await world.stage.wish(seq, commit=THREE, state=State.SUPERSEDED)

    assert (await plan(world)).way.to.id == first.id


async def test_a_version_that_a_person_has_left_is_not_gone_back_to(world: World) -> None:
    await world.deploy(1, ONE)
    second = await world.deploy(2, TWO)
    await world.deploy(3, THREE)
    await back(world, 4, second)
    world.break_()

    fourth = await world.deploy(5, FOUR)

    assert fourth.note.endswith("it goes back to 2222222 by itself")


async def test_a_version_that_was_verified_since_it_was_unhealthy_is_gone_back_to(
    world: World,
) -> None:
    world.break_()
    await world.deploy(1, ONE)
    world.mend()
    await world.deploy(2, ONE)
    world.break_()

    third = await world.deploy(3, TWO)

    assert third.note.endswith("it goes back to 1111111 by itself")


@pytest.mark.parametrize("wanted", [None, "#1"])
async def test_what_a_tag_meant_before_it_moved_is_another_version(
    stage: Stage, wanted: str | None
) -> None:
    source = Source(SourceType.DOCKER, image="shop/web:latest")
    world = world_of(stage, ShowsItAll, source=source)
    stage.backend.tells_after = None  # it reports no commit
    for seq, runs in ((1, ONE), (2, TWO)):
        stage.backend.head, stage.backend.log = runs, "pulled\n"
        await world.live(await stage.wish(seq, image="shop/web:latest", commit=None))
        stage.clock.now += 60

    found = await plan(world, wanted)

    assert found.says.startswith("go back from shop/web:latest to the build of deployment #1: ")


async def test_a_broken_build_is_left_for_the_build_of_the_same_commit_before(stage: Stage) -> None:
    """Its base image or its environment has changed since."""
    world = world_of(stage, ShowsItAll)
    first = await build(world, 1, runs=ONE)
    world.break_()

    second = await build(world, 2, runs=TWO)

    assert second.state is State.UNHEALTHY
    assert [one.deployment for one in world.asked] == [first.id]


async def build(world: World, seq: int, *, runs: str) -> Deployment:
    """Deploy the same commit, of which another image is built."""
    stage = world.stage
    stage.backend.head, stage.showing.stuck = ONE, runs
    stage.backend.log = f"#9 writing image {image_of(runs)} done\n"
    new = await stage.wish(seq, commit=ONE)
    await world.live(new)
    stage.clock.now += 60
    return await stage.now(new)
