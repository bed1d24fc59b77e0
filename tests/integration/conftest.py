"""A clock to set, and a journal that remembers as long as a test runs."""

from collections.abc import AsyncIterator

import pytest

from bridge.storage.journal import SqlJournal
from tests.fakes.journey import ManualClock
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
