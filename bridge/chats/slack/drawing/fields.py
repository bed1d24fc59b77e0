"""The fields of a form as Block Kit, and what somebody has put into them. Pure.

A field's block id is its name behind a word that stands for the form, as "github.branch": Slack
keeps what was typed as long as the block id stays the same. What a list of choices depends on
stands behind it, as "github.branch|account|my-org/mono", since that is all that comes along
when the list is asked for.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bridge.chats.slack.drawing import names
from bridge.chats.slack.drawing.blocks import MOST_OPTIONS, Element, field_input, label, option
from bridge.chats.slack.drawing.messages import Block

INITIAL_TEXT = 3000
OPTION_VALUE = 150
BLOCK_ID = 255
NONE = "-"
"""The value of an option that stands for nothing."""

Given = Mapping[str, Any]
"""What a form's fields hold, by name: a text, a tuple of values, or None."""


def text_field(
    block_id: str,
    title: str,
    value: str | None = None,
    *,
    hint: str = "",
    placeholder: str = "",
    optional: bool = False,
    lines: bool = False,
    tried: bool = False,
) -> Block:
    """A field to type in.

    Args:
        lines: whether it may hold several.
        tried: whether recent pushes are tried with it as it is typed.
    """
    element: Element = {
        "type": "plain_text_input",
        "action_id": names.PROVIDER_TRY if tried else names.PROVIDER_FIELD,
    }
    if lines:
        element["multiline"] = True
    if value:
        element["initial_value"] = value[:INITIAL_TEXT]
    if placeholder:
        element["placeholder"] = label(placeholder, 150)
    block = field_input(block_id, title, element, hint=hint)
    if tried:
        element["dispatch_action_config"] = {"trigger_actions_on": ["on_character_entered"]}
        block["dispatch_action"] = True
    if optional:
        block["optional"] = True
    return block


def choice_field(
    block_id: str,
    title: str,
    choices: Sequence[tuple[str, str]],
    chosen: str | None,
    *,
    hint: str = "",
    redraws: bool = False,
) -> Block:
    """A field with a few choices, as (value, words)."""
    options = [option(words, value) for value, words in choices[:MOST_OPTIONS]]
    element: Element = {
        "type": "static_select",
        "action_id": names.PROVIDER_REDRAW if redraws else names.PROVIDER_FIELD,
        "options": options,
    }
    if (now := next((one for one in options if one["value"] == chosen), None)) is not None:
        element["initial_option"] = now
    block = field_input(block_id, title, element, hint=hint)
    if redraws:
        block["dispatch_action"] = True
    return block


def search_field(
    block_id: str,
    title: str,
    action_id: str,
    chosen: str | None,
    *,
    redraws: bool = False,
) -> Block:
    """A field whose choices are asked for while somebody types."""
    element: Element = {
        "type": "external_select",
        "action_id": action_id,
        "placeholder": label("Type a few letters", 150),
        "min_query_length": 0,
    }
    if chosen and len(chosen) <= OPTION_VALUE:
        element["initial_option"] = option(chosen, chosen)
    block = field_input(block_id[:BLOCK_ID], title, element)
    if redraws:
        block["dispatch_action"] = True
    return block


def ticks_field(
    block_id: str, title: str, choices: Sequence[tuple[str, str]], ticked: Sequence[str]
) -> Block:
    """A field of boxes to tick, as (value, words)."""
    options = [option(words, value) for value, words in choices]
    element: Element = {
        "type": "checkboxes",
        "action_id": names.PROVIDER_FIELD,
        "options": options,
    }
    if now := [one for one in options if one["value"] in ticked]:
        element["initial_options"] = now
    block = field_input(block_id, title, element)
    block["optional"] = True
    return block


def several_field(
    block_id: str, title: str, choices: Sequence[tuple[str, str]], *, placeholder: str
) -> Block:
    """A field in which several of many can be chosen."""
    element: Element = {
        "type": "multi_static_select",
        "action_id": names.PROVIDER_FIELD,
        "placeholder": label(placeholder, 150),
        "options": [option(words, value) for value, words in choices[:MOST_OPTIONS]],
    }
    block = field_input(block_id, title, element)
    block["optional"] = True
    return block


def given_in(view: Mapping[str, Any]) -> dict[str, Any]:
    """What the fields of a view hold, by name; those that it has not are left out."""
    values = (view.get("state") or {}).get("values") or {}
    return {name_of(block_id): value for block_id, value in _values(values)}


def name_of(block_id: str) -> str:
    """The name of the field in a block."""
    return block_id.partition(".")[2].partition("|")[0]


def depends_on(block_id: str) -> list[str]:
    """What the choices of a field depend on."""
    return block_id.split("|")[1:]


def _values(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for block_id, elements in values.items():
        for element in elements.values():
            yield block_id, _value(element)


def _value(element: Mapping[str, Any]) -> Any:
    match element.get("type"):
        case "checkboxes" | "multi_static_select":
            return tuple(one["value"] for one in element.get("selected_options") or ())
        case "static_select" | "external_select":
            chosen = element.get("selected_option")
            return chosen["value"] if chosen else None
        case _:
            return element.get("value")
