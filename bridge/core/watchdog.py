"""Decide what a look at the backend says of a deployment that it has accepted.

A backend can lose what it has accepted without a word: a restart empties its queue, a person
empties it as well, and a build that ends while its database is away stays `running` for ever
(facts.md, "Restart", "PostgreSQL away", "clear"). Each leaves evidence of its own. Pure.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from bridge.core.lifecycle import Deployment, State


class Verdict(StrEnum):
    """What is known of a deployment that does not move on."""

    WAIT = "wait"  # it moves on, or it is too early to say
    LOST = "lost"  # it never began, so asking again is safe
    DROPPED = "dropped"  # somebody has emptied the backend's queue
    UNTOLD = "untold"  # it may have run, and the backend does not tell
    UNCLOSED = "unclosed"  # its record is open, but nothing works on it any more


@dataclass(frozen=True, slots=True)
class Timing:
    """How long the backend may show nothing new; seconds.

    Attributes:
        lost: for which it may show neither a job nor a record of what it can have lost.
        untold: the same where nothing explains that, or where it does not tell its queue.
        unclosed: for which it may show an open record and no job of its app.
    """

    lost: float = 10.0
    untold: float = 120.0
    unclosed: float = 30.0


@dataclass(frozen=True, slots=True)
class Shown:
    """What one look has shown.

    Attributes:
        present: its job or its record is there.
        open: its record says that it runs.
        idle: the queue is told, and has no job of the app. None: the queue is not told.
        survived: the queue has a job from before this one, so no restart has emptied it.
    """

    present: bool
    open: bool
    idle: bool | None
    survived: bool = False


@dataclass(frozen=True, slots=True)
class Sight:
    """What the looks at one deployment have shown so far; times in seconds since 1970.

    Attributes:
        since: from then on the looks have shown nothing, or the first look.
        seen_at: when this process last saw its job or record.
        idle_since: from then on the looks have shown an open record and no job of the app.
    """

    since: float
    seen_at: float | None = None
    idle_since: float | None = None

    def after(self, shown: Shown, now: float) -> "Sight":
        """Take in one more look."""
        unclosed = shown.open and shown.idle is True
        return replace(
            self,
            since=now if shown.present else self.since,
            seen_at=now if shown.present else self.seen_at,
            idle_since=(self.idle_since or now) if unclosed else None,
        )

    def blinded(self, now: float) -> "Sight":
        """Take in a look that failed: nobody can say what was not there meanwhile."""
        return replace(self, since=now, idle_since=None)


def verdict(
    deployment: Deployment,
    sight: Sight,
    *,
    now: float,
    watched_since: float,
    shown: Shown,
    timing: Timing,
) -> Verdict:
    """Judge a deployment by what the looks have shown.

    Args:
        now: when the newest look began: its answers tell nothing of what came after.
        watched_since: from then on no look at the backend has failed, so it can't have been
            restarted, nor can its database have been away.
        shown: by the newest look.
    """
    absent = now - sight.since
    if sight.idle_since is not None:
        return Verdict.UNCLOSED if now - sight.idle_since > timing.unclosed else Verdict.WAIT
    if shown.idle is None:
        return Verdict.UNTOLD if absent > timing.untold else Verdict.WAIT
    if absent <= timing.lost:
        return Verdict.WAIT
    if deployment.backend_id is not None:
        return Verdict.UNTOLD
    kept = shown.survived or watched_since <= (sight.seen_at or deployment.asked_at or 0.0)
    if kept and (sight.seen_at is not None or deployment.state is State.QUEUED):
        return Verdict.DROPPED
    if kept and absent <= timing.untold:
        return Verdict.WAIT
    return Verdict.LOST
