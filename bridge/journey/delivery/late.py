"""Pull requests that are opened after their pushes were decided: those show on them, too.

People push, and open the pull request a minute or a day later. When the push was decided, there
was none to write to.
"""

from collections.abc import Sequence

from bridge.core.events import PullRequestOpened, Ref, RefKind
from bridge.ports.feedback import LatePlanner
from bridge.ports.journal import Journal
from bridge.ports.outcomes import ref_key


class LateComments:
    """Has pull requests shown what was pushed before they were opened."""

    def __init__(self, journal: Journal, planners: Sequence[LatePlanner]) -> None:
        self._journal = journal
        self._planners = planners

    async def want(self, opened: PullRequestOpened) -> None:
        """Want what shows its head's pushes, if any was decided; harmless when repeated."""
        key = ref_key(opened.repository, Ref(RefKind.BRANCH, opened.branch))
        if seqs := await self._journal.pushes_to(key, opened.commit):
            decided = await self._journal.decisions(seqs)
            targets = [target for plan in self._planners for target in plan(opened, decided)]
            await self._journal.want(targets)
