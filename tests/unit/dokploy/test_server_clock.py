"""How far a server's clock is ahead of ours."""

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.backends.dokploy.key_check import ServerClock
from bridge.ports.clock import RATE
from tests.fakes.journey import ManualClock

drifts = st.lists(
    st.tuples(st.floats(0.05, 30.0), st.floats(-RATE, RATE), st.floats(0.0, 5.0)),
    min_size=1,
    max_size=60,
)
"""Of each answer: seconds since the one before, how our clock went meanwhile, how long it took."""


def ahead_of(server: ServerClock, moment: float) -> float:
    """How far it is ahead, which is known by now."""
    ahead = server.ahead(moment)
    assert ahead is not None
    return ahead


@given(ahead=st.floats(-1e6, 1e6), drifts=drifts)
def test_it_never_counts_as_more_ahead_than_it_was(
    ahead: float, drifts: list[tuple[float, float, float]]
) -> None:
    clock, theirs = ManualClock(), 1_800_000_000.0
    clock.now = theirs - ahead
    server, moments = ServerClock(clock), []
    for seconds, drift, took in drifts:
        sent = formatdate(theirs + seconds, usegmt=True)
        theirs += seconds + took
        clock.now += (seconds + took) * (1 + drift)
        server.note({"date": sent})
        moments.append((clock.now, theirs - clock.now))

    for moment, real in moments:
        assert ahead_of(server, moment) <= real + 1e-3


def test_it_is_known_to_a_second_at_the_moment_of_an_answer() -> None:
    clock = ManualClock()
    server = ServerClock(clock)
    for _ in range(20):
        clock.now += 0.3
        server.note({"date": formatdate(clock.now + 3600, usegmt=True)})

    assert 3599 <= ahead_of(server, clock.now) <= 3600


@pytest.mark.parametrize("by", [3600.0, -3600.0])
def test_a_clock_that_is_set_anew_is_believed_at_once(by: float) -> None:
    clock = ManualClock()
    server = ServerClock(clock)
    for _ in range(50):
        clock.now += 0.25
        server.note({"date": formatdate(clock.now, usegmt=True)})
    clock.now += 0.25
    server.note({"date": formatdate(clock.now + by, usegmt=True)})

    assert by - 1 <= ahead_of(server, clock.now) <= by


def test_a_clock_that_is_set_forward_changes_nothing_of_what_was() -> None:
    clock = ManualClock()
    server = ServerClock(clock)
    server.note({"date": formatdate(clock.now, usegmt=True)})
    moment = clock.now + 0.5
    clock.now += 2.0
    server.note({"date": formatdate(clock.now + 3600, usegmt=True)})

    assert -1 <= ahead_of(server, moment) <= 0


@pytest.mark.parametrize(
    "headers", [{}, {"date": "yesterday"}, {"date": formatdate(9e9, usegmt=True), "age": "60"}]
)
def test_what_tells_no_time_changes_nothing(headers: dict[str, str]) -> None:
    server = ServerClock(ManualClock())
    server.note(headers)

    assert server.ahead(0.0) is None
