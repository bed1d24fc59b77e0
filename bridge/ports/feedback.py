"""Publishing feedback: places that show outcomes, and their rate limits."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from bridge.core.apps import App
from bridge.core.decision import Decision
from bridge.core.events import Action, Asked, PullRequestChanged, RefPushed
from bridge.core.gates.locks import Lock
from bridge.core.health.fate import Fate, Now
from bridge.core.lifecycle import Change, Deployment, State
from bridge.core.previews.preview import Preview
from bridge.ports.clock import Limit
from bridge.ports.outcomes import Audited, Cursor, Explained, Outcome, Rank, Subscription

SaveCursor = Callable[[Cursor], Awaitable[None]]
"""Replaces a subscription's cursor; it is on disk once this returns. Before something is created,
the cursor announces it; afterwards it holds its id."""

Turn = Callable[[str], Awaitable[None]]
"""Waits until a lane may be written to again. Await it with the lane right before every single
write to a rate-limited service: a card's update and a line in its thread are two writes. Raises
TooEarly if the wait would be long. `RateLimiter.within` makes it from the service's limits; a
publisher gets it when it is built."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A pending subscription: its place may be out of date.

    Attributes:
        wanted: the version to publish; counts up with every change.
        shown: the published version; 0 until it is first published.
        due_at: since when it is due, or when it is retried; None if up to date or parked.
        attempts: consecutive failures; `failing_since` and `error` belong to them.
        parked: given up until the next change.
    """

    subscription: Subscription
    cursor: Cursor
    wanted: int
    due_at: float | None
    shown: int = 0
    attempts: int = 0
    failing_since: float | None = None
    error: str | None = None
    parked: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A consistent snapshot of everything that a subscription follows; mappings are by id.

    Attributes:
        explained: the decisions of its deliveries, newest first.
        deployments: of those deliveries, or the one deployment; newest first.
        history: the changes of each followed deployment, oldest first.
        beside: the cursors of other subscriptions to the same deployments and to those that
            superseded them, so a comment can link to the card. For a single deployment also the
            comments about its push, so a card can link to those.
        audited: the configuration changes that it follows, and those that its deliveries requested,
            with those that undo them; oldest first.
        before: what was live before each followed deployment, if known.
        instead: what brought the commits of superseded deployments in the end.
        fates: what has become of deployments that went live.
        locks: the locks that apps have by themselves.
        last_good: the followed deployments to which a rollback would lead by default.
        overtaken: those whose versions are not what is checked out: the backend was not asked for
            them, or for something else since.
        previews: those of the pull requests that it follows, by app; their deployments are among
            `deployments` if they follow their deliveries as well.
        served: what the apps of these previews serve.
    """

    explained: tuple[Explained, ...] = ()
    deployments: tuple[Deployment, ...] = ()
    history: Mapping[str, tuple[Change, ...]] = field(default_factory=dict)
    apps: Mapping[str, App] = field(default_factory=dict)
    beside: Mapping[str, Cursor] = field(default_factory=dict)
    audited: tuple[Audited, ...] = ()
    before: Mapping[str, Deployment] = field(default_factory=dict)
    instead: Mapping[str, Deployment] = field(default_factory=dict)
    fates: Mapping[str, Fate] = field(default_factory=dict)
    locks: Mapping[str, Lock] = field(default_factory=dict)
    last_good: frozenset[str] = frozenset()
    overtaken: frozenset[str] = frozenset()
    previews: tuple[Preview, ...] = ()
    served: Mapping[str, Deployment] = field(default_factory=dict)

    def told_by(self, deployment: Deployment) -> Deployment:
        """Return the deployment that tells what became of another one's version.

        It is the one that superseded it, once that has ended; of an unhealthy one, what has made
        the same version work since.
        """
        new = self.instead.get(deployment.id, deployment)
        told = new if new.final else deployment
        fate = self.fates.get(told.id)
        if fate is None or fate.by is None or told.state is not State.UNHEALTHY:
            return told
        return fate.by if fate.deployed and fate.by.state is State.DONE else told

    def lock_of(self, deployment: Deployment) -> Lock | None:
        """Return the app's own lock, where a deployment tells of a rollback that stands."""
        fate = self.fates.get(deployment.id)
        if fate is None:
            return None
        went_back = fate.deployed and deployment.action is Action.ROLLBACK
        left = fate.now is Now.ROLLED_BACK and fate.stands
        tells = went_back or left or fate.now is Now.AGAIN
        return self.locks.get(deployment.app_id) if tells else None


class Subscriptions(Protocol):
    """The outbox of feedback: subscriptions, and how far each is published."""

    async def subscribe(
        self,
        subscriptions: Sequence[Subscription],
        cursor: Cursor | None = None,
        *,
        at: float | None = None,
    ) -> None:
        """Add subscriptions; an existing one gets the new keys as well, and the cursor if given.

        Args:
            at: since when they are due; None for now.
        """

    async def unsubscribe(self, subscription_id: str, cursor: Cursor) -> None:
        """Remove a subscription, unless its cursor is another one by now."""

    async def pending(
        self,
        until: float,
        limit: int,
        *,
        ready: float | None = None,
        busy: Sequence[str] = (),
        favoured: Mapping[str, int] | None = None,
    ) -> list[Pending]:
        """Return the subscriptions that are due by `until`, the first of each lane, by due time.

        Of those due by `ready` (else by `until`), the first is the one of the lowest rank that has
        waited longest. Parked ones, and lanes in `busy`, are left out.

        Args:
            favoured: by lane, the rank that goes before all lower ones this time, with those
                above it.
        """

    async def snapshot(self, subscription: Subscription) -> Snapshot: ...

    async def save_cursor(
        self, subscription_id: str, cursor: Cursor, *, holding: tuple[str, str] | None = None
    ) -> bool:
        """Store a place's cursor; a new `LINK` makes subscriptions that may show it pending.

        Args:
            holding: a lease's name and owner; if somebody else holds it now, store nothing and
                return False.
        """

    async def mark_published(self, subscription_id: str, wanted: int) -> None:
        """Mark as published up to version `wanted`; a later change makes it pending again."""

    async def mark_failed(
        self, subscription_id: str, wanted: int, error: str, *, due_at: float | None
    ) -> None:
        """Record that publishing failed, to be retried at `due_at`; None parks it.

        A change since `wanted` was read makes it due at once.
        """

    async def postpone(self, subscription_id: str, due_at: float) -> None:
        """Publish it at `due_at`, with the state at that time; this is not a failure."""

    async def retry_feedback(self, subscription_id: str | None = None) -> int:
        """Retry one failing or parked subscription at once, or all; return how many."""

    async def feedback(self, *, limit: int, failing: bool = False) -> list[Pending]:
        """Return subscriptions, newest first; only failing or parked ones if `failing`."""

    async def showing(self, deployment: Deployment, *, limit: int) -> list[Pending]:
        """Return the places that show a deployment, or all of its push, such as a comment."""


class Publisher(Protocol):
    """Brings one kind of place up to date. It is level-triggered: the newest state wins."""

    async def publish(
        self,
        subscription: Subscription,
        snapshot: Snapshot,
        cursor: Cursor,
        save_cursor: SaveCursor,
    ) -> Sequence[Subscription]:
        """Update the place to the snapshot; send nothing if it is up to date.

        It may be called again for the same snapshot, even after the process died halfway. So a
        write that can't be repeated is announced with `save_cursor`, and searched for before a
        second attempt. Writes wait for their `Turn`. The call is cancelled after `feedback.longest`
        seconds.

        Return further subscriptions to add, e.g. when a push's pull requests are found.

        Raises:
            Refused, Rejected: the service refused, or the place is gone; it is parked until the
                next change.
            Unreachable, Unanswered: it is retried later, after `retry_after` if given, together
                with its whole lane.
        """


@dataclass(frozen=True, slots=True)
class Occasion:
    """A delivery's outcome, from which planners make subscriptions.

    Attributes:
        asked: a person's request, including a replay; None for an ordinary push.
        outcome: to be recorded; some deployments may be dropped as duplicates, together with their
            subscriptions.
        apps: the decided apps, by id.
    """

    event: RefPushed | Asked
    asked: Asked | None
    outcome: Outcome
    apps: Mapping[str, App]

    def of_people(self) -> list[Deployment]:
        """Return the deployments without those of previews; see `core.apps.of_people`."""
        ours = {app.id for app in self.apps.values() if app.marker}
        return [one for one in self.outcome.deployments if one.app_id not in ours]


Planner = Callable[[Occasion], Sequence[Subscription]]
"""Returns where an occasion is published; pure, quick, and without look-ups. A chat makes one
subscription per deployment (`about_deployment`) and channel; a Git host one per push
(`about_delivery`), whose publisher then finds the pull requests and returns further ones."""

ShowsPreviews = Callable[[Preview, int | None], Sequence[Subscription]]
"""Returns where a preview is shown; the number is the delivery that asks for its deployment."""

LatePlanner = Callable[
    [PullRequestChanged, Mapping[int, Sequence[Decision]]], Sequence[Subscription]
]
"""Returns the subscriptions that publish earlier decisions about a pull request's head on it, by
delivery. Pure, like a `Planner`."""


@dataclass(frozen=True, slots=True)
class LockNews:
    """What a chat is to tell of a lock: that it still holds, or that it was released.

    Attributes:
        apps: labels of those that it covers.
        id: the same for the same news.
        follows: the key with which the news is forgotten.
        held: how many deployments it holds.
        ended: why it was released, e.g. "acme/shop#12 is merged"; "" for a reminder.
        latest: after this it is not told any more; None for no end.
    """

    lock: Lock
    apps: tuple[str, ...]
    id: str
    follows: str
    held: int = 0
    ended: str = ""
    latest: float | None = None


TellsOfLocks = Callable[[LockNews], Sequence[Subscription]]
"""Returns where a chat tells it; nothing if it reaches nobody. Pure, like a `Planner`."""


def next_turn(limits: Sequence[Limit], written: Sequence[float], now: float) -> float:
    """Return when the next write may go: `now`, or later; all limits apply.

    Args:
        written: the times of the last writes, oldest first; as many as the largest limit counts.
    """
    waits = [
        written[-limit.writes] + limit.seconds for limit in limits if len(written) >= limit.writes
    ]
    return max([now, *waits])


def shared(limits: Sequence[Limit], share: float) -> tuple[Limit, ...]:
    """Return the limits for callers that may use only a share of each, but at least one write."""
    return tuple(replace(one, writes=max(1, int(one.writes * share))) for one in limits)


# ── whose turn it is in a lane ───────────────────────────────────────────────────────────────────

Since = tuple[int, ...]
"""By rank: a lane's turns since the last one of that rank or a higher one."""

NO_TURNS: Since = (0,) * len(Rank)


def rank_favoured(since: Since) -> int:
    """Return the rank that goes first in a lane's next turn, so none starves.

    Usually 0, the lowest, goes first; 1 after three turns without it or a higher one, 2 after
    seven, 3 after fifteen. Even under constant load of rank 0, the higher ranks get their share.
    """
    return max(rank for rank, turns in enumerate(since) if rank == 0 or turns + 1 >= 2 << rank)


def after_turn(since: Since, rank: int) -> Since:
    """Count a turn of a rank, or one in which it was favoured and had nothing to publish."""
    return tuple(0 if rank >= one else turns + 1 for one, turns in enumerate(since))
