"""A stage of its own for each test."""

import pytest

from bridge.storage.journal import SqlJournal
from tests.fakes.journey import ManualClock
from tests.worlds.feedback_stage import Stage


@pytest.fixture
def stage(clock: ManualClock, journal: SqlJournal) -> Stage:
    return Stage(clock, journal)
