"""Numbers, lists and durations, as every sentence says them and as people write them."""

import re
from collections.abc import Sequence

from bridge.core.errors import Rejected

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smhdw]\s*)+")
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


def many(number: int, noun: str) -> str:
    """Return a count, e.g. "1 file", "3 files"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def some(names: Sequence[str], most: int) -> str:
    """Return the first of some names, e.g. "web, api and 3 more"."""
    shown, more = ", ".join(names[:most]), len(names) - most
    return f"{shown} and {more} more" if more > 0 else shown


def for_people(seconds: float) -> str:
    """Return a duration in the largest unit of which there are two, e.g. "90 minutes"."""
    for unit, length in (("days", 86_400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.4g} {unit}"
    return f"{seconds:.4g} s"


def read_duration(text: str) -> float:
    """Return the seconds of "90s", "10m", "2h30m", "1d" or a plain number of seconds.

    Raises:
        Rejected: it is none of these.
    """
    said = text.strip().lower()
    if said.isdecimal():
        return float(said)
    if not _DURATION.fullmatch(said):
        raise Rejected(f"{text!r} is no duration: write e.g. 90s, 10m, 2h or 1d")
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(said))
