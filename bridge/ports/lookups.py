"""What people look up who miss a deployment: what deliveries were about, and what was refused."""

from collections.abc import Sequence
from typing import Protocol

from bridge.core.lifecycle import Deployment
from bridge.core.refused import RefusedWebhooks
from bridge.ports.outcomes import About


class Abouts(Protocol):
    """What deliveries were about, and what came of it; for people who look for one."""

    async def abouts(self, seqs: Sequence[int]) -> dict[int, About]:
        """What the pushes of deliveries were about; of those that were decided."""

    async def deployments_of(self, seqs: Sequence[int]) -> dict[int, list[Deployment]]:
        """The deployments that deliveries led to, by their seq."""

    async def newest_done(self, app_ids: Sequence[str]) -> dict[str, Deployment]:
        """What apps run: the newest deployment of each that is done, by the app's id."""

    async def repositories(self) -> dict[str, str]:
        """The names of repositories that have pushed, by host and id."""

    async def seqs_about(
        self,
        *,
        repositories: Sequence[str] = (),
        app_id: str | None = None,
        failed: bool = False,
        before: int,
        limit: int,
    ) -> list[int]:
        """The newest deliveries about something, newest first.

        Args:
            repositories: keys of repositories, of which it was one; () for any.
            app_id: an app for which it was decided.
            failed: one of its deployments has failed, that of the app where one is given.
            before: a position; only deliveries before it.
        """


class Refusals(Protocol):
    """Webhooks that were refused at the door."""

    async def keep_refused(self, those: Sequence[RefusedWebhooks]) -> None:
        """Add counts of refused webhooks; the oldest of very many are forgotten."""

    async def refused(self, *, limit: int, since: float | None = None) -> list[RefusedWebhooks]:
        """Return the newest counts, newest first; those of webhooks from `since` on if given."""
