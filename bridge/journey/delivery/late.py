"""Pull requests that are opened after their pushes were decided: those show on them, too.

People push, and open the pull request a minute or a day later. When the push was decided, there
was none to write to.
"""

from collections.abc import Sequence
from dataclasses import replace

from bridge.core.events import PullRequestOpened, Ref, RefKind
from bridge.journey.delivery.deciding import Decided, was_opened
from bridge.journey.delivery.meaning import Meaning
from bridge.ports.feedback import LatePlanner
from bridge.ports.journal import Journal
from bridge.ports.outcomes import ref_key

SHOWN = "it gets the comment of what was pushed"


class LateComments:
    """Has pull requests shown what was pushed before they were opened."""

    def __init__(self, journal: Journal, planners: Sequence[LatePlanner]) -> None:
        self._journal = journal
        self._planners = planners

    async def want(self, meanings: Sequence[Meaning], outcomes: Sequence[Decided]) -> list[Decided]:
        """Want what shows the pushes of pull requests that were opened; harmless when repeated.

        Returns:
            The outcomes; those of pull requests that get a comment say so.
        """
        shown = {
            meaning.delivery.seq: f"{was_opened(meaning.event)} {SHOWN}"
            for meaning in meanings
            if isinstance(meaning.event, PullRequestOpened) and await self._wanted(meaning.event)
        }
        return [
            (outcome, replace(end, error=shown.get(end.seq, end.error)))
            for outcome, end in outcomes
        ]

    async def _wanted(self, opened: PullRequestOpened) -> bool:
        """Whether there is something to show."""
        key = ref_key(opened.repository, Ref(RefKind.BRANCH, opened.branch))
        seqs = await self._journal.pushes_to(key, opened.commit)
        if not seqs:
            return False
        decided = await self._journal.decisions(seqs)
        targets = [target for plan in self._planners for target in plan(opened, decided)]
        await self._journal.want(targets)
        return bool(targets)
