"""Slack's rules for what it is sent, which neither its SDK nor its types hold all of.

Read from https://docs.slack.dev/reference/block-kit and docs/dokploy.md; a text's length counts as
UTF-16 at worst. A fake Slack refuses what breaks them.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

PLACES = {"message": 50, "modal": 100, "home": 100}
MOST_BYTES = 250_000
"""Of a view."""

_TEXTS = {
    "section.text": 3000,
    "section.fields": 2000,
    "header.text": 150,
    "context.elements": 3000,
    "input.label": 2000,
    "input.hint": 2000,
    "button.text": 75,
    "confirm.title": 100,
    "confirm.text": 300,
    "confirm.confirm": 30,
    "confirm.deny": 30,
    "option.text": 75,
    "option.description": 75,
    "group.label": 75,
    "select.placeholder": 150,
    "view.title": 24,
    "view.submit": 24,
    "view.close": 24,
}
_STRINGS = {"value": 2000, "action_id": 255, "block_id": 255, "callback_id": 255}
_COUNTS = {"actions": 25, "context": 10}
_PLAIN_ONLY = {"header.text", "button.text", "option.description", "group.label"} | {
    key for key in _TEXTS if key.partition(".")[0] in ("confirm", "view", "select", "input")
} - {"confirm.text"}
_MARKUP = re.compile(r"<[^<>]*>")
_OURS = re.compile(
    r"<https?://[^\s<>|]+\|[^<>|]+>|<!date\^\d+\^[^<>|^]+\|[^<>|]+>|<@[UW][A-Z0-9]+>"
    r"|<#[CG][A-Z0-9]+>"
)
_ENTITY = re.compile(r"&(?!(?:amp|lt|gt);)")


def units(text: str) -> int:
    """How long a text is where it is counted worst."""
    return len(text) + sum(char > "\uffff" for char in text)


def faults(sent: dict[str, Any]) -> list[str]:
    """Everything in a message, a view or the answer of a picker that Slack would refuse."""
    if "blocks" not in sent:
        return list(_choices("answer", sent))
    place = sent.get("type", "message")
    found = list(_blocks(sent["blocks"], PLACES[place]))
    if place == "message":
        found += _string("text", sent.get("text", ""), 40_000, required=True)
    else:
        found += _view(sent, place)
    return found


def _view(view: dict[str, Any], place: str) -> Iterator[str]:
    for part in ("title", "submit", "close"):
        if part in view:
            yield from _text(f"view.{part}", view[part])
    yield from _string("private_metadata", view.get("private_metadata", ""), 3000)
    yield from _string("callback_id", view.get("callback_id", ""), 255)
    if place == "modal" and "title" not in view:
        yield "a modal has a title"
    inputs = any(block["type"] == "input" for block in view["blocks"])
    if place == "modal" and inputs and "submit" not in view:
        yield "a modal with a field has something to submit"
    if len(str(view).encode(errors="surrogatepass")) > MOST_BYTES:
        yield f"a view has at most {MOST_BYTES} bytes"


def _blocks(blocks: list[dict[str, Any]], most: int) -> Iterator[str]:
    if not 1 <= len(blocks) <= most:
        yield f"{len(blocks)} blocks, not 1 to {most}"
    ids = Counter(block["block_id"] for block in blocks if "block_id" in block)
    yield from (f"block_id {id_!r} stands {n} times" for id_, n in ids.items() if n > 1)
    for number, block in enumerate(blocks):
        yield from (f"block {number} ({block['type']}): {fault}" for fault in _block(block))


def _block(block: dict[str, Any]) -> Iterator[str]:
    kind = block["type"]
    yield from _string("block_id", block.get("block_id", "-"), 255, required=True)
    for part in ("text", "label", "hint"):
        if part in block:
            yield from _text(f"{kind}.{part}", block[part])
    for text in block.get("fields", ()):
        yield from _text("section.fields", text)
    if kind == "section" and not (block.get("text") or block.get("fields")):
        yield "a section has text"
    elements = block.get("elements", [])
    if kind in _COUNTS and not 1 <= len(elements) <= _COUNTS[kind]:
        yield f"{len(elements)} elements, not 1 to {_COUNTS[kind]}"
    acting = [one for one in elements if kind == "actions"]
    acting += [block[part] for part in ("accessory", "element") if part in block]
    ids = Counter(one["action_id"] for one in acting)
    yield from (f"action_id {id_!r} stands {n} times" for id_, n in ids.items() if n > 1)
    for one in acting:
        yield from _element(one)
    if kind == "context":
        for text in elements:
            yield from _text("context.elements", text)


def _element(element: dict[str, Any]) -> Iterator[str]:
    for part, limit in _STRINGS.items():
        if part in element:
            yield from _string(part, element[part], limit, required=part != "value")
    if element["type"] == "button":
        yield from _text("button.text", element["text"])
    if "placeholder" in element:
        yield from _text("select.placeholder", element["placeholder"])
    for part, text in element.get("confirm", {}).items():
        if part != "style":
            yield from _text(f"confirm.{part}", text)
    if element["type"] == "static_select":
        yield from _choices("select", element)
    chosen = [element[part] for part in ("initial_option",) if part in element]
    for one in [*chosen, *element.get("initial_options", ())]:
        yield from _option(one)
        offered = [*element.get("options", ()), *_grouped(element)]
        if element["type"] == "static_select" and one not in offered:
            yield f"initial_option {one['value']!r} is none of the options"


def _choices(what: str, element: dict[str, Any]) -> Iterator[str]:
    groups = element.get("option_groups", [])
    options = element.get("options", [])
    if ("options" in element) == ("option_groups" in element):
        yield f"{what} has options or groups of them"
    if max(len(groups), len(options)) > 100:
        yield f"{what}: more than 100 options"
    if what == "select" and not options and not groups:
        yield f"{what} has nothing to choose"
    for group in groups:
        yield from _text("group.label", group["label"])
        if not 1 <= len(group["options"]) <= 100:
            yield f"{what}: {len(group['options'])} options in a group"
    everything = [*options, *_grouped(element)]
    values = Counter(one["value"] for one in everything)
    yield from (f"{what}: value {value!r} {n} times" for value, n in values.items() if n > 1)
    for one in everything:
        yield from _option(one)


def _grouped(element: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for group in element.get("option_groups", []) for one in group["options"]]


def _option(option: dict[str, Any]) -> Iterator[str]:
    yield from _text("option.text", option["text"])
    if "description" in option:
        yield from _text("option.description", option["description"])
    yield from _string("option value", option["value"], 150, required=True)


def _text(where: str, text: dict[str, Any]) -> Iterator[str]:
    if where in _PLAIN_ONLY and text["type"] != "plain_text":
        yield f"{where} is plain_text"
    yield from _string(where, text["text"], _TEXTS[where], required=True)
    if text["type"] == "mrkdwn":
        yield from (f"{where}: {fault}" for fault in markup_faults(text["text"]))
        if text.get("verbatim") is not True:
            yield f"{where}: verbatim keeps Slack from making links of words"


def markup_faults(text: str) -> Iterator[str]:
    """Markup in a text that is none of ours, and entities that are cut."""
    rest = _OURS.sub("", text)
    yield from (f"foreign markup {found[0]!r}" for found in _MARKUP.finditer(rest))
    if "<" in rest or ">" in rest:
        yield f"a loose angle in {rest[:80]!r}"
    if (found := _ENTITY.search(text)) is not None:
        yield f"a broken entity: {text[found.start() : found.start() + 10]!r}"


def _string(where: str, text: str, limit: int, *, required: bool = False) -> Iterator[str]:
    if required and not text:
        yield f"{where} is empty"
    if units(text) > limit:
        yield f"{where} is {units(text)} long, not at most {limit}"
    if any(0xD800 <= ord(char) < 0xE000 for char in text):
        yield f"{where} has half a character"
