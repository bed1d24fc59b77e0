"""Keep cards and their threads up to date: post once, then update in place.

Level-triggered: all changes since the last time are one update of the card and one message in its
thread. A message that must not be repeated is announced in the subscription's cursor before it is
sent. After a crash in between it is searched for in the channel by its metadata, if the app may
read the channel.
"""

import hashlib
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bridge.chats.card import LOUD
from bridge.chats.links import Links, around_of
from bridge.chats.slack.answers import problem
from bridge.chats.slack.api import (
    History,
    People,
    SlackClient,
    code_of,
    surely_not_done,
    tell_alone,
)
from bridge.chats.slack.blocks import Message
from bridge.chats.slack.cards import Line, card, render_card, render_line
from bridge.chats.slack.payloads import Answer
from bridge.core.errors import BridgeError, Refused, Unreachable
from bridge.core.lifecycle import Change, Deployment
from bridge.ports.feedback import SaveCursor, Snapshot, Turn
from bridge.ports.outcomes import LINK, Cursor, Subscription

EVENT = "bridge_card"
"""The type of our messages' metadata."""

MOST_AT_ONCE = 40
"""The most changes in one message, each in a block; a message has at most fifty blocks."""


@dataclass(frozen=True, slots=True)
class CardCursor:
    """The cursor of a card: what it shows, and what is being sent.

    Attributes:
        channel, ts: of the message; "" while it is not posted.
        link: its permalink.
        posting: it is being posted.
        shows: a hash of what it shows.
        said, saying: how many changes the thread has, and will have after the current message.
        gone: somebody deleted it, so it is not posted again.
    """

    channel: str = ""
    ts: str = ""
    link: str = ""
    posting: bool = False
    shows: str = ""
    said: int = 0
    saying: int = 0
    gone: bool = False

    @classmethod
    def of(cls, cursor: Cursor) -> "CardCursor":
        """Read a stored cursor; fields that an older release did not store keep their defaults."""
        known = {name: cursor[name] for name in cls.__slots__ if name in cursor}
        return cls(**known)

    def cursor(self) -> dict[str, Any]:
        """Serialise as JSON, with `LINK` once it is known."""
        found = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in found.items() if value or name != LINK}


def about(subscription: Subscription, lines: int) -> dict[str, Any]:
    """Return the metadata of a card (no lines) or of so many lines in its thread."""
    payload = {"deployment": str(subscription.place["deployment"]), "lines": lines}
    return {"event_type": EVENT, "event_payload": payload}


def hash_of(message: Message) -> str:
    """Return a hash that identifies an unchanged card."""
    return hashlib.sha256(json.dumps(message.body()).encode()).hexdigest()[:16]


def portions(history: Sequence[Change], said: int) -> list[tuple[int, Sequence[Change]]]:
    """Return the next changes to post: quiet ones together, a loud one alone."""
    portions: list[tuple[int, Sequence[Change]]] = []
    begin = said
    for at in range(said, len(history)):
        last = at + 1 == len(history)
        full = at + 1 - begin == MOST_AT_ONCE
        if history[at].state in LOUD or last or full or history[at + 1].state in LOUD:
            portions.append((at + 1, history[begin : at + 1]))
            begin = at + 1
    return portions


def joined(messages: Sequence[Message]) -> Message:
    """Join several small messages into one."""
    blocks = tuple(block for message in messages for block in message.blocks)
    return Message("\n".join(message.text for message in messages), blocks)


# ── Keep cards and their threads up to date ───────────────────────────────────────────────────────

log = logging.getLogger(__name__)

Tells = Callable[[Deployment], Awaitable[str]]
"""Returns a text about a deployment; "" for none."""

_NOT_THERE = frozenset({"not_in_channel", "channel_not_found", "is_archived", "restricted_action"})
_GONE = frozenset({"message_not_found", "thread_not_found"})


class Board:
    """Publishes cards; of kind `planning.CARD`."""

    def __init__(
        self,
        client: SlackClient,
        people: People,
        turn: Turn,
        links: Links,
        *,
        tail: Tells,
        email_of: Tells,
    ) -> None:
        """Take the parts.

        Args:
            tail: reads the end of a deployment's log.
            email_of: finds the address of a deployment's commit's author.
        """
        self._client = client
        self._history = History(client)
        self._people = people
        self._turn = turn
        self._links = links
        self._tail = tail
        self._email_of = email_of
        self._ids: dict[str, str] = {}
        """Ids of channels by their names, learned from earlier posts."""

    async def publish(
        self,
        subscription: Subscription,
        snapshot: Snapshot,
        cursor: Cursor,
        save_cursor: SaveCursor,
    ) -> Sequence[Subscription]:
        """Bring a card and its thread up to date."""
        known = CardCursor.of(cursor)
        if known.gone or not snapshot.deployments:
            return ()
        deployment = snapshot.deployments[0]
        message = self._rendered(subscription, snapshot, deployment)
        try:
            known = await self._posted(subscription, known, message, save_cursor)
            known = await self._updated(subscription, known, message, save_cursor)
            await self._said(subscription, known, snapshot, deployment, save_cursor)
        except Refused as error:
            if code_of(error) in _GONE:
                await save_cursor(replace(known, gone=True).cursor())
                return ()
            if known.ts or code_of(error) not in _NOT_THERE or not subscription.place.get("person"):
                raise
            # Requested in a channel without the bridge: send it directly.
            log.info("a card goes to the person who asked", extra={"why": str(error)})
            return (card(deployment.id, str(subscription.place["person"])),)
        return ()

    # ── the card ──────────────────────────────────────────────────────────

    def _rendered(
        self, subscription: Subscription, snapshot: Snapshot, deployment: Deployment
    ) -> Message:
        return render_card(
            deployment,
            snapshot.apps.get(deployment.app_id),
            links=self._links,
            can_cancel=not deployment.final,
            superseded_by=_newer(subscription, snapshot, deployment),
            around=around_of(deployment, snapshot),
        )

    async def _posted(
        self,
        subscription: Subscription,
        known: CardCursor,
        message: Message,
        save_cursor: SaveCursor,
    ) -> CardCursor:
        """Return the card's message; post it if it is missing."""
        if known.ts:
            return known if known.link else await self._linked(known, save_cursor)
        if known.posting and (found := await self._found(subscription, known, "", 0)) is not None:
            known = replace(known, channel=found[0], ts=found[1], posting=False)
        else:
            await self._turn(subscription.lane)
            known = replace(known, posting=True)
            await save_cursor(known.cursor())
            try:
                answer = await self._post(subscription, message, about(subscription, 0))
            except Unreachable as error:
                if surely_not_done(error):
                    await save_cursor(replace(known, posting=False).cursor())
                raise
            known = replace(
                known,
                channel=answer.text("channel"),
                ts=answer.text("ts"),
                posting=False,
                shows=hash_of(message),
            )
        await save_cursor(known.cursor())
        return await self._linked(known, save_cursor)

    async def _post(self, subscription: Subscription, message: Message, metadata: Any) -> Answer:
        name = str(subscription.place["channel"])
        answer = await self._client.call(
            "chat.postMessage",
            channel=name,
            metadata=metadata,
            unfurl_links=False,
            unfurl_media=False,
            **message.body(),
        )
        self._ids[name] = answer.text("channel")
        return answer

    async def _linked(self, known: CardCursor, save_cursor: SaveCursor) -> CardCursor:
        """Return its permalink, for links from elsewhere; a card works without one."""
        try:
            answer = await self._client.read(
                "chat.getPermalink", channel=known.channel, message_ts=known.ts
            )
            link = answer.text("permalink")
        except BridgeError as error:
            log.info("a card has no link yet", extra={"why": str(error)})
            return known
        known = replace(known, link=link)
        await save_cursor(known.cursor())
        return known

    async def _updated(
        self,
        subscription: Subscription,
        known: CardCursor,
        message: Message,
        save_cursor: SaveCursor,
    ) -> CardCursor:
        if known.shows == (now := hash_of(message)):
            return known
        await self._turn(subscription.lane)
        await self._client.call(
            "chat.update",
            channel=known.channel,
            ts=known.ts,
            metadata=about(subscription, 0),
            **message.body(),
        )
        known = replace(known, shows=now)
        await save_cursor(known.cursor())
        return known

    # ── the thread ────────────────────────────────────────────────────────

    async def _said(
        self,
        subscription: Subscription,
        known: CardCursor,
        snapshot: Snapshot,
        deployment: Deployment,
        save_cursor: SaveCursor,
    ) -> None:
        """Post the changes since the last time, several in one message."""
        history = snapshot.history.get(deployment.id, ())
        if known.saying > known.said:
            known = await self._looked_for(subscription, known, save_cursor)
        # The first change is the request, which the card itself shows.
        for upto, news in portions(history, max(known.said, 1)):
            await self._turn(subscription.lane)
            line = await self._line(subscription, deployment, news, snapshot)
            before, known = known, replace(known, saying=upto)
            await save_cursor(known.cursor())
            try:
                await self._reply(subscription, known, line)
            except Unreachable as error:
                if surely_not_done(error):
                    await save_cursor(before.cursor())
                raise
            known = replace(known, said=upto)
            await save_cursor(known.cursor())

    async def _reply(self, subscription: Subscription, known: CardCursor, line: Line) -> None:
        await self._client.call(
            "chat.postMessage",
            channel=known.channel,
            thread_ts=known.ts,
            reply_broadcast=line.broadcast or None,
            metadata=about(subscription, known.saying),
            unfurl_links=False,
            unfurl_media=False,
            **line.message.body(),
        )

    async def _line(
        self,
        subscription: Subscription,
        deployment: Deployment,
        news: Sequence[Change],
        snapshot: Snapshot,
    ) -> Line:
        """Return one message for quiet changes, or for one loud change."""
        if news[0].state not in LOUD:
            return Line(joined([render_line(deployment, one).message for one in news]))
        return render_line(
            deployment,
            news[0],
            log_tail=deployment.log_tail or await self._tail(deployment),
            author_id=await self._author(subscription, deployment),
            app=snapshot.apps.get(deployment.app_id),
            links=self._links,
            around=around_of(deployment, snapshot),
        )

    async def _author(self, subscription: Subscription, deployment: Deployment) -> str | None:
        """Return the commit's author if Slack knows the address, or the requester; never guess."""
        email = await self._email_of(deployment)
        author = await self._people.by_email(email) if email else None
        return author or subscription.place.get("asker")

    async def _looked_for(
        self, subscription: Subscription, known: CardCursor, save_cursor: SaveCursor
    ) -> CardCursor:
        """Find lines that were being sent when the process died, or Slack did not answer.

        If the app may not read the thread, they are sent again.
        """
        found = await self._found(subscription, known, known.ts, known.saying)
        said = known.saying if found else known.said
        known = replace(known, said=said, saying=said)
        await save_cursor(known.cursor())
        return known

    # ── Finding earlier messages ──────────────────────────────────────────────────────────────────

    async def _found(
        self, subscription: Subscription, known: CardCursor, thread: str, lines: int
    ) -> tuple[str, str] | None:
        """Find our message by its metadata; return channel and ts, or None."""
        name = str(subscription.place["channel"])
        channel = known.channel or self._ids.get(name, name)
        ts = await self._history.find(channel, about(subscription, lines), thread)
        return None if ts is None else (channel, ts)


def _newer(subscription: Subscription, snapshot: Snapshot, deployment: Deployment) -> str | None:
    """Return the link of the successor's card in the same channel."""
    if deployment.superseded_by is None:
        return None
    beside: Mapping[str, Cursor] = snapshot.beside
    wanted = card(deployment.superseded_by, str(subscription.place["channel"])).id
    link = beside.get(wanted, {}).get(LINK)
    return str(link) if link else None


# ── A message to one person: the request turned out to be impossible ──────────────────────────────


class Notices:
    """Tells the requester, where they asked; of kind `planning.NOTICE`."""

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
