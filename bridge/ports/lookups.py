"""Look-ups for people: what deliveries were about, what became of them, what was refused."""

from collections.abc import Sequence
from typing import Protocol

from bridge.core.lifecycle import Deployment
from bridge.core.refused import RefusedWebhooks
from bridge.ports.outcomes import About


class Abouts(Protocol):
    """What deliveries were about, and what they led to."""

    async def abouts(self, seqs: Sequence[int]) -> dict[int, About]:
        """Return what decided pushes were about, by the delivery's seq."""

    async def deployments_of(self, seqs: Sequence[int]) -> dict[int, list[Deployment]]:
        """Return the deployments that deliveries led to, by the delivery's seq."""

    async def newest_done(self, app_ids: Sequence[str]) -> dict[str, Deployment]:
        """Return the newest deployment of each app that is done, by the app's id."""

    async def repositories(self) -> dict[str, str]:
        """Return the names of repositories that have pushed, by host and id."""

    async def seqs_about(
        self,
        *,
        repositories: Sequence[str] = (),
        app_id: str | None = None,
        failed: bool = False,
        before: int,
        limit: int,
    ) -> list[int]:
        """Return the positions of the newest deliveries that fit, newest first.

        Args:
            repositories: only pushes to one of these, by their keys; () for any.
            app_id: only deliveries that were decided for this app.
            failed: only deliveries that led to a failed deployment, of `app_id` where given.
            before: only deliveries before this position.
        """


class Refusals(Protocol):
    """Webhooks that were refused at the door."""

    async def keep_refused(self, those: Sequence[RefusedWebhooks]) -> None:
        """Add counts of refused webhooks; the oldest of very many are forgotten."""

    async def refused(self, *, limit: int, since: float | None = None) -> list[RefusedWebhooks]:
        """Return the newest counts, newest first; those of webhooks from `since` on if given."""
