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
from bridge.pipeline.rollback_plan import Ways
from bridge.ports.journal import Journal


@dataclass(frozen=True, slots=True)
class Again:
    """How a version is deployed again.

    Attributes:
        says: the plan for people.
        to: the deployment whose version is wanted; None for the branch's head.
        way: how it is brought; "" for the branch's head.
        served: of a rollback, the deployment from which it leads back.
    """

    action: Action
    says: str
    to: Deployment | None = None
    way: str = ""
    served: str = ""


@dataclass(frozen=True, slots=True)
class Replays:
    """Finds how the versions of earlier webhooks are deployed again."""

    journal: Journal
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
        if (head := await self._head(then, branch)) == commit:
            says = f"build the head of {branch}, which is {commit[:7]}"
            return Again(Action.DEPLOY, says)
        try:
            plan = await self.ways.plan(app, commit)
        except Rejected as error:
            now = f", which is {head[:7]} now, not {commit[:7]}" if head else ""
            raise Rejected(
                f"{app.label} can't be deployed as it was: {app.backend} builds the head of"
                f" {branch or 'its branch'}{now}; {_why(app, commit, error)}"
            ) from None
        says = "; ".join((plan.says, *plan.warns))
        served = plan.served.id if plan.served is not None else ""
        return Again(Action.ROLLBACK, says, plan.way.to, plan.way.rung, served)

    async def _head(self, then: Deployment, branch: str | None) -> str | None:
        """Return the commit of the newest push to a branch of the same repository."""
        to = (await self.journal.pushed([then.seq])).get(then.seq)
        if to is None or branch is None:
            return None
        newest = await self.journal.newest_push(f"{to.key} refs/heads/{branch}")
        return newest.after if newest else None


def _why(app: App, commit: str, error: Rejected) -> str:
    """Return why the backend can't serve an earlier build, and what to do."""
    if not isinstance(error, NotFound):
        return str(error)
    return (
        f"no healthy build of {commit[:7]} is known that could be served again: pin the app"
        f" (`dokploy-bridge pin {app.label}`), and exactly that commit can be built"
    )
