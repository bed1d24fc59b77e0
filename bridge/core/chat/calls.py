"""A call of an operation, as somebody has made it at any door."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Given = Mapping[str, Any]
"""The text of each argument, True for a flag, a list for what may be given several times."""


@dataclass(frozen=True, slots=True)
class Call:
    """An operation with the arguments that somebody has given; see `bridge/operations/`.

    Attributes:
        typed: how all of it is typed.
    """

    name: str
    given: Given
    typed: str = ""


def given_in(found: Any) -> dict[str, Any]:
    """Return the arguments in what a button or a form has sent back; anything else is left out."""
    if not isinstance(found, dict):
        return {}
    return {str(name): value for name, value in found.items() if _may_be_given(value)}


def _may_be_given(value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(one, str) and _may_be_given(one) for one in value)
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value)
    return value is True
