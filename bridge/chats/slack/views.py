"""Render views as Slack's blocks; what is untrusted is escaped and shortened here."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from bridge.chats.slack import names
from bridge.chats.slack.blocks import Block, Message, button, context, section
from bridge.chats.slack.facts import ICONS as STATES
from bridge.chats.slack.facts import joined
from bridge.chats.slack.mrkdwn import NOTHING, code, escape, link, moment
from bridge.core.chat.calls import Call
from bridge.core.gates.times import in_words
from bridge.core.lifecycle import State
from bridge.views.view import (
    Code,
    Icon,
    Lines,
    Moment,
    Part,
    Phrase,
    Row,
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
}


def message_of(view: View) -> Message:
    """Return a view as a message, whose notification is its first line."""
    head = _signed(view.sign, phrase_of(view.head))
    blocks: list[Block] = [section("\n".join([head, *map(phrase_of, view.says)]))]
    blocks += [context(phrase_of(one)) for one in view.notes]
    blocks += _parts(view.parts)
    if view.parts and not view.says and not view.sign:
        blocks.pop(0)  # a list speaks for itself
    blocks += [_offer(one) for one in view.offers[:MOST_OFFERED] if _fits(one)]
    return Message(head, tuple(blocks))


def phrase_of(phrase: Phrase) -> str:
    """Return our own words, with values among them."""
    return "".join(one if isinstance(one, str) else _value(one) for one in phrase)


def _value(one: Value) -> str:
    match one:
        case Text():
            return escape(one.words, one.limit) or NOTHING
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
    icon = STATES[sign] if isinstance(sign, State) else ICONS[sign]
    return f"{icon}  {text}"


def _parts(parts: Sequence[Part]) -> list[Block]:
    """Return lists, and the rows of all tables as far as there is room."""
    blocks = [
        section("\n".join([f"*{one.title}*", *_lines(one)]))
        for one in parts
        if isinstance(one, Lines)
    ]
    rows = [_row(one, row) for one in parts if isinstance(one, Table) for row in one.rows]
    blocks += map(section, rows[:MOST_ROWS])
    more = len(rows) - MOST_ROWS
    return [*blocks, context(f"and {more} more")] if more > 0 else blocks


def _lines(part: Lines) -> list[str]:
    lines = [_signed(one.sign, phrase_of(one.says)) for one in part.items]
    return [*lines, f"and {part.more} more"] if part.more else lines


def _row(table: Table, row: Row) -> str:
    """Return a row as a paragraph; what is long has a line of its own."""
    cells = list(zip(table.columns, map(phrase_of, row.cells), strict=True))
    short = joined(
        *(f"{column.title} {cell}" if column.said and cell else cell
          for column, cell in cells if not column.long)
    )  # fmt: skip
    return "\n".join([_signed(row.sign, short), *(one for column, one in cells if column.long)])


def _fits(offer: Call) -> bool:
    return len(offer.typed) <= LONGEST_COMMAND


def _offer(offer: Call) -> Block:
    run = button("Run", names.SUGGEST_RUN, offer.typed)
    return section(code(f"{COMMAND} {offer.typed}", 250), run)
