"""The chats. A new one is a folder with its record, and a line here."""

from bridge.chats.slack.provider import SLACK
from bridge.core.events import COMMAND_HOST
from bridge.ports.providers import ChatProvider

CHATS: dict[str, ChatProvider] = {one.key: one for one in (SLACK,)}
"""Each chat's record by its key."""


def asking_hosts() -> frozenset[str]:
    """Return whose deliveries are what people ask for: of the command line, and of each chat."""
    return frozenset({COMMAND_HOST, *CHATS})
