"""A word to one person: what they asked for turned out to be impossible."""

from collections.abc import Sequence

from bridge.chats.slack.api.alone import tell_alone
from bridge.chats.slack.api.client import SlackClient
from bridge.chats.slack.commands.replies import problem
from bridge.ports.feedback import Remember, Story, Turn
from bridge.ports.targets import Memory, Target


class Notices:
    """Says it where it was asked, to who asked; of kind `planning.NOTICE`."""

    def __init__(self, client: SlackClient, turn: Turn) -> None:
        self._client = client
        self._turn = turn

    async def show(
        self, target: Target, _story: Story, memory: Memory, remember: Remember
    ) -> Sequence[Target]:
        """Say it once; where the bridge is not in the channel, in their own conversation."""
        if memory.get("said"):
            return ()
        place = target.place
        person, channel = str(place["person"]), str(place["channel"])
        said = problem(str(place["text"])).body()
        await self._turn(target.lane)
        await tell_alone(self._client, channel, person, said)
        await remember({"said": True})
        return ()
