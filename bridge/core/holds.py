"""Holds, the reasons why a deployment is held, and lifts, which override them."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from bridge.core.words import many

if TYPE_CHECKING:  # it imports what the start of a command must not wait for
    from bridge.core.access import Right


class Gate(StrEnum):
    """The gates, in the order in which they are shown."""

    SCHEDULE = "schedule"
    LOCK = "lock"
    FREEZE = "freeze"
    CHECKS = "checks"
    APPROVAL = "approval"
    ORDER = "order"


MOST_OF_A_REASON = 500
"""Characters of the reason of a lock, a freeze or a lift."""

MOST_FILES = 20
"""Changed files that a proposal names."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What an approval would be for: the commit that would be built, and what it brings.

    Attributes:
        message, author: the commit's; "" if they are not known.
        live: the commit that the app serves; None if it is not known.
        changed: how many files of the app differ from that; None if it is not known.
        files: the first of them.
        same: further commits that are the same for the app, so their approvals count.
        authors: accounts and addresses of those who wrote it; their approvals don't count.
        since: when `live` began to be served, 0 if nothing ever was; None if it is not known.
        unknown: why some authors can't be recognised, so no approval counts; "" if all can.
        by: the services in all of which whoever approves must be known.
        anyone: an approval counts unless it is known to be an author's.
    """

    commit: str
    message: str = ""
    author: str = ""
    live: str | None = None
    changed: int | None = None
    files: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    since: float | None = None
    unknown: str = ""
    by: tuple[str, ...] = ()
    anyone: bool = False

    @property
    def count(self) -> str:
        """The number of files that differ, in words; "what differs" if it is not known."""
        if self.changed is None:
            return "what differs"
        return many(self.changed, "file") if self.changed else "no files"

    def beyond(self, shown: int) -> int:
        """Return how many more files differ than are shown."""
        return max(0, (self.changed or 0) - shown)


@dataclass(frozen=True, slots=True)
class Hold:
    """One reason to hold a deployment.

    Attributes:
        key: identifies the reason, so that lifting it lifts no later one.
        says: the reason with its evidence, for people.
        until: when it opens by itself; None if only a new fact opens it. Seconds since 1970.
        proposal: what somebody would approve; None unless it waits for an approval.
        warns: what to know before it is lifted, e.g. that the version did not work elsewhere.
        headline: the part of `says` that a history tells: not each check that has passed; "": all.
    """

    gate: Gate
    key: str
    says: str
    may_lift: "Right"
    until: float | None = None
    changes_at: float | None = None
    proposal: Proposal | None = None
    warns: str = ""
    headline: str = ""

    @property
    def short(self) -> str:
        """A short form of the key, for metadata with little room."""
        return hashlib.sha256(self.key.encode(errors="backslashreplace")).hexdigest()[:12]


def proposal_in(holds: Iterable[Hold]) -> Proposal | None:
    """Return what somebody would approve, if one of the holds waits for that."""
    return next((one.proposal for one in holds if one.proposal is not None), None)


def warnings_in(holds: Iterable[Hold]) -> tuple[str, ...]:
    """Return what to know before some holds are lifted, each once."""
    return tuple(dict.fromkeys(one.warns for one in holds if one.warns))


@dataclass(frozen=True, slots=True)
class Lift:
    """Somebody's decision to deploy in spite of some holds.

    Attributes:
        keys: of the holds; later ones still hold.
        by: who, for display; person: e.g. "slack:U012AB3CD".
    """

    keys: tuple[str, ...]
    by: str
    person: str
    reason: str
    at: float
