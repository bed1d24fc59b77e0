"""Holds, the reasons why a deployment is held, and lifts, which override them."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

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


@dataclass(frozen=True, slots=True)
class Hold:
    """One reason to hold a deployment.

    Attributes:
        key: identifies the reason, so that lifting it lifts no later one.
        says: the reason with its evidence, for people.
        may_lift: the right that may lift it.
        until: when it opens by itself; None if only a new fact opens it. Seconds since 1970.
        changes_at: when the reason changes by itself.
    """

    gate: Gate
    key: str
    says: str
    may_lift: "Right"
    until: float | None = None
    changes_at: float | None = None

    @property
    def short(self) -> str:
        """A short form of the key, for metadata with little room."""
        return hashlib.sha256(self.key.encode(errors="backslashreplace")).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Lift:
    """Somebody's decision to deploy in spite of some holds.

    Attributes:
        keys: of the holds; later ones still hold.
        by: who, for display; person: e.g. "slack:U012AB3CD".
        at: in seconds since 1970.
    """

    keys: tuple[str, ...]
    by: str
    person: str
    reason: str
    at: float
