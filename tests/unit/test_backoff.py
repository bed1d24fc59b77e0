"""Backoff: pauses between retries."""

from bridge.core.backoff import Backoff
from bridge.core.errors import TooEarly, Unreachable


def test_pauses_grow_up_to_the_longest_or_are_as_the_other_side_asks() -> None:
    backoff = Backoff(1.0, 30.0)

    pauses = [backoff.pause(failures) for failures in (0, 1, 2, 5, 6, 10**9)]

    assert pauses == [1.0, 1.0, 2.0, 16.0, 30.0, 30.0]
    assert backoff.after(2, Unreachable("slack", "429", retry_after=90.0)) == 90.0
    assert backoff.after(2, TooEarly("slack", "its pace", retry_after=0.5)) == 0.5
    for no_time in (None, 0.0, -5.0):
        assert backoff.after(2, Unreachable("slack", "429", retry_after=no_time)) == 2.0
