"""What a person has done at the backend, the bridge never undoes by itself."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bridge.core.apps import Source, SourceType
from bridge.core.errors import Unanswered
from bridge.core.gates.locks import Lock
from bridge.core.lifecycle import Deployment, State
from tests.fakes.journey import KeptSteps
from tests.worlds.auto_rollback import (
    ONE,
    THREE,
    TWO,
    ShowsItAll,
    ShowsItsSettings,
    World,
)
from tests.worlds.deployer import Stage

ZERO, THEIRS = "e" * 40, "d" * 40


async def by_hand(world: World) -> None:
    """Deploy the fix at the backend; where its image shows, it works at once."""
    world.stage.backend.foreign(world.stage.app, head=THEIRS)
    world.stage.backend.head = THEIRS
    if isinstance(world.stage.backend, ShowsItAll):
        world.mend()


async def put_back(world: World) -> None:
    """Press rollback at the backend, to the version before last."""
    assert isinstance(world.stage.backend, ShowsItAll)
    world.stage.backend.stuck = ZERO


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
    ("backend", "does"),
    [(ShowsItsSettings, by_hand), (ShowsItAll, by_hand), (ShowsItAll, put_back)],
)
async def test_what_comes_within_the_watch_of_a_broken_version_stays(
    stage: Stage, backend: type[ShowsItsSettings], does: Callable[[World], Any]
) -> None:
    """Its page may not be well yet when the verdict falls."""
    world = World.of(stage, backend)
    await world.deploy(1, ZERO)
    await world.deploy(2, ONE)
    world.break_()
    stage.clock.after(13.0, lambda: does(world))

    third = await world.deploy(3, TWO)

    assert world.asked == []
    assert third.state is State.DONE
    what = "deployed" if does is by_hand else "its image was put back"
    assert f"; not verified: {what} in Dokploy" in third.note


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


async def test_what_comes_before_a_late_rollback_is_asked_for_stays(stage: Stage) -> None:
    """The process has died after the announcement."""
    world = World.of(stage)
    second = await world.announced()
    stage.clock.now += 1800
    await by_hand(world)

    await world.live(second)

    assert world.asked == []
    assert (await stage.now(second)).back_to is None


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
