"""Slack's record: what the rest of the bridge needs to know of it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bridge.ports.checks import Checked, Finding
from bridge.ports.providers import (
    BY_HTTP,
    ChannelBook,
    ChannelsOf,
    ChatManifest,
    ChatProvider,
)
from bridge.ports.sign_in import Naming, SignInProvider

if TYPE_CHECKING:
    from pydantic import SecretStr

    from bridge.chats.slack.opening import Slack as RunningSlack
    from bridge.chats.slack.settings import Slack
    from bridge.core.access import Access
    from bridge.ports.chats import ChatParts
    from bridge.ports.outcomes import Audited, Subscription
    from bridge.ports.setup import Setup
    from bridge.ports.sign_in import SignsIn


def _settings() -> "type[Slack]":
    from bridge.chats.slack.settings import Slack

    return Slack


def _heard_by(settings: "Slack") -> tuple[str, ...]:
    ways = ((BY_HTTP, settings.signing_secret), ("Socket Mode", settings.app_token))
    return tuple(way for way, secret in ways if secret is not None)


def _doubts(settings: "Slack") -> Sequence[tuple[str, str]]:
    from bridge.chats.slack.settings import doubts

    return tuple(doubts(settings))


def _channels(settings: "Slack", book: ChannelBook) -> ChannelsOf:
    from bridge.messages.plans import Channels

    return Channels(book, settings.channel).of


def _open(settings: "Slack", parts: "ChatParts") -> "RunningSlack":
    from bridge.chats.slack.opening import LIMITS, Wiring
    from bridge.chats.slack.opening import Slack as RunningSlack
    from bridge.chats.slack.plans import plans_of
    from bridge.messages.plans import Channels
    from bridge.views.links import Links

    return RunningSlack(
        Wiring(
            _shown(settings.bot_token),
            settings.api_url,
            _shown(settings.signing_secret) if parts.hears else "",
            _shown(settings.app_token) if parts.hears else "",
            settings.team_id,
            settings.people_every,
            Links(parts.pages, parts.titles, parts.console),
        ),
        commands=parts.commands,
        access=parts.access,
        journal=parts.journal,
        inbox=parts.inbox,
        drafts=parts.drafts,
        turn=parts.within(LIMITS),
        tail=parts.tail,
        email_of=parts.email_of,
        clock=parts.clock,
        plans=plans_of(Channels(parts.book, settings.channel, parts.preview_book)),
    )


def _shown(secret: "SecretStr | None") -> str:
    return secret.get_secret_value() if secret else ""


def _tells(settings: "Slack", book: ChannelBook, note: "Audited") -> "Sequence[Subscription]":
    from bridge.chats.slack.plans import plans_of
    from bridge.messages.plans import Channels

    return plans_of(Channels(book, settings.channel)).of_change(note)


def _manifest(url: str | None, more: Sequence[str], name: str) -> Mapping[str, Any]:
    from bridge.chats.slack.manifest import slack_manifest

    made: Mapping[str, Any] = slack_manifest(url, more, name)
    return made


def _checks(checked: Checked) -> AsyncIterator[Finding]:
    from bridge.chats.slack.checks import checks

    return checks(checked)


def _setup() -> "Setup":
    from bridge.chats.slack.setup import SETUP

    return SETUP


def _opened(settings: "Slack", access: "Access") -> "SignsIn | None":
    from bridge.chats.slack.sign_in import opened

    return opened(settings, access)


SLACK = ChatProvider(
    key="slack",
    title="Slack",
    settings=_settings,
    credential="bot_token",
    token_begins=("xoxb-", "xoxp-", "xapp-"),
    heard_by=_heard_by,
    to_be_heard="BRIDGE_SLACK_SIGNING_SECRET (HTTP) or BRIDGE_SLACK_APP_TOKEN (Socket Mode)",
    cards_only="set a signing secret or an app token to hear commands",
    link_word="thread",
    doubts=_doubts,
    channels=_channels,
    plain_channels=True,
    open=_open,
    tells=_tells,
    manifest=ChatManifest(
        name="Bridge",
        longest_name=35,
        without_url=("socket", "Socket Mode"),
        more=("any-channel", "channels", "emails", "groups", "history"),
        paste_at="https://api.slack.com/apps",
        paste_as="Create New App, From a manifest",
        make=_manifest,
    ),
    checks=_checks,
    setup=_setup,
    sign_in=SignInProvider(
        names=(
            Naming(r"[UW][A-Z0-9]{2,}", "a user id of Slack (U…)"),
            Naming(r"S[A-Z0-9]{2,}", "a user group's id of Slack (S…)", group=True),
        ),
        open=_opened,
    ),
)
