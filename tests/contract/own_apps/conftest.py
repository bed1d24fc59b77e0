"""Each backend in which the bridge makes applications."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.worlds.own_apps import WORLDS, DokployMaking, Making


@pytest.fixture(params=WORLDS)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Making]:
    async with WORLDS[request.param](tmp_path) as world:
        yield world


@pytest.fixture
async def fake(tmp_path: Path) -> AsyncIterator[DokployMaking]:
    async with WORLDS["dokploy"](tmp_path) as world:
        assert isinstance(world, DokployMaking)
        yield world
