"""The chats. To add one, write a folder with its record, and add a line here."""

from bridge.chats.discord.provider import DISCORD
from bridge.chats.slack.provider import SLACK
from bridge.core.events import ASKING_HOSTS
from bridge.ports.providers import ChatProvider

CHATS: dict[str, ChatProvider] = {one.key: one for one in (SLACK, DISCORD)}
"""Each chat's record by its key."""


def asking_hosts() -> frozenset[str]:
    """Return the origins of people's requests: the command line, the console, and each chat."""
    return ASKING_HOSTS | frozenset(CHATS)
