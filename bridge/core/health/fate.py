"""What has become of a deployment that went live: whether it still is, or what replaced it. Pure.

Whatever says "is live" asks here. A note says what was true when it was written; `as_told` returns
it in words that stay true.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from bridge.core.events import Action
from bridge.core.health.rollback import version_of
from bridge.core.health.serving import By, Look, Serving, moment_of
from bridge.core.lifecycle import LIVE, Deployment, State


class Now(StrEnum):
    """What is true now of a deployment that went live."""

    LIVE = "live"
    AGAIN = "live again"  # a rollback has led back to its version
    REPLACED = "replaced"
    ROLLED_BACK = "rolled back"
    ELSEWHERE = "replaced at the backend"  # by somebody there
    UNKNOWN = "unknown"  # whether it is still live


@dataclass(frozen=True, slots=True)
class Fate:
    """What has become of a deployment that went live.

    Attributes:
        until: when something else was served; None while it is live, or if that is not known.
        by: ours that replaced it, that led back to it, or that leaves it in doubt.
        look: what its backend shows in its place; None unless somebody deployed there.
        stands: what replaced it is what is served now.
    """

    now: Now
    until: float | None = None
    by: Deployment | None = None
    look: Look | None = None
    stands: bool = False

    @property
    def live(self) -> bool:
        """Whether its version is what is served now."""
        return self.now in (Now.LIVE, Now.AGAIN)

    @property
    def gone(self) -> bool:
        """Whether something else is known to have been served since."""
        return not self.live and self.now is not Now.UNKNOWN

    @property
    def says(self) -> str:
        """What led to it, in a few words; "" while it is simply live."""
        match self.now:
            case Now.LIVE:
                return ""
            case Now.UNKNOWN:
                return _in_doubt(self.by)
            case Now.ELSEWHERE:
                return _elsewhere(self.look)
        assert self.by is not None
        number, version = f"#{self.by.seq}", version_of(self.by)
        named = not version.startswith("deployment #")
        if self.now is Now.AGAIN:
            return f"{number} went back to it"
        if self.now is Now.ROLLED_BACK:
            return f"rolled back to {version} by {number}" if named else f"rolled back by {number}"
        return f"replaced by {number} ({version})" if named else f"replaced by {number}"


def fate_of(
    one: Deployment,
    serving: Serving | None,
    last: Deployment | None = None,
    after: Deployment | None = None,
) -> Fate | None:
    """Return what has become of a deployment; None unless it went live.

    Args:
        serving: what its app serves; None if that is not known.
        last: the last one that brought its version: itself, or a later rollback to it.
        after: what the app served next after that; None if it was nothing of ours.
    """
    if one.state not in LIVE:
        return None
    last = last or one
    if after is not None:
        return _replaced(after, after.live_at, serving)
    if serving is None:
        return Fate(Now.UNKNOWN)
    if (seen := serving.seen) is not None:
        if serving.ours is not None:
            return _replaced(serving.ours, seen.since, serving)
        return Fate(Now.ELSEWHERE, seen.since, look=seen, stands=True)
    if not serving.known:
        return Fate(Now.UNKNOWN, by=serving.doubt)
    if serving.newest is not None and serving.newest.id != last.id:
        return _replaced(serving.newest, serving.since, serving)
    return Fate(Now.LIVE) if last.id == one.id else Fate(Now.AGAIN, by=last)


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


def _elsewhere(look: Look | None) -> str:
    if look is None or look.by is By.BRIDGE:
        return f"replaced: {look.place if look else 'its backend'} shows another version"
    who = "not by the bridge" if look.by is By.BACKEND else "by whom is not known here"
    return f"replaced by what was deployed in {look.place}{moment_of(look.since)}, {who}"


# ── notes ───────────────────────────────────────────────────────────────────────────────────────

_WAS_TOLD = re.compile(r"^((?:commit|image) \S+) is live\b|^(\S+) is served again\b")
_WILL_GO_BACK = re.compile(r"; it goes back to .{1,300} by itself$", re.DOTALL)


def as_told(note: str) -> str:
    """Return a note in words that stay true: what it says is live went live then."""
    return _WAS_TOLD.sub(
        lambda found: f"{found[1]} went live" if found[1] else f"{found[2]} was served again", note
    )


def lasting(note: str) -> str:
    """Return the same without the way back that it announces, which may never come."""
    return _WILL_GO_BACK.sub("", as_told(note))


def note_now(note: str, fate: Fate | None) -> str:
    """Return a deployment's note as it is true now; without a fate, as it stays true.

    Once something else is known to be served, it no longer announces a way back.
    """
    if fate is not None and fate.live:
        return note
    return lasting(note) if fate is not None else as_told(note)
