"""Times of day as people write them."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

from bridge.core.errors import Rejected
from bridge.core.gates.freezes import At, moment, moments, read_at

FARTHEST = 366 * 86_400.0
"""Seconds by which a time may lie ahead."""

_DAYS = timedelta(seconds=FARTHEST).days
_NEARER = "name an earlier time"


def read_zone(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name, e.g. "Europe/Berlin".

    Raises:
        Rejected: there is none of that name.
    """
    if name not in available_timezones():
        raise Rejected(f"{name!r} is no time zone: write an IANA name, e.g. Europe/Berlin or UTC")
    return ZoneInfo(name)


def read_moment(text: str, now: float, zone: ZoneInfo, *, ends: bool = False) -> float:
    """Return the next time that somebody means, in seconds since 1970.

    "18:00", "fri 18:00" or "2026-12-01 18:00", each with a zone if not `zone`:
    "22:00 Europe/Berlin". Where the clock is set back, a time is the first of its name; where it is
    set forward, one that does not exist is as much later.

    Args:
        ends: something ends then, so the last of its name is meant: nothing opens early.

    Raises:
        Rejected: it can't be read, is past, or too far ahead.
    """
    when, named = _zone_in(text, zone)
    at = read_at(when)
    try:
        found = _next(at, now, named, ends=ends)
    except (OverflowError, ValueError):
        raise Rejected(f"{text!r} is too far away: {_NEARER}") from None
    if found <= now:
        raise Rejected(f"{text!r} is in the past: name a future time")
    if found - now > FARTHEST:
        raise Rejected(f"{text!r} is more than {_DAYS} days ahead: {_NEARER}")
    return found


def zone_in(text: str, zone: ZoneInfo) -> ZoneInfo:
    """Return the zone that a time for `read_moment` names, or else `zone`."""
    return _zone_in(text, zone)[1]


def _zone_in(text: str, zone: ZoneInfo) -> tuple[str, ZoneInfo]:
    said, _, last = text.strip().rpartition(" ")
    return (said, read_zone(last)) if said and not last[0].isdigit() else (text, zone)


def _next(at: At, now: float, zone: ZoneInfo, *, ends: bool) -> float:
    if at.day is not None:
        return _moment(at.day, at, zone, ends=ends)
    today = datetime.fromtimestamp(now, zone).date()
    # The days from today on a week ahead on which such a time may be.
    ahead = (today + timedelta(days=number) for number in range(9))
    days = [day for day in ahead if at.weekday in (None, day.weekday())]
    return min(found for day in days if (found := _moment(day, at, zone, ends=ends)) > now)


def _moment(day: date, at: At, zone: ZoneInfo, *, ends: bool) -> float:
    return moment(day, at, zone, last=True) if ends else moments(day, at, zone)[0]


def in_words(at: float, zone: ZoneInfo) -> str:
    """Return a moment in a zone, e.g. "Mon 2026-11-30 08:00 Europe/Berlin"."""
    return f"{datetime.fromtimestamp(at, zone):%a %Y-%m-%d %H:%M} {zone.key}"


def in_zones(at: float, zone: ZoneInfo) -> str:
    """Return a moment in a zone, and by UTC."""
    utc = in_words(at, _UTC)
    return utc if zone == _UTC else f"{in_words(at, zone)} ({utc})"


_UTC = ZoneInfo("UTC")
