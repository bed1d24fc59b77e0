"""Find whether two commits are the same for an app, and what an approval would be for.

Git hosts are asked only where it matters, and once for each pair of commits: they never change.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bridge.core.apps import App, Approvers
from bridge.core.decision import Policy
from bridge.core.events import Commit
from bridge.core.gates.content import SAME, Content, at_once, content_of, watched_of
from bridge.core.gates.order import Earlier
from bridge.core.holds import MOST_FILES, Proposal
from bridge.core.people import Brought
from bridge.pipeline.deciding.changes import Changes
from bridge.pipeline.deciding.reconcile import Homes, place_of
from bridge.ports.clock import Clock
from bridge.ports.gates import CommitAt
from bridge.ports.githosts import ChangeSet

AGAIN = 60.0
"""Seconds until commits are compared again that could not be compared."""

AT_ONCE = 1000
"""Files that are matched before others may go on."""

MOST_MATCHED = 10_000
"""The most files that are matched for a proposal; with more, it counts none."""

LONGEST_MESSAGE = 500
LONGEST_PATH = 200


@dataclass(frozen=True, slots=True)
class Contents:
    """Compares commits, as far as they concern an app.

    Attributes:
        homes: the addresses of the Git hosts.
        policy: what watch paths mean.
    """

    changes: Changes
    homes: Homes
    policy: Policy
    clock: Clock

    async def compared(self, app: App, commit: str, head: CommitAt) -> Content:
        """Return a commit beside the one that would be built."""
        if (known := at_once(app, commit, head.commit)) is not None:
            return known
        source = app.source
        place = None if source is None else place_of(source, self.homes)
        if place is None:
            return Content(None, f"{app.label} deploys from no Git host that the bridge knows")
        if _named(place) != _named((head.host, head.repository)):
            return Content(None, f"{app.label} deploys from another repository")
        found = await self._between(commit, head)
        if found.paths is None:
            return Content(None, found.note, self.clock() + AGAIN)
        for some in _some(found.paths):
            content = content_of(app, some, found.note, self.policy)
            if content is not SAME:
                return content
            await asyncio.sleep(0)
        return SAME

    async def proposal(
        self, app: App, now: Earlier, head: CommitAt, built: Commit, who: Brought
    ) -> Proposal:
        """Return what an approval of the head would be for.

        Args:
            now: what the app serves.
            built: the head, with its message and author; who: has written and pushed it.
        """
        serving = now.serving
        live, since = (None, 0.0) if serving is None else (serving.commit, now.version_since)
        changed, files = None, tuple[str, ...]()
        if live is not None:
            found = await self._between(live, head)
            if found.paths is not None and len(found.paths) <= MOST_MATCHED:
                watched: list[str] = []
                for some in _some(found.paths):
                    watched += watched_of(app, some, self.policy)
                    await asyncio.sleep(0)
                changed, files = len(watched), tuple(watched[:MOST_FILES])
        return Proposal(
            head.commit,
            built.message[:LONGEST_MESSAGE],
            built.author,
            live,
            changed,
            tuple(one[:LONGEST_PATH] for one in files),
            authors=tuple(sorted(who.authors)),
            since=since,
            unknown=who.unknown,
            by=who.by,
            anyone=app.rules.approvals_by is Approvers.ANYONE,
        )

    async def _between(self, commit: str, head: CommitAt) -> ChangeSet:
        return await self.changes.between(head.host, head.repository, commit, head.commit)


def _named(place: tuple[str, str]) -> tuple[str, str]:
    return place[0], place[1].lower()


def _some(paths: Sequence[str]) -> Iterator[Sequence[str]]:
    return (paths[at : at + AT_ONCE] for at in range(0, len(paths), AT_ONCE))
