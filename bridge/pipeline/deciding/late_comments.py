"""Pull requests opened after their pushes were decided get the comment, too."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, TypeGuard

from bridge.core.events import PullRequestChanged, Ref, RefKind
from bridge.pipeline.deciding.interpret import Meaning
from bridge.ports.feedback import LatePlanner, Subscriptions
from bridge.ports.inbox import Finished
from bridge.ports.journal import Decisions
from bridge.ports.outcomes import Outcome, ref_key


class LateJournal(Decisions, Subscriptions, Protocol):
    """What late comments use of the journal."""


SHOWN = "it gets the comment of what was pushed"


class LateComments:
    """Publishes earlier pushes on pull requests that are opened later."""

    def __init__(self, journal: LateJournal, planners: Sequence[LatePlanner]) -> None:
        self._journal = journal
        self._planners = planners

    async def subscribe(
        self, meanings: Sequence[Meaning], outcomes: Sequence[tuple[Outcome | None, Finished]]
    ) -> list[tuple[Outcome | None, Finished]]:
        """Subscribe opened pull requests to their pushes; idempotent.

        Returns:
            The outcomes; those of pull requests that get a comment say so.
        """
        shown = {
            meaning.delivery.seq: f"{was_opened(meaning.event)} {SHOWN}"
            for meaning in meanings
            if shows_late(meaning.event) and await self._wanted(meaning.event)
        }
        return [
            (outcome, replace(end, error=shown.get(end.seq, end.error)))
            for outcome, end in outcomes
        ]

    async def _wanted(self, opened: PullRequestChanged) -> bool:
        """Return whether there is something to publish."""
        key = ref_key(opened.repository, Ref(RefKind.BRANCH, opened.pull.head))
        seqs = await self._journal.pushes_to(key, opened.pull.head_sha)
        if not seqs:
            return False
        decided = await self._journal.decisions(seqs)
        subscriptions = [target for plan in self._planners for target in plan(opened, decided)]
        await self._journal.subscribe(subscriptions)
        return bool(subscriptions)


def shows_late(event: object) -> TypeGuard[PullRequestChanged]:
    """Return whether it is a pull request that earlier pushes may be published on."""
    return isinstance(event, PullRequestChanged) and event.opened and event.pull.own


def unused_pull(event: PullRequestChanged, *, known: bool) -> str:
    """Return why a pull request's event is ignored; `known`: an app deploys from its repository."""
    number = event.pull.number
    if not event.pull.open:
        return f"no lock ends with pull request {number}"
    if not event.opened:
        return f"pull request {number} has changed: nothing depends on it"
    if not event.pull.own:
        return f"pull request {number} is from a fork, which sends its own pushes"
    why = "there is nothing to show on it"
    why = why if known else f"no known app deploys from {_where(event)}"
    return f"{was_opened(event)} {why}"


def was_opened(event: PullRequestChanged) -> str:
    """Return the beginning of every remark about an opened pull request."""
    return f"pull request {event.pull.number} was opened:"


def _where(event: PullRequestChanged) -> str:
    return f"{event.repository.name} on {event.repository.host}"
