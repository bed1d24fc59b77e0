"""A word to one person: in the channel where they asked, seen by nobody else."""

from typing import Any

from bridge.chats.slack.api.client import SlackClient
from bridge.core.errors import Refused


async def tell_alone(client: SlackClient, channel: str, person: str, said: dict[str, Any]) -> None:
    """Tell somebody; where the bridge is not in the channel, in their conversation with it."""
    if channel:
        try:
            await client.call("chat.postEphemeral", channel=channel, user=person, **said)
        except Refused:
            pass  # the bridge is not in that channel, or the person no more
        else:
            return
    await client.call("chat.postMessage", channel=person, **said)
