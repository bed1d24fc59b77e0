"""The sections of gates: the checks to wait for, and freezes."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Annotated, ParamSpec, Self, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from bridge.core.checks import CheckPolicy, Need, Otherwise
from bridge.core.errors import Rejected
from bridge.core.gates.freezes import DAYS, EXCEPTIONS, Allowed, Freeze, Window, read_at
from bridge.core.gates.times import read_zone
from bridge.core.words import read_duration
from bridge.ports.settings import AppPattern, Section, as_list

P = ParamSpec("P")
R = TypeVar("R")


def as_value_error(check: Callable[P, R]) -> Callable[P, R]:
    """Return a check of the core that raises ValueError, as pydantic expects, for Rejected."""

    def checked(*args: P.args, **named: P.kwargs) -> R:
        try:
            return check(*args, **named)
        except Rejected as error:
            raise ValueError(str(error)) from None

    return checked


def checked(check: Callable[[str], object]) -> AfterValidator:
    """Return a mark for texts that a check of the core must let pass."""

    def passed(value: str) -> str:
        as_value_error(check)(value)
        return value

    return AfterValidator(passed)


def as_seconds(value: object) -> object:
    """Return a duration such as "10m" in seconds."""
    return as_value_error(read_duration)(value) if isinstance(value, str) else value


Seconds = Annotated[float, BeforeValidator(as_seconds)]
"""Seconds, also as "90s", "10m" or "2h"."""


def as_checks(value: object) -> object:
    """Return `checks: required`, `all` or a list of names as a section."""
    return {"need": value} if isinstance(value, str | list | tuple) else value


def _as_need(value: object) -> object:
    if isinstance(value, str) and value not in list(Need):
        return [value]
    return value


class Checks(Section):
    """The checks of a commit that a deployment waits for."""

    need: Annotated[Need | tuple[str, ...], BeforeValidator(_as_need)] = Field(
        Need.REQUIRED,
        description="required (by the branch's protection; without any, all), all, or names",
    )
    names: Annotated[tuple[str, ...], BeforeValidator(as_list)] = Field(
        (),
        description="checks of certain apps, as APP/NAME, instead of `need`; a status of the same"
        " name does not count",
    )
    ignore: Annotated[tuple[str, ...], BeforeValidator(as_list)] = Field(
        (), description="checks that never count; names or globs"
    )
    none_after: Seconds = Field(90.0, ge=0, description="how long to wait for a first check")
    none: Otherwise = Field(Otherwise.DEPLOY, description="what then: deploy or hold")
    timeout: Seconds = Field(3600.0, gt=0, description="how long to wait for pending checks")
    late: Otherwise = Field(Otherwise.HOLD, description="what then: deploy or hold")

    @field_validator("need")
    @classmethod
    def _named(cls, value: Need | tuple[str, ...]) -> Need | tuple[str, ...]:
        if not value or not all(value):
            raise ValueError("name the checks to wait for, or write required or all")
        return value

    @field_validator("names")
    @classmethod
    def _are_of_apps(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            app, _, name = one.partition("/")
            if not app or not name:
                raise ValueError(
                    f"{one!r} names no app: write APP/NAME, or name checks of whomever in `need`"
                )
        return value

    def policy(self) -> CheckPolicy:
        names = () if isinstance(self.need, Need) else self.need
        need = self.need if isinstance(self.need, Need) else Need.ALL
        others = self.model_dump(exclude={"need", "names"})
        return CheckPolicy(need, names, of_apps=self.names, **others)


def _as_time(value: object) -> object:
    """Return a time as YAML may have read it: 16:00 without quotes is a number there."""
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    return f"{value // 60}:{value % 60:02}"


class FreezeRule(Section):
    """Times in which some apps are not deployed."""

    apps: Annotated[tuple[AppPattern, ...], BeforeValidator(as_list)] = Field(
        ("*",), description="labels or globs over them; * is every app"
    )
    reason: str = Field(min_length=1, description="why, for people")
    begins: Annotated[str, BeforeValidator(_as_time), checked(read_at)] = Field(
        alias="from", description='"16:00", "fri 16:00" or "2026-12-23 18:00"'
    )
    ends: Annotated[str, BeforeValidator(_as_time), checked(read_at)] = Field(
        alias="to", description='as `from`; "24:00" ends with the day'
    )
    tz: Annotated[str, checked(read_zone)] = Field(
        "UTC", description="an IANA time zone, e.g. Europe/Berlin"
    )
    days: Annotated[tuple[str, ...], BeforeValidator(as_list)] = Field(
        (), description="the days on which a daily freeze begins: mon, tue, …; by default all"
    )
    without: Annotated[tuple[date, ...], BeforeValidator(as_list)] = Field(
        (), alias="except", description="dates on which it does not begin"
    )
    allow: Annotated[tuple[Allowed, ...], BeforeValidator(as_list)] = Field(
        (), description="what passes: manual, redeploy, rollback"
    )

    @field_validator("days")
    @classmethod
    def _are_days(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        short = tuple(one.lower()[:3] for one in value)
        for one, said in zip(short, value, strict=True):
            if one not in DAYS:
                raise ValueError(f"{said!r} is no day: write {', '.join(DAYS)}")
        return short

    @field_validator("allow")
    @classmethod
    def _are_exceptions(cls, value: tuple[Allowed, ...]) -> tuple[Allowed, ...]:
        if Allowed.PUSH in value:
            raise ValueError(f"a freeze always holds pushes; allow {', '.join(EXCEPTIONS)}")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        begins, ends = read_at(self.begins), read_at(self.ends)
        if (begins.day is None, begins.weekday is None) != (ends.day is None, ends.weekday is None):
            raise ValueError(
                f"from {self.begins!r} and to {self.ends!r} are of different kinds: write both as"
                ' "16:00", both as "fri 16:00" or both as "2026-12-23 18:00"'
            )
        if self.days and (begins.day is not None or begins.weekday is not None):
            raise ValueError(f"`days` is for daily freezes; from {self.begins!r} names its day")
        for day in filter(None, (begins.day, ends.day)):
            if not NEAR[0] <= day.year <= NEAR[1]:
                raise ValueError(f"{day} is too far away: name a day from {NEAR[0]} to {NEAR[1]}")
        if begins == ends:
            raise ValueError(
                f"from and to are both {self.begins!r}, so it would never end: a whole day is"
                ' from "00:00" to "24:00"'
            )
        if begins.day and ends.day and (begins.day, begins.minute) > (ends.day, ends.minute):
            raise ValueError(f"it would end ({self.ends}) before it begins ({self.begins})")
        return self

    def freeze(self, number: int) -> Freeze:
        """Return what it means to the core; `number` is its place in the list."""
        window = Window(
            read_at(self.begins),
            read_at(self.ends),
            read_zone(self.tz),
            tuple(DAYS.index(one) for one in self.days),
            frozenset(self.without),
        )
        return Freeze(
            f"freezes[{number}]", self.apps, self.reason, (window,), frozenset(self.allow)
        )


NEAR = (2000, 2100)
"""The years that a freeze may name."""


def freezes_of(rules: Sequence[FreezeRule]) -> list[Freeze]:
    """Return the freezes of the settings."""
    return [rule.freeze(number) for number, rule in enumerate(rules)]
