"""Checks of commits, as all Git hosts tell them: whose they are, their states, and the newest."""

import asyncio
from collections.abc import Awaitable, Container, Iterable
from typing import TypeVar

from bridge.core.checks import Check, CheckState
from bridge.core.errors import Unreachable
from bridge.githosts.webhook import web_url

OURS = "dokploy/"
"""The prefix of the names of our own commit statuses, which never count as checks."""

LONGEST_NAME = 255
"""Characters of a check's name; hosts allow no more."""


S = TypeVar("S")
T = TypeVar("T")


def is_ours(name: str) -> bool:
    """Return whether a commit status is one of the bridge's own, of this or another bridge."""
    return name.startswith(OURS)


def not_a_check(name: str) -> str:
    """Return why an event about one of our own commit statuses is ignored."""
    return f"status {name[:100]} is the bridge's own, which no deployment waits for"


def state_of(word: str | None, *, passed: Container[str], failed: Container[str]) -> CheckState:
    """Return the state that a host's word means; an unknown word never passes."""
    if word in passed:
        return CheckState.PASSED
    return CheckState.FAILED if word in failed else CheckState.PENDING


def check_of(
    name: str,
    state: CheckState,
    app: str | None = "",
    *urls: str | None,
    app_id: int | None = None,
) -> Check:
    """Return a check with names of bounded length, and the first URL that is safe to open."""
    return Check(name[:LONGEST_NAME], state, (app or "")[:LONGEST_NAME], web_url(*urls), app_id)


def newest(found: Iterable[tuple[int, Check]]) -> list[Check]:
    """Return the newest check of each name and app, sorted.

    Args:
        found: checks with their numbers; a newer one has a greater number.
    """
    by_name: dict[tuple[str, str], tuple[int, Check]] = {}
    for number, check in found:
        key = check.name, check.app
        if key not in by_name or by_name[key][0] <= number:
            by_name[key] = number, check
    return [by_name[key][1] for key in sorted(by_name)]


def all_there(service: str, what: str, listed: int, told: int | None) -> None:
    """Raise Unreachable if a host has listed fewer than it says there are: a page is missing.

    Args:
        told: how many there are; None if the host does not say.
    """
    if told is not None and listed < told:
        raise Unreachable(service, f"it listed {listed} of {told} {what}: a page is missing")


async def both(one: Awaitable[S], other: Awaitable[T]) -> tuple[S, T]:
    """Return the results of two requests; raise an error once both have ended."""
    first, second = await asyncio.gather(one, other, return_exceptions=True)
    if isinstance(first, BaseException):
        raise first
    if isinstance(second, BaseException):
        raise second
    return first, second
