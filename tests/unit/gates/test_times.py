"""Durations and times as people write them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from bridge.core.errors import Rejected
from bridge.core.gates.times import (
    in_words,
    read_moment,
    read_zone,
)
from bridge.core.words import for_people, read_duration

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 27, 12, 0, tzinfo=BERLIN).timestamp()  # a Friday


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("10m", 600), ("2h30m", 9000), ("1.5h", 5400), ("1d", 86_400)],
)
def test_durations(text: str, seconds: float) -> None:
    assert read_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "2 hours or so", "-5m", "5x"])
def test_what_is_no_duration_is_named(text: str) -> None:
    with pytest.raises(Rejected, match="no duration"):
        read_duration(text)


@pytest.mark.parametrize(
    ("text", "day", "hour"),
    [
        ("18:00", 27, 18),
        ("11:00", 28, 11),
        ("sat 09:00", 28, 9),
        ("fri 12:00", 4, 12),
        ("2026-11-30 08:00", 30, 8),
        ("16:00 America/New_York", 27, 22),
    ],
)
def test_the_next_such_moment(text: str, day: int, hour: int) -> None:
    found = datetime.fromtimestamp(read_moment(text, NOW, BERLIN), BERLIN)

    assert (found.day, found.hour, found.minute) == (day, hour, 0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("2026-11-27 11:59", "is in the past"),
        ("9999-12-31 24:00", "too far away"),
        ("2028-12-01 00:00", "more than 366 days ahead"),
        ("0001-01-01 00:00", "is in the past|too far away"),
        ("18:00 Mars/Olympus", "no time zone"),
        ("tomorrow", "no time"),
    ],
)
def test_what_is_no_time_to_come_is_named(text: str, says: str) -> None:
    with pytest.raises(Rejected, match=says):
        read_moment(text, NOW, BERLIN)


def test_moments_name_their_zone() -> None:
    assert in_words(NOW, read_zone("Europe/Berlin")) == "Fri 2026-11-27 12:00 Europe/Berlin"


GAP, TWICE = "2027-03-28 02:30", "2027-10-31 02:30"


@pytest.mark.parametrize(
    ("text", "ends", "utc"),
    [
        (GAP, False, "2027-03-28 01:30"),  # 03:30 there: never before the time that was named
        (GAP, True, "2027-03-28 01:30"),
        (TWICE, False, "2027-10-31 00:30"),
        (TWICE, True, "2027-10-31 01:30"),  # a freeze covers both hours
    ],
)
def test_where_clocks_change_nothing_opens_early(text: str, ends: bool, utc: str) -> None:
    found = read_moment(text, NOW, BERLIN, ends=ends)

    assert datetime.fromtimestamp(found, UTC).strftime("%Y-%m-%d %H:%M") == utc


def test_an_end_that_exists_twice_is_the_second_one_also_between_them() -> None:
    between = datetime(2027, 10, 31, 1, 0, tzinfo=UTC).timestamp()

    assert read_moment("02:30", between, BERLIN, ends=True) - between == 1800


@pytest.mark.parametrize(
    ("seconds", "says"),
    [(5, "5 s"), (90, "90 s"), (600, "10 minutes"), (3600, "60 minutes"), (172_800, "2 days")],
)
def test_durations_are_short(seconds: float, says: str) -> None:
    assert for_people(seconds) == says
