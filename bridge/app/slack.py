"""Slack, where a bot token is set."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from pydantic import SecretStr

from bridge.app.hosts import pages_of
from bridge.app.parts import Parts, Places, in_background, seal_of
from bridge.core.apps import App
from bridge.core.roles import Role
from bridge.pipeline.commands import ChatCommands
from bridge.pipeline.config_drafts import Desk
from bridge.pipeline.lookup import Authors, BuildLogs, Known
from bridge.ports.chats import ChatDoor, Permits
from bridge.ports.outcomes import Audited, Target
from bridge.settings import Settings, access_of, book_of, channels_of, policy_of
from bridge.storage.seal import NoSeal

log = logging.getLogger(__name__)


async def _nobody(_user: str, _app: App, _channel: str) -> str | None:
    return "slack is not set any more, so nobody may configure anything by it"


@dataclass(frozen=True, slots=True)
class SlackParts(Places):
    """Slack, as far as the rest needs to know; empty where it is not set."""

    doors: Mapping[str, ChatDoor] = field(default_factory=dict)
    permits: Permits = _nobody


async def open_slack(parts: Parts, stack: AsyncExitStack, role: Role) -> SlackParts:
    """Slack, where a bot token is set; what it lacks is named in the log."""
    settings, stores, catalog = parts.settings, parts.stores, parts.catalog
    if settings.slack.bot_token is None:
        return SlackParts()
    from bridge.chats.slack.cards import Cards, Channels
    from bridge.chats.slack.config_changes import ChangePlans
    from bridge.chats.slack.facts import Links
    from bridge.chats.slack.opening import LIMITS, Slack, Wiring

    given = settings.slack
    channels = Channels(channels_of(settings), given.channel)
    access = access_of(settings)
    logs = BuildLogs(parts.backends, stores.journal)
    known = Known(
        catalog.all,
        lambda: catalog.trouble,
        lambda app, here: channels.of(app.label, here),
        catalog.wake,
    )
    slack = Slack(
        Wiring(
            _shown(given.bot_token),
            given.api_url,
            _shown(given.signing_secret) if role.hears else "",
            _shown(given.app_token) if role.hears else "",
            given.team_id,
            given.people_every,
            Links(pages_of(settings)),
        ),
        commands=ChatCommands(stores.inbox, stores.journal, known, access, logs, time.time),
        access=access,
        journal=stores.journal,
        inbox=stores.inbox,
        desk=_desk(parts),
        turn=parts.turns.within(LIMITS),
        tail=logs.tail,
        email_of=Authors(stores.inbox, parts.hosts).email_of,
        clock=time.time,
    )
    stack.push_async_callback(slack.stop)
    if role.hears and slack.door is None and slack.socket is None:
        log.warning(
            "slack can't be heard: set BRIDGE_SLACK_SIGNING_SECRET (HTTP) or"
            " BRIDGE_SLACK_APP_TOKEN (Socket Mode)"
        )
    if isinstance(seal_of(settings), NoSeal):
        log.warning("nobody can configure apps by slack, nor undo a change: %s", NoSeal.REMEDY)
    if not access.grants:
        log.warning("nobody may do anything by slack: say who in `access` of bridge.yaml")
    await in_background(stack, "slack", slack.run())
    doors = {"slack": slack.door} if slack.door else {}
    planners = (Cards(channels), ChangePlans(channels))
    return SlackParts(planners, (), slack.shows, doors, slack.permits)


def tells_of(settings: Settings) -> Callable[[Audited], Sequence[Target]]:
    """Where changes are told that are made on the command line; nowhere without Slack."""
    if settings.slack.bot_token is None:
        return lambda _: ()
    from bridge.chats.slack.cards import Channels
    from bridge.chats.slack.config_changes import ChangePlans

    return ChangePlans(Channels(channels_of(settings), settings.slack.channel)).of_note


def _desk(parts: Parts) -> Desk:
    """Where people configure apps by the chat."""
    return Desk(
        parts.configurers,
        parts.backends,
        parts.stores.inbox,
        parts.stores.journal,
        parts.hosts,
        seal_of(parts.settings),
        policy=policy_of(parts.settings),
        book=book_of(parts.settings),
    )


def _shown(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
