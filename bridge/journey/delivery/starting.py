"""What carries out that which was decided: one flow for each deployment, and for each wish."""

from collections.abc import Iterable

from bridge.core.events import CONFIGURING, Action, Asked
from bridge.core.lifecycle import Deployment, deployment_id
from bridge.journey.delivery.meaning import Meaning
from bridge.ports.flows import Flows
from bridge.ports.outcomes import Recorded

DEPLOYMENT_FLOW = "deployment"
CANCEL_FLOW = "cancel"
CANCEL_ONE_FLOW = "cancel one"
CONFIGURE_FLOW = "configure"
OTHER_FLOWS = {Action.CANCEL: CANCEL_FLOW} | dict.fromkeys(CONFIGURING, CONFIGURE_FLOW)


class Starting:
    """Starts flows, each once however often it is asked for."""

    def __init__(self, flows: Flows) -> None:
        self._flows = flows

    async def resume(self, going: Iterable[Deployment]) -> list[str]:
        """See to it that each of these has a flow that goes on; returns those given up."""
        return await self._flows.ensure(DEPLOYMENT_FLOW, {one.id: one.app_id for one in going})

    async def follow(self, recorded: Recorded) -> None:
        """Deploy what was decided, and take out of the queue what is superseded by it."""
        await self._flows.drop(DEPLOYMENT_FLOW, recorded.drop)
        for id_ in recorded.start:
            await self._flows.start(DEPLOYMENT_FLOW, id_, key=id_.partition(".")[2])

    async def other(self, meaning: Meaning) -> None:
        """Start what a person asked for and what is no deployment."""
        asked = meaning.event
        if not isinstance(asked, Asked) or asked.action not in OTHER_FLOWS:
            return
        flow, about = OTHER_FLOWS[asked.action], asked.target
        if asked.action is Action.CANCEL and asked.deployment:
            flow, about = CANCEL_ONE_FLOW, asked.deployment
        await self._flows.start(flow, deployment_id(meaning.delivery.seq, about), key=asked.target)
