"""Two backends: one that is away or removed holds up nothing of the other one.

Two deployments of each are followed at a time, so three fill all places that there are for them.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.core.events import COMMAND_HOST, Action
from bridge.core.lifecycle import Deployment
from tests.chaos.dokploy.services import Config
from tests.chaos.recording_backend import RecordingBackend, push_payload, recording_backend
from tests.worlds.bridge import World, running_world
from tests.worlds.embedded import until
from tests.worlds.shell import Shell

THREE = {"app-0", "app-1", "app-2"}
OTHER = "other-0"


@asynccontextmanager
async def two_backends(
    tmp_path: Path, data: str = "bridge", **settings: Any
) -> AsyncIterator[tuple[World, RecordingBackend, RecordingBackend]]:
    """A bridge on two Dokploys: three apps are the first one's, and one is the second one's."""
    async with (
        recording_backend(apps=3, build_seconds=0.05, listing_delay=0.0) as first,
        recording_backend(apps=0, build_seconds=0.05, listing_delay=0.0) as second,
    ):
        second.has(OTHER, Config(branch="main", watch_paths=(f"{OTHER}/**",)))
        given: dict[str, Any] = {
            "BRIDGE_DOKPLOY_URL": first.url,
            "BRIDGE_DOKPLOY_API_KEY": "a-key",
            "BRIDGE_BACKENDS": f"{{second: {{url: '{second.url}', api_key: a-key}}}}",
            "BRIDGE_JOURNEY_DEPLOYMENTS_AT_A_TIME": "2",
        }
        async with running_world(tmp_path / data, **given, **settings) as world:
            await until(world.stores.journal.apps, lambda apps: len(apps) == 4)
            yield world, first, second


@pytest.fixture(params=["sqlite", "postgres"])
async def stores(request: pytest.FixtureRequest) -> dict[str, str]:
    on_postgres = request.param == "postgres"
    return {"DATABASE_URL": request.getfixturevalue("postgres")} if on_postgres else {}


async def push(world: World, apps: set[str], after: str = "a", before: str = "e") -> None:
    answer = await world.hook("github", push_payload(before * 40, after * 40, apps))
    assert answer.status_code == 202, answer.text


async def newest(world: World) -> dict[str, Deployment]:
    """The newest deployment of each app."""
    return {one.app_id: one for one in await world.deployments()}


async def all_in(world: World, apps: set[str], *states: str) -> None:
    """Wait until the newest deployments of these apps are in one of these states."""
    await until(
        lambda: newest(world),
        lambda those: apps <= those.keys() and all(those[app].state in states for app in apps),
    )


async def waits_for_the_first(world: World) -> None:
    """Wait until all places are taken by deployments whose backend is away."""

    async def notes() -> list[str]:
        return [one.note for one in await world.deployments()]

    await until(notes, lambda those: sum("waits for the backend" in note for note in those) == 2)


async def cancelled(world: World, app: str) -> None:
    id_ = await world.ask(Action.CANCEL, app)
    assert await world.reasons(id_, COMMAND_HOST)
    assert (await newest(world))[app].state == "cancelled"  # as soon as it is decided


@pytest.mark.journey
async def test_a_cancel_counts_at_once_though_all_places_wait_for_a_backend_that_is_away(
    tmp_path: Path, stores: dict[str, str]
) -> None:
    async with two_backends(tmp_path, **stores) as (world, first, _):
        await first.go_away()
        await push(world, THREE)
        await waits_for_the_first(world)

        for app in sorted(THREE - {"app-2"}):
            await cancelled(world, app)
        await first.come_back()
        await all_in(world, {"app-2"}, "done")

        assert [asked.app for asked in first.ledger] == ["app-2"]


async def test_a_backend_that_is_away_holds_up_no_other_one(
    tmp_path: Path, stores: dict[str, str]
) -> None:
    async with two_backends(tmp_path, **stores) as (world, first, second):
        await first.go_away()
        await push(world, THREE)
        await waits_for_the_first(world)

        await push(world, {OTHER}, "b", before="a")
        await all_in(world, {OTHER}, "done")

        assert [asked.app for asked in second.ledger] == [OTHER]
        assert (await newest(world))["app-0"].state == "waiting"
        await first.come_back()
        await all_in(world, THREE, "done")


async def test_the_apps_of_a_backend_that_was_removed_are_gone(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    async with two_backends(tmp_path, "data") as (world, _, _):
        await push(world, {OTHER})
        await all_in(world, {OTHER}, "done")
        assert {one["id"] for one in await shell.json("apps")} == {*THREE, OTHER}

    async with recording_backend(apps=3, build_seconds=0.05, listing_delay=0.0) as first:
        one: dict[str, Any] = {"BRIDGE_DOKPLOY_URL": first.url, "BRIDGE_DOKPLOY_API_KEY": "a-key"}
        async with running_world(tmp_path / "data", **one):
            assert {one["id"] for one in await shell.json("apps")} == THREE
            assert [one["id"] for one in await shell.json("apps", "--gone")] == [OTHER]
            await shell.run("deploy", OTHER, code=4)
