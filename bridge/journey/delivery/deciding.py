"""What deliveries lead to: decisions, the deployments that they wish for, and who is shown.

Plain functions of what is known at one moment; they run in a thread.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.core.absent import unused
from bridge.core.decision import Decision, Matcher, Policy, Reason, because, decide, noted
from bridge.core.events import (
    CONFIGURING,
    Action,
    Asked,
    Ignored,
    PullRequestOpened,
    RefKind,
    RefPushed,
)
from bridge.core.watch import App
from bridge.journey.catalog import Catalog, Snapshot, apps_of
from bridge.journey.delivery.meaning import Meaning, author_of, trigger_of, wished
from bridge.ports.feedback import Occasion, Planner
from bridge.ports.inbox import Delivery, DeliveryState, Finished
from bridge.ports.outcomes import Outcome, PushSeen, ref_key

Tags = dict[str, list[str]]
"""Names of tags by app id."""

Views = Mapping[int, Mapping[str, RefPushed]]
"""Pushes as single apps see them, by delivery and app; elsewhere they are seen as they came."""

Decided = tuple[Outcome | None, Finished]
"""What a delivery led to, if to anything, and how far it has come."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What is known when deliveries are decided.

    Attributes:
        tags: that apps have been deployed for; learns what is decided.
        salt: random, for the tokens of what is decided now.
        remark: says how old the record of an app is that a decision stands on, where it matters.
    """

    snapshot: Snapshot
    tags: Tags
    now: float
    salt: str
    remark: Callable[[App, Decision], str] = lambda _app, _decision: ""


class Deciding:
    """Decides what deliveries lead to."""

    def __init__(self, catalog: Catalog, policy: Policy, plan: Planner) -> None:
        """Take the parts; `plan` says where what deliveries lead to is shown."""
        self._catalog = catalog
        self._policy = policy
        self._plan = plan

    def outcomes(self, meanings: Sequence[Meaning], moment: Moment, views: Views) -> list[Decided]:
        """What each delivery leads to, in their order."""
        found = [self._outcome(meaning, moment, views) for meaning in meanings]
        return [
            (outcome and self._with_targets(meaning, outcome), end)
            for meaning, (outcome, end) in zip(meanings, found, strict=True)
        ]

    def _with_targets(self, meaning: Meaning, outcome: Outcome) -> Outcome:
        """The outcome with the places that will show it."""
        event = meaning.event
        assert not isinstance(event, Ignored | PullRequestOpened)
        asked = event if isinstance(event, Asked) else meaning.asked
        found = (self._catalog.get(decision.app_id) for decision in outcome.decisions)
        apps = {app.id: app for app in found if app is not None}
        targets = self._plan(Occasion(event, asked, outcome, apps))
        return replace(outcome, targets=tuple(targets))

    def _decisions(
        self, push: RefPushed, moment: Moment, views: Mapping[str, RefPushed]
    ) -> list[tuple[App, Decision]]:
        """The decision for each app of the repository."""
        tags = moment.tags
        matchers: dict[int, Matcher] = {}
        found = []
        for app in apps_of(moment.snapshot, push.repository):
            seen = views.get(app.id, push)
            if (matcher := matchers.get(id(seen))) is None:
                matcher = matchers[id(seen)] = self._catalog.watched.matcher(seen)
            decision = decide(
                seen, app, self._policy, deployed_tags=tags.get(app.id, ()), matcher=matcher
            )
            if decision.reason is Reason.REPOSITORY_MISMATCH:
                continue
            if decision.deploy and push.ref.kind is RefKind.TAG:
                tags.setdefault(app.id, []).append(push.ref.name)
            found.append((app, noted(decision, moment.remark(app, decision))))
        return found

    def _outcome(self, meaning: Meaning, moment: Moment, views: Views) -> Decided:
        event, delivery = meaning.event, meaning.delivery
        if isinstance(event, Ignored):
            return None, done(delivery, DeliveryState.IGNORED, event.reason)
        if isinstance(event, PullRequestOpened):
            why = "there is nothing to show on it"
            if not apps_of(moment.snapshot, event.repository):
                # The apps are not read anew for it, as they are for a push.
                why = f"no known app deploys from {_where(event)}"
            return None, done(delivery, DeliveryState.IGNORED, f"{was_opened(event)} {why}")
        if isinstance(event, Asked):
            return self._obey(delivery, event, moment)
        decisions = self._decisions(event, moment, views.get(delivery.seq, {}))
        if not decisions:
            why = unused(event.repository.name, event.repository.host)
            return None, done(delivery, DeliveryState.IGNORED, why)
        trigger = trigger_of(meaning)
        outcome = Outcome(
            seq=delivery.seq,
            delivery=delivery.id,
            decisions=tuple(decision for _, decision in decisions),
            deployments=tuple(
                wished(delivery, app, Action.DEPLOY, trigger, moment.salt, moment.now, event)
                for app, decision in decisions
                if decision.deploy
            ),
            push=PushSeen(
                ref_key(event.repository, event.ref),
                event.before,
                event.after,
                event.found,
                "" if event.deleted else event.moment,
                repository=event.repository.name,
                author=author_of(event),
            ),
            explicit=meaning.asked is not None,
        )
        return outcome, done(delivery, DeliveryState.DECIDED)

    def _obey(self, delivery: Delivery, asked: Asked, moment: Moment) -> Decided:
        app = self._catalog.get(asked.target)
        if app is None:
            why = f"there is no app {asked.app or asked.target} (any more)"
            # Recorded all the same: whoever asked by chat has been told that it will be done.
            outcome = Outcome(delivery.seq, delivery.id, (), explicit=True)
            return outcome, done(delivery, DeliveryState.FAILED, why)
        reason = Reason.ASKED
        what_for = ""
        if asked.action is Action.CANCEL:
            reason = Reason.CANCEL_ONE_ASKED if asked.deployment else Reason.CANCEL_ASKED
            what_for = " one deployment" if asked.deployment else ""
        elif asked.action in CONFIGURING:
            reason = Reason.CONFIGURE_ASKED
        decision = because(app, reason, f"{asked.actor} asked to {asked.action}{what_for}")
        what = (asked.action, asked.actor, moment.salt, moment.now)
        deployments = (wished(delivery, app, *what),) if decision.deploy else ()
        outcome = Outcome(delivery.seq, delivery.id, (decision,), deployments, explicit=True)
        return outcome, done(delivery, DeliveryState.DECIDED)


def was_opened(event: PullRequestOpened) -> str:
    """Return how what is said of a pull request begins."""
    return f"pull request {event.number} was opened:"


def _where(event: RefPushed | PullRequestOpened) -> str:
    return f"{event.repository.name} on {event.repository.host}"


def done(delivery: Delivery, state: DeliveryState, error: str | None = None) -> Finished:
    """How far a delivery has come."""
    return Finished(
        delivery.seq, delivery.host, delivery.id, state, error, attempts=delivery.attempts
    )
