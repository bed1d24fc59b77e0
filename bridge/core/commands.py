"""What a person asks for, as a delivery: by command line today, by chat as well."""

import json

from bridge.core.errors import MalformedPayload
from bridge.core.events import Action, Asked

COMMAND_HOST = "cli"
"""The `host` of deliveries that the command line brings."""


def write_command(asked: Asked) -> bytes:
    """The body of a command's delivery."""
    return json.dumps({"target": asked.target, "actor": asked.actor}).encode()


def parse_command(event: str, body: bytes) -> Asked:
    """Read a command's delivery back; raises MalformedPayload."""
    try:
        fields = json.loads(body)
        return Asked(Action(event), str(fields["target"]), str(fields["actor"]))
    except (ValueError, KeyError, TypeError) as error:
        raise MalformedPayload(f"command {event[:40]!r} can't be read: {error}") from None
