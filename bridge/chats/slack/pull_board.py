"""One message for each pull request that has previews, with a thread of what became of them.

However many apps and pushes it has, its message is posted once and then edited. The thread gets a
line only for outcomes, of several previews at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from bridge.chats.facts.card import Channels
from bridge.chats.facts.links import Links
from bridge.chats.facts.pull_card import PullCard, PullPlans, news_in, pull_card, told_in
from bridge.chats.slack.api import SlackClient, code_of
from bridge.chats.slack.cards import lane_of
from bridge.chats.slack.posts import GONE, CardCursor, Posts
from bridge.chats.slack.previews import render_news, render_pull
from bridge.core.errors import Refused
from bridge.ports.feedback import SaveCursor, Snapshot, Turn
from bridge.ports.outcomes import Cursor, Subscription

PULL = "slack.pull"
"""The kind of these subscriptions."""


def pull_plans(channels: Channels) -> PullPlans:
    """Return the planner of pull requests."""
    return PullPlans(
        channels.of_previews,
        lambda pull, channel: (PULL, lane_of(channel), {"channel": channel, "pull": pull}),
    )


@dataclass(frozen=True, slots=True)
class PullCursor(CardCursor):
    """The cursor of a pull request's message.

    Attributes:
        told, telling: what was told last of each preview, by its id, and will have been after the
            current line.
    """

    told: Mapping[str, str] = field(default_factory=dict)
    telling: Mapping[str, str] = field(default_factory=dict)


class PullBoard:
    """Publishes pull requests; of kind `PULL`."""

    def __init__(self, client: SlackClient, turn: Turn, links: Links, channels: Channels) -> None:
        """Take the parts; `channels`: where the previews of an app are told."""
        self._posts = Posts(client, turn)
        self._links = links
        self._channels = channels

    async def publish(
        self,
        subscription: Subscription,
        snapshot: Snapshot,
        cursor: Cursor,
        save_cursor: SaveCursor,
    ) -> Sequence[Subscription]:
        """Bring the message and its thread up to date."""
        known = PullCursor.of(cursor)
        channel = str(subscription.place["channel"])
        told_here = told_in(self._channels, channel, snapshot.previews)
        card = pull_card(subscription, snapshot, self._links, told_here, known.told)
        if card is None or known.gone:
            return ()
        try:
            known = await self._posts.shown(subscription, known, render_pull(card), save_cursor)
            await self._said(subscription, known, card, save_cursor)
        except Refused as error:
            if code_of(error) not in GONE:
                raise
            await save_cursor(replace(known, gone=True).cursor())
        return ()

    async def _said(
        self,
        subscription: Subscription,
        known: PullCursor,
        card: PullCard,
        save_cursor: SaveCursor,
    ) -> None:
        """Tell the outcomes since the last time in one line."""
        if known.saying > known.said:
            was_said = await self._posts.was_said(subscription, known)
            known = _said_so(known) if was_said else replace(known, saying=known.said)
            await save_cursor(known.cursor())
        if not (rows := news_in(card, known.told)):
            return
        await self._posts.turn(subscription)
        telling = {**known.told, **{row.id: row.outcome for row in rows}}
        saying = replace(known, saying=known.said + 1, telling=telling)
        await self._posts.reply(subscription, known, saying, render_news(rows), save_cursor)
        await save_cursor(_said_so(saying).cursor())


def _said_so(known: PullCursor) -> PullCursor:
    """Return the cursor after the line that it announces."""
    return replace(known, said=known.saying, told=known.telling, telling={})
