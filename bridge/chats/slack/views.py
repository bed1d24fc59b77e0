"""Render views as Slack's blocks; what is untrusted is escaped and shortened here."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from bridge.chats.facts.links import Links
from bridge.chats.slack import names
from bridge.chats.slack.blocks import (
    SECTION_TEXT,
    Block,
    Element,
    Message,
    actions,
    button,
    confirm,
    context,
    divider,
    field_input,
    label,
    modal,
    paragraphs,
    section,
)
from bridge.chats.slack.cards import cancel_button
from bridge.chats.slack.facts import ICONS as STATES
from bridge.chats.slack.facts import NEVER, joined, ref_of
from bridge.chats.slack.gates import ICONS as GATES
from bridge.chats.slack.gates import held_buttons
from bridge.chats.slack.mrkdwn import (
    NOTHING,
    clean_lines,
    code,
    code_blocks,
    escape,
    link,
    moment,
    plain,
    prose,
)
from bridge.core.chat.calls import Call, given_in
from bridge.core.chat.grammar import capital
from bridge.core.gates.times import in_words
from bridge.core.holds import Gate
from bridge.core.lifecycle import Change, State
from bridge.core.log_text import shorten
from bridge.views.deployments import NOTE, note_of
from bridge.views.view import (
    SHORT_COMMIT,
    About,
    Ask,
    Code,
    Commit,
    Compared,
    Facts,
    Icon,
    Item,
    Lines,
    Log,
    Moment,
    Phrase,
    Ref,
    Row,
    Sentence,
    Sign,
    Steps,
    Strong,
    Table,
    Text,
    Typed,
    Value,
    View,
    long_lines,
)

COMMAND = "/dokploy"
LONGEST_COMMAND = 1000
MOST_ROWS = 40
PAGE = 25
"""Rows on a page of a list."""

MOST_OFFERED = 5
LOG_BLOCKS = 8

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
    Icon.NOT: ":no_entry_sign:",
    Icon.NEVER: NEVER,
    Icon.PAST: ":ballot_box_with_check:",
    Icon.UNDONE: ":leftwards_arrow_with_hook:",
    Icon.DOUBT: ":question:",
}


def message_of(view: View, links: Links, elsewhere: str = "") -> Message:
    """Return a view as a message, whose notification is its first line.

    Args:
        elsewhere: where else it is shown, said after the first line.
    """
    head, blocks = _content(view, links, elsewhere)
    if view.asks is not None:
        blocks.append(actions(_agree(view.asks)))
    if view.about is not None:
        blocks.append(actions(*_buttons(view.about)))
    blocks += [_offer(one) for one in view.offers[:MOST_OFFERED] if _fits(one)]
    return Message(head, tuple(blocks))


def phrase_of(phrase: Phrase, links: Links) -> str:
    """Return our own words, with values among them."""
    return _Shown(links).phrase(phrase)


def _content(view: View, links: Links, elsewhere: str = "") -> tuple[str, list[Block]]:
    """Return the first line, and the blocks that say all."""
    shown = _Shown(links)
    head = _signed(view.sign, shown.phrase(view.head))
    first = head + elsewhere
    blocks: list[Block] = [section("\n".join([first, *map(shown.phrase, view.says)]))]
    blocks += [context(shown.phrase(one)) for one in view.notes]
    blocks += shown.parts(view)
    if not (view.headed or view.says or view.sign):
        blocks.pop(0)
    blocks += [context(f":warning: {shown.phrase(one)}") for one in view.remarks]
    blocks += [context(shown.phrase(one)) for one in view.hints]
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
        said = "".join(str(one) if isinstance(one, str) else self._value(one) for one in phrase)
        return capital(said) if phrase and isinstance(phrase[0], Sentence) else said

    def parts(self, view: View) -> list[Block]:
        """Return all parts; of many rows one page, if another can be asked for."""
        rows = sum(len(part.rows) for part in view.parts if isinstance(part, Table))
        paged = rows > PAGE and view.call is not None
        size = PAGE if paged else MOST_ROWS
        first = (min(max(view.page, 1), -(-rows // size)) - 1) * size if paged else 0
        left = range(first, min(first + size, rows))
        blocks: list[Block] = []
        passed = 0
        for part in view.parts:
            if isinstance(part, Table):
                blocks += self._table(part, left, passed)
                passed += len(part.rows)
            else:
                blocks += self._part(part)
        if paged and view.call is not None:
            blocks += [divider(), _turn(view.call, left, rows)]
        elif rows > size:
            blocks.append(context(f"and {rows - size} more"))
        return blocks

    def _table(self, table: Table, shown: range, passed: int) -> list[Block]:
        """Return the rows that are shown of a table; `passed`: the number of rows before it."""
        rows = table.rows[max(0, shown.start - passed) : max(0, shown.stop - passed)]
        title = [section(f"*{self.phrase(table.title)}*")] if table.title and rows else []
        return [*title, *(section(self._row(table, row)) for row in rows)]

    def _part(self, part: Lines | Facts | Steps | Log) -> list[Block]:
        match part:
            case Lines():
                return paragraphs(self._lines(part), most=MOST_ROWS)
            case Facts():
                facts = [f"*{name}*  {self.phrase(value)}" for name, value in part.facts]
                return paragraphs(facts)
            case Steps():
                return paragraphs(list(map(_step, part.changes)))
            case Log():
                text = clean_lines("\n".join(part.lines)).strip()
                title = [context(part.title)] if part.title else []
                return [*title, *map(section, code_blocks(text, SECTION_TEXT, LOG_BLOCKS))]

    def _lines(self, part: Lines) -> list[str]:
        title = [f"*{part.title}*"] if part.title else []
        lines = [self._said(one) for one in part.items]
        return [*title, *lines, *([f"and {part.more} more"] if part.more else [])]

    def _said(self, one: Phrase | Item) -> str:
        if isinstance(one, Item):
            return _signed(one.sign, self.phrase(one.says))
        return self.phrase(one)

    def _row(self, table: Table, row: Row) -> str:
        """Return a row as a paragraph; what is long has a line of its own."""
        if row.says:
            first, *others = filter(None, map(self._said, row.says))
            return "\n".join([_signed(row.sign, first), *others])
        cells = [*zip(table.columns, map(self.phrase, row.cells), strict=True)]
        short = (f"{one.said} {cell}".strip() for one, cell in cells if cell and not one.long)
        return "\n".join([_signed(row.sign, joined(*short)), *long_lines(cells)])

    def _value(self, one: Value) -> str:
        match one:
            case Commit():
                page = self.links.commit(one.app, one.sha)
                return link(page, code(one.sha[:SHORT_COMMIT], 20))
            case Ref():
                return ref_of(one.name)
            case State():
                return str(one)
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


def _turn(call: Call, shown: range, rows: int) -> Block:
    """Return which rows are shown, and the button for the next ones, or the first."""
    last = shown.stop >= rows
    value = json.dumps([1 if last else shown.stop // PAGE + 1, call.typed], ensure_ascii=False)
    turn = button("First page" if last else "Next page", names.NEXT_PAGE, value)
    return section(f"{shown.start + 1} to {shown.stop} of {rows}", turn)


def read_page(value: str) -> tuple[int, str]:
    """Return the page and the call of a `NEXT_PAGE` button; the first page if unreadable."""
    try:
        page, typed = json.loads(value)
        return int(page), str(typed)
    except (ValueError, TypeError, OverflowError, RecursionError):
        return 1, ""


def _step(change: Change) -> str:
    return joined(f"{STATES[change.state]}  {moment(change.at)}", prose(note_of(change), NOTE))


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


def _buttons(about: About) -> list[Element]:
    """Return what can be done with an app, or with its newest deployment while that is open."""
    app, newest = about.app, about.newest
    if newest is not None and not newest.final:
        shown = held_buttons(newest)
        if not newest.served:
            shown.append(cancel_button(newest))
        return [*shown, button("Why", names.DEPLOYMENT_WHY, newest.id)]
    shown = [button("Deploy", names.APP_DEPLOY, app.id)]
    if newest is not None:
        shown.append(button("Redeploy", names.APP_REDEPLOY, app.id))
    return [*shown, button("Configure", names.APP_PROVIDER, app.id)]


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
        return Call(str(name), given_in(given))
    except (ValueError, TypeError, RecursionError):
        return Call("", {})


@dataclass(frozen=True, slots=True)
class Asking:
    """The call in a dialog's metadata, and the channel in which it was opened."""

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
