"""Backoff: pauses between retries."""

import pytest

from bridge.core.backoff import Backoff
from bridge.core.errors import Refused, TooEarly, Unreachable
from tests.worlds.rows import each_row


@each_row(
    ("failures", "pause"), [(0, 1.0), (1, 1.0), (2, 2.0), (5, 16.0), (6, 30.0), (10**9, 30.0)]
)
def test_pauses_grow_up_to_the_longest(failures: int, pause: float) -> None:
    assert Backoff(1.0, 30.0).pause(failures) == pause


def test_the_other_side_may_ask_for_another_pause() -> None:
    backoff = Backoff(1.0, 30.0)

    assert backoff.after(2, Unreachable("slack", "429", retry_after=90.0)) == 90.0
    assert backoff.after(2, TooEarly("slack", "its pace", retry_after=0.5)) == 0.5
    assert backoff.after(2, Unreachable("slack", "ConnectError")) == 2.0
    assert backoff.after(2, Refused("slack", "no")) == 2.0


@pytest.mark.parametrize("asked", [0.0, -5.0])
def test_no_time_at_all_is_no_pause_that_anybody_may_ask_for(asked: float) -> None:
    assert Backoff(1.0, 30.0).after(1, Unreachable("slack", "429", retry_after=asked)) == 1.0
