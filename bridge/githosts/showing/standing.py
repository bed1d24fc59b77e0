"""How each app stands for the pushes that a place follows: what it shows, whatever its form."""

from collections.abc import Iterable
from dataclasses import dataclass

from bridge.core.decision import Reason
from bridge.core.lifecycle import Deployment, State
from bridge.core.watch import environment_of
from bridge.ports.feedback import Story
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
"""Decisions that say nothing about a push: another delivery's does."""

ELSEWHERE = frozenset({Reason.BRANCH_MISMATCH, Reason.TRIGGER_MISMATCH})
"""The app waits for something else than what was pushed."""

WHY_NOT = {
    Reason.TRIGGER_MISMATCH: "waits for another kind of push",
    Reason.BRANCH_MISMATCH: "waits for another branch",
    Reason.REF_DELETED: "the branch or tag was deleted",
    Reason.SKIP_DIRECTIVE: "the push asks to be skipped",
    Reason.TAG_MISMATCH: "the tag does not fit its rules",
    Reason.TAG_TOO_OLD: "a newer version has been deployed",
    Reason.NO_PATH_HIT: "no watched path changed",
    Reason.WATCH_PATHS_BROKEN: "a watch path can't be understood",
}
"""Why an app does not deploy, in a few words."""

GOING = {
    State.WAITING: "waiting",
    State.ASKED: "accepted by the backend",
    State.QUEUED: "queued at the backend",
    State.RUNNING: "building",
    State.DONE: "deployed",
    State.FAILED: "failed",
    State.CANCELLED: "cancelled",
    State.SUPERSEDED: "superseded by a newer push",
    State.UNKNOWN: "accepted, outcome unknown",
}
"""Where a deployment stands, in a few words."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How one app stands.

    Attributes:
        label: the name that people use for the app.
        newest: the newest decision that says something.
        deployment: the newest; it may be of an older push than `newest`.
    """

    app_id: str
    label: str
    environment: str
    newest: Explained | None = None
    deployment: Deployment | None = None

    @property
    def skipped(self) -> bool:
        """Whether the newest push did not deploy it."""
        if self.newest is None or self.newest.decision.deploy:
            return False
        return self.deployment is None or self.deployment.seq < self.newest.seq


def standings(story: Story) -> list[Standing]:
    """Every app of which the story tells something, by label."""
    # both lists are newest first, so what is written last is the newest
    said = {
        one.decision.app_id: one
        for one in reversed(story.explained)
        if one.decision.reason not in SILENT
    }
    deployed = {one.app_id: one for one in newest(story)}
    found = [
        Standing(
            app_id,
            _label(app_id, story, said, deployed),
            environment_of(story.apps.get(app_id)),
            said.get(app_id),
            deployed.get(app_id),
        )
        for app_id in said.keys() | deployed.keys()
    ]
    return sorted(found, key=lambda one: (one.label, one.app_id))


def newest(story: Story) -> list[Deployment]:
    """Return the newest deployment of each app of which the story tells one."""
    # they come newest first, so what is written last is the newest
    return [*{one.app_id: one for one in reversed(story.deployments)}.values()]


def watches(reasons: Iterable[Reason]) -> bool:
    """Whether an app waits for what was pushed, whether or not it deploys."""
    return any(reason not in SILENT and reason not in ELSEWHERE for reason in reasons)


def _label(
    app_id: str, story: Story, said: dict[str, Explained], deployed: dict[str, Deployment]
) -> str:
    """As it was called when that happened: also of an app that is gone by now."""
    if app_id in said:
        return said[app_id].decision.app
    if app_id in deployed:
        return deployed[app_id].app
    return story.apps[app_id].label
