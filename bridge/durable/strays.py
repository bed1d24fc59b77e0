"""Flows that should go on and do not: found out from what the engine says of them. Pure."""

from collections.abc import Container, Mapping
from enum import Enum

ENDED = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
"""The engine's words for what never goes on."""


class Need(Enum):
    """What a flow needs that should be under way."""

    NOTHING = "nothing"
    START = "start"
    ANOTHER = "another"  # it has ended too early, so another has to finish its work
    DISPATCH = "dispatch"  # the engine believes that it runs here, and it does not


def need_of(status: str | None, executor: str | None, *, here: str, runs: bool) -> Need:
    """What it needs.

    Args:
        status: what the engine says; None where it knows none.
        executor: the process that has it; `here` is this one.
        runs: whether it does run here.
    """
    if status is None:
        return Need.START
    if status in ENDED:
        return Need.ANOTHER
    return Need.DISPATCH if status == "PENDING" and executor == here and not runs else Need.NOTHING


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
