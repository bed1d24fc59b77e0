"""The state of each app for the pushes that a subscription follows. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from bridge.core.apps import environment_of
from bridge.core.decision import Reason
from bridge.core.failure import MOST_CHARACTERS
from bridge.core.health.fate import Now
from bridge.core.lifecycle import Deployment, State
from bridge.core.masking import redact
from bridge.ports.feedback import Snapshot
from bridge.ports.outcomes import Explained

SILENT = frozenset(
    {
        Reason.DUPLICATE_PUSH,
        Reason.REPOSITORY_MISMATCH,
        Reason.CANCEL_ASKED,
        Reason.CANCEL_ONE_ASKED,
        Reason.CONFIGURE_ASKED,
    }
)
"""Decisions that don't count for a push: another delivery decides it."""

ELSEWHERE = frozenset({Reason.BRANCH_MISMATCH, Reason.TRIGGER_MISMATCH, Reason.OWN_BRANCH})
"""The app does not deploy from what was pushed."""

WHY_NOT = {
    Reason.TRIGGER_MISMATCH: "waits for another kind of push",
    Reason.BRANCH_MISMATCH: "waits for another branch",
    Reason.REF_DELETED: "the branch or tag was deleted",
    Reason.SKIP_DIRECTIVE: "the push asks to be skipped",
    Reason.TAG_MISMATCH: "the tag does not fit its rules",
    Reason.TAG_TOO_OLD: "a newer version has been deployed",
    Reason.NO_PATH_HIT: "no watched path changed",
    Reason.WATCH_PATHS_BROKEN: "a watch path can't be understood",
    Reason.MADE_LATER: "it was made after this push",
    Reason.OWN_BRANCH: "the bridge has pinned it so",
}
"""Why an app does not deploy, in a few words"""

GOING = {
    State.WAITING: "waiting",
    State.HELD: "held",
    State.ASKED: "accepted by the backend",
    State.QUEUED: "queued at the backend",
    State.RUNNING: "building",
    State.VERIFYING: "being verified",
    State.DONE: "deployed",
    State.UNHEALTHY: "deployed, but unhealthy",
    State.FAILED: "failed",
    State.CANCELLED: "cancelled",
    State.SUPERSEDED: "superseded by a newer deployment",
    State.UNKNOWN: "accepted, outcome unknown",
}
"""A deployment's state, in a few words."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of one app.

    Attributes:
        label: the app's name for people.
        newest: the newest decision that counts.
        deployment: the newest; it may be of an older push than `newest`.
    """

    app_id: str
    label: str
    environment: str
    newest: Explained | None = None
    deployment: Deployment | None = None

    @property
    def skipped(self) -> bool:
        """True if the newest push did not deploy it."""
        if self.newest is None or self.newest.decision.deploy:
            return False
        return self.deployment is None or self.deployment.seq < self.newest.seq


def standings(snapshot: Snapshot) -> list[Standing]:
    """Return every app in the snapshot, ordered by label."""
    # both lists are newest first, so the last write is the newest
    said = {
        one.decision.app_id: one
        for one in reversed(snapshot.explained)
        if one.decision.reason not in SILENT
    }
    deployed = {one.app_id: one for one in newest(snapshot)}
    found = [
        Standing(
            app_id,
            _label(app_id, snapshot, said, deployed),
            environment_of(snapshot.apps.get(app_id)),
            said.get(app_id),
            deployed.get(app_id),
        )
        for app_id in said.keys() | deployed.keys()
    ]
    return sorted(found, key=lambda one: (one.label, one.app_id))


def newest(snapshot: Snapshot) -> list[Deployment]:
    """Return the newest deployment of each app in the snapshot."""
    # they are newest first, so the last write is the newest
    return [*{one.app_id: one for one in reversed(snapshot.deployments)}.values()]


def watches(reasons: Iterable[Reason]) -> bool:
    """Return whether an app follows the pushed ref, even if this push does not deploy it."""
    return any(reason not in SILENT and reason not in ELSEWHERE for reason in reasons)


def _label(
    app_id: str, snapshot: Snapshot, said: dict[str, Explained], deployed: dict[str, Deployment]
) -> str:
    """Return the app's name at that time, even if the app is gone."""
    if app_id in said:
        return said[app_id].decision.app
    if app_id in deployed:
        return deployed[app_id].app
    return snapshot.apps[app_id].label


def reasons_of(deployment: Deployment) -> list[str]:
    """Return what holds a deployment, without secrets; nothing unless it is held."""
    if deployment.state is not State.HELD:
        return []
    return [redact(one.says[:MOST_CHARACTERS]) for one in deployment.holds]


def going(deployment: Deployment, snapshot: Snapshot) -> tuple[str, str]:
    """Return the icon of what became of a deployment, and a few words that stay true."""
    told = snapshot.told_by(deployment)
    fate = snapshot.fates.get(told.id)
    match fate.now if fate is not None else None:
        case Now.ROLLED_BACK:
            return "↩️", "rolled back"
        case Now.REPLACED | Now.ELSEWHERE | Now.STOPPED | Now.GONE | Now.UNKNOWN if (
            told.state is State.UNHEALTHY
        ):
            return ICON[told.state], "deployed, and was unhealthy"
        case _:
            return ICON[told.state], words_of_state(told, deployment)


def words_of_state(told: Deployment, deployment: Deployment) -> str:
    """Return a state in a few words; `told`: what tells what became of a deployment."""
    words = GOING[told.state]
    if told.id == deployment.id:
        return words
    if told.served:
        return words.replace("deployed", f"deployed by #{told.seq}", 1)
    return f"superseded by #{told.seq}: {words}"


ICON = {
    State.WAITING: "⏳",
    State.HELD: "✋",
    State.ASKED: "⏳",
    State.QUEUED: "⏳",
    State.RUNNING: "🔨",
    State.VERIFYING: "🩺",
    State.DONE: "✅",
    State.UNHEALTHY: "🤒",
    State.FAILED: "❌",
    State.CANCELLED: "🚫",
    State.SUPERSEDED: "⏩",
    State.UNKNOWN: "❔",
}
