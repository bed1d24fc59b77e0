"""Which apps of a listing are read now, and which another time. Pure."""

import math
from collections.abc import Collection, Mapping, Sequence

from bridge.core.watch import App
from bridge.ports.backends import Listed

ROUND = 240.0
"""Seconds in which every app is read, so that one whose repository was changed is found within
five minutes even if no listing tells of the change."""

HOURLY = 1000
"""Requests that a backend is asked at most in an hour in which nothing happens."""

SPARED = 2
"""Of these, those of one tick that the listing and the probes need."""


class Rota:
    """Remembers how each app was listed, and takes the apps in turn."""

    def __init__(self) -> None:
        self._signals: dict[str, str] = {}

    def due(
        self,
        listed: Sequence[Listed],
        known: Collection[str],
        read_at: Mapping[str, float],
        share: int,
    ) -> list[App]:
        """Return the apps to read: those that are new or may have changed, and `share` others.

        Args:
            known: ids of the apps whose sources are known.
            read_at: when each was read last, whether or not it was found then.
            share: how many of the others, those first that were read longest ago.
        """
        changed: list[App] = []
        others: list[App] = []
        for one in listed:
            fresh = one.app.id not in known and one.app.id not in read_at
            may_differ = self._signals.get(one.app.id, one.signal) != one.signal
            (changed if fresh or may_differ else others).append(one.app)
        others.sort(key=lambda app: read_at.get(app.id, -math.inf))
        return changed + others[:share]

    def note(self, listed: Mapping[str, str]) -> None:
        """Remember how each app was listed, by id, once those that were due are kept."""
        self._signals = dict(listed)


def share_of(apps: int, every: float, per_request: int) -> int:
    """Return how many apps to read in turn at each tick.

    That is as many as make the round in time, but no more than keep within the hour's requests
    where a server answers one app at a time.

    Args:
        every: seconds between two ticks.
        per_request: the apps that one request reads.
    """
    for_the_round = math.ceil(apps * every / ROUND)
    requests = max(1, int(HOURLY * every / 3600) - SPARED)
    return min(for_the_round, requests * per_request)
