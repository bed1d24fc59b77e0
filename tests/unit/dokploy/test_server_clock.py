"""How far a server's clock is ahead of ours."""

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.backends.dokploy.server_clock import SAMPLES, ServerClock
from tests.fakes.journey import ManualClock


@given(ahead=st.floats(-1e6, 1e6), travelled=st.lists(st.floats(0, 30), min_size=1, max_size=90))
def test_it_never_counts_as_more_ahead_than_it_is(ahead: float, travelled: list[float]) -> None:
    clock = ManualClock()
    server = ServerClock(clock)
    for seconds in travelled:
        sent = formatdate(clock.now + ahead, usegmt=True)
        clock.now += seconds
        server.note({"date": sent})

    assert ahead - 1 - min(travelled[-SAMPLES:]) - 1e-3 <= server.ahead <= ahead + 1e-3


def test_a_clock_that_is_set_anew_is_believed_after_a_while() -> None:
    clock = ManualClock()
    server = ServerClock(clock)
    server.note({"date": formatdate(clock.now + 3600, usegmt=True)})
    for _ in range(SAMPLES):
        clock.now += 0.25
        server.note({"date": formatdate(clock.now, usegmt=True)})

    assert -0.5 <= server.ahead <= 0


@pytest.mark.parametrize(
    "headers", [{}, {"date": "yesterday"}, {"date": formatdate(9e9, usegmt=True), "age": "60"}]
)
def test_what_tells_no_time_changes_nothing(headers: dict[str, str]) -> None:
    server = ServerClock(ManualClock())
    server.note(headers)

    assert server.ahead == 0.0
