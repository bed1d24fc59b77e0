"""What is said about the states of deployments: verdicts, and notes that say more."""

from bridge.core.events import Action
from bridge.core.failure import MOST_CHARACTERS
from bridge.core.health.fate import Fate, Now, as_told, note_now
from bridge.core.lifecycle import (
    HELD,
    VERIFIED,
    Change,
    Deployment,
    NoteKind,
    State,
    live_image,
)
from bridge.core.masking import redact
from bridge.views.values import Icon, Sign

NOTE = 500
"""Characters of a note."""

_VERDICTS = {
    State.WAITING: "waits for its turn",
    State.HELD: "is held",
    State.ASKED: "is about to start",
    State.QUEUED: "waits in the backend's queue",
    State.RUNNING: "is building",
    State.VERIFYING: "is being verified",
    State.DONE: "went live",
    State.UNHEALTHY: "was found unhealthy",
    State.FAILED: "failed",
    State.CANCELLED: "was cancelled",
    State.SUPERSEDED: "gave way to a newer deployment",
    State.UNKNOWN: "has an unknown outcome",
}
"""A verdict in the past tense, as a phrase after the app's name; it stays true."""

_NOW = {
    (State.DONE, True): "is live",
    (State.DONE, False): "was live",
    (State.UNHEALTHY, True): "is live and unhealthy",
    (State.UNHEALTHY, False): "was live and unhealthy",
}
"""The same of what went live, by whether it is what is served now."""

_NOTHING_NEW = frozenset(
    {
        (State.WAITING, "waits for its turn"),
        (State.ASKED, "the backend accepted it"),
        (State.QUEUED, "waits in the backend's queue"),
        (State.RUNNING, "builds"),
    }
)
"""Notes that only repeat the state."""

_AWAY = "waits for the backend"

_PAST = {Now.ROLLED_BACK: Icon.UNDONE, Now.UNKNOWN: Icon.DOUBT}
"""Signs of what was live; all others are `Icon.PAST`."""


def sign_of(deployment: Deployment | None, fate: Fate | None = None) -> Sign:
    """Return the sign of its state, or of what has become of a version that was live."""
    return Icon.NEVER if deployment is None else sign_now(deployment.state, fate)


def sign_now(state: State, fate: Fate | None) -> Sign:
    """Return the sign of a state, or of what has become of a version that was live."""
    return state if fate is None or fate.live else _PAST.get(fate.now, Icon.PAST)


def verdict_of(deployment: Deployment, fate: Fate | None = None) -> str:
    """Return a deployment's state, as a phrase after the app's name.

    Args:
        fate: what has become of it. Without it, what went live is not said to be live.
    """
    if fate is not None and fate.now is Now.STOPPED:
        return "is stopped"
    if fate is not None:
        state = deployment.state if fate.itself or not fate.live else State.DONE
        return _NOW[state, fate.live]
    if deployment.state is State.WAITING and deployment.note_kind is NoteKind.AWAY:
        return "waits for the backend"
    return _VERDICTS[deployment.state]


def told_verdict(state: State) -> str:
    """Return what is told once of a state, as a phrase after the app's name."""
    return _VERDICTS[state]


def news(change: Change) -> str:
    """Return a change's note in words that stay true, redacted."""
    return _redacted_news(change.state, as_told(change))


def _redacted_news(state: State, note: str) -> str:
    if state is State.SUPERSEDED:
        return "A newer deployment takes its place"
    return redacted(note.removeprefix("accepted, outcome unknown: "))


def redacted(note: str) -> str:
    """Return a note with what looks like a secret hidden."""
    return redact(note[:MOST_CHARACTERS])


def remark(deployment: Deployment, fate: Fate | None = None) -> str:
    """Return a deployment's newest note, if it says more than the state; see `note_now`."""
    if (deployment.state, deployment.note) in _NOTHING_NEW or deployment.superseded_by:
        return ""
    live = deployment.deployed_commit
    is_live = f"commit {live[:7]} is live" if live else live_image(deployment.shown_image)
    as_shown = deployment.note in (is_live, is_live + VERIFIED)
    if as_shown and deployment.action is Action.DEPLOY:
        return ""
    note = note_now(deployment, fate).removeprefix(f"{_AWAY}: ").removeprefix(HELD)
    return _redacted_news(deployment.state, note)
