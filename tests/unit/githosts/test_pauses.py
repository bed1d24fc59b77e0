"""How long a credential is left alone after its limit, and no other."""

import time

import pytest

from bridge.core.errors import Unreachable
from bridge.githosts.base.answers import Answer
from bridge.githosts.base.http import Pauses
from tests.fakes.journey import ManualClock

LIMITED = Answer(403, {}, {"message": "You have exceeded a secondary rate limit"})
WELL = Answer(200, {"x-ratelimit-remaining": "4000"}, {})


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def pauses(clock: ManualClock) -> Pauses:
    return Pauses("github", time.time, clock)


def paused(pauses: Pauses, account: str = "") -> float:
    """Seconds until a credential may be used again."""
    try:
        pauses.check(account)
    except Unreachable as error:
        return error.retry_after or 0.0
    return 0.0


def test_a_pause_without_a_time_doubles_until_an_answer_is_good(
    pauses: Pauses, clock: ManualClock
) -> None:
    seen = []
    for _ in range(9):
        pauses.heed("", LIMITED)
        seen.append(paused(pauses))
        clock.now += seen[-1]

    assert seen == [60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 3700.0, 3700.0, 3700.0]
    pauses.heed("", WELL)
    pauses.heed("", LIMITED)
    assert paused(pauses) == 60.0


def test_an_account_does_not_pause_for_another(pauses: Pauses) -> None:
    pauses.heed("installation 1", LIMITED)

    assert paused(pauses, "installation 1") == 60.0
    assert paused(pauses, "installation 2") == paused(pauses, "app") == 0.0


def test_answers_to_what_was_asked_before_neither_end_nor_double_a_pause(pauses: Pauses) -> None:
    for answer in (LIMITED, WELL, LIMITED, WELL):
        pauses.heed("", answer)

    assert paused(pauses) == 60.0


def test_a_clock_that_is_set_back_does_not_prolong_a_pause(clock: ManualClock) -> None:
    day = ManualClock()
    pauses = Pauses("github", day, clock)
    pauses.heed("", LIMITED)
    day.now -= 1800.0
    clock.now += 61.0

    assert paused(pauses) == 0.0
