"""The fate of a version that went live: still served, or replaced, and by what. Pure.

Whatever says "is live" asks here. A fate follows the version, not the deployment: the same commit
may be deployed again, and a rollback takes back all that came after its target. A note says what
was true when it was written; `as_told` returns it in words that stay true.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from bridge.core.events import Action
from bridge.core.health.rollback import Version, version_of
from bridge.core.health.serving import By, Look, Serving, brought_there, moment_of
from bridge.core.lifecycle import LIVE, Change, Deployment, Evidence, NoteKind, State
from bridge.core.masking import redact


class Now(StrEnum):
    """The current status of a version that went live."""

    LIVE = "live"
    AGAIN = "live again"  # something else was served in between
    REPLACED = "replaced"
    ROLLED_BACK = "rolled back"
    ELSEWHERE = "replaced at the backend"  # by somebody there
    GONE = "gone"  # with its app
    STOPPED = "stopped"  # at the backend, by somebody there: it would be live
    UNKNOWN = "unknown"  # whether it is still live


@dataclass(frozen=True, slots=True)
class Fate:
    """The fate of the version that a deployment brought live.

    Attributes:
        until: when something else was served; None while it is live, or if that is not known.
        by: ours that replaced it, took it back, brought it once more, or leaves it in doubt.
        look: what its backend shows; None unless somebody deployed there.
        stands: what replaced it is what is served now.
        returned: what brought it back, by which the times at which it came back differ.
        given_up: ours that was to go back from it by itself, and ended without that.
        stopped: where it is stopped; "" unless it is.
    """

    now: Now
    until: float | None = None
    by: Deployment | None = None
    look: Look | None = None
    stands: bool = False
    returned: str | None = None
    given_up: Deployment | None = None
    stopped: str = ""

    @property
    def live(self) -> bool:
        return self.now in (Now.LIVE, Now.AGAIN)

    @property
    def deployed(self) -> bool:
        """Return whether its version is live, or would be if the stopped app were started."""
        return self.live or self.now is Now.STOPPED

    @property
    def gone(self) -> bool:
        """Return whether its version is known not to be served any longer."""
        return not self.deployed and self.now is not Now.UNKNOWN

    @property
    def itself(self) -> bool:
        """Return whether this deployment brought what is served, so that its verdict counts."""
        return self.live and self.by is None and self.look is None

    @property
    def says(self) -> str:
        """What led to it, in a few words; "" while it is simply live."""
        if self.itself:
            return "" if self.given_up is None else _given_up(self.given_up)
        if self.now is Now.STOPPED:
            return f"not running: {self.stopped}"
        if self.look is not None:
            return _there(self.now, self.look, self.by)
        if self.now is Now.GONE:
            return "its app is gone from the backend"
        if self.now is Now.UNKNOWN or self.by is None:
            return _in_doubt(self.by)
        number, version = f"#{self.by.seq}", Version.of(self.by)
        if self.live:
            back = self.by.action is Action.ROLLBACK
            return f"{number} went back to it" if back else f"{number} deployed it again"
        if self.now is Now.ROLLED_BACK:
            to = f"to {version} " if version.named else ""
            return f"rolled back {to}by {number}"
        return f"replaced by {number} ({version})" if version.named else f"replaced by {number}"


# ── what its app has served since ───────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Step:
    """A deployment that an app has served, and what is needed to follow versions.

    Attributes:
        images: the ids of the images that ran; None or () if that is not known.
    """

    id: str
    action: str
    state: str
    target: str | None
    commit: str | None
    image: str | None
    images: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Course:
    """The deployments that followed a version, by id.

    Attributes:
        last: the last one that brought it.
        after: what the app served next; None if that was nothing of ours.
        back: the rollback that took it back after that; None if none did.
        returned: what brought it back, if something else was served in between.
    """

    last: str
    after: str | None = None
    back: str | None = None
    returned: str | None = None


def course_of(id_: str, served: Sequence[Step]) -> Course:
    """Return what has come after the version of a deployment.

    Args:
        served: what its app has served since, itself included, oldest first.
    """
    at = next(place for place, one in enumerate(served) if one.id == id_)
    one, found, later = served[at], Course(id_), {id_}
    for new in served[at + 1 :]:
        if new.state == State.UNKNOWN and new is not served[-1]:
            continue  # what came then is known
        if _brings(new, one) or (found.after is None and _builds_again(new)):
            returned = new.id if found.after is not None else found.returned
            found = Course(new.id, returned=returned)
        else:
            found = _followed(found, new, later)
        later.add(new.id)
    return found


def _brings(new: Step, one: Step) -> bool:
    """Return whether a later deployment has brought the same version."""
    if new.target == one.id:
        return True
    if new.commit is not None or one.commit is not None:
        return new.commit == one.commit
    differ = new.images and one.images and not set(new.images) & set(one.images)
    return new.image is not None and new.image == one.image and not differ


def _builds_again(new: Step) -> bool:
    """Return whether it has built what was checked out, a commit that backends may not name."""
    return new.action == Action.REDEPLOY and new.commit is None and new.image is None


def _followed(found: Course, new: Step, later: set[str]) -> Course:
    after, back = found.after, found.back
    if after is None:
        after = new.id
    goes_back = new.action == Action.ROLLBACK
    if back is None and goes_back and (after == new.id or new.target not in later):
        back = new.id
    return Course(found.last, after, back, found.returned)


def fate_of(
    one: Deployment,
    serving: Serving | None,
    course: Course | None = None,
    known: Mapping[str, Deployment] = MappingProxyType({}),
) -> Fate | None:
    """Return what has become of the version of a deployment; None unless it went live.

    Args:
        serving: what its app serves; None if the app is gone.
        course: what has come after it; None if nothing has.
        known: the deployments that the course names.
    """
    if one.state not in LIVE:
        return None
    fate = _by_version(one, serving, course, known)
    if not fate.live or serving is None or not serving.stopped:
        return fate
    return replace(fate, now=Now.STOPPED, stopped=serving.stopped)


def _by_version(
    one: Deployment, serving: Serving | None, course: Course | None, known: Mapping[str, Deployment]
) -> Fate:
    """Return the same, as if what is stopped ran."""
    course = course or Course(one.id)
    if serving is not None and serving.seen is not None:
        return _as_seen(one, serving, serving.seen, course, known)
    if course.after is not None:
        return _ended(course, known, serving)
    if serving is None:
        return Fate(Now.GONE)
    if not serving.known:
        return Fate(Now.UNKNOWN, by=serving.doubt)
    if serving.newest is not None and serving.newest.id != course.last:
        return _replaced(serving.newest, serving.since, serving)
    now = Now.LIVE if course.returned is None else Now.AGAIN
    return Fate(now, by=_other(one, course, known), returned=course.returned)


def _other(one: Deployment, course: Course, known: Mapping[str, Deployment]) -> Deployment | None:
    return known[course.last] if course.last != one.id else None


def _as_seen(
    one: Deployment, serving: Serving, seen: Look, course: Course, known: Mapping[str, Deployment]
) -> Fate:
    """Return the same where the backend shows another version than our journal has."""
    commit = serving.commit
    same = commit is not None and commit == one.deployed_commit
    if same or seen.deployment in (one.id, course.last):
        returned = seen.record if course.after is not None else course.returned
        now = Now.LIVE if returned is None else Now.AGAIN
        return Fate(now, by=_other(one, course, known), look=seen, returned=returned)
    if course.back is not None:
        return _ended(course, known, serving)
    earlier = seen.deployment is not None and seen.deployment < one.id
    if course.after is not None and not earlier:
        return _ended(course, known, serving)
    if serving.ours is not None and not earlier:
        return _replaced(serving.ours, seen.since, serving)
    put_back = earlier and seen.evidence is Evidence.IMAGE and seen.by is not By.BRIDGE
    until = known[course.after].live_at if course.after is not None else seen.since
    if until is not None and until < (one.live_at or 0.0):
        until = None  # what still runs was served before
    now = Now.ROLLED_BACK if put_back else Now.ELSEWHERE
    return Fate(now, until, serving.ours, seen, stands=True)


def _ended(course: Course, known: Mapping[str, Deployment], serving: Serving | None) -> Fate:
    """Return the fate of what our deployments have replaced, or taken back."""
    assert course.after is not None
    by = known[course.back or course.after]
    return _replaced(by, known[course.after].live_at, serving)


def _replaced(by: Deployment, at: float | None, serving: Serving | None) -> Fate:
    ours = serving.ours if serving is not None else None
    stands = ours is not None and ours.id == by.id
    if by.state is State.UNKNOWN and not stands:
        return Fate(Now.UNKNOWN, at, by)
    now = Now.ROLLED_BACK if by.action is Action.ROLLBACK else Now.REPLACED
    return Fate(now, at, by, stands=stands)


def _in_doubt(doubt: Deployment | None) -> str:
    if doubt is None:
        return "not known whether it still is"
    return f"not known whether it still is: #{doubt.seq} has an unknown outcome"


_GAVE_UP = {
    State.CANCELLED: "was cancelled",
    State.FAILED: "failed",
    State.SUPERSEDED: "was superseded",
}


def _given_up(back: Deployment) -> str:
    ended = _GAVE_UP.get(back.state, "has an unknown outcome")
    return f"#{back.seq}, which was to go back, {ended}"


def _there(now: Now, look: Look, other: Deployment | None) -> str:
    """Return what its backend shows; `other`: ours that is served, or brought it once more."""
    if now in (Now.LIVE, Now.AGAIN):
        return brought_there(look)
    version = version_of(other) if other else (look.commit or "")[:7] or "another version"
    if now is Now.ROLLED_BACK:
        return f"rolled back to {version} in {look.place}, {look.by_whom}"
    if look.evidence is Evidence.IMAGE and look.by is By.BRIDGE:
        return f"not served: the image of {version} still runs"
    if look.by is By.BRIDGE:
        return f"replaced: {look.place} shows another version"
    deployed = f"deployed in {look.place}{moment_of(look.since)}"
    return f"replaced by what was {deployed}, {look.by_whom}"


# ── notes ───────────────────────────────────────────────────────────────────────────────────────

_TENSES = {
    NoteKind.LIVE: (" is live", " went live"),
    NoteKind.AGAIN: (" is served again", " was served again"),
}


def as_told(said: Deployment | Change) -> str:
    """Return a note in words that stay true: what it says is live went live then.

    No note tells a secret, not even one that was recorded before its shape was known.
    """
    return _in_the_past(said, said.note)


def without_way_back(said: Deployment | Change) -> str:
    """Return a note without the way back that it announces."""
    return said.note.removesuffix(f"; {said.way_back}") if said.way_back else said.note


def lasting(said: Deployment | Change) -> str:
    """Return a note in words that stay true, without the way back, which may never come."""
    return _in_the_past(said, without_way_back(said))


def note_now(said: Deployment | Change, fate: Fate | None) -> str:
    """Return a deployment's note as it is true now; without a fate, as it stays true.

    It no longer announces a way back that was given up, or from what is not served any more.
    """
    if fate is None or not fate.itself:
        return lasting(said)
    return redact(said.note if fate.given_up is None else without_way_back(said))


def _in_the_past(said: Deployment | Change, note: str) -> str:
    now, then = _TENSES.get(said.note_kind, ("", "")) if said.note_kind else ("", "")
    return redact(note).replace(now, then, 1)
