"""Render the previews of a pull request: its message, what its thread says, answers. Pure.

Nothing in a button proves a right: it only says which preview, and which commit, was seen.
"""

from collections.abc import Sequence

from bridge.chats.facts.links import APP_NAME, Links, address_of
from bridge.chats.facts.proposal import PERSON
from bridge.chats.facts.pull_card import Look, Outcome, PullCard, Row, card_of_pull, row_of
from bridge.chats.slack import names
from bridge.chats.slack.blocks import (
    Block,
    Element,
    Message,
    actions,
    button,
    confirm,
    context,
    paragraphs,
    section,
)
from bridge.chats.slack.facts import bold, joined, sentence, text_of
from bridge.chats.slack.mrkdwn import NOTHING, code, escape, link, moment, plain
from bridge.core.chat.replies import PreviewDone, PreviewList, PreviewShown
from bridge.core.previews.native import NativePreview, NativeState
from bridge.core.previews.verdict import Act
from bridge.views.view import Text

ICONS = {
    Look.WAITS: ":hourglass_flowing_sand:",
    Look.HELD: ":raised_hand:",
    Look.BUILDS: ":building_construction:",
    Look.UP: ":white_check_mark:",
    Look.FAILED: ":x:",
    Look.ENDS: ":broom:",
    Look.GONE: ":white_small_square:",
}

NATIVE_LOOKS = {
    NativeState.WAITING: Look.WAITS,
    NativeState.BUILDING: Look.BUILDS,
    NativeState.UP: Look.UP,
    NativeState.FAILED: Look.FAILED,
    NativeState.CANCELLED: Look.GONE,
}

MOST_WITH_BUTTONS = 12
"""Previews that have buttons, in two blocks each; a message has at most fifty blocks."""

MOST_LISTED = 60
"""Previews that have a line."""

COMMANDS = "`/dokploy previews` lists them; `previews stop`, `extend` and `approve` act on one."


# ── the message ─────────────────────────────────────────────────────────────────────────────────


def render_pull(card: PullCard) -> Message:
    """Return the message of a pull request; the same facts give the same message."""
    blocks = [section(_title(card)), context(_about(card)), *_listed(card.rows)]
    counted = ", ".join(f"{text_of(row.app)} {row.verdict}" for row in card.rows[:5])
    more = f" and {len(card.rows) - 5} more" if len(card.rows) > 5 else ""
    return Message(f"{card.name} {text_of(card.title)}: {counted}{more}", tuple(blocks))


def _title(card: PullCard) -> str:
    title = f"{card.name} {text_of(card.title) or NOTHING}"
    return f":seedling:  {link(card.url, title)}"


def _about(card: PullCard) -> str:
    author = text_of(card.author)
    return joined(
        link(card.repository_url, text_of(card.repository) or NOTHING),
        f"by {author}" if author else "",
        "from a fork" if card.fork else "",
        code(card.head.words, card.head.limit),
        card.stands,
    )


def _listed(rows: Sequence[Row]) -> list[Block]:
    """Return the previews: some with buttons, further ones with a line each."""
    blocks: list[Block] = []
    for row in rows[:MOST_WITH_BUTTONS]:
        blocks.append(section(_line(row)))
        if row.acts:
            blocks.append(actions(*(_button(act, row) for act in row.acts)))
    if others := rows[MOST_WITH_BUTTONS:MOST_LISTED]:
        blocks += paragraphs([_line(row, why=80) for row in others])
        more = len(rows) - MOST_LISTED
        blocks.append(context(f"and {more} more. {COMMANDS}" if more > 0 else COMMANDS))
    return blocks


def _line(row: Row, why: int = 200) -> str:
    name = f"{ICONS[row.look]}  {bold(row.app)} {row.verdict}"
    address = link(row.address.url, text_of(row.address.label)) if row.address else ""
    commit = code(row.commit.words, row.commit.limit)
    says = sentence(row.why[:why])
    return joined(name, address, commit) + (f"\n{says}" if says else "")


def _button(act: Act, row: Row) -> Element:
    """Return a button; what can't be taken back asks first, and names what it is about."""
    value = f"{row.id} {row.head}"
    name = plain(row.name, 100)
    match act:
        case Act.APPROVE:
            runs = (
                f"{plain(row.head[:12], 20)} of {name} comes from a fork: it runs on your server."
            )
            asks = confirm("Build this commit?", runs, "Build it", "Not yet")
            return button("Approve", names.PREVIEW_APPROVE, value, style="primary", confirm=asks)
        case Act.STOP:
            asks = confirm(
                "Remove this preview?", f"{name}: the next push starts it again.", "Stop", "Keep it"
            )
            return button("Stop", names.PREVIEW_STOP, value, confirm=asks)
        case Act.EXTEND:
            return button("Extend", names.PREVIEW_EXTEND, value)


def read_value(value: str) -> tuple[str, str]:
    """Return the preview's id and the commit in a button's value."""
    preview, _, commit = value.rpartition(" ")
    return preview, commit


# ── what the thread says ────────────────────────────────────────────────────────────────────────


def render_news(rows: Sequence[Row]) -> Message:
    """Return one line of a thread about all previews that have something new."""
    lines = [_news(row) for row in rows[:MOST_LISTED]]
    if (more := len(rows) - MOST_LISTED) > 0:
        lines.append(f"and {more} more")
    approvals = [row for row in rows if Act.APPROVE in row.acts][:MOST_WITH_BUTTONS]
    blocks = [*paragraphs(lines), *(actions(_button(Act.APPROVE, row)) for row in approvals)]
    text = ", ".join(f"{text_of(row.app)} {_said(row)}" for row in rows[:5])
    return Message(text + (f" and {len(rows) - 5} more" if len(rows) > 5 else ""), tuple(blocks))


def _news(row: Row) -> str:
    address = link(row.address.url, text_of(row.address.label)) if row.address else ""
    why = "" if row.outcome == Outcome.READY else sentence(row.why)
    name = f"{ICONS[row.look]}  {bold(row.app)} {_said(row)}"
    return joined(name, code(row.commit.words, row.commit.limit), address) + (
        f"\n{why}" if why else ""
    )


def _said(row: Row) -> str:
    return "is ready" if row.outcome == Outcome.READY else row.verdict


# ── answers ─────────────────────────────────────────────────────────────────────────────────────

MOST_ANSWERED = 24
"""Previews in an answer, two blocks each."""
MOST_NATIVE = 20
"""Of a backend's own, a line each."""
FEW = 5
"""Previews that are listed with buttons."""


def answer_previews(reply: PreviewList | PreviewDone, links: Links) -> Message:
    """Return the list of the previews that a person may see, or what was done with one."""
    if isinstance(reply, PreviewDone):
        head = f":white_check_mark:  {_done(reply)}"
        return Message(head, (section(head),))
    if not reply.those and not reply.native:
        of = f" of {code(reply.app, 100)}" if code(reply.app, 100) else ""
        head = f"There are no previews{of}."
        return Message(head, (section(head),))
    shown = reply.those[:MOST_ANSWERED]
    blocks = [block for one in shown for block in _answered(one, links, few=len(shown) <= FEW)]
    blocks += paragraphs([_native(one) for one in reply.native[:MOST_NATIVE]])
    count = len(reply.those) + len(reply.native)
    more = count - len(shown) - len(reply.native[:MOST_NATIVE])
    blocks.append(context(f"and {more} more. {COMMANDS}" if more > 0 else COMMANDS))
    return Message(f"{count} previews", tuple(blocks))


def _native(one: NativePreview) -> str:
    """Return one of a backend's own, which can only be looked at."""
    icon = ICONS[NATIVE_LOOKS[one.state]]
    address = address_of(one.url)
    title = link(one.pull_url, f"#{one.number} {text_of(Text(one.title, 60))}")
    return joined(
        f"{icon}  {bold(Text(one.app, APP_NAME))} {one.state}",
        link(address.url, text_of(address.label)) if address else "",
        code(one.commit[:7], 20) if one.commit else "",
        title,
        link(one.page, one.whose),
    )


def _answered(one: PreviewShown, links: Links, *, few: bool) -> list[Block]:
    """Return one preview of a list, with the buttons for what the person may do."""
    row = row_of(one.preview, one.deployment)
    card = card_of_pull(one.preview, links, (row,))
    pull = link(card.url, f"{card.name} {text_of(Text(card.title.words, 60))}")
    ends = f"ends {moment(one.ends)} without a push" if one.ends is not None else ""
    blocks: list[Block] = [section(_line(row)), context(joined(pull, ends))]
    if few and (acts := [act for act in row.acts if act in one.may]):
        blocks.append(actions(*(_button(act, row) for act in acts)))
    return blocks


def _done(reply: PreviewDone) -> str:
    preview = reply.preview
    name = bold(Text(preview.label, APP_NAME))
    match reply.act:
        case Act.APPROVE:
            author = escape(preview.pull.author, PERSON)
            of = f" of {author}" if author else ""
            return f"Approved {code(preview.pull.head_sha[:12], 20)}{of}: {name} is built"
        case Act.STOP:
            return f"Stopped {name}; a push or *Extend* starts it again"
        case Act.EXTEND:
            until = f" until {moment(reply.ends)}" if reply.ends is not None else ""
            return f"Extended {name}: it stays{until} without a push"
