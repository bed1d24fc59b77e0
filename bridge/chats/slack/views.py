"""Render views as Slack's blocks; what is untrusted is escaped and shortened here."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from bridge.chats.facts.links import Links
from bridge.chats.slack import names
from bridge.chats.slack.blocks import (
    Block,
    Element,
    Message,
    actions,
    button,
    confirm,
    context,
    field_input,
    label,
    modal,
    paragraphs,
    section,
)
from bridge.chats.slack.facts import ICONS as STATES
from bridge.chats.slack.facts import joined
from bridge.chats.slack.gates import ICONS as GATES
from bridge.chats.slack.mrkdwn import NOTHING, code, escape, link, moment, plain, prose
from bridge.core.chat.calls import Call
from bridge.core.chat.grammar import capital
from bridge.core.gates.times import in_words
from bridge.core.holds import Gate
from bridge.core.lifecycle import State
from bridge.core.log_text import shorten
from bridge.views.view import (
    SHORT_COMMIT,
    Ask,
    Code,
    Commit,
    Compared,
    Icon,
    Lines,
    Moment,
    Part,
    Phrase,
    Row,
    Sentence,
    Sign,
    Strong,
    Table,
    Text,
    Typed,
    Value,
    View,
)

COMMAND = "/dokploy"
LONGEST_COMMAND = 1000
MOST_ROWS = 40
MOST_OFFERED = 5

ICONS = {
    Icon.LOCK: ":lock:",
    Icon.UNLOCK: ":unlock:",
    Icon.FREEZE: ":snowflake:",
    Icon.THAW: ":sunny:",
    Icon.WELL: ":white_check_mark:",
    Icon.NOTE: ":information_source:",
    Icon.WARN: ":warning:",
    Icon.GO: ":rocket:",
    Icon.BACK: ":rewind:",
    Icon.UP: ":arrow_up:",
}


def message_of(view: View, links: Links, elsewhere: str = "") -> Message:
    """Return a view as a message, whose notification is its first line.

    Args:
        elsewhere: where else it is shown, said after the first line.
    """
    head, blocks = _content(view, links, elsewhere)
    if view.asks is not None:
        blocks.append(actions(_agree(view.asks)))
    blocks += [_offer(one) for one in view.offers[:MOST_OFFERED] if _fits(one)]
    return Message(head, tuple(blocks))


def _content(view: View, links: Links, elsewhere: str = "") -> tuple[str, list[Block]]:
    """Return the first line, and the blocks that say all."""
    shown = _Shown(links)
    head = _signed(view.sign, shown.phrase(view.head))
    first = head + elsewhere
    blocks: list[Block] = [section("\n".join([first, *map(shown.phrase, view.says)]))]
    blocks += [context(shown.phrase(one)) for one in view.notes]
    blocks += shown.parts(view.parts)
    if view.parts and not view.says and not view.sign:
        blocks.pop(0)  # a list speaks for itself
    if view.warns:
        warns = (f":warning:  *{shown.phrase(one)}*" for one in view.warns)
        blocks.append(section("\n".join(warns)))
    return head, blocks


@dataclass(frozen=True, slots=True)
class _Shown:
    """Shows the parts of a view, with links to pages."""

    links: Links

    def phrase(self, phrase: Phrase) -> str:
        """Return our own words, with values among them; a first sentence has a capital."""
        said = "".join(one if isinstance(one, str) else self._value(one) for one in phrase)
        return capital(said) if phrase and isinstance(phrase[0], Sentence) else said

    def parts(self, parts: Sequence[Part]) -> list[Block]:
        """Return lists, and the rows of all tables as far as there is room."""
        blocks = [
            block
            for one in parts
            if isinstance(one, Lines)
            for block in paragraphs([f"*{one.title}*", *self._lines(one)], most=MOST_ROWS)
        ]
        rows = [self._row(one, row) for one in parts if isinstance(one, Table) for row in one.rows]
        blocks += map(section, rows[:MOST_ROWS])
        more = len(rows) - MOST_ROWS
        return [*blocks, context(f"and {more} more")] if more > 0 else blocks

    def _lines(self, part: Lines) -> list[str]:
        lines = [_signed(one.sign, self.phrase(one.says)) for one in part.items]
        return [*lines, f"and {part.more} more"] if part.more else lines

    def _row(self, table: Table, row: Row) -> str:
        """Return a row as a paragraph; what is long has a line of its own."""
        cells = list(zip(table.columns, map(self.phrase, row.cells), strict=True))
        short = joined(
            *(f"{column.title} {cell}" if column.said and cell else cell
              for column, cell in cells if not column.long)
        )  # fmt: skip
        return "\n".join([_signed(row.sign, short), *(one for column, one in cells if column.long)])

    def _value(self, one: Value) -> str:
        match one:
            case Commit():
                page = self.links.commit(one.app, one.sha)
                return link(page, code(one.sha[:SHORT_COMMIT], 20))
            case Compared():
                page = self.links.compare(one.app, one.old, one.new)
                return link(page, escape(one.words, 80))
            case _:
                return _value(one)


def _value(one: Text | Sentence | Strong | Code | Moment | Typed) -> str:
    match one:
        case Text():
            return escape(one.words, one.limit) or NOTHING
        case Sentence():
            return prose(shorten(one.words, one.limit), one.limit * 2) or NOTHING
        case Strong(text=text):
            return f"*{escape(text.words, text.limit) or NOTHING}*"
        case Code(text=text, url=url):
            return link(url, code(text.words, text.limit))
        case Moment():
            zoned = escape(in_words(one.at, ZoneInfo(one.zone)), 80) if one.zone else ""
            return joined(moment(one.at), zoned)
        case Typed(call=call):
            return code(f"{COMMAND} {call.typed}", 200)


def _signed(sign: Sign | None, text: str) -> str:
    if sign is None:
        return text
    return f"{_icon(sign)}  {text}"


def _icon(sign: Sign) -> str:
    match sign:
        case State():
            return STATES[sign]
        case Gate():
            return GATES[sign]
        case Icon():
            return ICONS[sign]


def _fits(offer: Call) -> bool:
    return len(offer.typed) <= LONGEST_COMMAND


def _offer(offer: Call) -> Block:
    run = button("Run", names.SUGGEST_RUN, offer.typed)
    return section(code(f"{COMMAND} {offer.typed}", 250), run)


# ── what is agreed to ─────────────────────────────────────────────────────────────────────────────

LONGEST_FIELD = 500


def _agree(ask: Ask) -> Element:
    """Return the button that does what is asked, or opens the dialog for what it lacks."""
    sure = None
    if ask.sure:
        sure = confirm(f"{ask.does}?", plain(ask.sure, 300), ask.does, "Not now", danger=ask.danger)
    name = names.OPERATION_DIALOG if ask.lacks else names.OPERATION_RUN
    style = "danger" if ask.danger else "primary"
    return button(ask.does, name, write_call(ask.call), style=style, confirm=sure)


def write_call(call: Call) -> str:
    """Return a call as the value of a button; it proves nothing."""
    return json.dumps([call.name, dict(call.given)], separators=(",", ":"))


def read_call(value: str) -> Call:
    """Read what `write_call` wrote; anything else is a call of nothing."""
    try:
        name, given = json.loads(value)
        return Call(str(name), {str(key): given[key] for key in given})
    except (ValueError, TypeError, RecursionError):
        return Call("", {})


@dataclass(frozen=True, slots=True)
class Asking:
    """What a dialog is about, as its metadata has it; `channel`: where it was opened."""

    call: Call
    channel: str = ""

    def write(self) -> str:
        """Return the text for `private_metadata`."""
        return json.dumps([self.channel, write_call(self.call)], separators=(",", ":"))


def read_asking(view: Mapping[str, Any]) -> Asking:
    """Read what `Asking.write` wrote, with what was typed into the fields."""
    try:
        channel, written = json.loads(str(view.get("private_metadata")))
    except (ValueError, TypeError, RecursionError):
        return Asking(Call("", {}))
    call = read_call(str(written))
    return Asking(Call(call.name, {**call.given, **_typed(view)}), str(channel))


def _typed(view: Mapping[str, Any]) -> dict[str, str]:
    values = (view.get("state") or {}).get("values") or {}
    return {name: str(one.get(name, {}).get("value") or "") for name, one in values.items()}


def dialog_of(view: View, links: Links, channel: str) -> dict[str, Any]:
    """Return a view as a dialog, with a field for each argument that it lacks."""
    _, blocks = _content(view, links)
    if view.asks is None:
        return modal(names.OPERATION_VIEW, "Not done", blocks, close="Close")
    for one in view.asks.lacks:
        element: Element = {
            "type": "plain_text_input",
            "action_id": one.name,
            "max_length": LONGEST_FIELD,
            "placeholder": label(one.help, 150),
        }
        blocks.append(field_input(one.name, one.label.capitalize(), element))
    does = view.asks.does
    metadata = Asking(view.asks.call, channel).write()
    return modal(names.OPERATION_VIEW, does, blocks, submit=does, metadata=metadata)
