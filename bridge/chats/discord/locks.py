"""Tell of locks in a channel: that one still holds, or was released with its pull request.

Discord reaches no single person, and a webhook's message has no buttons for the bridge.
"""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bridge.chats.discord.board import lane_of, names_of
from bridge.chats.discord.embeds import (
    COLOURS,
    HOLD,
    HOLD_ICONS,
    POST_NAME,
    Message,
    embed_of,
)
from bridge.chats.discord.markdown import code, escape, joined, moment, plain, sentence
from bridge.chats.discord.posts import Channel, MessageCursor
from bridge.chats.discord.settings import Webhook
from bridge.chats.facts.card import Channels
from bridge.chats.facts.text import NOTHING
from bridge.core.gates.locks import typed_scope
from bridge.core.holds import Gate
from bridge.core.lifecycle import State
from bridge.ports.clock import Clock
from bridge.ports.feedback import LockNews, SaveCursor, Snapshot
from bridge.ports.outcomes import Cursor, Subscription

LOCK = "discord.lock"
"""The kind of these subscriptions."""


class LockPlans:
    """The planner of what is told of locks."""

    def __init__(self, channels: Channels, webhooks: Mapping[str, Webhook]) -> None:
        self._channels = channels
        self._webhooks = webhooks

    def of(self, news: LockNews) -> list[Subscription]:
        """Return one message, in the channel that most of the apps have their cards in."""
        found = Counter(
            name
            for label in news.apps
            for name in names_of(self._channels.of(label), self._webhooks)
        )
        name = min(found, key=lambda one: (-found[one], one), default=self._channels.default)
        if not name:
            return []
        place = {
            "webhook": name,
            "label": news.lock.label,
            "typed": typed_scope(news.lock.scope, news.lock.label).strip('"'),
            "says": news.lock.says,
            "name": news.lock.name,
            "reason": news.lock.reason,
            "at": news.lock.at,
            "held": news.held,
            "ended": news.ended,
            "latest": news.latest,
        }
        id_ = f"{LOCK} {news.id} {name}"
        return [Subscription(id_, LOCK, lane_of(self._webhooks, name), (news.follows,), place)]


class LockNotes:
    """Publishes what is told of locks, once; of kind `LOCK`."""

    def __init__(self, channel: Channel, clock: Clock) -> None:
        self._channel = channel
        self._clock = clock

    async def publish(
        self, subscription: Subscription, _story: Snapshot, cursor: Cursor, save_cursor: SaveCursor
    ) -> Sequence[Subscription]:
        """Post it, unless it was posted, may have been, or comes too late."""
        known, latest = MessageCursor.of(cursor), subscription.place["latest"]
        too_late = latest is not None and self._clock() > latest
        if not (known.posting or known.message or too_late):
            message = render_lock(subscription.place)
            await self._channel.shown(subscription, known, message, save_cursor)
        return ()


def render_lock(place: Mapping[str, Any]) -> Message:
    """Return the message for a place of `LockPlans`."""
    label = escape(str(place["label"]), 120) or NOTHING
    since, post = f"since {moment(float(place['at']))}", plain(str(place["label"]), POST_NAME)
    if why := str(place["ended"]):
        title = f"🔓 Unlocked: {label}"
        had = sentence(f"{place['name']} had locked it: {place['reason']}", HOLD)
        lines = [sentence(why, HOLD), joined(had, since)]
        return Message(embed_of(title, COLOURS[State.CANCELLED], lines), post)
    held = int(place["held"])
    holds = f"it holds {held} deployment{'' if held == 1 else 's'}"
    scope = shlex.quote(plain(str(place["typed"]), 200))
    unlock = code(f"dokploy-bridge unlock {scope}", 250)
    title = f"{HOLD_ICONS[Gate.LOCK]} Still locked: {label}"
    lines = [sentence(str(place["says"]), HOLD), joined(since, holds), f"Unlock: {unlock}"]
    return Message(embed_of(title, COLOURS[State.HELD], lines), post)
