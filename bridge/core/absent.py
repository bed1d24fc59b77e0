"""Repositories that no app deploys from, as the hook of a whole organisation brings them."""

from bridge.core.events import Repository

LOOKS = 3
"""Readings of the apps that a repository was missing in until it causes none of its own."""

MOST = 10_000
"""Repositories that are remembered; of more, those that have pushed last."""


def unused(name: str, host: str) -> str:
    """Why a push of such a repository is ignored; by these words it is found again."""
    return f"no app deploys from {name} on {host}"


class Absent:
    """Counts in how many readings each was missing; in memory, so a restart looks again."""

    def __init__(self) -> None:
        self._missing: dict[str, tuple[int, float]] = {}

    def note(self, repository: Repository, read_at: float) -> None:
        """It has pushed, and the reading of then does not have it; many such pushes are one."""
        key = _key(repository)
        times, last = self._missing.pop(key, (0, None))  # to the end, so that the oldest goes
        self._missing[key] = times + (last != read_at), read_at
        if len(self._missing) > MOST:
            del self._missing[next(iter(self._missing))]

    def often(self, repository: Repository) -> bool:
        """Whether it was looked for often enough to wait for the next reading with the others."""
        return self._missing.get(_key(repository), (0, None))[0] >= LOOKS


def _key(repository: Repository) -> str:
    return f"{repository.host} {repository.id}"
