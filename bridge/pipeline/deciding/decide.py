"""Decide deliveries: the decisions, the requested deployments, and where they are published.

`Deciding` is a plain function of what is known at one moment; it runs in a thread.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from bridge.core.apps import App, made_at
from bridge.core.decision import (
    Decision,
    Matcher,
    Policy,
    Reason,
    because,
    decide,
    noted,
    of_own_branch,
)
from bridge.core.events import (
    CONFIGURING,
    PREVIEW_HOST,
    Action,
    Asked,
    CheckReported,
    Ignored,
    PullRequestChanged,
    RefKind,
    RefPushed,
    subject_of,
)
from bridge.core.lifecycle import deployment_id
from bridge.core.people import Cause, Origin
from bridge.core.pins import OWN, owner_of
from bridge.core.rules import NO_TAGS, AppTags
from bridge.pipeline.deciding.apps import AppIndex, apps_of, index, utc
from bridge.pipeline.deciding.catalog import LOOK_AGAIN, Catalog
from bridge.pipeline.deciding.changes import Decided as ByItsList
from bridge.pipeline.deciding.changes import ViewFinder
from bridge.pipeline.deciding.freshness import Freshness, Pushed
from bridge.pipeline.deciding.interpret import Meaning, author_of, origin_of, pushed_by, requested
from bridge.ports.clock import Clock
from bridge.ports.feedback import Occasion, Planner
from bridge.ports.inbox import Delivery, DeliveryState, Finished
from bridge.ports.journal import DecisionsAndNotes
from bridge.ports.outcomes import Audited, Outcome, PushSeen, Recorded, Result, Stage, ref_key

Tags = dict[str, AppTags]
"""Tags by app id."""

SeenBySeq = Mapping[int, Mapping[str, RefPushed]]
"""Pushes as single apps see them, by delivery and app; other apps see them as they arrived."""

Remark = Callable[[App, Decision], str]
"""Returns the text to add to the evidence of a decision for an app; "" for none."""

Decided = tuple[Outcome | None, Finished]
"""A delivery's outcome, if it has one, and its state."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What is known when deliveries are decided.

    Attributes:
        tags: of apps that accept only newer ones; updated with each decision.
        salt: random, for the tokens of these decisions.
        ahead: seconds by which the backends' clocks are ahead of ours, where known.
        remark: states how old the app's record behind a decision is, if that matters.
    """

    snapshot: AppIndex
    tags: Tags
    now: float
    salt: str
    ahead: Mapping[str, float]
    remark: Remark


@dataclass(frozen=True, slots=True)
class Deciding:
    """Decides deliveries; `plan` returns where an outcome is published."""

    catalog: Catalog
    policy: Policy
    plan: Planner

    def outcomes(
        self, meanings: Sequence[Meaning], moment: Moment, views: SeenBySeq
    ) -> list[Decided]:
        found = [self._outcome(meaning, moment, views) for meaning in meanings]
        return [
            (outcome and self._with_targets(meaning, outcome), end)
            for meaning, (outcome, end) in zip(meanings, found, strict=True)
        ]

    def _with_targets(self, meaning: Meaning, outcome: Outcome) -> Outcome:
        event = meaning.event
        assert isinstance(event, Asked | RefPushed)
        asked = event if isinstance(event, Asked) else meaning.asked
        found = (self.catalog.get(decision.app_id) for decision in outcome.decisions)
        apps = {app.id: app for app in found if app is not None}
        subscriptions = self.plan(Occasion(event, asked, outcome, apps))
        audited = audited_of(meaning.delivery, asked, outcome) if asked else None
        return replace(outcome, subscriptions=tuple(subscriptions), audited=audited)

    def _decisions(
        self, meaning: Meaning, push: RefPushed, moment: Moment, views: Mapping[str, RefPushed]
    ) -> list[tuple[App, Decision]]:
        apps = apps_of(moment.snapshot, push.repository)
        if push.ref.name.startswith(OWN) and (owner := owner_of(push, apps)) is not None:
            return [(owner, of_own_branch(owner, push))]
        tags, pushed = moment.tags, pushed_by(meaning)
        matchers: dict[int, Matcher] = {}
        found = []
        for app in apps:
            seen = views.get(app.id, push)
            if (matcher := matchers.get(id(seen))) is None:
                matcher = matchers[id(seen)] = self.catalog.watched.matcher(seen)
            of_app = tags.get(app.id, NO_TAGS)
            decision = decide(seen, app, self.policy, tags=of_app, matcher=matcher)
            if decision.reason is Reason.REPOSITORY_MISMATCH:
                continue
            decision = unless_made_later(decision, app, made_at(app, moment.ahead), pushed)
            if decision.deploy and push.ref.kind is RefKind.TAG:
                id_ = deployment_id(meaning.delivery.seq, app.id)
                tags[app.id] = of_app.with_one_more(push.ref.name, id_)
            found.append((app, noted(decision, moment.remark(app, decision))))
        return found

    def _outcome(self, meaning: Meaning, moment: Moment, views: SeenBySeq) -> Decided:
        event, delivery = meaning.event, meaning.delivery
        if isinstance(event, Ignored):
            return None, done(delivery, DeliveryState.IGNORED, event.reason)
        if isinstance(event, PullRequestChanged):
            # Unlike for a push, the apps are not read again for it.
            known = bool(apps_of(moment.snapshot, event.repository))
            return None, done(delivery, DeliveryState.IGNORED, unused_pull(event, known=known))
        if isinstance(event, CheckReported):
            why = f"no deployment waits for the checks of {event.commit[:7]}"
            return None, done(delivery, DeliveryState.IGNORED, why)
        if isinstance(event, Asked):
            return self._obey(delivery, event, moment)
        decisions = self._decisions(meaning, event, moment, views.get(delivery.seq, {}))
        if not decisions:
            name = event.repository.name
            why = f"no app deploys from {name} on {event.repository.host}"
            return None, replace(done(delivery, DeliveryState.IGNORED, why), unused=name)
        what = (Action.DEPLOY, origin_of(meaning), moment.salt, moment.now)
        outcome = Outcome(
            seq=delivery.seq,
            delivery=delivery.id,
            decisions=tuple(decision for _, decision in decisions),
            deployments=tuple(
                replace(
                    requested(delivery, app, *what, event, meaning.asked), behind=decision.behind
                )
                for app, decision in decisions
                if decision.deploy
            ),
            push=PushSeen(
                ref_key(event.repository, event.ref),
                event.before,
                event.after,
                event.found,
                "" if event.deleted else event.moment,
                "" if meaning.asked else event.hook,  # a replay is no report of the webhook's
                repository=event.repository.name,
                author=author_of(event),
                message=subject_of(event.commit.message if event.commit else ""),
            ),
            explicit=meaning.asked is not None,
        )
        return outcome, done(delivery, DeliveryState.DECIDED)

    def _obey(self, delivery: Delivery, asked: Asked, moment: Moment) -> Decided:
        app = self.catalog.get(asked.target)
        if app is None:
            why = f"there is no app {asked.app or asked.target} (any more)"
            # Recorded anyway: the person who asked by chat was told that it will be done.
            outcome = Outcome(delivery.seq, delivery.id, (), explicit=True)
            return outcome, done(delivery, DeliveryState.FAILED, why)
        reason, only = Reason.ASKED, None
        if asked.action is Action.CANCEL:
            only = asked.deployment or None
            reason = Reason.CANCEL_ONE_ASKED if only else Reason.CANCEL_ASKED
        elif asked.action in CONFIGURING:
            reason = Reason.CONFIGURE_ASKED
        what_for = " one deployment" if only else ""
        decision = because(app, reason, f"{asked.actor} asked to {asked.action.verb}{what_for}")
        what = (asked.action, Origin(Cause.ASKED, asked.actor), moment.salt, moment.now)
        new = (requested(delivery, app, *what, asked=asked),) if decision.deploy else ()
        outcome = Outcome(delivery.seq, delivery.id, (decision,), new, explicit=True, only=only)
        return outcome, done(delivery, DeliveryState.DECIDED)


def audited_of(delivery: Delivery, asked: Asked, outcome: Outcome) -> Audited | None:
    """Return the entry in the audit log for what somebody, or the bridge by itself, asked for.

    None for previews, whose owner is a pull request, and for configuring, which has its own entry.
    """
    if asked.action in CONFIGURING or delivery.host == PREVIEW_HOST:
        return None
    app_id, label = "", asked.app or asked.target
    if outcome.push is None:
        app_id = asked.target
        label = next((one.app for one in outcome.decisions), label)
    result = Result(Stage.TOLD, f"kept as {delivery.id}")
    if not outcome.decisions:
        result = Result.failed(Stage.REFUSED, "refused", f"{label} is gone")
    at, what = delivery.received_at, asked.called
    return Audited(at, asked.by, what, app_id, label, (), result, seq=delivery.seq)


def unless_made_later(
    decision: Decision, app: App, made: float, pushed_by: float | None
) -> Decision:
    """Return the decision, or `made_later` if the app was created after the push.

    Args:
        made: when the app was created, by our clock; -inf if unknown.
        pushed_by: when the push had surely happened, in seconds since 1970; None if unknown.
    """
    if not decision.deploy or pushed_by is None or made <= pushed_by:
        return decision
    evidence = f"it was made at {utc(made)}, after this push; to deploy it, ask for it by name"
    return because(app, Reason.MADE_LATER, evidence)


def unused_pull(event: PullRequestChanged, *, known: bool) -> str:
    """Return why a pull request's event is ignored; `known`: an app deploys from its repository."""
    number = event.pull.number
    if not event.pull.open:
        return f"no lock ends with pull request {number}"
    if not event.opened:
        return f"pull request {number} has changed: nothing depends on it"
    if not event.pull.own:
        return f"pull request {number} is from a fork, which sends its own pushes"
    where = f"{event.repository.name} on {event.repository.host}"
    why = "there is nothing to show on it" if known else f"no known app deploys from {where}"
    return f"{was_opened(event)} {why}"


def was_opened(event: PullRequestChanged) -> str:
    """Return the beginning of every remark about an opened pull request."""
    return f"pull request {event.pull.number} was opened:"


def done(delivery: Delivery, state: DeliveryState, error: str | None = None) -> Finished:
    """Return a delivery's new state."""
    which = (delivery.seq, delivery.host, delivery.id)
    return Finished(*which, state, error, attempts=delivery.attempts)


# ── Decide a batch and record the outcomes, in one transaction ──────────────────────────────────

LATE = " (decided late: the app was found after the push came)"

TAGS_LEASE, TAGS_LEASE_SECONDS, TAGS_LEASE_PAUSE = "tags", 15.0, 0.05
"""Held by the one process that decides tags of apps that accept only newer ones."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Decides deliveries and records the outcomes.

    Attributes:
        window: seconds in which the same push, delivered by two hooks, deploys once.
    """

    journal: DecisionsAndNotes
    catalog: Catalog
    deciding: Deciding
    clock: Clock
    window: float = field(kw_only=True)
    freshness: Freshness = field(kw_only=True)
    views: ViewFinder | None = field(default=None, kw_only=True)
    owner: str = field(default="solo", kw_only=True)

    async def record(self, meanings: Sequence[Meaning]) -> tuple[list[Decided], Recorded]:
        """Return the outcomes, once they are in the journal, and the recorded deployments."""
        async with self._alone(bool(self._only_newer(meanings))):
            return await self._recorded(meanings)

    async def complete(
        self, meanings: Sequence[Meaning], apps: Sequence[App]
    ) -> tuple[list[Decided], Recorded]:
        """Decide already decided pushes for further apps, which were just read.

        Returns:
            The outcomes for these apps, once they are in the journal, and the recorded deployments.
            A delivery that waits for its host's API is postponed.
        """
        async with self._alone(bool(self._only_newer(meanings))):
            moment = self._moment(index(apps), await self._tags(meanings), lambda *_: LATE)
            outcomes = await asyncio.to_thread(self.deciding.outcomes, meanings, moment, {})
            if self.views is not None:
                outcomes = await self._seen_exactly(self.views, meanings, outcomes, moment)
            new = [outcome for outcome, _ in outcomes if outcome is not None]
            return outcomes, await self.journal.complete(new)

    async def _recorded(self, meanings: Sequence[Meaning]) -> tuple[list[Decided], Recorded]:
        outcomes, moment = await self._decided(meanings)
        settled = await self.freshness.settle(_pushes(meanings, outcomes))
        waiting = settled.waiting
        ready = [one for one in meanings if one.delivery.seq not in waiting]
        # An app read during this decision may have been mistaken for a known one.
        if settled.anew or self.catalog.snapshot is not moment.snapshot:
            had = {end.seq for outcome, end in outcomes if outcome is not None}
            outcomes, moment = await self._decided(ready)
            # If all its apps have left the repository, search all apps.
            left = {end.seq for outcome, end in outcomes if outcome is None} & had
            waiting |= left
            ready = [one for one in ready if one.delivery.seq not in left]
            outcomes = [one for one in outcomes if one[1].seq not in left]
        if self.views is not None:
            outcomes = await self._seen_exactly(self.views, ready, outcomes, moment)
        recorded = await self.journal.record(
            [outcome for outcome, _ in outcomes if outcome is not None], window=self.window
        )
        why = "rereading the apps that may deploy it"
        later = [
            _postponed(one, why, self.clock() + LOOK_AGAIN)
            for one in meanings
            if one.delivery.seq in waiting
        ]
        return outcomes + later, recorded

    async def _decided(self, meanings: Sequence[Meaning]) -> tuple[list[Decided], Moment]:
        """Decide by what is known now."""
        tags = await self._tags(meanings)
        moment = self._moment(self.catalog.snapshot, tags, self.freshness.remark)
        return await asyncio.to_thread(self.deciding.outcomes, meanings, moment, {}), moment

    def _moment(self, snapshot: AppIndex, tags: Tags, remark: Remark) -> Moment:
        ahead = self.catalog.clocks_ahead()
        return Moment(snapshot, tags, self.clock(), secrets.token_hex(16), ahead, remark)

    @asynccontextmanager
    async def _alone(self, needed: bool) -> AsyncIterator[None]:
        """Keep other processes from deciding tags: which one is newest depends on all of them."""
        lease = (TAGS_LEASE, self.owner)
        while needed and not await self.journal.hold(*lease, TAGS_LEASE_SECONDS):  # noqa: ASYNC110 - its holder is another process
            await asyncio.sleep(TAGS_LEASE_PAUSE)
        try:
            yield
        finally:
            if needed:
                await self.journal.release(*lease)

    async def _tags(self, meanings: Sequence[Meaning]) -> Tags:
        apps = self._only_newer(meanings)
        return await self.journal.tags(sorted(apps)) if apps else {}

    def _only_newer(self, meanings: Sequence[Meaning]) -> set[str]:
        """Return the apps affected by these tags that accept only newer ones."""
        return {
            app.id
            for meaning in meanings
            if isinstance(meaning.event, RefPushed) and meaning.event.ref.kind is RefKind.TAG
            for app in self.catalog.of(meaning.event.repository)
            if app.rules.only_newer
        }

    async def _seen_exactly(
        self,
        views: ViewFinder,
        meanings: Sequence[Meaning],
        outcomes: Sequence[Decided],
        moment: Moment,
    ) -> list[Decided]:
        """Return the outcomes, decided again where a push's own list of files is not enough.

        Postpone those that wait for their host's API.
        """
        pushes = [
            ByItsList(meaning.delivery.seq, meaning.event, outcome.decisions)
            for meaning, (outcome, _) in zip(meanings, outcomes, strict=True)
            if isinstance(meaning.event, RefPushed) and outcome is not None
        ]
        seen = await views.of(pushes)
        found = {outcome[1].seq: outcome for outcome in outcomes}
        again = [meaning for meaning in meanings if meaning.delivery.seq in seen.views]
        if again:  # only branch pushes are among these, so no tag is counted twice
            anew = await asyncio.to_thread(self.deciding.outcomes, again, moment, seen.views)
            found |= {outcome[1].seq: outcome for outcome in anew}
        for meaning in meanings:
            if (pause := seen.waiting.get(meaning.delivery.seq)) is not None:
                why = f"asking {meaning.delivery.host} which files have changed"
                found[meaning.delivery.seq] = _postponed(meaning, why, moment.now + pause)
        return list(found.values())


def _pushes(meanings: Sequence[Meaning], outcomes: Sequence[Decided]) -> list[Pushed]:
    return [
        Pushed(
            meaning.delivery.seq,
            meaning.event.repository,
            meaning.delivery.received_at,
            {one.app_id: one for one in outcome.decisions} if outcome is not None else {},
        )
        for meaning, (outcome, _) in zip(meanings, outcomes, strict=True)
        if isinstance(meaning.event, RefPushed)
    ]


def _postponed(meaning: Meaning, why: str, due_at: float) -> Decided:
    """Put a delivery back into the inbox, for a later attempt."""
    return None, replace(done(meaning.delivery, DeliveryState.KEPT, why), due_at=due_at)
