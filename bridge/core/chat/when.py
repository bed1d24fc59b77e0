"""When, in the words of a command: `for 2h`, `until fri 18:00 Europe/Berlin`, `at 22:00`. Pure.

A lock may also last `until merge of #12`.

A reason may begin with the same words ("for the release"), so only what begins with a number or a
day is taken for a time.
"""

import difflib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from bridge.core.errors import Rejected
from bridge.core.gates.freezes import DAYS, read_at
from bridge.core.gates.locks import PullName, pull_named
from bridge.core.gates.times import FARTHEST, read_moment, zone_in
from bridge.core.words import read_duration

FOR, UNTIL, AT = "for", "until", "at"
MERGE = "merge"
_KINDS = {"for": FOR, "until": UNTIL, "till": UNTIL, "at": AT}

UTC = ZoneInfo("UTC")
"""The zone of a time without one."""

_UNITS = {
    **dict.fromkeys(("second", "seconds", "sec", "secs"), "s"),
    **dict.fromkeys(("minute", "minutes", "min", "mins"), "m"),
    **dict.fromkeys(("hour", "hours", "hr", "hrs"), "h"),
    **dict.fromkeys(("day", "days"), "d"),
    **dict.fromkeys(("week", "weeks"), "w"),
    **{unit: unit for unit in "smhdw"},
}
_WEEKDAYS = dict(
    zip(
        ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
        DAYS,
        strict=True,
    )
) | {day: day for day in DAYS}
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_WHOLE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9]{1,2}:[0-9]{2})", re.IGNORECASE)
_NOT_YET = frozenset({"tomorrow", "today", "tonight", "noon", "midnight", "next"})
"""Words that surely mean a time, but not which."""

_SHORT = frozenset({"UTC", "GMT", "CET", "EET", "MET", "WET", "EST", "MST", "HST"})
_UNSURE = ("BST", "CDT", "CEST", "CST", "EDT", "EEST", "IST", "JST", "MDT", "PDT", "PST")
"""Abbreviations that people use, which name several zones or none."""

_AREAS = ("africa", "america", "antarctica", "asia", "atlantic", "australia", "europe", "pacific")
"""Parts of the world, which begin the name of a zone and not of an app."""


@dataclass(frozen=True, slots=True)
class When:
    """A time as typed, and the number of words that it takes."""

    text: str
    words: int


def when_in(words: Sequence[str], kinds: Collection[str]) -> When | None:
    """Return the time with which words begin; None if they begin with something else.

    Args:
        kinds: those of `FOR`, `UNTIL`, `AT` and `MERGE` that are possible here.

    Raises:
        Rejected: they surely mean a time, but which can't be told.
    """
    kind = _KINDS.get(words[0].lower()) if words else None
    if kind is None or kind not in kinds:
        return None
    if kind == UNTIL and MERGE in kinds and (merge := _merge(words[1:])) is not None:
        return merge
    found = _duration(words[1:]) if kind == FOR else _moment(words[1:])
    return None if found is None else When(f"{kind} {found.text}", found.words + 1)


_UNTIL_MERGE = f"{UNTIL} merge of "


def _merge(words: Sequence[str]) -> When | None:
    """Return "merge of #12", also as "merge #12" or "#12 is merged"; None if it is none."""
    said = [word.lower().rstrip(",:") for word in words[:3]]
    begins = 2 if said[:2] == ["merge", "of"] else 1 if said[:1] == ["merge"] else 0
    if len(words) <= begins or pull_named(name := words[begins].rstrip(",:")) is None:
        return None
    taken = begins + 1
    if not begins:
        if said[1:3] != ["is", "merged"]:
            return None
        taken = 3
    return When(f"{_UNTIL_MERGE}{name}", 1 + taken)


def merge_in(when: str | None) -> PullName | None:
    """Return the pull request that a time of `when_in` means; None if it means a time."""
    said = when or ""
    return pull_named(said.removeprefix(_UNTIL_MERGE)) if said.startswith(_UNTIL_MERGE) else None


def _duration(words: Sequence[str]) -> When | None:
    if not words or not words[0][:1].isdigit():
        return None
    amount, taken = words[0].lower().rstrip(",:"), 1
    if (
        amount.isdecimal()
        and len(words) > 1
        and (unit := _UNITS.get(words[1].lower().rstrip(",:")))
    ):
        amount, taken = amount + unit, 2
    amount = re.sub(r"[a-z]+", lambda found: _UNITS.get(found[0], found[0]), amount)
    if amount.isdecimal():
        raise Rejected(f"{words[0]!r} is no duration: write e.g. 90s, 10m, 2h or 1d")
    read_duration(amount)
    return When(amount, taken)


def _moment(words: Sequence[str]) -> When | None:
    first = words[0].lower().rstrip(",") if words else ""
    if (whole := _WHOLE.fullmatch(first)) is not None:
        return _zoned(f"{whole[1]} {whole[2]}", words, 1)
    day = _WEEKDAYS.get(first, first if _DATE.fullmatch(first) else "")
    if day:
        clock = words[1].rstrip(",") if len(words) > 1 else ""
        if not clock[:1].isdigit():
            raise Rejected(f'{words[0]!r} names no time of the day: write e.g. "{day} 18:00"')
        return _zoned(f"{day} {clock}", words, 2)
    if first in _NOT_YET or first[:1].isdigit():
        return _zoned(first, words, 1)
    return None


def _zoned(text: str, words: Sequence[str], taken: int) -> When:
    """Return a time with the zone that follows it, if one does."""
    read_at(text)
    zone = _zone(words[taken].rstrip(",.:")) if len(words) > taken else None
    return When(text, taken) if zone is None else When(f"{text} {zone}", taken + 1)


def _zone(word: str) -> str | None:
    """Return the name of the zone that a word means; None if it means none."""
    if word.upper() in ("UTC", "GMT") or word in _SHORT:
        return word.upper()
    area, slash, _ = word.partition("/")
    if slash and (zone := _zones().get(word.lower())) is not None:
        return zone
    if word in _UNSURE or (slash and area.lower() in _AREAS):
        near = difflib.get_close_matches(word.lower(), _zones(), n=1)
        meant = _zones()[near[0]] if slash and near else "Europe/Berlin"
        raise Rejected(f"{word!r} is no time zone: write an IANA name, e.g. {meant} or UTC")
    return None


@cache
def _zones() -> dict[str, str]:
    return {name.lower(): name for name in available_timezones()}


# ── what is meant, once the time is known ───────────────────────────────────────────────────────


def ends_at(when: str, now: float) -> float:
    """Return the moment that a time of `when_in` means, in seconds since 1970.

    Raises:
        Rejected: it is past, or too far ahead.
    """
    kind, _, text = when.partition(" ")
    if kind != FOR:
        return read_moment(text, now, UTC, ends=kind == UNTIL)
    at = now + read_duration(text)
    if at - now > FARTHEST:
        days = timedelta(seconds=FARTHEST).days
        raise Rejected(f"{text!r} is more than {days} days ahead: name an earlier time")
    return at


def zone_of(when: str | None) -> ZoneInfo:
    """Return the zone that was typed with a time, or UTC."""
    timed = when and not when.startswith(FOR) and not merge_in(when)
    return zone_in(when or "", UTC) if timed else UTC
