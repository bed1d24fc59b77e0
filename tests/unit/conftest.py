"""What most of what is remembered is tested with."""

from collections.abc import AsyncIterator

import pytest

from bridge.stores.journal import SqlJournal
from tests.fakes.journey import ManualClock, journal_in_memory


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def journal(clock: ManualClock) -> AsyncIterator[SqlJournal]:
    journal = journal_in_memory(clock)
    yield journal
    await journal.stop()
