"""A stage of its own for each test."""

from collections.abc import AsyncIterator

import pytest

from tests.fakes.journey import ManualClock, journal_in_memory
from tests.worlds.feedback_stage import Stage


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def stage(clock: ManualClock) -> AsyncIterator[Stage]:
    journal = journal_in_memory(clock)
    yield Stage(clock, journal)
    await journal.stop()
