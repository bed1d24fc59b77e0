"""What a commit status and a deployment object say. Pure.

Nothing is claimed that is not known: a deployment whose outcome the backend can't tell is
"cancelled" (GitHub shows an error), never success or failure. A skipped app is a success with
its reason, so that it holds up no merge; so is one that a newer push has superseded.
"""

from dataclasses import dataclass

from bridge.core.failure import MOST_CHARACTERS
from bridge.core.lifecycle import Deployment, State
from bridge.core.log_text import shorten
from bridge.core.redaction import redact
from bridge.githosts.showing.markdown import one_line
from bridge.githosts.showing.standing import GOING, WHY_NOT, Standing
from bridge.ports.host_api import CommitState

LONGEST = 140
"""Characters that GitHub takes in a description."""

_STATES = {
    State.WAITING: CommitState.PENDING,
    State.ASKED: CommitState.PENDING,
    State.QUEUED: CommitState.PENDING,
    State.RUNNING: CommitState.RUNNING,
    State.DONE: CommitState.SUCCESS,
    State.FAILED: CommitState.FAILURE,
    State.CANCELLED: CommitState.CANCELLED,
    State.SUPERSEDED: CommitState.SUCCESS,
    State.UNKNOWN: CommitState.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of an app under a commit."""

    state: CommitState
    description: str


def status_of(one: Standing) -> Said | None:
    """What the commit of the newest push shows for an app; None: nothing."""
    if one.skipped:
        assert one.newest is not None
        decision = one.newest.decision
        words = WHY_NOT.get(decision.reason, decision.reason.replace("_", " "))
        return Said(CommitState.SUCCESS, _plain(f"skipped: {words} ({decision.evidence})"))
    return None if one.deployment is None else deployment_status(one.deployment)


def deployment_status(deployment: Deployment) -> Said:
    """How a deployment stands, and why it failed: its reason is one line without secrets."""
    words = GOING[deployment.state]
    live = deployment.deployed_commit
    if deployment.state is State.DONE:
        words = (
            f"deployed {live[:7]}" if live else "deployed; the backend does not tell which commit"
        )
        if live and deployment.commit and live != deployment.commit:
            words += ", the head of the branch when the build began"
    elif deployment.state is State.FAILED and deployment.note:
        note = redact(deployment.note[:MOST_CHARACTERS])
        words = f"{words}: {shorten(note, LONGEST - len(words) - 2)}"
    return Said(_STATES[deployment.state], _plain(words))


def _plain(text: str) -> str:
    """One line that every host keeps: some refuse characters of four bytes."""
    return one_line("".join(char if ord(char) < 0x10000 else "\ufffd" for char in text), LONGEST)
