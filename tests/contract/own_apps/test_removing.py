"""The port `MakesApps`: what the bridge made is removed, and what is left of it is seen."""

from dataclasses import replace

import pytest

from bridge.core.errors import Refused, Unanswered, Unreachable
from bridge.core.health.containers import Container
from tests.chaos.dokploy.faults import resets
from tests.worlds.own_apps import (
    ADDRESSES,
    MARKER,
    DokployMaking,
    Making,
    build,
    complete,
    make,
)


async def test_an_app_is_removed_with_its_addresses_and_once(world: Making) -> None:
    app = await complete(world)
    world.proxy.heal()

    await world.backend.remove(app)
    await world.backend.remove(app)

    assert world.proxy.writes == ["application.cleanQueues", "application.delete"]
    assert await world.backend.made(MARKER) == []
    assert await world.ask("GET", "domain.byApplicationId", applicationId=app.id) == []
    assert await world.backend.left_behind(app) == []


@pytest.mark.parametrize(
    ("lost", "arrives"),
    [
        ("application.one", True),
        ("application.cleanQueues", True),
        ("application.delete", True),
        ("application.delete", False),
    ],
)
async def test_a_removal_whose_answer_was_lost_is_repeated(
    world: Making, lost: str, arrives: bool
) -> None:
    app = await complete(world)
    world.proxy.once[lost].append(resets(arrives=arrives))
    with pytest.raises((Unanswered, Unreachable)):
        await world.backend.remove(app)

    await world.backend.remove(app)

    assert await world.backend.made(MARKER) == []


async def test_anothers_app_of_the_same_name_is_untouched(world: Making) -> None:
    mine = await make(world)
    environment = (await world.one(mine))["environmentId"]
    theirs = await world.create("web-pr-7", environment, description=f"like {MARKER}")
    before = [await world.one(theirs), await world.one(world.model)]

    await complete(world)
    for app in (theirs, world.model, replace(theirs, marker=MARKER)):
        with pytest.raises(Refused, match="not the bridge's own"):
            await world.backend.set_build(app, build(world))
        with pytest.raises(Refused, match="not the bridge's own"):
            await world.backend.set_addresses(app, ADDRESSES)
        with pytest.raises(Refused, match="not the bridge's own"):
            await world.backend.remove(app)
    await world.backend.remove(mine)

    assert [await world.one(theirs), await world.one(world.model)] == before


async def test_an_app_that_was_given_another_purpose_is_not_removed(world: Making) -> None:
    app = await make(world)
    other = MARKER.replace("#7", "#8")
    await world.ask("POST", "application.update", applicationId=app.id, description=other)

    with pytest.raises(Refused, match="not the bridge's own"):
        await world.backend.remove(app)


async def test_what_is_left_of_a_removed_app_is_seen_where_the_key_may_look(
    fake: DokployMaking,
) -> None:
    """Such as the service of one that was deleted in mid-build, also on another node."""
    app = await make(fake)
    near = {"name": f"{app.service}0.1.xyz", "state": "running", "status": "Up"}
    fake.server.containers.append(near)
    fake.server.building.add(app.id)
    await fake.backend.remove(app)
    assert await fake.backend.left_behind(app) == []

    fake.server.end_builds()
    other = fake.restarted()  # another process asks, which has not seen the app
    left = await other.left_behind(app)
    await other.close()
    assert left == [Container(f"{app.service}.1.abcdef", "running", "Up 2 seconds")]

    fake.server.containers.clear()
    fake.server.tasks.append(
        {"name": f"{app.service}.1", "state": "running", "currentState": "Running 2 minutes ago"}
    )
    seen = await fake.backend.left_behind(app)
    assert seen == [Container(f"{app.service}.1", "running", "Running 2 minutes ago")]
    fake.server.forbidden.add("docker.getServiceContainersByAppName")
    assert await fake.backend.left_behind(app) == []
    fake.server.forbidden.add("docker.getContainersByAppNameMatch")
    assert await fake.backend.left_behind(app) is None


async def test_without_its_service_nothing_is_said_of_what_is_left(world: Making) -> None:
    app = await make(world)
    await world.backend.remove(app)

    assert await world.backend.left_behind(replace(app, service="")) is None
