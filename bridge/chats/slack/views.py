"""Render views as Slack's blocks; what is untrusted is escaped and shortened here."""

import json
from dataclasses import replace
from zoneinfo import ZoneInfo

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
    paragraphs,
    section,
)
from bridge.chats.slack.mrkdwn import (
    calm,
    clean_lines,
    code,
    code_block,
    code_blocks,
    escape,
    link,
    mention,
    moment,
    plain,
    plain_middle,
)
from bridge.core.chat.calls import Call, given_in
from bridge.core.gates.times import in_words
from bridge.core.holds import Gate
from bridge.core.lifecycle import Change, State
from bridge.views.actions import cancel, of_holds
from bridge.views.deployment_lists import note_of
from bridge.views.deployments import NOTE
from bridge.views.links import NO_LINKS, Links
from bridge.views.markup import Markup
from bridge.views.values import (
    DOT,
    GAP,
    Form,
    Icon,
    Look,
    Moment,
    Phrase,
    Sentence,
    Sign,
    Strong,
    Value,
)
from bridge.views.view import (
    About,
    Action,
    Ask,
    Facts,
    Item,
    Lines,
    Log,
    Row,
    Steps,
    Table,
    View,
    Weight,
    long_lines,
)

COMMAND = "/dokploy"
LONGEST_COMMAND = 1000
MOST_ROWS = 40
PAGE = 25
"""Rows on a page of a list."""

MOST_OFFERED = 5
LOG_BLOCKS = 8

MOST_WITH_BUTTONS = 12
"""Lines of what a message is about that have buttons, in two blocks each; it has at most fifty."""

MOST_LISTED = 60
SHORT = 80
"""The most characters of a note where there are many."""

ICONS: dict[Sign, str] = {
    State.WAITING: ":hourglass_flowing_sand:",
    State.HELD: ":raised_hand:",
    State.ASKED: ":satellite_antenna:",
    State.QUEUED: ":inbox_tray:",
    State.RUNNING: ":building_construction:",
    State.VERIFYING: ":stethoscope:",
    State.DONE: ":white_check_mark:",
    State.UNHEALTHY: ":face_with_thermometer:",
    State.FAILED: ":x:",
    State.CANCELLED: ":no_entry_sign:",
    State.SUPERSEDED: ":fast_forward:",
    State.UNKNOWN: ":question:",
    Gate.SCHEDULE: ":alarm_clock:",
    Gate.LOCK: ":lock:",
    Gate.FREEZE: ":snowflake:",
    Gate.CHECKS: ":test_tube:",
    Gate.APPROVAL: ":busts_in_silhouette:",
    Gate.ORDER: ":link:",
    Look.WAITS: ":hourglass_flowing_sand:",
    Look.BUILDS: ":building_construction:",
    Look.UP: ":white_check_mark:",
    Look.ENDS: ":broom:",
    Look.GONE: ":white_small_square:",
    Icon.UNLOCK: ":unlock:",
    Icon.THAW: ":sunny:",
    Icon.WELL: ":white_check_mark:",
    Icon.PAST: ":ballot_box_with_check:",
    Icon.PULL: ":seedling:",
    Icon.MEMO: ":memo:",
    Icon.TAG: ":label:",
    Icon.GEAR: ":gear:",
    Icon.NOTE: ":information_source:",
    Icon.WARN: ":warning:",
    Icon.GO: ":rocket:",
    Icon.BACK: ":rewind:",
    Icon.UP: ":arrow_up:",
    Icon.NOT: ":no_entry_sign:",
    Icon.SKIP: ":fast_forward:",
    Icon.NEVER: ":white_small_square:",
    Icon.UNDONE: ":leftwards_arrow_with_hook:",
    Icon.DOUBT: ":question:",
}

_FORMS = {
    Form.DAY: "{date_short_pretty} at {time}",
    Form.AGE: "{ago}",
    Form.CLOCK: "{time_secs}",
}


class Mrkdwn(Markup):
    """Writes phrases as Slack's mrkdwn."""

    icons = ICONS
    dot, gap = DOT, GAP

    def calm(self, words: str, limit: int) -> str:
        return calm(words, limit)

    def strong(self, shown: str) -> str:
        return f"*{shown}*"

    def code(self, words: str, limit: int) -> str:
        return code(words, limit)

    def link(self, url: str | None, shown: str) -> str:
        return link(url, shown)

    def moment(self, one: Moment) -> str:
        zoned = escape(in_words(one.at, ZoneInfo(one.zone)), 80) if one.zone else ""
        return self.joined(moment(one.at, _FORMS[one.form]), zoned)

    def called(self, id_: str) -> str:
        return mention(id_)

    def typed(self, words: str) -> str:
        return code(f"{COMMAND} {words}", 200)

    def signed(self, sign: Sign | None, shown: str) -> str:
        return shown if sign is None else f"{self.icons[sign]}  {shown}"


class Plainly(Markup):
    """Writes phrases for texts without markup; the name they are about is cut in its middle."""

    def calm(self, words: str, limit: int) -> str:
        return plain(words, limit)


MRKDWN, PLAIN = Mrkdwn(), Plainly()
phrase_of = MRKDWN.phrase


def message_of(view: View, links: Links = NO_LINKS, elsewhere: str = "") -> Message:
    """Return a view as a message, whose notification is its first line.

    Args:
        elsewhere: where else it is shown, said after the first line.
    """
    head, blocks = content_of(view, links, elsewhere)
    if view.actions:
        blocks.append(actions(*map(button_of, view.actions)))
    if view.asks is not None:
        blocks.append(actions(_agree(view.asks)))
    if view.about is not None:
        blocks.append(actions(*_buttons(view.about)))
    blocks += [_offer(one) for one in view.offers[:MOST_OFFERED] if _fits(one)]
    return Message(phrase_of(view.brief) or head, tuple(blocks))


def content_of(view: View, links: Links, elsewhere: str = "") -> tuple[str, list[Block]]:
    """Return the first line, and the blocks that say all."""
    shown = Mrkdwn(links)
    head = shown.signed(view.sign, shown.link(view.url, shown.phrase(view.head)))
    blocks: list[Block] = []
    told = any(isinstance(part, Table) and not part.columns for part in view.parts)
    if view.head and (view.headed or view.says or view.sign or told):
        blocks.append(section("\n".join([head + elsewhere, *map(shown.phrase, view.says)])))
    blocks += map(context, filter(None, map(shown.phrase, view.notes)))
    if facts := shown.joined(*map(shown.phrase, view.facts.values())):
        blocks.append(context(facts))
    blocks += _parts(view, shown)
    blocks += [context(f":warning: {shown.phrase(one)}") for one in view.remarks]
    blocks += paragraphs([f":x:  {shown.phrase(one)}" for one in view.failed])
    blocks += map(context, filter(None, map(shown.phrase, view.hints)))
    if view.warns:
        warns = (f":warning:  *{shown.phrase(one)}*" for one in view.warns)
        blocks.append(section("\n".join(warns)))
    if view.log:
        blocks.append(section(code_block(view.log, SECTION_TEXT)))
    if pages := shown.joined(*(shown.phrase((one,)) for one in view.links)):
        blocks.append(context(pages))
    return head, blocks


def button_of(action: Action) -> Element:
    """Return the button of an action; what can't be taken back asks first."""
    asks = action.asks
    asked = None
    if asks is not None:
        says = "".join(
            plain_middle(one.text.words, one.text.limit)
            if isinstance(one, Strong)
            else PLAIN.phrase((one,))
            for one in asks.says
        )
        asked = confirm(asks.title, says, asks.yes, asks.no, danger=asks.danger)
    return button(
        action.label, action.name, action.about, style=action.style or None, confirm=asked
    )


def item_text(item: Item, shown: Markup = MRKDWN) -> str:
    """Return a line of a list with its note."""
    return "\n".join(filter(None, (shown.item(item), shown.phrase(item.note))))


def _parts(view: View, shown: Markup) -> list[Block]:
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
            blocks += _table(part, left, passed, shown)
            passed += len(part.rows)
        else:
            blocks += _part(part, shown)
    if paged and view.call is not None:
        blocks += [divider(), _turn(view.call, left, rows)]
    elif rows > size:
        blocks.append(context(f"and {rows - size} more"))
    return blocks


def _part(part: Lines | Facts | Steps | Log, shown: Markup) -> list[Block]:
    match part:
        case Lines():
            return list_blocks(part, shown)
        case Facts():
            return paragraphs([f"*{name}*  {shown.phrase(value)}" for name, value in part.facts])
        case Steps():
            return paragraphs([_step(one, shown) for one in part.changes])
        case Log():
            text = clean_lines("\n".join(part.lines)).strip()
            title = [context(part.title)] if part.title else []
            return [*title, *map(section, code_blocks(text, SECTION_TEXT, LOG_BLOCKS))]


def _step(change: Change, shown: Markup) -> str:
    at = shown.signed(change.state, shown.moment(Moment(change.at)))
    return shown.joined(at, shown.sentence(note_of(change), NOTE))


def _table(table: Table, left: range, passed: int, shown: Markup) -> list[Block]:
    """Return the rows that are shown of a table; `passed`: the number of rows before it."""
    rows = table.rows[max(0, left.start - passed) : max(0, left.stop - passed)]
    blocks = [section(f"*{shown.phrase(table.title)}*")] if table.title and rows else []
    for row in rows:
        blocks.append(section(_row(table, row, shown)))
        items = [one for one in row.says if isinstance(one, Item) and one.actions]
        blocks += [actions(*map(button_of, one.actions)) for one in items]
        blocks += [block for log in row.below for block in _part(log, shown)]
    return blocks


def _row(table: Table, row: Row, shown: Markup) -> str:
    """Return a row as a paragraph; what is long has a line of its own."""
    if row.says:
        first, *others = filter(None, (_said(one, shown) for one in row.says))
        return "\n".join([shown.signed(row.sign, first), *others])
    cells = [*zip(table.columns, map(shown.phrase, row.cells), strict=True)]
    short = (f"{one.said} {cell}".strip() for one, cell in cells if cell and not one.long)
    return "\n".join([shown.signed(row.sign, shown.joined(*short)), *long_lines(cells)])


def _said(one: Phrase | Item, shown: Markup) -> str:
    return item_text(one, shown) if isinstance(one, Item) else shown.phrase(one)


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


def lines_of(part: Lines, shown: Markup = MRKDWN) -> list[str]:
    """Return the lines of a list, and how many further ones there are."""
    lines = [item_text(one, shown) for one in part.items]
    if part.more and part.title:
        return [*lines, f"and {part.more} more"]
    if part.more:
        lines[-1] = shown.joined(lines[-1], f"and {part.more} more")
    return lines


def list_blocks(part: Lines, shown: Markup = MRKDWN) -> list[Block]:
    """Return the blocks of a list."""
    if part.weight is Weight.MAIN:
        return _apart(part, shown)
    lines = lines_of(part, shown)
    if part.weight is Weight.ASIDE:
        hint = shown.phrase(part.hint)
        return [context("\n".join(filter(None, [part.title, *lines, hint])))]
    titled = [f"*{part.title}*", *lines] if part.title else lines
    buttons = [actions(*map(button_of, one.actions)) for one in part.items if one.actions]
    return [*paragraphs(titled, most=50), *buttons[:MOST_WITH_BUTTONS]]


def _apart(part: Lines, shown: Markup) -> list[Block]:
    """Return each line in a block of its own, with its buttons, as long as there is room."""
    blocks: list[Block] = []
    for one in part.items[:MOST_WITH_BUTTONS]:
        blocks.append(section(item_text(one, shown)))
        if one.actions:
            blocks.append(actions(*map(button_of, one.actions)))
    if others := part.items[MOST_WITH_BUTTONS:MOST_LISTED]:
        short = [replace(one, note=tuple(map(_shorter, one.note))) for one in others]
        blocks += paragraphs([item_text(one, shown) for one in short])
        more = part.more + max(0, len(part.items) - MOST_LISTED)
        hint = shown.phrase(part.hint)
        blocks.append(context(f"and {more} more. {hint}" if more else hint))
    return blocks


def _shorter(one: str | Value) -> str | Value:
    return replace(one, limit=SHORT) if isinstance(one, Sentence) else one


def _fits(offer: Call) -> bool:
    return len(offer.typed) <= LONGEST_COMMAND


def _offer(offer: Call) -> Block:
    run = button("Run", names.SUGGEST_RUN, offer.typed)
    return section(code(f"{COMMAND} {offer.typed}", 250), run)


def _buttons(about: About) -> list[Element]:
    """Return what can be done with an app, or with its newest deployment while that is open."""
    app, newest = about.app, about.newest
    if newest is not None and not newest.final:
        shown = [button_of(one) for one in of_holds(newest)]
        if not newest.served:
            shown.append(button_of(cancel(newest)))
        return [*shown, button("Why", names.DEPLOYMENT_WHY, newest.id)]
    shown = [button("Deploy", names.APP_DEPLOY, app.id)]
    if newest is not None:
        shown.append(button("Redeploy", names.APP_REDEPLOY, app.id))
    return [*shown, button("Configure", names.APP_PROVIDER, app.id)]


# ── what is agreed to ─────────────────────────────────────────────────────────────────────────────


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
