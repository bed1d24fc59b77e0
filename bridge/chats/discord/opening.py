"""Put Discord together: its webhooks, its planners and its publishers."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bridge.chats.discord.api import ASK_AGAIN, DiscordClient
from bridge.chats.discord.board import CARD, CHANGED, Board, Cards, ChangeNotes, ChangePlans
from bridge.chats.discord.locks import LOCK, LockNotes, LockPlans
from bridge.chats.discord.posts import Channel
from bridge.chats.discord.pulls import PULL, PullBoard, pull_plans
from bridge.chats.discord.settings import DEFAULT, Webhook
from bridge.chats.discord.settings import Discord as Settings
from bridge.chats.facts.card import Channels
from bridge.chats.facts.links import Links
from bridge.core.apps import App
from bridge.core.errors import BridgeError, Refused
from bridge.ports.chats import ChatParts
from bridge.ports.clock import Limit
from bridge.ports.providers import ChannelBook, PreviewBook

if TYPE_CHECKING:
    from bridge.ports.feedback import Planner, Publisher, ShowsPreviews, TellsOfLocks

log = logging.getLogger(__name__)

LIMITS = (Limit(5, 2.0),)
"""Of each webhook, as Discord mostly allows; its headers and its 429s say what holds just now."""


def channels_of(settings: Settings, book: ChannelBook, previews: PreviewBook = ()) -> Channels:
    """Return the channels of apps and their previews, by the names of their webhooks."""
    return Channels(book, DEFAULT if settings.webhook is not None else "", previews)


async def asked(settings: Settings) -> dict[str, BridgeError | None]:
    """Ask Discord for each webhook; return why it can't be used, None if it can."""
    client = DiscordClient(settings.api_url)
    found: dict[str, BridgeError | None] = {}
    try:
        for name, webhook in settings.named().items():
            try:
                await client.about(webhook)
                found[name] = None
            except BridgeError as error:
                found[name] = error
    finally:
        await client.close()
    return found


class Discord:
    """Discord, as the composition root uses it; it only writes."""

    hears = False
    door = None

    def __init__(self, settings: Settings, parts: ChatParts) -> None:
        """Take the parts; send nothing yet."""
        self._webhooks = settings.named()
        self._client = DiscordClient(settings.api_url)
        self._channel = Channel(self._client, self._webhooks, parts.within(LIMITS))
        channels = channels_of(settings, parts.book, parts.preview_book)
        pulls = pull_plans(channels, self._webhooks)
        self.planners: Sequence[Planner] = (
            Cards(channels, self._webhooks),
            ChangePlans(channels, self._webhooks),
            pulls,
        )
        self.of_preview: ShowsPreviews = pulls.of_preview
        self.of_lock: TellsOfLocks = LockPlans(channels, self._webhooks).of
        links = Links(parts.pages, parts.titles, parts.console)
        self.publishers: Mapping[str, Publisher] = {
            CARD: Board(self._channel, links, parts.tail),
            PULL: PullBoard(self._channel, links, channels),
            CHANGED: ChangeNotes(self._channel),
            LOCK: LockNotes(self._channel, parts.clock),
        }

    @property
    def trouble(self) -> Mapping[str, str]:
        """Return the webhooks that Discord no longer knows."""
        return {f"discord {name}": why for name, why in self._client.gone.items()}

    async def permits(self, _user: str, _app: App, _channel: str) -> str | None:
        """Permit nothing: Discord sends no requests."""
        return "nobody configures anything by Discord"

    async def run(self) -> None:
        """Read every webhook once, to notice deleted ones at the start."""
        await asyncio.gather(*map(self._learn, self._webhooks.values()))

    async def stop(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _learn(self, webhook: Webhook) -> None:
        told = False
        while True:
            try:
                await self._channel.learn(webhook)
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
