"""Write a message and its thread, each of them once; find again what was written before a death.

A message that must not be repeated is announced in the subscription's cursor before it is sent.
After a crash in between it is searched for in the channel by its metadata, if the app may read the
channel.
"""

import hashlib
import json
import logging
from dataclasses import dataclass, fields, replace
from typing import Any, Self, TypeVar

from bridge.chats.slack.api import History, SlackClient, surely_not_done
from bridge.chats.slack.blocks import Message
from bridge.chats.slack.payloads import Answer
from bridge.core.errors import BridgeError, Unreachable
from bridge.ports.feedback import SaveCursor, Turn
from bridge.ports.outcomes import LINK, Cursor, Subscription

log = logging.getLogger(__name__)

EVENT = "bridge_card"
"""The type of our messages' metadata."""

GONE = frozenset({"message_not_found", "thread_not_found"})
"""Slack's codes for a message that somebody has deleted."""


@dataclass(frozen=True, slots=True)
class CardCursor:
    """The cursor of a card: what it shows, and what is being sent.

    Attributes:
        channel, ts: of the message; "" while it is not posted.
        link: its permalink.
        posting: it is being posted.
        shows: a hash of what it shows.
        said, saying: how many lines the thread has, and will have after the current message.
        turn, turning: the last rollback, or return from one, of which the thread tells, and of
            which the current message does.
        turns: how many of the thread's lines tell of those.
        gone: somebody deleted it, so it is not posted again.
    """

    channel: str = ""
    ts: str = ""
    link: str = ""
    posting: bool = False
    shows: str = ""
    said: int = 0
    saying: int = 0
    turn: str = ""
    turning: str = ""
    turns: int = 0
    gone: bool = False

    def now_said(self) -> Self:
        """Return the cursor once the current message is there."""
        turn, turns = self.turning or self.turn, self.turns + bool(self.turning)
        return replace(self, said=self.saying, turn=turn, turning="", turns=turns)

    @classmethod
    def of(cls, cursor: Cursor) -> Self:
        """Read a stored cursor; fields that an older release did not store keep their defaults."""
        return cls(**{one.name: cursor[one.name] for one in fields(cls) if one.name in cursor})

    def cursor(self) -> dict[str, Any]:
        """Serialise as JSON, with `LINK` once it is known."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in found.items() if value or name != LINK}


C = TypeVar("C", bound=CardCursor)


def about(subscription: Subscription, lines: int) -> dict[str, Any]:
    """Return the metadata of a card (no lines) or of so many lines in its thread."""
    place = subscription.place
    what = "deployment" if "deployment" in place else "pull"
    payload = {what: str(place[what]), "lines": lines}
    return {"event_type": EVENT, "event_payload": payload}


def hash_of(message: Message) -> str:
    """Return a hash that identifies an unchanged card."""
    return hashlib.sha256(json.dumps(message.body()).encode()).hexdigest()[:16]


class Posts:
    """Writes cards, and lines in their threads."""

    def __init__(self, client: SlackClient, turn: Turn) -> None:
        """Take the parts."""
        self._client = client
        self._history = History(client)
        self._turn = turn
        self._ids: dict[str, str] = {}
        """Ids of channels by their names, learned from earlier posts."""

    async def turn(self, subscription: Subscription) -> None:
        """Wait until the channel may be written to."""
        await self._turn(subscription.lane)

    # ── the card ──────────────────────────────────────────────────────────

    async def shown(
        self, subscription: Subscription, known: C, message: Message, save_cursor: SaveCursor
    ) -> C:
        """Post a card, or update it if it shows something else; return its cursor."""
        known = await self._posted(subscription, known, message, save_cursor)
        return await self._updated(subscription, known, message, save_cursor)

    async def _posted(
        self, subscription: Subscription, known: C, message: Message, save_cursor: SaveCursor
    ) -> C:
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

    async def _linked(self, known: C, save_cursor: SaveCursor) -> C:
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
        self, subscription: Subscription, known: C, message: Message, save_cursor: SaveCursor
    ) -> C:
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

    async def reply(
        self,
        subscription: Subscription,
        before: C,
        saying: C,
        message: Message,
        save_cursor: SaveCursor,
        *,
        broadcast: bool = False,
    ) -> None:
        """Post a line in a card's thread; await `turn` first.

        Args:
            before: the cursor as it is; `saying`: the one that announces the line.
        """
        await save_cursor(saying.cursor())
        try:
            await self._client.call(
                "chat.postMessage",
                channel=saying.channel,
                thread_ts=saying.ts,
                reply_broadcast=broadcast or None,
                metadata=about(subscription, saying.saying),
                unfurl_links=False,
                unfurl_media=False,
                **message.body(),
            )
        except Unreachable as error:
            if surely_not_done(error):
                await save_cursor(before.cursor())
            raise

    async def was_said(self, subscription: Subscription, known: CardCursor) -> bool:
        """Return whether the line that was announced is there.

        False also if the app may not read the thread: then it is sent again.
        """
        return await self._found(subscription, known, known.ts, known.saying) is not None

    # ── finding earlier messages ──────────────────────────────────────────

    async def _found(
        self, subscription: Subscription, known: CardCursor, thread: str, lines: int
    ) -> tuple[str, str] | None:
        """Find our message by its metadata; return channel and ts, or None."""
        name = str(subscription.place["channel"])
        channel = known.channel or self._ids.get(name, name)
        ts = await self._history.find(channel, about(subscription, lines), thread)
        return None if ts is None else (channel, ts)
