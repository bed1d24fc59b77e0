"""Freezes: times in which nothing is deployed, in a time zone of people's choice.

A window's times are local. Where the clock is set back, an hour exists twice, and a freeze covers
both; where it is set forward, a time that does not exist begins early and ends late.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from bridge.core.errors import Rejected

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Closed = tuple[float, float | None]
"""When a freeze began, and when it ends; None if somebody has to end it."""


class Allowed(StrEnum):
    """The kinds of deployments that a freeze can let through."""

    PUSH = "push"
    MANUAL = "manual"
    REDEPLOY = "redeploy"
    ROLLBACK = "rollback"


EXCEPTIONS = (Allowed.MANUAL, Allowed.REDEPLOY, Allowed.ROLLBACK)
"""The values of `allow`. Pushes are not among them: they are what a freeze is for."""


@dataclass(frozen=True, slots=True)
class At:
    """A local time that repeats every day or week, or is unique.

    Attributes:
        minute: of the day, 0 to 1440.
        weekday: 0 is Monday; None for every day.
        day: the only day; None if it repeats.
    """

    minute: int
    weekday: int | None = None
    day: date | None = None


_AT = re.compile(
    r"(?:(?P<day>\d{4}-\d{2}-\d{2})[ T]|(?P<weekday>mon|tue|wed|thu|fri|sat|sun) )?"
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})",
    re.IGNORECASE,
)


def read_at(text: str) -> At:
    """Read "16:00", "fri 16:00" or "2026-12-23 18:00".

    Raises:
        Rejected: it is none of these.
    """
    found = _AT.fullmatch(text.strip())
    if found is None:
        raise Rejected(f'{text!r} is no time: write "16:00", "fri 16:00" or "2026-12-23 18:00"')
    minute = int(found["hour"]) * 60 + int(found["minute"])
    if minute > 1440 or int(found["minute"]) > 59:
        raise Rejected(f"{text!r} is no time of a day: hours go to 24:00, minutes to 59")
    weekday = DAYS.index(found["weekday"].lower()) if found["weekday"] else None
    try:
        day = date.fromisoformat(found["day"]) if found["day"] else None
    except ValueError:
        raise Rejected(f"{text!r} names a day that does not exist") from None
    return At(minute, weekday, day)


@dataclass(frozen=True, slots=True)
class Window:
    """Times that repeat, in one zone.

    Attributes:
        days: the weekdays on which a daily window begins; () for all.
        without: days on which no window begins.
    """

    begins: At
    ends: At
    zone: ZoneInfo
    days: tuple[int, ...] = ()
    without: frozenset[date] = frozenset()

    @property
    def endless(self) -> bool:
        """True if it begins again as soon as it ends."""
        whole = (self.begins, self.ends) == (At(0), At(1440))
        return whole and len(set(self.days)) in (0, len(DAYS)) and not self.without

    def closed(self, now: float) -> Closed | None:
        """Return the beginning and the end of the window around `now`, if there is one."""
        for began, ended in self._around(now):
            if began <= now < ended:
                return began, ended
        return None

    def between(self, first: float, last: float) -> list[tuple[float, float]]:
        """Return the windows of which some part lies between two times, oldest first."""
        return [one for one in self._from(first, last) if one[0] < last and one[1] > first]

    def _around(self, now: float) -> Iterator[tuple[float, float]]:
        """Yield the windows that may contain `now`, oldest first."""
        return self._from(now, now)

    def _from(self, first: float, last: float) -> Iterator[tuple[float, float]]:
        """Yield the windows that may lie between two times, oldest first."""
        if self.begins.day is not None:
            assert self.ends.day is not None
            yield (
                moment(self.begins.day, self.begins, self.zone),
                moment(self.ends.day, self.ends, self.zone, last=True),
            )
            return
        longest = 2 if self.begins.weekday is None else 8  # days, with a clock change
        day = datetime.fromtimestamp(first, self.zone).date() - timedelta(days=longest + 1)
        end = datetime.fromtimestamp(last, self.zone).date() + timedelta(days=1)
        while day < end:
            day += timedelta(days=1)
            if self._begins_on(day):
                yield (
                    moment(day, self.begins, self.zone),
                    moment(self._last_day(day), self.ends, self.zone, last=True),
                )

    def _begins_on(self, day: date) -> bool:
        if day in self.without:
            return False
        if self.begins.weekday is not None:
            return day.weekday() == self.begins.weekday
        return not self.days or day.weekday() in self.days

    def _last_day(self, first: date) -> date:
        """Return the day on which a window that begins on `first` ends."""
        if self.begins.weekday is None or self.ends.weekday is None:
            over = self.ends.minute <= self.begins.minute
            return first + timedelta(days=1 if over else 0)
        days = (self.ends.weekday - self.begins.weekday) % 7
        if days == 0 and self.ends.minute <= self.begins.minute:
            days = 7
        return first + timedelta(days=days)


def moment(day: date, at: At, zone: ZoneInfo, *, last: bool = False) -> float:
    """Return a local time in seconds since 1970: the first such moment, or the last.

    A time that does not exist lies between the two: an hour before it would be, and one after.
    """
    both = moments(day, at, zone)
    return max(both) if last else min(both)


def moments(day: date, at: At, zone: ZoneInfo) -> tuple[float, float]:
    """Return a local time by the clock before a change and by the one after; else it is one."""
    if at.minute == 1440:
        day, at = day + timedelta(days=1), At(0)
    local = datetime.combine(day, time(at.minute // 60, at.minute % 60), zone)
    return local.timestamp(), local.replace(fold=1).timestamp()


@dataclass(frozen=True, slots=True)
class Freeze:
    """A freeze of some apps: by windows of the settings, or by somebody's command.

    Attributes:
        name: identifies it among all freezes.
        apps: labels or globs over them; or scopes, for one by command.
        windows: one that repeats; empty for one by command, which holds from `at` to `until`.
        by: who declared it; "" for one of the settings.
    """

    name: str
    apps: tuple[str, ...]
    reason: str
    windows: tuple[Window, ...] = ()
    allow: frozenset[Allowed] = frozenset()
    by: str = ""
    at: float = 0.0
    until: float | None = None
    scope: str = ""
    label: str = field(default="", compare=False)

    def covers(self, label: str, scopes: Sequence[str]) -> bool:
        """Return whether it concerns an app with this label and these scopes."""
        from bridge.core.rules import label_matches  # which no start of a command must wait for

        if self.scope:
            return self.scope in scopes
        return any(label_matches(one, label) for one in self.apps)

    def closed(self, now: float) -> Closed | None:
        """Return when it began and when it ends, if it holds now.

        Windows that follow each other without a gap count as one.
        """
        if not self.windows:
            over = self.until is not None and now >= self.until
            return None if over or now < self.at else (self.at, self.until)
        found = self._window(now)
        if found is None:
            return None
        began, until = found
        if any(one.endless for one in self.windows):
            return began, None
        for _ in range(MOST_IN_A_ROW):
            if until is None or (following := self._window(until)) is None:
                break
            until = following[1]
        return began, until

    def between(self, first: float, last: float) -> list[Closed]:
        """Return when it holds between two times, oldest first; windows without a gap are one."""
        if not self.windows:
            over = self.until is not None and self.until <= first
            return [] if over or self.at >= last else [(self.at, self.until)]
        if any(one.endless for one in self.windows):
            return [(first, None)]
        joined: list[tuple[float, float]] = []
        for began, ended in sorted(
            each for one in self.windows for each in one.between(first, last)
        ):
            if joined and began <= joined[-1][1]:
                before = joined.pop()
                joined.append((before[0], max(ended, before[1])))
            else:
                joined.append((began, ended))
        return [*joined]

    def _window(self, now: float) -> Closed | None:
        found = [closed for one in self.windows if (closed := one.closed(now)) is not None]
        if not found:
            return None
        return min(began for began, _ in found), max(ended for _, ended in found if ended)

    @property
    def says(self) -> str:
        """The reason why it holds, in a sentence."""
        if self.by:
            verb = "are" if self.scope == "all" else "is"
            return f"{self.label or 'this'} {verb} frozen by {self.by}: {self.reason}"
        return f"frozen by `freezes`: {self.reason}"


MOST_IN_A_ROW = 400
"""Windows without a gap that are followed to find the end of a freeze: more than a year of days."""


def opens_at(freezes: Sequence[Freeze], now: float) -> float | None:
    """Return when none of these holds any more; None if somebody has to end one."""
    at = now
    for _ in range(MOST_IN_A_ROW):
        closed = [found for one in freezes if (found := one.closed(at)) is not None]
        if not closed:
            return at
        ends = [until for _, until in closed]
        if any(until is None for until in ends):
            return None
        at = max(until for until in ends if until is not None)
    return None
