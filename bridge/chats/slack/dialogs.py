"""Dialogs that ask for the arguments of an operation, or whether it is to be done."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.chats.slack import names
from bridge.chats.slack.blocks import Block, Element, field_input, label, modal
from bridge.chats.slack.pickers import app_search
from bridge.chats.slack.views import content_of, read_call, write_call
from bridge.core.apps import App
from bridge.core.chat.calls import Call
from bridge.views.links import Links
from bridge.views.view import Field, View

LONGEST_FIELD = 500


@dataclass(frozen=True, slots=True)
class Asking:
    """The metadata of a dialog; it proves nothing.

    Attributes:
        channel: where it was opened.
        right: which the person needs to the apps that are offered; "" for none.
    """

    call: Call
    channel: str = ""
    right: str = ""

    def write(self) -> str:
        """Return the text for `private_metadata`."""
        parts = [self.channel, write_call(self.call), self.right]
        return json.dumps(parts, separators=(",", ":"))


def read_asking(view: Mapping[str, Any]) -> Asking:
    """Read what `Asking.write` wrote, with what was typed into the fields."""
    try:
        channel, written, *right = json.loads(str(view.get("private_metadata")))
    except (ValueError, TypeError, RecursionError):
        return Asking(Call("", {}))
    call = read_call(str(written))
    given = {**call.given, **_typed(view)}
    return Asking(Call(call.name, given), str(channel), str(right[0]) if right else "")


def _typed(view: Mapping[str, Any]) -> dict[str, str]:
    values = (view.get("state") or {}).get("values") or {}
    typed = {name: _text_of(next(iter(one.values()), {})) for name, one in values.items()}
    return {name: text for name, text in typed.items() if text}


def _text_of(element: Mapping[str, Any]) -> str:
    return str((element.get("selected_option") or element).get("value") or "")


def dialog_of(view: View, links: Links, channel: str, chosen: App | None = None) -> dict[str, Any]:
    """Return a view as a dialog, with a field for each argument that it lacks.

    Args:
        chosen: an app that is probably meant.
    """
    _, blocks = content_of(view, links)
    if view.asks is None:
        return modal(names.OPERATION_VIEW, view.name or "Not done", blocks, close="Close")
    ask = view.asks
    blocks += [_field(one, chosen, focus=at == 0) for at, one in enumerate(ask.lacks)]
    right = next((str(one.apps) for one in ask.lacks if one.apps is not None), "")
    metadata = Asking(ask.call, channel, right).write()
    return modal(names.OPERATION_VIEW, ask.does, blocks, submit=ask.does, metadata=metadata)


def _field(one: Field, chosen: App | None, *, focus: bool) -> Block:
    element = _words(one) if one.apps is None else app_search(chosen)
    if focus:
        element["focus_on_load"] = True
    return field_input(one.name, one.label.capitalize(), element, optional=one.optional)


def _words(one: Field) -> Element:
    return {
        "type": "plain_text_input",
        "action_id": one.name,
        "max_length": LONGEST_FIELD,
        "placeholder": label(one.help, 150),
    }
