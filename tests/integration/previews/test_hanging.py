"""A backend or a Git host that hangs holds up its own previews, and no others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from bridge.backends.dokploy.client import Dokploy
from bridge.core.previews.preview import PreviewState
from bridge.pipeline.background import PATIENCE
from tests.chaos.dokploy.faults import says_nothing
from tests.fakes.dokploy_building import BuildingDokploy
from tests.worlds.embedded import until
from tests.worlds.own_apps import furnished_dokploy
from tests.worlds.preview_keeper import POLICY, KeeperWorld, keeper_world

PROMPTLY = 30.0
"""Seconds, on a busy machine; what hangs does so for longer than the test lasts."""

SLOW = "slow"


@asynccontextmanager
async def beside_one_that_hangs(folder: Path) -> AsyncIterator[KeeperWorld]:
    """Run a keeper with a second Dokploy, which has answered until now."""
    server = BuildingDokploy(first=1000)
    async with furnished_dokploy(server) as making:
        slow = Dokploy(making.proxy.url, server.key, name=SLOW, read_timeout=600, total_timeout=600)
        policy = replace(POLICY, limit=100, host=None)  # both have an app of the same name
        parts: dict[str, Any] = {"policy": policy, "limit": 200, "patience": PATIENCE}
        async with keeper_world(folder, more={SLOW: slow}, **parts) as world:
            making.proxy.always["project.all"] = says_nothing(arrives=False)
            running = asyncio.create_task(world.keeper.run())
            try:
                yield world
            finally:
                running.cancel()
                await asyncio.wait([running])
                await slow.close()


async def up(world: KeeperWorld, *numbers: int) -> None:
    """Wait until previews are up at the backend that works."""

    async def those() -> set[int]:
        rows = await world.journal.previews()
        return {one.pull.number for one in rows if one.state is PreviewState.UP}

    await until(those, lambda found: found >= {*numbers}, patience=PROMPTLY)


async def test_a_backend_that_hangs_does_not_hold_up_another(tmp_path: Path) -> None:
    async with beside_one_that_hangs(tmp_path / "world") as world:
        await world.tell(1)
        await up(world, 1)

        await world.tell(2)
        await up(world, 2)
        await world.tell(1, open=False)
        await until(world.rows, lambda rows: rows[1].state is PreviewState.ENDING)

        assert {one.backend for one in await world.journal.previews()} == {"dokploy", SLOW}
    assert not [task for task in asyncio.all_tasks() if "lane" in task.get_name()]
