"""Who may do what by chat."""

import re

from pydantic import Field, field_validator

from bridge.core.access import EVERYONE, Right
from bridge.settings.values import Section

_WHO = re.compile(r"[UWS][A-Z0-9]{2,}|@[\w-]+(\.[\w-]+)+")
_CHANNEL = re.compile(r"[CGD][A-Z0-9]{2,}")


class Grant(Section):
    """What some people may do by chat; what no grant allows is refused."""

    who: tuple[str, ...] = Field(
        description="user ids (U…), user groups (S…), email domains (@example.com), or everyone"
    )
    may: tuple[Right, ...] = Field(description="view, deploy, cancel, configure")
    apps: tuple[str, ...] = Field(("*",), description="labels or globs over them; * is every app")
    channels: tuple[str, ...] = Field((), description="only from these (C…); else from everywhere")

    @field_validator("who")
    @classmethod
    def _somebody(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if one != EVERYONE and not _WHO.fullmatch(one):
                raise ValueError(
                    f"{one!r} is nobody: write a user id (U…), a user group's id (S…),"
                    " an email domain (@example.com) or everyone"
                )
        return value

    @field_validator("channels")
    @classmethod
    def _by_id(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if not _CHANNEL.fullmatch(one):
                raise ValueError(f"{one!r} is no channel's id, which looks like C024BE91L")
        return value
