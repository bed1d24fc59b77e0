"""Messages as Slack and Discord show them, and what publishes them."""

import time
from dataclasses import dataclass
from typing import Any

from bridge.chats.discord.posts import Webhooks
from bridge.chats.slack.blocks import Message
from bridge.chats.slack.mrkdwn import mention
from bridge.chats.slack.plans import SlackPlans, plans_of
from bridge.chats.slack.posts import Posts
from bridge.chats.slack.views import message_of
from bridge.core.apps import App
from bridge.core.lifecycle import Change, Deployment
from bridge.messages.plans import Channels
from bridge.messages.told import publishers_of
from bridge.ports.chats import OfDeployment
from bridge.ports.clock import Clock
from bridge.ports.feedback import Publisher, Turn
from bridge.views.cards import changes_view, deployment_view, failure_view
from bridge.views.deployments import LOUD
from bridge.views.links import NOTHING_KNOWN, Around, Links
from bridge.views.values import Called

NO_LINKS = Links()


def render_card(
    deployment: Deployment,
    app: App | None,
    *,
    links: Links,
    around: Around = NOTHING_KNOWN,
    superseded_by: str | None = None,
) -> Message:
    """A card as Slack shows it."""
    return message_of(deployment_view(deployment, app, links, around, superseded_by))


@dataclass(frozen=True)
class Line:
    """A line of a card's thread; `broadcast`: the channel sees it, too."""

    message: Message
    broadcast: bool


def render_line(
    deployment: Deployment,
    change: Change,
    *,
    log_tail: str = "",
    author_id: str = "",
    app: App | None = None,
    links: Links = NO_LINKS,
    around: Around = NOTHING_KNOWN,
) -> Line:
    """A change as Slack shows it."""
    if change.state not in LOUD:
        return Line(message_of(changes_view(deployment, [change])), broadcast=False)
    called = (Called(author_id),) if mention(author_id) else ()
    view = failure_view(deployment, change, log_tail, app, links, around, called)
    return Line(message_of(view), broadcast=True)


async def nothing(_deployment: Deployment) -> str:
    """Know nothing of a deployment."""
    return ""


async def at_once(_lane: str) -> None:
    """A turn without a limit."""


def in_slack(
    client: Any,
    channels: Channels,
    *,
    people: Any = None,
    turn: Turn = at_once,
    links: Links = NO_LINKS,
    tail: OfDeployment = nothing,
    email_of: OfDeployment = nothing,
    clock: Clock = time.time,
) -> tuple[SlackPlans, dict[str, Publisher]]:
    """What plans and publishes Slack's messages."""
    writer = Posts(client, people, turn, email_of)
    publishers = publishers_of(writer, channels, links, tail=tail, clock=clock)
    return plans_of(channels), publishers


def in_discord(
    writer: Webhooks,
    channels: Channels,
    links: Links = NO_LINKS,
    tail: OfDeployment = nothing,
) -> dict[str, Publisher]:
    """What publishes Discord's messages."""
    return publishers_of(writer, channels, links, tail=tail, clock=time.time)
