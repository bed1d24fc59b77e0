"""Small builders for Block Kit, as plain dictionaries; texts are already escaped.

`verbatim` keeps Slack from turning addresses into links and words like @channel into mentions.
Source: https://docs.slack.dev/reference/block-kit
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.chats.slack import names
from bridge.chats.slack.mrkdwn import NOTHING, plain, plain_middle, units

Block = dict[str, Any]
View = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """A message, escaped and within Slack's limits.

    Attributes:
        text: for notifications and screen readers; the same on one line.
    """

    text: str
    blocks: tuple[Block, ...]

    def body(self) -> dict[str, Any]:
        """Return the arguments of `chat.postMessage` and `chat.update`, without unfurling."""
        return {"text": self.text, "blocks": list(self.blocks)}


# ── Small builders for Block Kit, as plain dictionaries; texts are already escaped ────────────────

Element = dict[str, Any]

BUTTON_TEXT = 75
OPTION_TEXT = 75
HEADER_TEXT = 150
SECTION_TEXT = 3000
FIELD_TEXT = 2000
TITLE_TEXT = 24
MOST_OPTIONS = 100


def words(text: str) -> Element:
    """Return a mrkdwn text; untrusted parts must have passed `escape`, `code` or `code_block`."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def label(text: str, limit: int) -> Element:
    """Return a plain text, cut to a limit; a text object may not be empty."""
    return {"type": "plain_text", "text": plain(text, limit) or NOTHING, "emoji": True}


def name_label(text: str, limit: int) -> Element:
    """Return the same, cut in the middle, since a label ends with the app's name."""
    return {"type": "plain_text", "text": plain_middle(text, limit) or NOTHING, "emoji": True}


def section(text: str, accessory: Element | None = None) -> Block:
    """Return a paragraph, with one element on its right."""
    block: Block = {"type": "section", "text": words(text)}
    if accessory is not None:
        block["accessory"] = accessory
    return block


def paragraphs(lines: Sequence[str], most: int = 5) -> list[Block]:
    """Return lines in as few sections as possible."""
    made: list[list[str]] = []
    length = 0
    for line in lines:
        length += units(line) + 1
        if not made or len(made[-1]) == most or length > SECTION_TEXT:
            made.append([])
            length = units(line) + 1
        made[-1].append(line)
    return [section("\n".join(those)) for those in made]


def context(*texts: str) -> Block:
    """Return small grey text of at most ten pieces."""
    return {"type": "context", "elements": [words(text) for text in texts]}


def header(text: str) -> Block:
    """Return a heading."""
    return {"type": "header", "text": label(text, HEADER_TEXT)}


def divider() -> Block:
    """Return a divider."""
    return {"type": "divider"}


def actions(*elements: Element) -> Block:
    """Return a row of buttons and pickers; their action ids differ."""
    return {"type": "actions", "elements": list(elements)}


def button(
    text: str,
    action_id: str,
    value: str,
    *,
    style: str | None = None,
    confirm: Element | None = None,
) -> Element:
    """Return a button; `style` is "primary" or "danger"."""
    made: Element = {
        "type": "button",
        "text": label(text, BUTTON_TEXT),
        "action_id": action_id,
        "value": value,
    }
    if style is not None:
        made["style"] = style
    if confirm is not None:
        made["confirm"] = confirm
    return made


def confirm(title: str, text: str, yes: str, no: str, *, danger: bool = False) -> Element:
    """Return the confirmation of a button."""
    asked: Element = {
        "title": label(title, 100),
        "text": label(text, 300),
        "confirm": label(yes, 30),
        "deny": label(no, 30),
    }
    if danger:
        asked["style"] = "danger"
    return asked


def option(text: str, value: str, description: str = "") -> Element:
    """Return one choice of a picker."""
    made: Element = {
        "text": name_label(text, OPTION_TEXT),
        "value": value,
    }
    if description:
        made["description"] = label(description, OPTION_TEXT)
    return made


def select(
    action_id: str, placeholder: str, options: Sequence[Element], chosen: Element | None = None
) -> Element:
    """Return a picker with its choices, at most a hundred."""
    made: Element = {
        "type": "static_select",
        "action_id": action_id,
        "placeholder": label(placeholder, 150),
        "options": list(options),
    }
    if chosen is not None:
        made["initial_option"] = chosen
    return made


def field_input(
    block_id: str, text: str, element: Element, *, hint: str = "", optional: bool = False
) -> Block:
    """Return a labelled field of a modal."""
    block: Block = {
        "type": "input",
        "block_id": block_id,
        "label": label(text, 2000),
        "element": element,
    }
    if hint:
        block["hint"] = label(hint, 2000)
    if optional:
        block["optional"] = True
    return block


def modal(
    callback_id: str,
    title: str,
    blocks: Sequence[Block],
    *,
    submit: str | None = None,
    close: str = "Cancel",
    metadata: str = "",
) -> View:
    """Return a dialog; without `submit` it is read-only."""
    view: View = {
        "type": "modal",
        "callback_id": callback_id,
        "title": label(title, TITLE_TEXT),
        "blocks": list(blocks),
        "close": label(close, TITLE_TEXT),
    }
    if submit is not None:
        view["submit"] = label(submit, TITLE_TEXT)
    if metadata:
        view["private_metadata"] = metadata
    return view


# ── The fields of a form as Block Kit, and their values. Pure ─────────────────────────────────────

INITIAL_TEXT = 3000
OPTION_VALUE = 150
BLOCK_ID = 255
NONE = "-"
"""The value of the option for "nothing"."""

Given = Mapping[str, Any]
"""Values of a form's fields, by name: a text, a tuple of values, or None."""


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
    """Return a field to type in.

    Args:
        lines: whether it may hold several lines.
        tried: whether to try recent pushes on it while it is typed.
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
    """Return a field with a few choices, as (value, words)."""
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
    """Return a field whose choices are loaded while somebody types."""
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
    """Return a field of boxes to tick, as (value, words)."""
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
    """Return a field with multiple choice."""
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
    """Return the values of a view's fields, by name; absent fields are left out."""
    values = (view.get("state") or {}).get("values") or {}
    return {name_of(block_id): value for block_id, value in _values(values)}


def name_of(block_id: str) -> str:
    """Return the name of the field in a block."""
    return block_id.partition(".")[2].partition("|")[0]


def depends_on(block_id: str) -> list[str]:
    """Return the values that the choices of a field depend on."""
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
