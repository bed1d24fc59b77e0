"""One message for each pull request that has previews, edited in place.

A webhook's message has no buttons for the bridge, and in a plain channel no thread: what became of
previews stands in the message, which disturbs nobody.
"""

import shlex
from collections.abc import Mapping, Sequence

from bridge.chats.discord.board import lane_of, names_of
from bridge.chats.discord.embeds import COLOURS, DESCRIPTION, POST_NAME, Message, embed_of
from bridge.chats.discord.markdown import code, joined, link, place_of, plain, sentence, text_of
from bridge.chats.discord.posts import Channel, MessageCursor, lost, may_be_posted
from bridge.chats.discord.settings import Webhook
from bridge.chats.facts.card import Channels
from bridge.chats.facts.links import Links
from bridge.chats.facts.pull_card import WHY, Look, PullCard, PullPlans, Row, pull_card, told_in
from bridge.chats.facts.text import NOTHING, units
from bridge.core.lifecycle import State
from bridge.core.previews.verdict import Act
from bridge.ports.feedback import SaveCursor, Snapshot
from bridge.ports.outcomes import Cursor, Subscription

PULL = "discord.pull"
"""The kind of these subscriptions."""

POSTED_ANEW = (
    "Discord did not confirm an earlier message about this pull request: if one is here, it is out"
    " of date."
)

ICONS = {
    Look.WAITS: "⏳",
    Look.HELD: "✋",
    Look.BUILDS: "🏗️",
    Look.UP: "✅",
    Look.FAILED: "❌",
    Look.ENDS: "🧹",
    Look.GONE: "▫️",
}
_COLOURS = {
    Look.FAILED: COLOURS[State.FAILED],
    Look.HELD: COLOURS[State.HELD],
    Look.BUILDS: COLOURS[State.RUNNING],
    Look.WAITS: COLOURS[State.QUEUED],
    Look.UP: COLOURS[State.DONE],
}
"""Of the whole message: that of the first of these that a preview has."""


def pull_plans(channels: Channels, webhooks: Mapping[str, Webhook]) -> PullPlans:
    """Return the planner of pull requests."""
    return PullPlans(
        lambda label: names_of(channels.of_previews(label), webhooks),
        lambda _pull, name: (PULL, lane_of(webhooks, name), {"webhook": name}),
    )


class PullBoard:
    """Publishes pull requests; of kind `PULL`."""

    def __init__(self, channel: Channel, links: Links, channels: Channels) -> None:
        """Take the parts; `channels`: where the previews of an app are told."""
        self._channel = channel
        self._links = links
        self._channels = channels

    async def publish(
        self,
        subscription: Subscription,
        snapshot: Snapshot,
        cursor: Cursor,
        save_cursor: SaveCursor,
    ) -> Sequence[Subscription]:
        """Post the message, or edit it.

        If Discord did not confirm it, it is posted anew once nothing goes on by itself.
        """
        known = MessageCursor.of(cursor)
        told_here = told_in(self._channels, str(subscription.place["webhook"]), snapshot.previews)
        card = pull_card(subscription, snapshot, self._links, told_here)
        if card is None or known.gone:
            return ()
        if known.posting:
            known = await lost(subscription, known, save_cursor)
        if known.message or not known.lost or not card.under_way:
            may_be_posted(known)
            message = render_pull(card, remark=POSTED_ANEW if known.lost else "")
            await self._channel.shown(subscription, known, message, save_cursor)
        return ()


def render_pull(card: PullCard, *, remark: str = "") -> Message:
    """Return the message of a pull request; the same facts give the same message."""
    title = f"🌱 {card.name} {text_of(card.title) or NOTHING}"
    looks = {row.look for row in card.rows}
    colour = next((_COLOURS[one] for one in _COLOURS if one in looks), COLOURS[State.CANCELLED])
    head = [_about(card), f"> {remark}" if remark else ""]
    room = DESCRIPTION - sum(units(one) + 1 for one in head)
    name = shlex.quote(plain(card.rows[0].name, 200))
    footer = f"Why: dokploy-bridge why {name}"
    embed = embed_of(title, colour, [*head, *_lines(card.rows, room)], footer=footer)
    return Message(embed, plain(f"{card.name} {card.title.words}", POST_NAME))


def _about(card: PullCard) -> str:
    author = text_of(card.author)
    return joined(
        link(card.url, "Pull request"),
        link(card.repository_url, text_of(card.repository) or NOTHING),
        f"by {author}" if author else "",
        "from a fork" if card.fork else "",
        code(card.head.words, card.head.limit),
        card.stands,
    )


def _lines(rows: Sequence[Row], room: int) -> list[str]:
    """Return as many previews as fit, and how many there are besides."""
    lines: list[str] = []
    for at, row in enumerate(rows):
        line = _line(row)
        if (room := room - units(line) - 1) < len("and 99999 more"):
            return [*lines, f"and {len(rows) - at} more"]
        lines.append(line)
    return lines


def _line(row: Row) -> str:
    name = f"{ICONS[row.look]} **{text_of(row.app) or NOTHING}** {row.verdict}"
    address = place_of(row.address) if row.address else ""
    says = sentence(row.why, WHY)
    line = joined(name, address, code(row.commit.words, row.commit.limit))
    if Act.APPROVE in row.acts:
        command = (
            f"dokploy-bridge previews approve {shlex.quote(row.name)} --commit {row.head[:12]}"
        )
        says = joined(says, code(command, 300))
    return f"{line}\n> {says}" if says else line
