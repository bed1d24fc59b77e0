"""Places that show what happened, and how fast they may be written to."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from bridge.core.apps import App
from bridge.core.decision import Decision
from bridge.core.events import Asked, PullRequestOpened, RefPushed
from bridge.core.lifecycle import Change, Deployment
from bridge.ports.clock import Limit
from bridge.ports.outcomes import Audited, Cursor, Explained, Outcome, Subscription

SaveCursor = Callable[[Cursor], Awaitable[None]]
"""Stores a subscription's cursor in place of the one before, on disk once it returns: before a
thing is made, that it is about to be; then its id."""

Turn = Callable[[str], Awaitable[None]]
"""Waits until a lane may be written to again. Await it with the lane right before every single
write to a service with rate limits, so that nothing else is counted: a card's update and a line in
its thread are two. Raises TooEarly if that would take long. Made by `RateLimiter.within` from the
service's limits, and given to a publisher when it is built."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A pending subscription: its place may show something old.

    Attributes:
        wanted: counts up with every change; what was read under it is published up to it.
        shown: the count that its place is up to; 0 until it is first published.
        due_at: since when it is due, or when it is retried; None: up to date, or parked.
        attempts: failures in a row; `failing_since` and `error` belong to them.
        parked: given up for now; the next change starts it anew.
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
    """A snapshot of everything a subscription follows, read in one moment, to be published.

    Attributes:
        explained: the decisions of its deliveries, newest first.
        deployments: of those deliveries, or the one deployment; newest first.
        history: the changes, oldest first, of each deployment that it follows, by its id.
        apps: by id.
        beside: the cursors of other subscriptions to the same deployments and to those that
            superseded them, by subscription id, so that a comment can link to the card. For a
            single deployment also the comments about its push, so that a card can link to those.
        before: the commit of its app that was live before, of each deployment that it follows, by
            its id, if one is known.
        audited: the changes that it follows, and those that its deliveries asked for, with those
            that undo them; oldest first.
    """

    explained: tuple[Explained, ...] = ()
    deployments: tuple[Deployment, ...] = ()
    history: Mapping[str, tuple[Change, ...]] = field(default_factory=dict)
    apps: Mapping[str, App] = field(default_factory=dict)
    beside: Mapping[str, Cursor] = field(default_factory=dict)
    audited: tuple[Audited, ...] = ()
    before: Mapping[str, str] = field(default_factory=dict)


class Publisher(Protocol):
    """A publisher: brings one kind of place up to date. Level-triggered; the newest state wins."""

    async def publish(
        self,
        subscription: Subscription,
        snapshot: Snapshot,
        cursor: Cursor,
        save_cursor: SaveCursor,
    ) -> Sequence[Subscription]:
        """Bring the place up to the snapshot; send nothing if it shows that already.

        It may be called again for the same snapshot, also after the process died halfway: what
        can't be repeated is announced with `save_cursor` before, and looked for first after. Writes
        wait for their `Turn`. It is cancelled after `feedback.longest` seconds.

        Returns:
            Further subscriptions to add, e.g. when a push's pull requests are found.

        Raises:
            Refused, Rejected: the place said no, or is gone; it is parked until the next change.
            Unreachable, Unanswered: it is retried later, after `retry_after` if given, and so is
                everything in its lane.
        """


@dataclass(frozen=True, slots=True)
class Occasion:
    """What a delivery led to, from which planners make subscriptions.

    Attributes:
        event: the push, or what a person asked for.
        asked: what a person asked, also to replay a push; None for a push by itself.
        outcome: the decisions and deployments that are about to be recorded; some deployments
            may be dropped as duplicates, and their subscriptions with them.
        apps: those that were decided about, by id.
    """

    event: RefPushed | Asked
    asked: Asked | None
    outcome: Outcome
    apps: Mapping[str, App]


Planner = Callable[[Occasion], Sequence[Subscription]]
"""Returns where an occasion is shown: pure, quick, and without looking anything up. A chat makes
one subscription per deployment (`about_deployment`) and channel; a Git host one per push
(`about_delivery`), whose publisher then finds the pull requests and returns further ones."""

LatePlanner = Callable[
    [PullRequestOpened, Mapping[int, Sequence[Decision]]], Sequence[Subscription]
]
"""Returns where a pull request shows what was decided before it was opened: for its head, by
delivery. Pure, as a `Planner`."""


FAVOURED_IN = 4
"""Turns of which one goes to the ranks that have to let others go first."""


def next_turn(limits: Sequence[Limit], written: Sequence[float], now: float) -> float:
    """Return when the next write may go: `now`, or later.

    Args:
        limits: all of them hold.
        written: when the last writes went, oldest first; as many as the largest limit counts.
    """
    waits = [
        written[-limit.writes] + limit.seconds for limit in limits if len(written) >= limit.writes
    ]
    return max([now, *waits])


def shared(limits: Sequence[Limit], share: float) -> tuple[Limit, ...]:
    """Return the limits for callers that may use only a share of each, and one write at least."""
    return tuple(replace(one, writes=max(1, int(one.writes * share))) for one in limits)


def rank_favoured(turn: int) -> int:
    """Return the rank that goes first in a turn, so that none starves.

    Mostly 0: the lowest goes first. In each fourth turn 1, in each fourth of these 2, and so on:
    however much there is of rank 0, the higher ones get some of the writes.

    Args:
        turn: counted from 1.
    """
    rank = 0
    while turn % FAVOURED_IN == 0:
        turn //= FAVOURED_IN
        rank += 1
    return rank
