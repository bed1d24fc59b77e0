"""Where previews are kept: a part of the journal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bridge.core.events import Repository
from bridge.core.previews.native import NativePreview
from bridge.core.previews.preview import Preview
from bridge.core.pulls import PullRequest
from bridge.ports.outcomes import Audits


@dataclass(frozen=True, slots=True)
class Reported:
    """A pull request as its host describes it now.

    Attributes:
        key: the repository's key for its host's API.
        read_at: when the host was asked for it, by our clock; None if a webhook says it.
    """

    key: str
    repository: Repository
    pull: PullRequest
    read_at: float | None = None


@dataclass(frozen=True, slots=True)
class Previewed:
    """An app that may be previewed.

    Attributes:
        made: the id of its preview's own app, if there is one, though no record of it may be.
    """

    id: str
    label: str
    backend: str
    made: str | None = None


Lane = tuple[str, str]
"""A backend and a Git host: what hangs there holds up the previews of its lane, and no others."""


class Previews(Protocol):
    """The previews of pull requests, and those that backends make by themselves (native).

    What is reported of a pull request and what is done for it are written by different processes,
    so neither overwrites the other.
    """

    async def report_previews(self, reported: Reported, apps: Sequence[Previewed]) -> bool:
        """Record a pull request for each of these apps, and for those that have a preview of it.

        A closed one makes no new records, except of an app that was made. A new commit ends a stop
        by hand, and counts as activity. Return whether anything has changed, so that somebody has
        to look.
        """

    async def preview(self, id_: str) -> Preview | None: ...

    async def previews(
        self,
        *,
        app_id: str | None = None,
        pull: tuple[str, str, int] | None = None,
        number: int | None = None,
        ended: bool = False,
        limit: int | None = 1000,
    ) -> list[Preview]:
        """Return previews, newest first.

        Args:
            number: only of pull requests with this number, of any repository.
            pull: only of this host, repository's key and number.
            ended: also those of which nothing is left, and those that never were.
            limit: None for all.
        """

    async def due_previews(self, now: float, limit: int, lane: Lane) -> list[Preview]:
        """Return previews of a lane to look at, those that were reported first first."""

    async def previews_due(self, until: float) -> dict[Lane, float]:
        """Return when the next preview of each lane is to be looked at, as far as it is soon."""

    async def places_taken(self) -> dict[str, int]:
        """Return how many previews each app has at its backend, by app id."""

    async def rules_of_previews(self) -> dict[str, set[str]]:
        """Return by which rules previews that have not ended were last looked at, by app id."""

    async def look_at_previews(self, app_id: str, rules: str) -> None:
        """Have those of an app looked at that were last looked at by other rules."""

    async def change_preview(self, seen: Preview, **facts: Any) -> Preview | None:
        """Change what is done for a preview; return it as it is now, None if it is gone.

        If its pull request was reported anew since it was seen, it is to be looked at again at
        once, whatever the facts say.
        """

    async def ask_previews(
        self, id_: str, audit: Audits[Preview | None] | None = None, **facts: Any
    ) -> Preview | None:
        """Change what people ask for: to approve, stop or extend it; look at it at once.

        What `audit` returns of it is written in the same transaction.
        """

    async def forget_previews(self, before: float, limit: int) -> int:
        """Delete some records of which nothing is left, without activity since; return how many."""

    async def save_native_previews(self, app_id: str, found: Sequence[NativePreview]) -> None:
        """Replace what was last read of an app's."""

    async def native_previews(self, app_id: str | None = None) -> list[NativePreview]:
        """Return them, the last built one first."""
