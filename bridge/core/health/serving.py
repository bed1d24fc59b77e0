"""What an app serves: one fact, from our deployments and from what its backend shows. Pure.

Our journal knows what the bridge has brought. Somebody may deploy at the backend as well, a build
may go live without a record of it, or our data may be an older copy. So the newest look at the
backend's records counts, unless one of our deployments has been served since.
"""

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol, TypeVar

from bridge.core.absence import Absence
from bridge.core.changes import Move, leading, newest_move
from bridge.core.decision import Reason
from bridge.core.events import ZERO, Action
from bridge.core.health.rollback import Rung, Version, version_of
from bridge.core.lifecycle import Deployment, Evidence, State, Verdict
from bridge.core.people import NOBODY, Actor


class Works(StrEnum):
    """Whether what is served works."""

    VERIFIED = "verified"
    HEALTHY = "healthy, not proven"
    NOT_VERIFIED = "not verified"
    VERIFYING = "being verified"
    UNHEALTHY = "unhealthy"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


_WORKS = {
    Verdict.VERIFIED: Works.VERIFIED,
    Verdict.HEALTHY: Works.HEALTHY,
    Verdict.UNVERIFIED: Works.NOT_VERIFIED,
    Verdict.UNHEALTHY: Works.UNHEALTHY,
}


class By(StrEnum):
    """Who brought a version."""

    BRIDGE = "bridge"
    BACKEND = "backend"  # somebody at the backend: by hand, or with its API
    UNKNOWN = "unknown"


# ── what a backend shows ──────────────────────────────────────────────────────────────────────────


class Record(Protocol):
    """A backend's record of a deployment; see `ports.backends.BackendDeployment`."""

    @property
    def id(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def commit(self) -> str | None: ...
    @property
    def created_at(self) -> float: ...
    @property
    def finished_at(self) -> float | None: ...


R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Look:
    """What a backend was last seen to serve, by its records.

    Attributes:
        at: when the look began; in seconds since 1970, as all times here.
        newest, doubt: our deployments that were served last and of unknown outcome then, by id.
            Once one of them has changed, the look is out of date.
        told: what the backend's listing said of the app then; it differs after each deployment.
        record: the record of what is served; None if none shows it.
        deployment: our deployment of which that is the record; None if it is not one of ours.
        place: the backend's name for people, e.g. "Dokploy".
        stopped: somebody has stopped the app there, so that nothing of it runs.
    """

    at: float
    newest: str | None = None
    doubt: str | None = None
    told: str | None = None
    record: str | None = None
    deployment: str | None = None
    commit: str | None = None
    since: float | None = None
    evidence: Evidence | None = None
    by: By = By.UNKNOWN
    place: str = ""
    stopped: bool = False

    @property
    def still_runs(self) -> bool:
        """Return whether an older version still runs that the newest one has not replaced yet."""
        return self.evidence is Evidence.IMAGE and self.by is By.BRIDGE

    @property
    def by_whom(self) -> str:
        """Say that the bridge did not bring it, or that nobody knows who did."""
        return "not by the bridge" if self.by is By.BACKEND else "by whom is not known here"


def served_record(records: Sequence[R], built: Container[str] = ()) -> R | None:
    """Return the newest record whose version the backend has put into service; None if none has.

    Args:
        records: an app's newest ones, newest first.
        built: ids of records that are not done, and whose logs say that the build went live.
    """
    return next((one for one in records if one.status == "done" or one.id in built), None)


def overtaken(served: Deployment, records: Sequence[Record], shown: Record) -> bool:
    """Return whether a record shows a later version than our deployment that was served last.

    If the backend still has our record, the order of the records decides, else the times.

    Args:
        records: newest first, with times by our clock.
        shown: what `served_record` returned, and no record of that deployment.
    """
    ids = [one.id for one in records]
    if served.backend_id in ids:
        return ids.index(shown.id) < ids.index(served.backend_id)
    return (shown.finished_at or shown.created_at) > (served.live_at or 0.0)


def came_after(
    doubt: Deployment, records: Sequence[Record], own: Record | None, shown: Record
) -> bool:
    """Return whether what is shown is what a deployment of unknown outcome brought, or is later.

    Args:
        records: newest first, with times by our clock.
        own: the record of that deployment; None if there is none.
        shown: what `served_record` returned.
    """
    if own is not None:
        ids = [one.id for one in records]
        return ids.index(shown.id) <= ids.index(own.id)
    asked = (doubt.live_at or doubt.intent_at) if doubt.way == Rung.KEPT else doubt.started_at
    return shown.created_at > (asked or doubt.finished_at or math.inf)


# ── what is served ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Behind:
    """What was pushed to an app's branch after the commit that it serves.

    Attributes:
        concerning: how many of them may have changed it: all without those that hit none of its
            watch paths.
    """

    pushes: int
    concerning: int

    @property
    def says(self) -> str:
        if not self.concerning:
            return "up to date"
        return "1 push behind" if self.concerning == 1 else f"{self.concerning} pushes behind"


@dataclass(frozen=True, slots=True)
class Serving:
    """What an app serves.

    Attributes:
        newest: our deployment that its backend began to serve last; None if there is none.
        before: the one that it served before that; None if there is none.
        doubt: our newest deployment with an unknown outcome; None if there is none.
        look: what the backend was last seen to serve; None if nobody has looked.
        looked: our deployment whose version the look shows; None if it is not one of ours.
        away: when no bridge was running, last; None if one always was.
        behind: how far it is behind that branch; None if that is not known.
    """

    newest: Deployment | None
    before: Deployment | None = None
    doubt: Deployment | None = None
    look: Look | None = field(default=None, kw_only=True)
    looked: Deployment | None = field(default=None, kw_only=True)
    away: Absence | None = field(default=None, kw_only=True)
    branched: bool = field(default=False, kw_only=True)
    behind: Behind | None = field(default=None, kw_only=True)

    @property
    def shown(self) -> Look | None:
        """The newest look, if it shows something and nothing of ours has changed since."""
        look = self._valid
        return look if look is not None and look.record is not None else None

    @property
    def _valid(self) -> Look | None:
        """The newest look, if nothing of ours has changed since."""
        ours = (self.newest and self.newest.id, self.doubt and self.doubt.id)
        return self.look if self.look and (self.look.newest, self.look.doubt) == ours else None

    @property
    def stopped(self) -> str | None:
        """Say where somebody has stopped it, so that it does not run; None unless that is known.

        Its version stays what is served: once the app is started, it runs again.
        """
        look = self._valid
        return f"stopped in {look.place}" if look is not None and look.stopped else None

    @property
    def seen(self) -> Look | None:
        """The look that shows another version than our journal has; None if none does."""
        look = self.shown
        if look is None or (self.newest is not None and look.deployment == self.newest.id):
            return None
        return look

    @property
    def known(self) -> bool:
        """Whether it is known what is served: nothing of unknown outcome came after."""
        if self.shown is not None:
            return True
        newest = self.newest
        return newest is not None and newest.served and not _may_have_replaced(self.doubt, newest)

    @property
    def ours(self) -> Deployment | None:
        """Our deployment whose version is served; None if it is not known, or not one of ours."""
        if self.seen is not None:
            return self.looked
        return self.newest if self.known else None

    def instead_of(self, one: Deployment) -> str | None:
        """Say what is served in place of one of our deployments; None while that one is."""
        if self.ours is not None and self.ours.id == one.id:
            return None
        if not self.known:
            return "it is not known what is served"
        if self.seen is None and self.newest is not None:
            return f"deployment #{self.newest.seq} is served now"
        return self.notes[0]

    @property
    def commit(self) -> str | None:
        """The commit that is served; None if the backend did not report it."""
        if (seen := self.seen) is not None:
            return seen.commit
        return self.newest.deployed_commit if self.known and self.newest else None

    @property
    def image(self) -> str | None:
        """The image that is served; None without one, or if it is not known."""
        return self.ours.image if self.ours else None

    @property
    def version(self) -> str | None:
        """The commit, or else the image; None if neither is known."""
        return self.commit or self.image

    @property
    def version_served(self) -> Version | None:
        """What rollbacks and promotions compare with; None if it is not known."""
        if (ours := self.ours) is not None:
            return replace(Version.of(ours), commit=self.commit or ours.deployed_commit)
        seen = self.seen
        return Version(seen.commit, None, seen.record or "") if seen is not None else None

    @property
    def last_known(self) -> Deployment | None:
        """Our newest deployment that was surely served; None if there is none."""
        return next((one for one in (self.newest, self.before) if one and one.served), None)

    @property
    def since(self) -> float | None:
        """Since when it is served; None if it is not known what is served."""
        if (seen := self.seen) is not None:
            return seen.since
        return self.newest.live_at if self.known and self.newest else None

    @property
    def word(self) -> str:
        """The word for its state: "live" or "stopped"."""
        return "stopped" if self.stopped else "live"

    @property
    def live_since(self) -> float | None:
        """Since when it is live; None if that is not known, or while it is stopped."""
        return None if self.stopped else self.since

    @property
    def by(self) -> Actor:
        """Who brought it: of a push its author, else who asked for it; `NOBODY` if unknown."""
        if (ours := self.ours) is None:
            return NOBODY
        return Actor(name=ours.author or "") if ours.pushed else ours.origin.actor

    @property
    def evidence(self) -> Evidence | None:
        """What shows that it is served; None if that is not known."""
        if (seen := self.seen) is not None:
            return seen.evidence
        return self.newest.evidence if self.known and self.newest else None

    @property
    def out_of_sight(self) -> bool:
        """Whether no image has shown what runs since no bridge was running.

        Whatever was put back meanwhile has left no record, even if the bridge did so: the data may
        be an older copy.
        """
        if self.away is None or self.newest is None:
            return False
        look = self.shown
        looked_at = look.at if look is not None and look.evidence is Evidence.IMAGE else 0.0
        return max(self.newest.live_at or 0.0, looked_at) <= self.away.until

    @property
    def works(self) -> Works:
        if not self.known:
            return Works.UNKNOWN
        if self.stopped:
            return Works.STOPPED
        ours = self.ours
        if ours is None:
            return Works.NOT_VERIFIED
        if ours.state is State.VERIFYING:
            return Works.VERIFYING
        if ours.state is State.UNHEALTHY or ours.verdict is Verdict.UNHEALTHY:
            return Works.UNHEALTHY
        if self.seen is not None and self.seen.by is not By.BRIDGE:
            return Works.NOT_VERIFIED  # nobody has looked since it was put back
        works = _WORKS[ours.verdict or Verdict.UNVERIFIED]
        return Works.HEALTHY if works is Works.VERIFIED and self.out_of_sight else works

    @property
    def rolled_back(self) -> bool:
        return self.ours is not None and self.ours.action is Action.ROLLBACK

    @property
    def rolled_back_from(self) -> str | None:
        """The version that a rollback led away from; None without one, or if it is not known."""
        before = self.before
        if not self.rolled_back or before is None or not before.served:
            return None
        return None if _may_have_replaced(self.doubt, before) else version_of(before)

    @property
    def notes(self) -> tuple[str, ...]:
        """What else is known about it, for people, in a few words each."""
        if not self.known:
            last = self.last_known
            return (f"unknown: {version_of(last)} was live before",) if last else ("unknown",)
        notes = [brought_there(self.seen)] if self.seen is not None else []
        if self.rolled_back:
            left = self.rolled_back_from
            notes.append(f"rolled back from {left}" if left else "rolled back")
        if self.branched:
            notes.append(self.behind.says if self.behind else "unknown how far behind")
        return (*notes, f"not running: {self.stopped}" if self.stopped else str(self.works))


def brought_there(seen: Look) -> str:
    """Return where a version comes from that our journal does not have."""
    since = moment_of(seen.since)
    by_image = seen.evidence is Evidence.IMAGE
    if seen.by is By.BRIDGE:
        shows = f"{seen.place} shows it as deployed{since}"
        return "its image is what still runs" if by_image else shows
    put_back, deployed = f"its image was put back in {seen.place}", f"deployed in {seen.place}"
    return f"{put_back if by_image else deployed + since}, {seen.by_whom}"


def moment_of(at: float | None) -> str:
    """Return " at" a time, to be put after a verb; "" if it is not known."""
    return "" if at is None else f" at {datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"


def _may_have_replaced(doubt: Deployment | None, served: Deployment) -> bool:
    """Return whether a deployment of unknown outcome may have replaced another one.

    One that was surely served, and of which only its verification is missing, has ended when the
    next one replaced it.
    """
    if doubt is None or doubt.id == served.id:
        return False
    came = doubt.live_at or doubt.finished_at
    return came is None or came >= (served.live_at or 0.0)


# ── how far behind ────────────────────────────────────────────────────────────────────────────────


def behind(commit: str | None, moves: Sequence[Move], told: Mapping[int, Reason]) -> Behind | None:
    """Return how far a commit is behind the newest push of a branch; None if that is not known.

    Walk back from the newest push, from each to the one that it followed, until one led to the
    commit. A gap, as after pushes that never arrived, makes the distance unknown.

    Args:
        moves: the newest pushes of the branch.
        told: why each deployed the app or not, by its seq; what was not decided is left out.
    """
    head = newest_move(moves)
    if commit is None or head is None or head.after == ZERO:
        return None
    passed: list[Move] = []
    by_end = {move.after: move for move in sorted(leading(moves), key=lambda one: one.seq)}
    by_end[head.after] = head
    at: Move | None = head
    while at is not None and at.after != commit:
        if at in passed or at.seq not in told:
            return None
        passed.append(at)
        if at.before == commit:
            break
        at = by_end.get(at.before)
    if at is None:
        return None
    concerning = [one for one in passed if told[one.seq] is not Reason.NO_PATH_HIT]
    return Behind(len(passed), len(concerning))


def with_branch(one: Serving, behind_: Behind | None) -> Serving:
    """Return the same of an app that follows one branch."""
    return replace(one, branched=True, behind=behind_)
