"""What most of what is remembered is tested with.

It is imported where it is used: the process that hands out tests to others uses none of it.
"""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bridge.storage.journal import SqlJournal
    from tests.fakes.journey import ManualClock


@pytest.fixture
def clock() -> "ManualClock":
    from tests.fakes.journey import ManualClock

    return ManualClock()


@pytest.fixture
async def journal(clock: "ManualClock") -> "AsyncIterator[SqlJournal]":
    from tests.fakes.journey import journal_in_memory

    journal = journal_in_memory(clock)
    yield journal
    await journal.stop()
