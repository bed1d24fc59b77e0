"""A keeper of previews of its own for each test."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.worlds.preview_keeper import KeeperWorld, keeper_world


@pytest.fixture
def parts() -> dict[str, Any]:
    """What a test wants to be different."""
    return {}


@pytest.fixture
async def world(tmp_path: Path, parts: dict[str, Any]) -> AsyncIterator[KeeperWorld]:
    async with keeper_world(tmp_path / "world", **parts) as world:
        yield world
