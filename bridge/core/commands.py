"""What a person asks for, as a delivery: by command line or by chat."""

import json

from bridge.core.errors import MalformedPayload
from bridge.core.events import Action, Asked
from bridge.core.misfits import unreadable

COMMAND_HOST = "cli"
"""The `host` of deliveries that the command line brings."""

CHAT_HOST = "slack"
"""That of those which come by chat."""

ASKING_HOSTS = frozenset({COMMAND_HOST, CHAT_HOST})

_FROM_A_CHAT = ("person", "channel", "thread", "app", "deployment", "view", "draft")


def write_command(asked: Asked) -> bytes:
    """The body of a command's delivery."""
    fields = {"target": asked.target, "actor": asked.actor}
    fields |= {name: value for name in _FROM_A_CHAT if (value := getattr(asked, name))}
    return json.dumps(fields).encode()


def parse_command(event: str, body: bytes) -> Asked:
    """Read a command's delivery back; raises MalformedPayload."""
    try:
        fields = json.loads(body)
        more = {name: str(fields.get(name, "")) for name in _FROM_A_CHAT}
        return Asked(Action(event), str(fields["target"]), str(fields["actor"]), **more)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = unreadable(error)
        raise MalformedPayload(f"command {event[:40]!r} can't be read: {why}") from None
