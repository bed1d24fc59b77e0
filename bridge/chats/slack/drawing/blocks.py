"""Small builders for Block Kit, as plain dictionaries; texts in here are escaped already.

`verbatim` keeps Slack from making links of addresses and mentions of words like @channel.
Source: https://docs.slack.dev/reference/block-kit
"""

from collections.abc import Sequence
from typing import Any

from bridge.chats.slack.drawing.messages import Block, View
from bridge.chats.slack.drawing.mrkdwn import NOTHING, plain, plain_middle, units

Element = dict[str, Any]

BUTTON_TEXT = 75
OPTION_TEXT = 75
HEADER_TEXT = 150
SECTION_TEXT = 3000
FIELD_TEXT = 2000
TITLE_TEXT = 24
MOST_OPTIONS = 100


def words(text: str) -> Element:
    """A mrkdwn text; what is untrusted in it went through `escape`, `code` or `code_block`."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def label(text: str, limit: int) -> Element:
    """A plain text, cut to a limit; a text object may not be empty."""
    return {"type": "plain_text", "text": plain(text, limit) or NOTHING, "emoji": True}


def name_label(text: str, limit: int) -> Element:
    """The same, but cut in the middle, as an app's name stands at the end of its label."""
    return {"type": "plain_text", "text": plain_middle(text, limit) or NOTHING, "emoji": True}


def section(text: str, accessory: Element | None = None) -> Block:
    """A paragraph, with one element at its right."""
    block: Block = {"type": "section", "text": words(text)}
    if accessory is not None:
        block["accessory"] = accessory
    return block


def paragraphs(lines: Sequence[str], most: int = 5) -> list[Block]:
    """Lines in as few sections as hold them, some lines each."""
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
    """Small grey text: at most ten pieces."""
    return {"type": "context", "elements": [words(text) for text in texts]}


def header(text: str) -> Block:
    """A big line."""
    return {"type": "header", "text": label(text, HEADER_TEXT)}


def divider() -> Block:
    """A thin line."""
    return {"type": "divider"}


def actions(*elements: Element) -> Block:
    """A row of buttons and pickers; their action ids differ."""
    return {"type": "actions", "elements": list(elements)}


def button(
    text: str,
    action_id: str,
    value: str,
    *,
    style: str | None = None,
    confirm: Element | None = None,
) -> Element:
    """A button; `style` is "primary" or "danger"."""
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
    """What is asked before a click counts."""
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
    """One choice of a picker."""
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
    """A picker with its choices, at most a hundred."""
    made: Element = {
        "type": "static_select",
        "action_id": action_id,
        "placeholder": label(placeholder, 150),
        "options": list(options),
    }
    if chosen is not None:
        made["initial_option"] = chosen
    return made


def field_input(block_id: str, text: str, element: Element, *, hint: str = "") -> Block:
    """A labelled field of a modal."""
    block: Block = {
        "type": "input",
        "block_id": block_id,
        "label": label(text, 2000),
        "element": element,
    }
    if hint:
        block["hint"] = label(hint, 2000)
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
    """A dialog; without `submit` it only shows."""
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
