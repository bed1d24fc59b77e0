"""A period in which no bridge was running, so its data may lack what has happened. Pure."""

import json
from dataclasses import asdict, dataclass

AWAY = "away"
"""Key of the last absence in the journal's notes."""

EVERY = 30.0
"""Seconds between two marks of a running bridge."""


@dataclass(frozen=True, slots=True)
class Absence:
    """A period, in seconds since 1970, that the data may not cover."""

    since: float
    until: float

    def covers(self, at: float | None) -> bool:
        """Return whether a moment may lie in it; None is an unknown moment."""
        return at is None or self.since - EVERY <= at <= self.until

    def __str__(self) -> str:
        """Return it as it is noted in the journal."""
        return json.dumps(asdict(self))


def read_absence(noted: str | None) -> Absence | None:
    """Return the absence that the journal has noted; None if there was none."""
    return None if noted is None else Absence(**json.loads(noted))
