"""Read pull requests, as all Git hosts have them."""

import math
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bridge.core.errors import Unreachable
from bridge.core.pulls import PullRequest

PAGE_OF_RECENT = 30
"""Entries per page of the recently changed: mostly the first page has all that are wanted."""

_LONGEST_TIME = 64
_READINGS = 4

Listing = AsyncIterator[Sequence[PullRequest]]
"""Pages of pull requests."""


def seconds_of(sent: Any) -> float | None:
    """Return a host's time in seconds since 1970; None if it is none.

    GitLab's webhooks write `2025-08-06 01:21:37 UTC`, all others ISO 8601.
    """
    if not isinstance(sent, str) or len(sent) > _LONGEST_TIME:
        return None
    try:
        found = datetime.fromisoformat(sent.removesuffix(" UTC"))
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def touches(changes: Mapping[str, Any] | None, fields: Iterable[str]) -> bool:
    """Return whether a webhook's `changes` name any of the fields, or are missing."""
    return changes is None or any(one in changes for one in fields)


async def changed_since(listing: Listing, since: float) -> list[PullRequest]:
    """Return the pull requests that changed at or after a time.

    Args:
        listing: the most recently changed first; no page is read beyond the time.
        since: in seconds since 1970. Most hosts know whole seconds only, so its own counts whole.
    """
    since = math.floor(since)
    pulls: dict[int, PullRequest] = {}
    async for page in listing:
        for pull in page:
            if pull.updated_at is not None and pull.updated_at < since:
                return list(pulls.values())
            pulls.setdefault(pull.number, pull)  # a change meanwhile moves others to the next page
    return list(pulls.values())


async def all_listed(service: str, listed: Callable[[], Listing]) -> list[PullRequest]:
    """Return the pull requests of all pages.

    One that is closed meanwhile moves another to a page that has been read already. So several
    pages are read until two readings agree.

    Raises:
        Unreachable: they never do.
    """
    before: set[int] | None = None
    for _ in range(_READINGS):
        pulls, pages = dict[int, PullRequest](), 0
        async for page in listed():
            pulls |= {pull.number: pull for pull in page}
            pages += 1
        if pages <= 1 or before == pulls.keys():
            return list(pulls.values())
        before = set(pulls)
    raise Unreachable(service, "its pull requests changed while they were listed")
