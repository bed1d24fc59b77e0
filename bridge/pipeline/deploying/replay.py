"""Replay as it was: deploy again the version that a webhook has deployed, or say why not.

A backend builds the head of a branch. An earlier commit comes back only where the app is pinned, or
where the backend has kept what it built.
"""

from dataclasses import dataclass

from bridge.core.apps import App
from bridge.core.errors import NotFound, Rejected
from bridge.core.events import Action
from bridge.core.health.rollback import Rung
from bridge.core.lifecycle import Deployment
from bridge.core.pins import pin_of, tracked
from bridge.pipeline.deploying.rollback_plan import Ways
from bridge.pipeline.gates.gates import Heads


@dataclass(frozen=True, slots=True)
class Again:
    """How a version is deployed again.

    Attributes:
        says: the plan for people.
        to: the deployment whose version is wanted.
        way: how it is brought.
        served: of a rollback, the deployment from which it leads back.
    """

    action: Action
    says: str
    to: Deployment
    way: Rung
    served: str = ""


@dataclass(frozen=True, slots=True)
class Replays:
    """Finds how the versions of earlier webhooks are deployed again."""

    heads: Heads
    ways: Ways

    async def plan(self, app: App, then: Deployment) -> Again:
        """Return how to deploy the version of a webhook's deployment.

        Raises:
            Rejected: it can't be done; the message says why, and what to change.
            Unreachable, Unanswered, Refused: the backend can't be asked what it has kept.
        """
        if (commit := then.deployed_commit or then.commit) is None:
            raise Rejected(f"which commit deployment #{then.seq} of {app.label} built is not known")
        if pin_of(app) is not None:
            says = f"build {commit[:7]} again, from the pinned branch"
            return Again(Action.DEPLOY, says, then, Rung.PIN)
        branch = tracked(app)
        head, trouble = await self.heads.of(app)
        if head is not None and head.commit == commit:
            says = f"build the head of {branch}, which is {commit[:7]}"
            return Again(Action.DEPLOY, says, then, Rung.PIN)
        try:
            plan = await self.ways.plan(app, commit)
        except Rejected as error:
            now = f"which is {head.commit[:7]} now, not {commit[:7]}" if head else f"and {trouble}"
            raise Rejected(
                f"{app.label} can't be deployed as it was: {app.backend} builds the head of"
                f" {branch or 'its branch'}, {now}; {_why(app, commit, error)}"
            ) from None
        says = "; ".join((plan.says, *plan.warns))
        served = plan.served.id if plan.served is not None else ""
        return Again(Action.ROLLBACK, says, plan.way.to, plan.way.rung, served)


def _why(app: App, commit: str, error: Rejected) -> str:
    """Return why the backend can't serve an earlier build, and what to do."""
    if not isinstance(error, NotFound):
        return str(error)
    return (
        f"no healthy build of {commit[:7]} is known that could be served again: pin the app"
        f" (`dokploy-bridge pin {app.label}`), and exactly that commit can be built"
    )
