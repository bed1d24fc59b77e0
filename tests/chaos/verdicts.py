"""The bridge's own record, which the ledgers are compared with, and the resulting counts."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, fields, replace

from bridge.core.decision import Decision
from bridge.core.events import PREVIEW_HOST
from bridge.core.lifecycle import Change, Deployment, State
from bridge.core.previews.preview import Preview
from bridge.ports.feedback import Pending
from bridge.ports.inbox import Delivery, DeliveryState


@dataclass
class Counts:
    """All counts; all but the first few must be 0.

    Attributes:
        claimed_wrongly: an outcome that is not what the backend did, or the page shows.
        denied: failed, cancelled, superseded or unknown although the backend did it.
        unknown_ends: unknown although the backend shows the outcome.
        skipped_as_it_was: a push was skipped by an app's state of more than five seconds ago.
        asked_after_cancel: a cancelled deployment was requested.
        ended_before_asked: the claimed record had ended before the request.
        pinned_twice: two deployments claim the same record.
        tokens_used_again: two deployments were requested with the same token.
        asked_while_held: requested although a gate held it when the intent was recorded.
        reasons_wrong: a failed build is shown with another line than the decisive one.
        broken_served: an app serves a broken version although a verified one is kept.
        given_way_to_nobody: a push was superseded by what no person asked for, or never asked for.
        said_to_be_live: a place says "is live" of what is not, a minute after the last event.
        previews_left: an app is alive although its pull request is closed.
        services_left: a service runs although its app is gone.
        made_twice: a pull request has two apps.
        previews_missing: an open pull request has no app.
        previews_old: an app runs another commit than its pull request's head.
        previews_told: the journal has another preview up than there are open pull requests.
    """

    sent: int = 0
    acknowledged: int = 0
    refused: int = 0
    kept: int = 0
    deployments: int = 0
    asked: int = 0
    asked_again: int = 0
    lost_by_backend: int = 0
    failed: int = 0
    cancelled: int = 0
    by_people: int = 0
    held: int = 0
    comments: int = 0
    cards: int = 0
    places: int = 0
    rollbacks: int = 0
    unhealthy: int = 0
    pulls: int = 0
    previews: int = 0

    unheard: int = 0
    lost: int = 0
    undecided: int = 0
    wrongly_decided: int = 0
    skipped_as_it_was: int = 0
    twice: int = 0
    overlapping: int = 0
    claimed_wrongly: int = 0
    denied: int = 0
    unknown_ends: int = 0
    reasons_wrong: int = 0
    ended_before_asked: int = 0
    pinned_twice: int = 0
    asked_after_cancel: int = 0
    asked_while_held: int = 0
    tokens_used_again: int = 0
    old_last: int = 0
    out_of_order: int = 0
    comments_wrong: int = 0
    statuses_wrong: int = 0
    objects_wrong: int = 0
    cards_wrong: int = 0
    broken_served: int = 0
    given_way_to_nobody: int = 0
    said_to_be_live: int = 0
    previews_left: int = 0
    services_left: int = 0
    made_twice: int = 0
    previews_missing: int = 0
    previews_old: int = 0
    previews_told: int = 0
    odd_answers: int = 0

    def __str__(self) -> str:
        named = (
            (field.name.replace("_", " "), getattr(self, field.name)) for field in fields(self)
        )
        return ", ".join(f"{name} {value}" for name, value in named)


@dataclass
class Verdict:
    """The counts, and the faults in words."""

    counts: Counts = field(default_factory=Counts)
    wrong: list[str] = field(default_factory=list)

    def blame(self, what: str, cases: Iterable[str]) -> None:
        """Count cases of a fault."""
        found = list(cases)
        setattr(self.counts, what, getattr(self.counts, what) + len(found))
        self.wrong += [f"{what.replace('_', ' ')}: {case}" for case in found]


@dataclass
class Record:
    """The bridge's own final record."""

    deliveries: list[Delivery]
    decisions: dict[int, list[Decision]]
    deployments: list[Deployment]
    history: dict[str, list[Change]]
    feedback: list[Pending]
    previews: list[Preview]

    def of(self, apps: Collection[str]) -> "Record":
        """Return it with the deployments of these apps only, and without requests of previews."""
        deployments = [one for one in self.deployments if one.app_id in apps]
        deliveries = [one for one in self.deliveries if one.host != PREVIEW_HOST]
        return replace(self, deployments=deployments, deliveries=deliveries)

    def restless(self, *, held: bool = False) -> list[str]:
        """Return what has not ended; with `held`, what a gate holds may go on waiting."""
        return [
            *(f"delivery {d.id} is {d.state}: {d.error}"
              for d in self.deliveries if d.state is DeliveryState.KEPT),
            *(f"deployment {d.id} is {d.state}: {d.note}"
              for d in self.deployments if not (d.final or (held and d.state is State.HELD))),
            *(f"deployment {d.id} is to be rolled back: {d.note}"
              for d in self.deployments if d.back_to is not None),
            *(f"{one.subscription.id} is not shown: {one.error}, {one.attempts} attempts"
              for one in self.feedback if one.due_at is not None),
        ]  # fmt: skip
