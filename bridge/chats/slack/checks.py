"""What `doctor` checks at Slack: the tokens, the scopes, the channels, and the clock."""

import re
import time
from collections.abc import AsyncIterator, Collection, Iterator

from bridge.chats.slack.api import SlackClient, code_of
from bridge.chats.slack.manifest import SCOPES
from bridge.chats.slack.payloads import Answer
from bridge.chats.slack.settings import Slack
from bridge.core.errors import Refused
from bridge.ports.checks import Checked, Finding, Level, ahead_in, clock_finding

STALE = 300.0
"""Seconds that a request's time may differ before either side refuses it."""

_ID = re.compile(r"[CGD][A-Z0-9]{4,}").fullmatch

AGAIN = (
    "install the app again with the manifest that `dokploy-bridge manifest slack` prints:"
    " it requests all scopes"
)


async def checks(checked: Checked) -> AsyncIterator[Finding]:
    """Yield what is found at Slack; see `ports.checks.Checks`."""
    settings: Slack = checked.settings
    if settings.bot_token is None:
        return
    client = SlackClient(settings.bot_token.get_secret_value(), settings.api_url)
    try:
        answer = await client.call("auth.test")
        for finding in _of_token(checked, answer):
            yield finding
        granted = _scopes(answer)
        for channel in dict.fromkeys((settings.channel, *checked.channels)):
            if channel:
                yield await _of_channel(client, channel, granted or ())
    finally:
        await client.close()
    if settings.app_token is not None:
        yield await _of_socket(checked.name, settings)


def _of_token(checked: Checked, answer: Answer) -> Iterator[Finding]:
    about, team, wanted = checked.name, answer.text("team_id"), checked.settings.team_id
    workspace = answer.get("team") or team
    yield Finding(Level.OK, "chat.token", about, f"the bot token of {workspace} is accepted")
    if wanted and wanted != team:
        says = f"the bot token is of the workspace {team}, and slack.team_id names {wanted}"
        remedy = "set the token of that workspace, or unset slack.team_id"
        yield Finding(Level.ERROR, "chat.workspace", about, says, remedy)
    granted = _scopes(answer)
    if granted is not None and (missing := [one for one in SCOPES if one not in granted]):
        says = f"the app lacks the scope {', '.join(missing)}"
        yield Finding(Level.ERROR, "chat.scopes", about, says, AGAIN)
    ahead = ahead_in(answer.headers, time.time())
    yield from clock_finding("chat.clock", about, ahead, refused_at=STALE)


def _scopes(answer: Answer) -> set[str] | None:
    """Return the granted scopes; None if the answer does not tell."""
    told = answer.headers.get("x-oauth-scopes")
    return None if told is None else {one.strip() for one in told.split(",")}


async def _of_channel(client: SlackClient, channel: str, granted: Collection[str]) -> Finding:
    about = f"slack {channel}"
    if not _ID(channel):
        says = "a channel is only found by its id, so it was not checked"
        return Finding(Level.OK, "chat.channel", about, says)
    try:
        found = (await client.read("conversations.info", channel=channel)).object("channel")
    except Refused as error:
        if code_of(error) == "missing_scope":
            says = (
                "whether the bridge is in it can't be asked: that takes the scopes of"
                " `manifest slack --with channels`"
            )
            return Finding(Level.OK, "chat.channel", about, says)
        says = f"cards can't be shown there: {error.words}"
        remedy = "name another channel, or invite the bridge there: /invite @its-name"
        return Finding(Level.ERROR, "chat.channel", about, says, remedy)
    if found.get("is_archived"):
        remedy = "name another channel, or unarchive it"
        return Finding(Level.ERROR, "chat.channel", about, "the channel is archived", remedy)
    if not found.get("is_member") and "chat:write.public" not in granted:
        says = "the bridge is not in the channel, so no card can be shown there"
        return Finding(Level.ERROR, "chat.member", about, says, "type /invite @its-name there")
    return Finding(Level.OK, "chat.channel", about, "cards can be shown there")


async def _of_socket(about: str, settings: Slack) -> Finding:
    """Ask for a connection, which opens none."""
    assert settings.app_token is not None
    client = SlackClient(settings.app_token.get_secret_value(), settings.api_url)
    try:
        await client.call("apps.connections.open")
    except Refused as error:
        says = f"Socket Mode is refused, so no command arrives: {code_of(error)}"
        remedy = (
            "switch Socket Mode on, and make an app token with connections:write"
            " (Basic Information); set it as BRIDGE_SLACK_APP_TOKEN"
        )
        return Finding(Level.ERROR, "chat.socket", about, says, remedy)
    finally:
        await client.close()
    return Finding(Level.OK, "chat.socket", about, "Socket Mode accepts the app token")
