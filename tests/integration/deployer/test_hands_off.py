"""What a person has done is never undone; a rollback leads to the last good version with a way."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bridge.core.apps import Rules, Source, SourceType
from bridge.core.errors import Unanswered
from bridge.core.events import Action
from bridge.core.gates.locks import Lock
from bridge.core.lifecycle import Deployment, State
from bridge.pipeline.deploying.rollback_plan import Plan, Ways
from bridge.pipeline.deploying.serving import Looks
from bridge.ports.backends import BackendDeployment
from tests.fakes.journey import Job, KeptSteps
from tests.worlds.auto_rollback import ONE, POLICY, THREE, TWO, ShowsItAll, ShowsItsSettings, World
from tests.worlds.deployer import Stage

ZERO, THEIRS = "e" * 40, "d" * 40


async def by_hand(world: World) -> None:
    """Deploy the fix at the backend; where its image shows, it works at once."""
    world.stage.backend.foreign(world.stage.app, head=THEIRS)
    world.stage.backend.head = THEIRS
    if isinstance(world.stage.backend, ShowsItAll):
        world.mend()


async def building(world: World) -> None:
    """Have the backend build the fix, which takes some time."""
    world.stage.backend.builds = 120.0
    world.stage.backend.foreign(world.stage.app, head=THEIRS, running=True)


async def stopped(world: World) -> None:
    """Stop the app at the backend."""
    world.stage.backend.is_stopped = True


async def set_image(world: World) -> None:
    """Set another image at the backend."""
    world.stage.backend.image(world.stage.app, "shop/web:3")


async def broken(world: World) -> Deployment:
    """Deploy a version that works, and one that does not."""
    await world.deploy(1, ONE)
    world.break_()
    return await world.deploy(2, TWO)


async def held(world: World, second: Deployment) -> Deployment:
    """Have the bridge's rollback held by somebody's lock."""
    lock = Lock("app/app-web", "shop/web", "cli:bob", "bob", "I look", world.stage.clock.now)
    await world.stage.journal.take_lock(lock, None, steal=False)
    back = await world.decided(3, second)
    await world.deployer().run(KeptSteps(), back.id)
    assert (await world.stage.now(back)).state is State.HELD
    return back


async def unlocked(world: World, back: Deployment) -> Deployment:
    """Release that lock, and give the rollback its turn."""
    stage, deployer = world.stage, world.deployer()
    await stage.journal.release_lock("app/app-web", None)
    await stage.journal.judge(back.id, await deployer._judging(back.id))
    await deployer.run(KeptSteps(), back.id)
    return await stage.now(back)


@pytest.mark.parametrize(
    ("does", "why"),
    [
        (by_hand, "deployed in dokploy at "),
        (building, "deployed in dokploy at "),
        (stopped, "it is idle, so somebody may have stopped it"),
    ],
)
async def test_what_is_done_while_the_rollback_is_held_stays(
    stage: Stage, does: Callable[[World], Any], why: str
) -> None:
    world = World.of(stage)
    back = await held(world, await broken(world))
    stage.clock.now += 300
    await does(world)

    ended = await unlocked(world, back)

    assert stage.backend.points == []
    assert ended.state is State.CANCELLED
    assert ended.note.startswith(f"not gone back from 2222222: {why}")
    assert await stage.journal.locks() == []


@pytest.mark.parametrize("comes", [by_hand, stopped, None])
async def test_what_comes_before_a_request_is_repeated_stays(
    stage: Stage, comes: Callable[[World], Any] | None
) -> None:
    world = World.of(stage)
    second = await broken(world)
    back = await world.decided(3, second)
    stage.backend.next("roll_back", Unanswered("dokploy", "ReadTimeout"))
    if comes is not None:
        stage.clock.after(0.5, lambda: comes(world))

    await world.live(back)

    ended = await stage.now(back)
    if comes is not None:
        assert (stage.backend.points, ended.state) == ([], State.UNKNOWN)
        assert ended.note.endswith("; the backend may have been asked for it before")
    else:
        assert stage.backend.points == ["point-dep-1"]


@pytest.mark.parametrize(
    ("does", "why"),
    [
        (set_image, "the app's image is shop/web:3 by now"),
        (by_hand, "deployed in dokploy at 2023-11-14 22:16 UTC, not by the bridge"),
        (stopped, "it is idle, so somebody may have stopped it"),
    ],
)
async def test_an_image_that_comes_while_the_rollback_is_held_stays(
    stage: Stage, does: Callable[[World], Any], why: str
) -> None:
    world = World.of(stage)
    stage.backend.keeps, stage.backend.tells_after = False, None

    async def version(seq: int, tag: str) -> Deployment:
        source = Source(SourceType.DOCKER, image=f"shop/web:{tag}")
        stage.app = replace(stage.app, source=source)
        new = await stage.wish(seq, image=f"shop/web:{tag}", commit=None)
        await world.live(new)
        stage.clock.now += 60
        return await stage.now(new)

    await version(1, "1")
    world.break_()
    back = await held(world, await version(2, "2"))
    assert back.image == "shop/web:1"
    stage.clock.now += 60
    await does(world)

    ended = await unlocked(world, back)

    assert stage.backend.written == []
    assert ended.state is State.CANCELLED
    assert ended.note == f"not gone back from shop/web:2: {why}"


async def test_nothing_is_rolled_back_while_it_is_not_known_what_is_served(stage: Stage) -> None:
    """What has come since has an unknown outcome."""
    world = World.of(stage)
    await world.deploy(1, ONE)
    world.break_()
    second = await world.pushed(2, TWO)

    async def third() -> None:
        new = await stage.wish(3, commit=THREE)
        await stage.journal.move(new.id, State.ASKED, asked_at=stage.clock.now)
        await stage.journal.move(new.id, State.UNKNOWN, "outcome unknown: why")

    stage.clock.after(8.0, third)
    await world.live(second)

    assert world.asked == []
    assert (await stage.now(second)).note.endswith("; not verified: it is not known what is served")


FOUR = "4" * 40
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


async def test_a_version_that_a_person_has_left_is_not_gone_back_to(world: World) -> None:
    await world.deploy(1, ONE)
    second = await world.deploy(2, TWO)
    await world.deploy(3, THREE)
    await back(world, 4, second)
    world.break_()

    fourth = await world.deploy(5, FOUR)

    assert fourth.note.endswith("it goes back to 2222222 by itself")


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
