"""`/setup` by HTTP, and a GitHub beside it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.app.storage import open_stores
from bridge.settings import read_settings
from tests.fakes.github import FakeGithub
from tests.worlds.setup_page import Door


@pytest.fixture
def environment() -> dict[str, str]:
    return {"BRIDGE_PUBLIC_URL": "https://bridge.example.com"}


@pytest.fixture
async def door(tmp_path: Path, environment: dict[str, str]) -> AsyncIterator[Door]:
    data = tmp_path / "data"
    given = read_settings(None, {"BRIDGE_DATA": str(data)})
    async with open_stores(given) as stores:
        made = Door(data, stores.journal, environment)
        await made.open()
        yield made
        await made.close()
        for backend in made.backends.values():
            await backend.close()


@pytest.fixture
async def github(door: Door, pem: str) -> AsyncIterator[FakeGithub]:
    async with FakeGithub() as fake:
        fake.apps.pem = pem
        door.environment["BRIDGE_GITHUB_API_URL"] = fake.url
        await door.open()
        yield fake
