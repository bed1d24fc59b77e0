"""Freezes in zones whose clocks change, and durations and times as people write them."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.errors import Rejected
from bridge.core.gates.freezes import DAYS, Freeze, Window, opens_at, read_at
from bridge.core.gates.times import read_moment
from bridge.core.words import read_duration
from tests.worlds.rows import each_row

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")
UTC = ZoneInfo("UTC")


"""In Berlin, 02:00 to 03:00 does not exist on this day."""


"""In Berlin, 02:00 to 03:00 exists twice on this day."""


def at(text: str, zone: ZoneInfo = UTC) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def window(begins: str, ends: str, zone: ZoneInfo = BERLIN, days: str = "") -> Window:
    named = tuple(DAYS.index(day) for day in days.split())
    return Window(read_at(begins), read_at(ends), zone, named)


def frozen(*windows: Window) -> Freeze:
    return Freeze("freezes[0]", ("*",), "a release", windows)


def test_a_weekly_freeze_of_nearly_a_week_holds_on_its_last_day() -> None:
    one = window("mon 08:00", "mon 07:00", UTC)

    assert one.closed(at("2026-11-30 06:59")) is not None
    assert one.closed(at("2026-11-30 07:30")) is None


def test_windows_without_a_gap_are_one_freeze() -> None:
    weekend = frozen(window("00:00", "24:00", days="sat sun"))

    closed = weekend.closed(at("2026-11-28 10:00", BERLIN))

    assert closed is not None
    assert closed[1] == at("2026-11-30 00:00", BERLIN)


def test_the_next_opening_is_behind_all_freezes() -> None:
    night = frozen(window("20:00", "08:00"))
    maintenance = frozen(window("07:00", "09:30"))

    assert opens_at([night, maintenance], at("2026-11-26 23:00", BERLIN)) == at(
        "2026-11-27 09:30", BERLIN
    )
    assert opens_at([night], at("2026-11-26 12:00", BERLIN)) == at("2026-11-26 12:00", BERLIN)
    by_hand = Freeze("incident", (), "an incident", at=0.0, by="ada", scope="all")
    assert opens_at([night, by_hand], at("2026-11-26 12:00", BERLIN)) is None


def test_a_day_without_the_freeze_is_open() -> None:
    one = Window(
        read_at("16:00"), read_at("18:00"), BERLIN, without=frozenset({date(2026, 11, 27)})
    )

    assert one.closed(at("2026-11-27 17:00", BERLIN)) is None
    assert one.closed(at("2026-11-28 17:00", BERLIN)) is not None


def test_the_hour_that_exists_twice_is_frozen_both_times() -> None:
    """It begins with the first 02:30 and ends with the last."""
    begins = window("02:30", "04:00")
    ends = window("01:00", "02:30")
    first = at("2026-10-25 00:30")  # 02:30 in summer
    second = at("2026-10-25 01:30")  # 02:30 in winter

    assert begins.closed(first) == (first, at("2026-10-25 03:00"))
    assert ends.closed(second - 1) == (at("2026-10-24 23:00"), second)
    assert ends.closed(second) is None


def test_a_time_that_does_not_exist_begins_early_and_ends_late() -> None:
    begins = window("02:30", "04:00")
    ends = window("01:00", "02:30")

    assert begins.closed(at("2027-03-28 00:30")) is not None  # 01:30 in winter
    assert ends.closed(at("2027-03-28 01:29")) is not None  # 03:29 in summer
    assert ends.closed(at("2027-03-28 01:30")) is None


TIMES = st.integers(0, 1439).map(lambda one: f"{one // 60}:{one % 60:02}")
MOMENTS = st.integers(0, 4 * 366 * 24 * 60).map(lambda minutes: at("2026-01-01") + 60 * minutes)
ZONES = st.sampled_from(
    [BERLIN, NEW_YORK, UTC, ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Asia/Kathmandu")]
)


@given(TIMES, TIMES, ZONES, MOMENTS)
def test_a_daily_freeze_is_what_a_clock_on_the_wall_says(
    begins: str, ends: str, zone: ZoneInfo, now: float
) -> None:
    """Away from changes of the clock, where the wall says each time once."""
    shows = datetime.fromtimestamp(now, zone)
    for hours in (-26, 26):
        other = datetime.fromtimestamp(now + hours * 3600, zone)
        if other.utcoffset() != shows.utcoffset():
            return
    minute = shows.hour * 60 + shows.minute
    first, last = read_at(begins).minute, read_at(ends).minute
    inside = first <= minute < last if first < last else minute >= first or minute < last

    assert (window(begins, ends, zone).closed(now) is not None) is inside


@given(TIMES, TIMES, ZONES, MOMENTS)
def test_the_periods_of_a_freeze_are_when_it_holds(
    begins: str, ends: str, zone: ZoneInfo, now: float
) -> None:
    one = frozen(window(begins, ends, zone), window("fri 16:00", "mon 08:00", zone))
    periods = one.between(now - 86_400, now + 3 * 86_400)

    for hours in range(-24, 72, 5):
        at = now + hours * 3600
        inside = any(began <= at < (ended or at + 1) for began, ended in periods)
        assert inside is (one.closed(at) is not None)


@given(TIMES, TIMES, ZONES, MOMENTS)
def test_a_freeze_ends_when_it_says_and_not_before(
    begins: str, ends: str, zone: ZoneInfo, now: float
) -> None:
    """Also across changes of the clock; else a held deployment would be looked at for ever."""
    one = frozen(window(begins, ends, zone))
    if (closed := one.closed(now)) is None or begins == ends:
        return
    began, until = closed
    assert until is not None
    # Two windows meet where the clock is set back in the gap between them.
    assert began <= now < until <= now + timedelta(days=3).total_seconds()
    assert one.closed(until - 0.001) is not None
    assert one.closed(until) is None


@each_row(
    ("text", "says"),
    [
        ("noon", "no time"),
        ("25:00", "hours go to 24:00"),
        ("10:60", "minutes to 59"),
        ("24:01", "hours go to 24:00"),
        ("2026-02-30 10:00", "does not exist"),
        ("someday 10:00", "no time"),
    ],
)
def test_what_is_no_time_is_named(text: str, says: str) -> None:
    with pytest.raises(Rejected, match=says):
        read_at(text)


# ── durations and times as people write them ───────────────────────────────────


NOW = datetime(2026, 11, 27, 12, 0, tzinfo=BERLIN).timestamp()  # a Friday


@each_row(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("10m", 600), ("2h30m", 9000), ("1.5h", 5400), ("1d", 86_400)],
)
def test_durations(text: str, seconds: float) -> None:
    assert read_duration(text) == seconds


GAP, TWICE = "2027-03-28 02:30", "2027-10-31 02:30"


@each_row(
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
