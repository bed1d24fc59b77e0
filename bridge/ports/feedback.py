"""Places that show what happened."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from bridge.core.apps import App
from bridge.core.decision import Decision
from bridge.core.events import Asked, PullRequestOpened, RefPushed
from bridge.core.lifecycle import Change, Deployment
from bridge.ports.clock import Limit
from bridge.ports.outcomes import Audited, Explained, Memory, Outcome, Target

Remember = Callable[[Memory], Awaitable[None]]
"""Keeps a target's memory, in place of what it was, on disk once it returns: before a thing is
made, that it is about to be; then its id."""

Turn = Callable[[str], Awaitable[None]]
"""Waits until a lane may be written to again. Await it with the lane right before every single
write to a service that counts them, so that nothing else is counted: a card's update and a line
in its thread are two. Raises TooEarly where that would be long. Made by `Turns.within` from
the service's limits, and given to a `Shows` when it is built."""


@dataclass(frozen=True, slots=True)
class Raised:
    """A target whose place may show something old.

    Attributes:
        wanted: counts up with every change; what was read under it is shown up to it.
        shown: the count that the place is up to; 0 while it has never been shown.
        due_at: since when it waits for its turn, or when it is tried again; None: it is up to
            date, or parked.
        attempts: how often it has failed in a row; `failing_since`, `error` belong to that.
        parked: given up for now; the next change tries it again.
    """

    target: Target
    memory: Memory
    wanted: int
    due_at: float | None
    shown: int = 0
    attempts: int = 0
    failing_since: float | None = None
    error: str | None = None
    parked: bool = False


@dataclass(frozen=True, slots=True)
class Story:
    """All that is known about what a target follows, read in one moment, for it to be shown.

    Attributes:
        explained: the decisions of its deliveries, newest first.
        deployments: of those deliveries, or the one deployment; newest first.
        history: the changes, oldest first, of each deployment that it follows by its id.
        apps: by id.
        beside: what other targets about the same deployments remember, and about those that
            have superseded them, by target id; so that a comment can link to the card. Of one
            deployment's also the comments about its push, so that a card can link to those.
        before: the commit of its app that was live before, of each deployment that it follows
            by its id, where one is known.
        audited: the changes that it follows, and those that its deliveries asked for, with
            those that take them back; oldest first.
    """

    explained: tuple[Explained, ...] = ()
    deployments: tuple[Deployment, ...] = ()
    history: Mapping[str, tuple[Change, ...]] = field(default_factory=dict)
    apps: Mapping[str, App] = field(default_factory=dict)
    beside: Mapping[str, Memory] = field(default_factory=dict)
    audited: tuple[Audited, ...] = ()
    before: Mapping[str, str] = field(default_factory=dict)


class Shows(Protocol):
    """Brings one kind of place up to what is so: level, not edge, and newest wins."""

    async def show(
        self, target: Target, story: Story, memory: Memory, remember: Remember
    ) -> Sequence[Target]:
        """Bring the place up to the story; where it shows that already, nothing is sent.

        May be called again for the same story, also after the process died halfway: what
        can't be repeated is announced with `remember` before, and looked for first after.
        Writes wait for their `Turn`. It is cut off after `feedback.longest` seconds.

        Returns:
            Further targets that are wanted from now on, as when a push's pull requests are found.

        Raises:
            Refused, Rejected: the place said no, or is gone; it is parked until the next change.
            Unreachable, Unanswered: it is tried again later, after `retry_after` where given,
                and so is everything in its lane.
        """


@dataclass(frozen=True, slots=True)
class Occasion:
    """What a delivery has led to, for planners to say who shall see it.

    Attributes:
        event: the push, or what a person asked for.
        asked: what a person asked, also where it was to replay a push; None for a push by itself.
        outcome: the decisions and deployments that are about to be recorded; some deployments
            may be dropped as duplicates, and their targets with them.
        apps: those that were decided about, by id.
    """

    event: RefPushed | Asked
    asked: Asked | None
    outcome: Outcome
    apps: Mapping[str, App]


Planner = Callable[[Occasion], Sequence[Target]]
"""Says where what an occasion leads to is shown: pure, quick, and without looking anywhere. A chat
makes a target of each deployment (`about_deployment`) and channel; a Git host one of each push
(`about_delivery`), whose `Shows` then finds the pull requests and returns further targets."""

LatePlanner = Callable[[PullRequestOpened, Mapping[int, Sequence[Decision]]], Sequence[Target]]
"""Says where a pull request shows what had been decided before it was opened: for its head, by
delivery. Pure, as a `Planner`."""


# ── How fast somebody may write to a service, and when the next write may go. Pure ──────────────

FAVOURED_IN = 4
"""Turns of which one goes to those who have to let others go first."""


def next_turn(limits: Sequence[Limit], written: Sequence[float], now: float) -> float:
    """When the next write may go: `now`, or later.

    Args:
        limits: all of them hold.
        written: when the last writes went, oldest first; as many as the largest limit counts.
    """
    waits = [
        written[-limit.writes] + limit.seconds for limit in limits if len(written) >= limit.writes
    ]
    return max([now, *waits])


def shared(limits: Sequence[Limit], share: float) -> tuple[Limit, ...]:
    """Return the limits for those who may use only a share of each, and one write at least."""
    return tuple(replace(one, writes=max(1, int(one.writes * share))) for one in limits)


def rank_favoured(turn: int) -> int:
    """The rank from which on others go first in a turn, so that none waits for ever.

    Mostly 0: the lowest goes first. In each fourth turn 1, but in each fourth of these 2, and so
    on: however much there is of rank 0, the higher ones get some of what may be written.

    Args:
        turn: counted from 1.
    """
    rank = 0
    while turn % FAVOURED_IN == 0:
        turn //= FAVOURED_IN
        rank += 1
    return rank
