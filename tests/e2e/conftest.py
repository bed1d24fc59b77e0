"""Fixtures of the end-to-end tier."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.worlds.bridge import Origin, World, running_world
from tests.worlds.cli import cli
from tests.worlds.doors import door, opened
from tests.worlds.embedded import Repository
from tests.worlds.hosts import host, pem

__all__ = ["cli", "door", "host", "opened", "pem"]


def pytest_itemcollected(item: pytest.Item) -> None:
    """Leave all but the journeys to `make test-all`."""
    if item.get_closest_marker("journey") is None:
        item.add_marker("extended")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A running bridge with the embedded backend inside."""
    async with running_world(tmp_path / "bridge") as running:
        yield running


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    """A repository with a site in `web/` and some documents."""
    files = {"web/index.html": "<h1>first</h1>", "docs/read.md": "read me"}
    return Origin(Repository.make(tmp_path / "origin", files))
