"""Answers about previews. Pure.

Nothing in a button proves a right: it only says which preview, and which commit, was seen.
"""

from bridge.chats.slack.blocks import Block, Message, actions, context, paragraphs, section
from bridge.chats.slack.mrkdwn import code, escape, link, moment
from bridge.chats.slack.views import MRKDWN, button_of, item_text, phrase_of
from bridge.core.chat.replies import PreviewDone, PreviewList, PreviewShown
from bridge.core.previews.native import NativePreview, NativeState
from bridge.core.previews.verdict import Act
from bridge.views.deployments import APP_NAME, PERSON
from bridge.views.links import Links, address_of
from bridge.views.pull_requests import HINT, preview_row, title_of
from bridge.views.values import Code, Look, Strong, Text, joined
from bridge.views.view import Item

NATIVE_LOOKS = {
    NativeState.WAITING: Look.WAITS,
    NativeState.BUILDING: Look.BUILDS,
    NativeState.UP: Look.UP,
    NativeState.FAILED: Look.FAILED,
    NativeState.CANCELLED: Look.GONE,
}


def read_value(value: str) -> tuple[str, str]:
    """Return the preview's id and the commit in a button's value."""
    preview, _, commit = value.rpartition(" ")
    return preview, commit


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
    hint = phrase_of(HINT)
    blocks.append(context(f"and {more} more. {hint}" if more > 0 else hint))
    return Message(f"{count} previews", tuple(blocks))


def _native(one: NativePreview) -> str:
    """Return one of a backend's own, which can only be looked at."""
    address = address_of(one.url)
    says = joined(
        (Strong(Text(one.app, APP_NAME)), f" {one.state}"),
        (address,) if address else (),
        (Code(Text(one.commit[:7], 20)),) if one.commit else (),
    )
    title = link(one.pull_url, f"#{one.number} {escape(one.title, 60)}")
    shown = MRKDWN.item(Item(says, NATIVE_LOOKS[one.state]))
    return MRKDWN.joined(shown, title, link(one.page, one.whose))


def _answered(one: PreviewShown, links: Links, *, few: bool) -> list[Block]:
    """Return one preview of a list, with the buttons for what the person may do."""
    preview, row = one.preview, preview_row(one.preview, one.deployment)
    item = row.item([act for act in row.acts if act in one.may] if few else [])
    page = links.pull_at(preview.repository, preview.pull.number)[0]
    pull = MRKDWN.link(page, phrase_of(title_of(preview, links, 60)))
    ends = f"ends {moment(one.ends)} without a push" if one.ends is not None else ""
    blocks: list[Block] = [section(item_text(item)), context(MRKDWN.joined(pull, ends))]
    if item.actions:
        blocks.append(actions(*map(button_of, item.actions)))
    return blocks


def _done(reply: PreviewDone) -> str:
    preview = reply.preview
    name = phrase_of((Strong(Text(preview.label, APP_NAME)),))
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
