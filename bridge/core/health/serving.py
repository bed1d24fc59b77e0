"""The version that an app serves, and its distance from the head of its branch. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from bridge.core.changes import Move, leading, newest_move
from bridge.core.decision import Reason
from bridge.core.events import ZERO, Action
from bridge.core.health.rollback import version_of
from bridge.core.lifecycle import VERIFIED, Deployment, State


class Works(StrEnum):
    """Whether what is served works."""

    VERIFIED = "verified"
    NOT_VERIFIED = "not verified"
    VERIFYING = "being verified"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Behind:
    """What was pushed to an app's branch after the commit that it serves.

    Attributes:
        pushes: how many pushes.
        concerning: how many of them may have changed it: all without those that hit none of its
            watch paths.
    """

    pushes: int
    concerning: int

    @property
    def says(self) -> str:
        """How far that is, for people."""
        if not self.concerning:
            return "up to date"
        return "1 push behind" if self.concerning == 1 else f"{self.concerning} pushes behind"


@dataclass(frozen=True, slots=True)
class Serving:
    """What an app serves.

    Attributes:
        newest: the deployment that its backend began to serve last.
        before: the one that it served before that; None if there is none.
        doubt: the newest deployment with an unknown outcome; None if there is none.
        branched: whether the app follows one branch.
        behind: how far it is behind that branch; None if that is not known.
    """

    newest: Deployment
    before: Deployment | None = None
    doubt: Deployment | None = None
    branched: bool = False
    behind: Behind | None = None

    @property
    def known(self) -> bool:
        """Whether it is known which deployment is served: nothing of unknown outcome came after."""
        return self.newest.served and not _ended_after(self.doubt, self.newest)

    @property
    def commit(self) -> str | None:
        """The commit that is served; None if the backend did not report it."""
        return self.newest.deployed_commit if self.known else None

    @property
    def version(self) -> str | None:
        """The commit, or else the image; None if neither is known."""
        if not self.known:
            return None
        return self.newest.deployed_commit or self.newest.image

    @property
    def last_known(self) -> Deployment | None:
        """The newest deployment that was surely served; None if there is none."""
        return next((one for one in (self.newest, self.before) if one and one.served), None)

    @property
    def since(self) -> float | None:
        """Since when it is served; None if it is not known what is served."""
        return self.newest.live_at if self.known else None

    @property
    def by(self) -> str:
        """Who brought it: of a push its author, else who asked for it; "" if unknown."""
        kind = self.newest.trigger.partition(",")[0]
        pushed = kind in ("push", "tag")
        return (self.newest.author or "") if pushed else self.newest.trigger

    @property
    def works(self) -> Works:
        """Whether it works."""
        if not self.known:
            return Works.UNKNOWN
        match self.newest.state:
            case State.VERIFYING:
                return Works.VERIFYING
            case State.UNHEALTHY:
                return Works.UNHEALTHY
            case _ if self.newest.note.endswith(VERIFIED):
                return Works.VERIFIED
        return Works.NOT_VERIFIED

    @property
    def rolled_back(self) -> bool:
        """Whether a rollback brought it."""
        return self.known and self.newest.action is Action.ROLLBACK

    @property
    def rolled_back_from(self) -> str | None:
        """The version that a rollback led away from; None without one, or if it is not known."""
        before = self.before
        if not self.rolled_back or before is None or not before.served:
            return None
        return None if _ended_after(self.doubt, before) else version_of(before)

    @property
    def notes(self) -> tuple[str, ...]:
        """What else is known about it, for people, in a few words each."""
        if not self.known:
            last = self.last_known
            return (f"unknown: {version_of(last)} was live before",) if last else ("unknown",)
        notes: list[str] = []
        if self.rolled_back:
            left = self.rolled_back_from
            notes.append(f"rolled back from {left}" if left else "rolled back")
        if self.branched:
            notes.append(self.behind.says if self.behind else "unknown how far behind")
        return (*notes, str(self.works))


def _ended_after(doubt: Deployment | None, served: Deployment) -> bool:
    """Return whether a deployment of unknown outcome may have replaced another one."""
    if doubt is None or doubt.id == served.id:
        return False
    return doubt.finished_at is None or doubt.finished_at >= (served.live_at or 0.0)


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
