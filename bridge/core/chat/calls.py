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
