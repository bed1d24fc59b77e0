"""Each app's own view of a push: the files that have changed since the commit that it runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bridge.core.change_sets import Live, Question, question
from bridge.core.decision import Decision, Reason
from bridge.core.events import RefPushed
from bridge.journey.delivery.changes import Changes
from bridge.ports.journal import Decisions

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0
"""Seconds until a push that waits for its host is looked at again; it grows in between."""

ASKS = frozenset({Reason.PATHS_UNKNOWN, Reason.NO_PATH_HIT})
"""What a push's own list decides for want of a better one."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided of a push by its own list."""

    seq: int
    push: RefPushed
    decisions: Sequence[Decision]


@dataclass(slots=True)
class Seen:
    """Pushes as apps are to see them.

    Attributes:
        views: by delivery and app, where that is not the push as it came.
        waiting: seconds after which to come again, by delivery that can't be decided yet.
    """

    views: dict[int, dict[str, RefPushed]] = field(default_factory=dict)
    waiting: dict[int, float] = field(default_factory=dict)


class Views:
    """Finds what apps are to see of pushes, where their own lists are not enough."""

    def __init__(self, changes: Changes, journal: Decisions) -> None:
        self._changes = changes
        self._journal = journal
        self._looks: dict[int, int] = {}

    async def of(self, decided: Sequence[Decided]) -> Seen:
        """What there is to see by now; nothing waits here for a host."""
        those = [one for one in decided if self._changes.can_ask(one.push)]
        asking = {
            decision.app_id
            for one in those
            for decision in one.decisions
            if decision.reason in ASKS
        }
        seen = Seen()
        if not asking:
            return seen
        live = await self._journal.live(sorted(asking))
        for one in those:
            questions = {
                decision.app_id: asked
                for decision in one.decisions
                if (asked := question(one.push, decision, _before(one, live, decision)))
            }
            self._look(seen, one, questions)
        return seen

    def _look(self, seen: Seen, one: Decided, questions: Mapping[str, Question]) -> None:
        # All are asked before one is waited for; apps mostly have the same question.
        views = {asked: self._changes.seen(one.push, asked) for asked in set(questions.values())}
        if None in views.values():
            looks = self._looks[one.seq] = self._looks.get(one.seq, 0) + 1
            seen.waiting[one.seq] = min(FIRST_PAUSE * 1.5 ** (looks - 1), LONGEST_PAUSE)
            return
        self._looks.pop(one.seq, None)
        found = {app_id: views[asked] for app_id, asked in questions.items()}
        seen.views[one.seq] = {id_: view for id_, view in found.items() if view is not None}


def _before(one: Decided, live: Mapping[str, Live], decision: Decision) -> Live | None:
    """What ran when the push came; one that waited may have been overtaken."""
    found = live.get(decision.app_id)
    return found if found is not None and found.seq < one.seq else None
