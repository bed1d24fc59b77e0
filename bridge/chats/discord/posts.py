"""Post messages by Discord's webhooks, and edit them.

Discord has neither a key that would make posting idempotent nor a list of what a webhook has
posted, so a message whose posting was not confirmed can't be found again (docs/notes/0037).
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from bridge.chats.discord.api import (
    ARCHIVED,
    ASK_AGAIN,
    DISCORD,
    NEEDS_A_POST,
    NO_FORUM,
    UNKNOWN_CHANNEL,
    UNKNOWN_MESSAGE,
    DiscordClient,
    DiscordRefused,
)
from bridge.chats.discord.embeds import POST_NAME, embed_of
from bridge.chats.discord.markdown import plain
from bridge.chats.discord.settings import DEFAULT, Webhook
from bridge.chats.discord.settings import Discord as Settings
from bridge.core.errors import BridgeError, Refused, Rejected
from bridge.messages.chat import WrittenChat
from bridge.messages.plans import Channels, Plans
from bridge.messages.writer import Body, ChatWriter, Closed, Gone, Posted, Target
from bridge.ports.chats import ChatParts
from bridge.ports.clock import Limit
from bridge.ports.feedback import Turn
from bridge.ports.providers import ChannelBook, PreviewBook
from bridge.views.view import View

log = logging.getLogger(__name__)

LIMITS = (Limit(5, 2.0),)
"""Of each webhook, as Discord mostly allows; its headers and its 429s say what holds just now."""


def plans_of(settings: Settings, book: ChannelBook, previews: PreviewBook = ()) -> Plans:
    """Return what plans messages: channels are names of webhooks, whose ids are their lanes."""
    default = DEFAULT if settings.webhook is not None else ""
    return plans_for(Channels(book, default, previews), settings.named())


def plans_for(channels: Channels, webhooks: Mapping[str, Webhook]) -> Plans:
    """Return the same for webhooks by their names."""

    def scope(name: str) -> str:
        return webhooks[name].id if name in webhooks else name

    return Plans(DISCORD, channels, scope)


class Webhooks(ChatWriter):
    """Writes by webhooks, and knows their channels and links."""

    chat = DISCORD

    def __init__(self, client: DiscordClient, webhooks: Mapping[str, Webhook], turn: Turn) -> None:
        super().__init__(turn)
        self._client = client
        self._webhooks = webhooks
        self._forums: set[str] = set()
        self._guilds: dict[str, str] = {}

    def render(self, content: View) -> Body:
        """Return a body that mentions nobody; `thread_name`: its title as a post of a forum."""
        name = plain(content.name, POST_NAME)
        embed = embed_of(content)
        return {
            "content": "",
            "embeds": [embed],
            "allowed_mentions": {"parse": []},
            "thread_name": name,
        }

    def by(self, to: Target) -> str:
        """Return the id of the webhook; raise Rejected if it is no longer set."""
        return self._webhook(to).id

    async def ready(self, to: Target) -> None:
        await super().ready(to)
        await self._client.ready(self._webhook(to))

    async def post(self, body: Body, to: Target) -> Posted:
        """Post it; in a forum as a post of its own, unless it belongs to one."""
        webhook, thread = self._webhook(to), to.known.thread
        try:
            made = await self._send(webhook, body, thread)
        except DiscordRefused as error:
            if error.code not in (NEEDS_A_POST, NO_FORUM) or thread:
                raise
            is_forum = error.code == NEEDS_A_POST
            (self._forums.add if is_forum else self._forums.discard)(webhook.id)
            await self.ready(to)
            made = await self._send(webhook, body, thread)
        channel = str(made["channel_id"])
        return Posted(str(made["id"]), channel, channel if webhook.id in self._forums else thread)

    async def edit(self, body: Body, to: Target) -> None:
        known, content = to.known, {**body}
        del content["thread_name"]
        try:
            await self._client.edit(self._webhook(to), known.message, content, thread=known.thread)
        except DiscordRefused as error:
            if error.code == ARCHIVED:
                raise Closed from error  # a new message in the post brings it back
            if error.code in (UNKNOWN_MESSAGE, UNKNOWN_CHANNEL):
                raise Gone from error
            raise

    async def link(self, to: Target) -> str:
        """Return a message's permalink; "" while its server is unknown."""
        webhook, known = self._webhook(to), to.known
        if webhook.id not in self._guilds:
            try:
                await self.learn(webhook)
            except BridgeError as error:
                log.info("a message in discord has no link", extra={"why": str(error)})
        guild = self._guilds.get(webhook.id, "")
        where = f"{guild}/{known.channel}/{known.message}"
        return f"https://discord.com/channels/{where}" if guild and known.channel else ""

    async def learn(self, webhook: Webhook) -> None:
        """Ask Discord for a webhook's server, which is part of links to its messages."""
        about = await self._client.about(webhook)
        self._guilds[webhook.id] = str(about.get("guild_id") or "")

    async def close(self) -> None:
        await self._client.close()

    def _webhook(self, to: Target) -> Webhook:
        if (found := self._webhooks.get(to.channel)) is None:
            raise Rejected(f"{DISCORD} has no webhook called {to.channel}: its setting is gone")
        return found

    async def _send(self, webhook: Webhook, body: Body, thread: str) -> Mapping[str, Any]:
        content = dict(body)
        if thread or webhook.id not in self._forums:
            del content["thread_name"]
        return await self._client.post(webhook, content, thread=thread)


class Discord(WrittenChat):
    """Discord, as the composition root uses it."""

    def __init__(self, settings: Settings, parts: ChatParts) -> None:
        """Take the parts; send nothing yet."""
        self._webhooks = settings.named()
        self._client = DiscordClient(settings.api_url)
        self.channel = Webhooks(self._client, self._webhooks, parts.within(LIMITS))
        super().__init__(self.channel, plans_of(settings, parts.book, parts.preview_book), parts)

    @property
    def trouble(self) -> Mapping[str, str]:
        """Return the webhooks that Discord no longer knows."""
        return {f"discord {name}": why for name, why in self._client.gone.items()}

    async def run(self) -> None:
        """Read every webhook once, to notice deleted ones at the start."""
        await asyncio.gather(*map(self._learn, self._webhooks.values()))

    async def _learn(self, webhook: Webhook) -> None:
        told = False
        while True:
            try:
                await self.channel.learn(webhook)
            except Refused as error:
                log.warning("discord can't be written to", extra={"why": str(error)})
                return
            except BridgeError as error:
                if not told:
                    log.warning("discord can't be asked yet", extra={"why": str(error)})
                told = True
                await asyncio.sleep(ASK_AGAIN)
            else:
                log.info("discord is served", extra={"webhook": webhook.name})
                return
