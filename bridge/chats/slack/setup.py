"""How Slack is connected: an app made from a manifest, its token and its signing secret."""

import json
from collections.abc import Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from bridge.chats.slack.manifest import MORE_SCOPES, slack_manifest
from bridge.core.errors import Refused, Rejected
from bridge.ports.setup import Choice, Setup, SetupChoice, SetupField, SetupLink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bridge.chats.slack.api import SlackClient
    from bridge.chats.slack.settings import Slack

NEW_APP = "https://api.slack.com/apps"
"""https://docs.slack.dev/app-manifests/configuring-apps-with-app-manifests"""

FOR_SETUP = ("any-channel", "channels")
"""The optional scopes that save steps: no invitation, and channels to choose from."""

PAGE, MOST = 200, 5
"""Channels of one answer, and answers to read."""


def _new_app(public_url: str) -> str:
    manifest = slack_manifest(public_url, FOR_SETUP)
    return f"{NEW_APP}?{urlencode({'new_app': 1, 'manifest_json': json.dumps(manifest)})}"


@asynccontextmanager
async def _client(settings: "Slack") -> "AsyncIterator[SlackClient]":
    from bridge.chats.slack.api import SlackClient

    if settings.bot_token is None:
        raise Rejected("give the bot token")
    client = SlackClient(settings.bot_token.get_secret_value(), settings.api_url)
    try:
        yield client
    finally:
        await client.close()


async def _tries(_name: str, settings: "Slack") -> Sequence[str]:
    async with _client(settings) as client:
        answer = await client.call("auth.test")
    said = [f"Slack accepts the token of {answer.text('user')} in {answer.text('team')}"]
    if settings.signing_secret is None and settings.app_token is None:
        said.append("it shows cards only: commands need the signing secret or an app-level token")
    return said


async def _channels(settings: "Slack") -> Sequence[Choice]:
    found: list[Choice] = []
    cursor = ""
    async with _client(settings) as client:
        for _ in range(MOST):
            answer = await client.read(
                "conversations.list",
                types="public_channel",
                exclude_archived="true",
                limit=PAGE,
                cursor=cursor,
            )
            rows = [one for one in answer.list("channels") if isinstance(one, Mapping)]
            found += [Choice(str(one["id"]), f"#{one['name']}") for one in rows if one.get("name")]
            cursor = _next(answer.get("response_metadata"))
            if not cursor:
                break
    return sorted(found, key=lambda one: one.label)


def _next(metadata: Any) -> str:
    return str(metadata.get("next_cursor") or "") if isinstance(metadata, Mapping) else ""


async def _test(settings: "Slack") -> str:
    if not settings.channel:
        raise Rejected("choose a channel first")
    words = "The bridge is connected: deployments appear here."
    async with _client(settings) as client:
        answer = await client.call("chat.postMessage", channel=settings.channel, text=words)
    if not answer.text("ts"):
        raise Refused("slack", "it did not say that the message is there")
    return "a message is in the channel"


SETUP = Setup(
    gives="shows each deployment in a channel, and deploys on command",
    credentials=("bot_token",),
    link=SetupLink("Create the app in Slack, then install it to your workspace", _new_app),
    fields=(
        SetupField(
            "bot_token",
            "Bot User OAuth Token",
            "in Slack: OAuth & Permissions, once the app is installed",
            secret=True,
            example="xoxb-…",
        ),
        SetupField(
            "signing_secret",
            "Signing Secret",
            "in Slack: Basic Information, App Credentials",
            secret=True,
            optional=True,
        ),
    ),
    tries=_tries,
    choice=SetupChoice(
        "channel", "Channel for the cards", "rules may name others for some apps", _channels
    ),
    test=_test,
)

assert set(FOR_SETUP) <= set(MORE_SCOPES)
