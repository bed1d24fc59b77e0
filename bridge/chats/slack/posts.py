"""Post messages and their threads in Slack, and find them again by their metadata."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bridge.chats.slack.answers import problem
from bridge.chats.slack.api import (
    History,
    People,
    SlackClient,
    code_of,
    surely_not_done,
    tell_alone,
)
from bridge.chats.slack.mrkdwn import mention
from bridge.chats.slack.payloads import SLACK
from bridge.chats.slack.views import message_of
from bridge.core.errors import BridgeError, Refused, Unreachable
from bridge.core.lifecycle import Deployment
from bridge.messages.writer import Body, ChatWriter, Gone, Posted, Target
from bridge.ports.chats import OfDeployment
from bridge.ports.feedback import SaveCursor, Snapshot, Turn
from bridge.ports.outcomes import Cursor, Subscription
from bridge.views.view import View

log = logging.getLogger(__name__)

EVENT = "bridge_card"
"""The type of our messages' metadata."""

_GONE = frozenset({"message_not_found", "thread_not_found"})
"""Slack's codes for a message that somebody has deleted."""

_NOT_THERE = frozenset({"not_in_channel", "channel_not_found", "is_archived", "restricted_action"})


class Posts(ChatWriter):
    """Writes messages, and lines in their threads."""

    chat = SLACK
    threads = True
    finds = True

    def __init__(
        self, client: SlackClient, people: People, turn: Turn, email_of: OfDeployment
    ) -> None:
        """Take the parts; `email_of` finds the address of a deployment's commit's author."""
        super().__init__(turn)
        self._client = client
        self._history = History(client)
        self._people = people
        self._email_of = email_of
        self._ids: dict[str, str] = {}
        """Ids of channels by their names, learned from earlier posts."""

    def render(self, content: View) -> Body:
        return message_of(content).body()

    async def post(self, body: Body, to: Target) -> Posted:
        known, where = to.known, {"channel": to.channel}
        if to.lines:
            where = {"channel": known.channel, "thread_ts": known.message}
        answer = await self._call(
            "chat.postMessage",
            **where,
            reply_broadcast=to.loud or None,
            metadata=about(to),
            unfurl_links=False,
            unfurl_media=False,
            **body,
        )
        posted = Posted(answer.text("ts"), answer.text("channel"))
        self._ids[to.channel] = posted.channel
        return posted

    async def edit(self, body: Body, to: Target) -> None:
        known = to.known
        await self._call(
            "chat.update", channel=known.channel, ts=known.message, metadata=about(to), **body
        )

    async def find(self, to: Target) -> Posted | None:
        """Look for it; None also if the app may not read the channel, or the thread."""
        channel = to.known.channel or self._ids.get(to.channel, to.channel)
        thread = to.known.message if to.lines else ""
        ts = await self._history.find(channel, about(to), thread)
        return None if ts is None else Posted(ts, channel)

    async def link(self, to: Target) -> str:
        known = to.known
        try:
            answer = await self._client.read(
                "chat.getPermalink", channel=known.channel, message_ts=known.message
            )
            return str(answer.text("permalink"))
        except BridgeError as error:
            log.info("a card has no link yet", extra={"why": str(error)})
            return ""

    async def calls(self, subscription: Subscription, deployment: Deployment) -> str:
        """Return the commit's author if Slack knows the address, or the requester; never guess."""
        email = await self._email_of(deployment)
        author = await self._people.by_email(email) if email else None
        who = author or str(subscription.place.get("asker") or "")
        return who if mention(who) else ""

    def was_not_sent(self, error: BridgeError) -> bool:
        refused = isinstance(error, Refused)
        return refused or (isinstance(error, Unreachable) and surely_not_done(error))

    def elsewhere(self, to: Target, error: Refused) -> Subscription | None:
        """Return the person who asked in a channel without the bridge, or who owns a lock."""
        person, channel = str(to.subscription.place.get("person") or ""), to.channel
        if person in ("", channel) or code_of(error) not in _NOT_THERE:
            return None
        return replace(
            to.subscription,
            id=to.subscription.id.removesuffix(channel) + person,
            lane=f"{SLACK} {person}",
            place={**to.subscription.place, "channel": person},
        )

    async def _call(self, method: str, **arguments: Any) -> Any:
        try:
            return await self._client.call(method, **arguments)
        except Refused as error:
            if code_of(error) in _GONE:
                raise Gone from error
            raise


def about(to: Target) -> dict[str, Any]:
    """Return the metadata of a message, or of a line in its thread."""
    place = to.subscription.place
    what = next((one for one in ("deployment", "pull") if one in place), "")
    named: Mapping[str, Any] = {what: str(place[what])} if what else {"id": to.subscription.id}
    return {"event_type": EVENT, "event_payload": {**named, "lines": to.lines}}


class Notices:
    """Tells somebody, where they asked, that it turned out to be impossible."""

    def __init__(self, client: SlackClient, turn: Turn) -> None:
        self._client = client
        self._turn = turn

    async def publish(
        self, subscription: Subscription, _story: Snapshot, cursor: Cursor, save_cursor: SaveCursor
    ) -> Sequence[Subscription]:
        """Send it once; if the bridge is not in the channel, directly."""
        if cursor.get("said"):
            return ()
        place = subscription.place
        person, channel = str(place["person"]), str(place["channel"])
        said = problem(str(place["text"])).body()
        await self._turn(subscription.lane)
        await tell_alone(self._client, channel, person, said)
        await save_cursor({"said": True})
        return ()
