"""The bytes that Slack sends → what they say, in the one form that all handlers get. Pure.

Commands come as a form, clicks and dialogs as JSON in a form's `payload`, events as JSON.
"""

import json
from typing import Any
from urllib.parse import parse_qsl

from bridge.core.errors import MalformedPayload

_OBJECTS = ("user", "view", "container", "message", "event")
_MOST_FIELDS = 100


def payload_of(content_type: str, body: bytes) -> dict[str, Any]:
    """Read a body; raises MalformedPayload where it has not the form that Slack sends."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise MalformedPayload("the body is no UTF-8") from None
    if content_type.partition(";")[0].strip().lower() == "application/json":
        return _checked(_json(text))
    try:
        fields = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError:
        raise MalformedPayload("the body is no form that Slack sends") from None
    return _checked(_json(fields["payload"]) if "payload" in fields else fields)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise MalformedPayload("the body holds no JSON") from None


def _checked(payload: Any) -> dict[str, Any]:
    """Of the shape that handlers rely on, whatever its values are."""
    if not isinstance(payload, dict):
        raise MalformedPayload(f"the body holds a {type(payload).__name__}, not an object")
    for name in _OBJECTS:
        if not isinstance(payload.get(name, {}), dict):
            raise MalformedPayload(f"{name} is no object")
    actions = payload.get("actions", [{}])
    if not isinstance(actions, list) or not all(isinstance(one, dict) for one in actions):
        raise MalformedPayload("actions is no list of objects")
    if not actions:
        raise MalformedPayload("actions is empty")
    return payload
