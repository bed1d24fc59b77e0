"""A clock to set, and worlds that remember as long as a test runs."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.embedded.server import EmbeddedServer
from bridge.storage.journal import SqlJournal
from tests.fakes.journey import ManualClock
from tests.worlds.embedded import Maker, maker_of
from tests.worlds.gates import GateWorld
from tests.worlds.hosts import pem
from tests.worlds.journal import journal_in_memory

__all__ = ["pem"]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def journal(clock: ManualClock) -> AsyncIterator[SqlJournal]:
    journal = journal_in_memory(clock)
    yield journal
    await journal.stop()


@pytest.fixture
async def world() -> AsyncIterator[GateWorld]:
    made = GateWorld()
    yield made
    await made.journal.stop()


@pytest.fixture
async def maker(tmp_path: Path) -> AsyncIterator[Maker]:
    """The embedded backend, which makes apps."""
    async with EmbeddedServer(tmp_path / "data") as server, maker_of(server) as made:
        yield made
