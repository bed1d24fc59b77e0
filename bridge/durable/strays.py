"""Find the flows that should go on and do not, from what the engine says of them. Pure."""

from collections.abc import Collection, Container, Mapping
from enum import Enum

ENDED = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
"""The engine's words for what never goes on."""


class Need(Enum):
    """What a flow needs that should be under way."""

    NOTHING = "nothing"
    START = "start"
    ANOTHER = "another"  # it has ended too early, so another has to finish its work


def need_of(status: str | None) -> Need:
    """Return what a flow needs of which the engine says this; None where it knows none."""
    if status is None:
        return Need.START
    return Need.ANOTHER if status in ENDED else Need.NOTHING


class Twice:
    """Names that were found at two looks in a row.

    Between two steps of the engine a flow may look astray for a moment.
    """

    def __init__(self) -> None:
        self._before: set[str] = set()

    def again(self, found: Collection[str]) -> list[str]:
        """Return those of these that were found the last time as well."""
        again = sorted(self._before.intersection(found))
        self._before = set(found)
        return again


def newest(name: str, statuses: Container[str]) -> str:
    """The name of the newest flow that has taken up this work: the first, or one after it."""
    number = 0
    while successor(name, number + 1) in statuses:
        number += 1
    return successor(name, number)


def successor(name: str, number: int) -> str:
    """The name of the flow that takes up the work for that time; the first is number 0."""
    return f"{name}~{number}" if number else name


def after(name: str, newest_name: str) -> str:
    """The name of the next one after the newest."""
    number = int(newest_name.removeprefix(name).removeprefix("~") or 0)
    return successor(name, number + 1)


def names_to_ask(names: Mapping[str, str], most: int) -> list[str]:
    """Every name that may have taken up the work of these, each up to so many times."""
    return [successor(name, number) for name in names for number in range(most + 1)]
