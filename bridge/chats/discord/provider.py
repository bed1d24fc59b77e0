"""Discord's record: what the rest of the bridge needs to know of it."""

from collections.abc import AsyncIterator, Collection, Sequence
from typing import TYPE_CHECKING

from bridge.ports.checks import Checked, Finding
from bridge.ports.providers import ChannelBook, ChannelsOf, ChatProvider

if TYPE_CHECKING:
    from bridge.chats.discord.posts import Discord as RunningDiscord
    from bridge.chats.discord.settings import Discord
    from bridge.ports.chats import ChatParts
    from bridge.ports.outcomes import Audited, Subscription
    from bridge.ports.setup import Setup


def _settings() -> "type[Discord]":
    from bridge.chats.discord.settings import Discord

    return Discord


def _channels(settings: "Discord", book: ChannelBook) -> ChannelsOf:
    from bridge.chats.discord.posts import plans_of

    channels = plans_of(settings, book).channels
    return lambda label, _here: channels.of(label)


def _channel_names(settings: "Discord") -> Collection[str]:
    return settings.named().keys()


def _open(settings: "Discord", parts: "ChatParts") -> "RunningDiscord":
    from bridge.chats.discord.posts import Discord as RunningDiscord

    return RunningDiscord(settings, parts)


def _tells(settings: "Discord", book: ChannelBook, note: "Audited") -> "Sequence[Subscription]":
    from bridge.chats.discord.posts import plans_of

    return plans_of(settings, book).of_change(note)


def _checks(checked: Checked) -> AsyncIterator[Finding]:
    from bridge.chats.discord.checks import checks

    return checks(checked)


def _setup() -> "Setup":
    from bridge.chats.discord.setup import SETUP

    return SETUP


DISCORD = ChatProvider(
    key="discord",
    title="Discord",
    settings=_settings,
    credential="webhook",
    further="webhooks",
    cards_only="its webhooks hear nothing",
    link_word="Discord",
    channels=_channels,
    channel_names=_channel_names,
    open=_open,
    tells=_tells,
    checks=_checks,
    setup=_setup,
)
