"""The previews that Dokploy makes by itself are followed, with few requests."""

from typing import Any

import pytest

from bridge.core.policies import PreviewPolicy
from bridge.core.previews.native import NativeState
from bridge.core.previews.preview import PreviewState
from bridge.core.previews.verdict import Why
from bridge.pipeline.background import at_once
from bridge.pipeline.previews.sweep import EVERY, SOON, NativePreviewFollower
from tests.chaos.dokploy.faults import resets
from tests.worlds.preview_keeper import KeeperWorld

FROM_GITHUB = {"sourceType": "github", "owner": "my-org", "repository": "mono", "branch": "main"}
PATH = "previewDeployment.all"


@pytest.fixture
def parts() -> dict[str, Any]:
    return {"policy": PreviewPolicy(on=False)}


@pytest.fixture
async def follower(world: KeeperWorld) -> NativePreviewFollower:
    backends = {"dokploy": world.making.backend}
    return NativePreviewFollower(world.journal, world.catalog, backends, world.clock, turn=at_once)


async def makes(world: KeeperWorld, active: bool = True) -> str:
    """Have Dokploy make the previews of the app by itself; return the app's id."""
    id_ = world.model.id
    world.server.rows[id_] |= FROM_GITHUB | {"isPreviewDeploymentsActive": active}
    await world.catalog.refresh()
    return id_


def asked(world: KeeperWorld) -> int:
    return world.making.proxy.reads.count(PATH)


async def states(world: KeeperWorld) -> dict[int, NativeState]:
    return {one.number: one.state for one in await world.journal.native_previews()}


async def test_a_preview_is_followed_from_its_build_to_its_end(
    world: KeeperWorld, follower: NativePreviewFollower
) -> None:
    id_ = await makes(world)
    made = world.server.preview(id_, 7, "running")
    world.clock.now = 1_795_557_600.0  # about when that was
    assert await follower.look() == SOON
    assert await states(world) == {7: NativeState.BUILDING}

    made["deployments"][0]["status"] = "done"
    assert await follower.look() == EVERY
    assert await states(world) == {7: NativeState.UP}

    world.server.previews.clear()
    await follower.look()
    assert await states(world) == {}
    assert asked(world) == 3


async def test_those_of_an_app_that_is_gone_are_forgotten(
    world: KeeperWorld, follower: NativePreviewFollower
) -> None:
    world.server.preview(id_ := await makes(world), 7)
    await follower.look()
    del world.server.rows[id_]
    await world.catalog.refresh()

    await follower.look()
    assert (await states(world), asked(world)) == ({}, 1)


async def test_what_is_known_stays_while_dokploy_does_not_answer(
    world: KeeperWorld, follower: NativePreviewFollower, caplog: pytest.LogCaptureFixture
) -> None:
    world.server.preview(await makes(world), 7)
    await follower.look()
    world.making.proxy.always[PATH] = resets(arrives=False)

    for _ in range(2):
        assert await follower.look() == EVERY
    assert await states(world) == {7: NativeState.UP}
    assert sum("own previews can't be read" in one.message for one in caplog.records) == 1


async def test_a_key_that_may_not_look_sees_none(
    world: KeeperWorld, follower: NativePreviewFollower
) -> None:
    world.server.preview(await makes(world), 7)
    world.server.forbidden.add(PATH)

    await follower.look()
    assert await states(world) == {}


async def test_a_pull_request_is_told_that_dokploy_makes_its_preview(world: KeeperWorld) -> None:
    await makes(world)
    await world.tell(1)
    await world.settle()

    row = await world.row()
    assert (row.state, row.reason) == (PreviewState.SKIPPED, Why.NATIVE)
    assert row.note == "Dokploy makes the previews of shop/web by itself"
    assert world.live() == []

    await world.tell(1, open=False)
    await world.settle()
    assert (await world.row()).state is PreviewState.ENDED
