"""Post messages by Discord's webhooks, and edit them.

Discord has neither a key that would make posting idempotent nor a list of what a webhook has
posted, so a message whose posting was not confirmed can't be found again (docs/notes/0037).
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bridge.chats.discord.api import (
    ARCHIVED,
    DISCORD,
    NEEDS_A_POST,
    NO_FORUM,
    UNKNOWN_CHANNEL,
    UNKNOWN_MESSAGE,
    DiscordClient,
    DiscordRefused,
)
from bridge.chats.discord.embeds import Message
from bridge.chats.discord.settings import Webhook
from bridge.core.errors import BridgeError, Refused, Rejected, Unreachable
from bridge.ports.feedback import SaveCursor, Turn
from bridge.ports.outcomes import LINK, Cursor, Subscription

log = logging.getLogger(__name__)

MOST_POSTS = 3
"""The most attempts to post a message if Discord confirms none."""


@dataclass(frozen=True, slots=True)
class MessageCursor:
    """The cursor of a message.

    Attributes:
        webhook: the id of the webhook that posted it; no other can edit it.
        message: its id; "" until it is posted.
        thread: of its post, if the channel is a forum.
        link: its permalink.
        posting: it was about to be posted.
        lost: how often a posting was not confirmed.
        shows: a hash of what it shows.
        said: the number of changes of which the loud ones were told.
        gone: it was deleted, so it stays away.
    """

    webhook: str = ""
    message: str = ""
    thread: str = ""
    link: str = ""
    posting: bool = False
    lost: int = 0
    shows: str = ""
    said: int = 0
    gone: bool = False

    @classmethod
    def of(cls, cursor: Cursor) -> "MessageCursor":
        """Return a stored cursor; unknown fields have their initial values."""
        return cls(**{name: cursor[name] for name in cls.__slots__ if name in cursor})

    def cursor(self) -> dict[str, Any]:
        """Return it as JSON; `LINK` only once it is known."""
        found = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in found.items() if value or name != LINK}


class Channel:
    """Writes messages by webhooks, and knows their channels and links."""

    def __init__(self, client: DiscordClient, webhooks: Mapping[str, Webhook], turn: Turn) -> None:
        self._client = client
        self._webhooks = webhooks
        self._turn = turn
        self._forums: set[str] = set()
        self._guilds: dict[str, str] = {}

    def webhook(self, subscription: Subscription) -> Webhook:
        """Return the webhook of a subscription; raise Rejected if it is no longer set."""
        name = str(subscription.place["webhook"])
        if (found := self._webhooks.get(name)) is None:
            raise Rejected(f"{DISCORD} has no webhook called {name}: its setting is gone")
        return found

    async def learn(self, webhook: Webhook) -> None:
        """Ask Discord for a webhook's server, which is part of links to its messages."""
        about = await self._client.about(webhook)
        self._guilds[webhook.id] = str(about.get("guild_id") or "")

    async def shown(
        self,
        subscription: Subscription,
        known: MessageCursor,
        message: Message,
        save_cursor: SaveCursor,
    ) -> MessageCursor:
        """Post a message, or edit it if it shows something else; return its cursor."""
        webhook = self.webhook(subscription)
        if known.shows == message.hash:
            return known
        if known.message and known.webhook == webhook.id:
            return await self._edited(subscription, known, message, save_cursor)
        return await self._posted(subscription, known, message, save_cursor)

    async def ready(self, subscription: Subscription) -> None:
        """Wait until a message may be written.

        Await it before a posting is announced, so a process that dies meanwhile has posted nothing.
        """
        await self._turn(subscription.lane)
        await self._client.ready(self.webhook(subscription))

    async def add(self, subscription: Subscription, known: MessageCursor, message: Message) -> None:
        """Post a further message beside a card: in its post, if the channel is a forum."""
        await self._post(subscription, message, known.thread)

    async def _posted(
        self,
        subscription: Subscription,
        known: MessageCursor,
        message: Message,
        save_cursor: SaveCursor,
    ) -> MessageCursor:
        webhook = self.webhook(subscription)
        thread = known.thread if known.webhook == webhook.id else ""
        await self.ready(subscription)
        await save_cursor(replace(known, posting=True).cursor())
        try:
            made = await self._post(subscription, message, thread)
        except (Unreachable, Refused):  # surely not posted
            await save_cursor(known.cursor())
            raise
        if webhook.id in self._forums:
            thread = str(made["channel_id"])
        known = replace(
            known,
            webhook=webhook.id,
            message=str(made["id"]),
            thread=thread,
            link="",
            posting=False,
            shows=message.hash,
        )
        await save_cursor(known.cursor())  # at once: until then it counts as not confirmed
        if link := await self._link_of(webhook, made):
            known = replace(known, link=link)
            await save_cursor(known.cursor())
        return known

    async def _post(
        self, subscription: Subscription, message: Message, thread: str = ""
    ) -> Mapping[str, Any]:
        """Post a message; in a forum as a post of its own, unless it belongs to one."""
        webhook = self.webhook(subscription)
        try:
            return await self._send(webhook, message, thread)
        except DiscordRefused as error:
            if error.code not in (NEEDS_A_POST, NO_FORUM) or thread:
                raise
            is_forum = error.code == NEEDS_A_POST
            (self._forums.add if is_forum else self._forums.discard)(webhook.id)
        await self.ready(subscription)
        return await self._send(webhook, message, thread)

    async def _send(self, webhook: Webhook, message: Message, thread: str) -> Mapping[str, Any]:
        body = message.body()
        if webhook.id in self._forums and not thread:
            body["thread_name"] = message.post
        return await self._client.post(webhook, body, thread=thread)

    async def _edited(
        self,
        subscription: Subscription,
        known: MessageCursor,
        message: Message,
        save_cursor: SaveCursor,
    ) -> MessageCursor:
        await self.ready(subscription)
        webhook, body = self.webhook(subscription), message.body()
        try:
            await self._client.edit(webhook, known.message, body, thread=known.thread)
        except DiscordRefused as error:
            if error.code == ARCHIVED:  # a new message in the post brings it back
                return await self._posted(subscription, known, message, save_cursor)
            if error.code not in (UNKNOWN_MESSAGE, UNKNOWN_CHANNEL):
                raise
            log.warning(
                "a message in discord was deleted: it stays away",
                extra={"target": subscription.id, "why": str(error)},
            )
            known = replace(known, gone=True)
        else:
            known = replace(known, shows=message.hash)
        await save_cursor(known.cursor())
        return known

    async def _link_of(self, webhook: Webhook, made: Mapping[str, Any]) -> str:
        """Return a message's permalink; "" while its server is unknown."""
        if webhook.id not in self._guilds:
            try:
                await self.learn(webhook)
            except BridgeError as error:
                log.info("a message in discord has no link", extra={"why": str(error)})
        guild = self._guilds.get(webhook.id, "")
        where = f"{guild}/{made['channel_id']}/{made['id']}"
        return f"https://discord.com/channels/{where}" if guild else ""


async def lost(
    subscription: Subscription, known: MessageCursor, save_cursor: SaveCursor
) -> MessageCursor:
    """Record that a posting was not confirmed."""
    log.warning(
        "discord did not confirm a message: it is not posted again, so none is there twice",
        extra={"target": subscription.id},
    )
    known = replace(known, message="", shows="", posting=False, lost=known.lost + 1)
    await save_cursor(known.cursor())
    return known


def may_be_posted(known: MessageCursor) -> None:
    """Raise Rejected if posting it once more could fill the channel."""
    if not known.message and known.lost >= MOST_POSTS:
        raise Rejected(
            f"{DISCORD} did not confirm {known.lost} postings of this message, so it is not posted"
            " again: look in the channel whether it is there"
        )
