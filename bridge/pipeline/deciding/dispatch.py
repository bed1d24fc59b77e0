"""Carry out decisions: one flow for each deployment, and for each other request."""

from collections.abc import Iterable

from bridge.core.events import CONFIGURING, Action, Asked
from bridge.core.lifecycle import Deployment, deployment_id, deployment_of, flow_of
from bridge.ports.flows import Flows
from bridge.ports.outcomes import Recorded

DEPLOYMENT_FLOW = "deployment"
CANCEL_FLOW = "cancel"
CANCEL_ONE_FLOW = "cancel one"
CONFIGURE_FLOW = "configure"
OTHER_FLOWS = {Action.CANCEL: CANCEL_FLOW} | dict.fromkeys(CONFIGURING, CONFIGURE_FLOW)


class Starting:
    """Starts flows, each only once however often it is requested."""

    def __init__(self, flows: Flows) -> None:
        self._flows = flows

    async def resume(self, going: Iterable[Deployment]) -> list[str]:
        """Make sure that each of these has an active flow; return those given up."""
        wanted = {flow_of(one): one.app_id for one in going}
        return list(map(deployment_of, await self._flows.ensure(DEPLOYMENT_FLOW, wanted)))

    async def release(self, deployment: Deployment) -> None:
        """Start a deployment that gates have let pass."""
        await self._flows.start(DEPLOYMENT_FLOW, flow_of(deployment), key=deployment.app_id)

    async def follow(self, recorded: Recorded) -> None:
        """Start the recorded deployments, and remove superseded ones from the queue."""
        await self._flows.drop(DEPLOYMENT_FLOW, recorded.drop)
        for id_ in recorded.start:
            await self._flows.start(DEPLOYMENT_FLOW, id_, key=id_.partition(".")[2])

    async def other(self, asked: Asked, seq: int) -> None:
        """Start a person's request, delivery `seq`, if it is not a deployment."""
        if asked.action not in OTHER_FLOWS:
            return
        flow, about = OTHER_FLOWS[asked.action], asked.target
        if asked.action is Action.CANCEL and asked.deployment:
            flow, about = CANCEL_ONE_FLOW, asked.deployment
        await self._flows.start(flow, deployment_id(seq, about), key=asked.target)
