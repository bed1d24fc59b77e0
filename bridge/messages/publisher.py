"""Publish messages: post each once, edit it, find it again after a death, reply in its thread.

Publishing is level-triggered: all changes since the last time are one edit, and few replies. What
must not be repeated is announced in the subscription's cursor before it is sent.
"""

import hashlib
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic

from bridge.core.errors import BridgeError, Refused, Rejected, TooEarly
from bridge.messages.cursor import MessageCursor
from bridge.messages.writer import Body, C, Closed, Gone, Posted, Target, Writer
from bridge.ports.feedback import SaveCursor, Snapshot
from bridge.ports.outcomes import Cursor, Subscription

log = logging.getLogger(__name__)

MOST_POSTS = 3
"""The most attempts to post a message if the chat confirms none."""


@dataclass(frozen=True, slots=True)
class Reply(Generic[C]):
    """A reply that is posted once.

    Attributes:
        saying: how many lines are told with it.
        content: makes it, right before it is sent.
        loud: somebody must act.
        marks: further fields of the cursor that announce it.
    """

    saying: int
    content: Callable[[], Awaitable[C]]
    loud: bool = False
    marks: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Live(Generic[C]):
    """A message as it shall be.

    Attributes:
        under_way: how many parts of its subject still change; 0 if it has settled.
        replies: what was not told yet, in order.
        linked: others link to it.
        once: it is posted once, and neither edited nor posted again.
        sought: if such a message was not confirmed, it is looked for, and posted if it is missing.
        may_post: whether it is not too late for such a message.
        marks: fields of the cursor that tell one such message from another.
        then: subscriptions to add.
    """

    content: C
    under_way: int = 0
    replies: Sequence[Reply[C]] = ()
    linked: bool = False
    once: bool = False
    sought: bool = False
    may_post: Callable[[], bool] = lambda: True
    marks: Mapping[str, Any] = field(default_factory=dict)
    then: Sequence[Subscription] = ()


Tells = Callable[[Subscription, Snapshot, MessageCursor], Live[C] | None]
"""Returns the message of a subscription; None if there is nothing to show."""


@dataclass(frozen=True, slots=True)
class MessagePublisher(Generic[C]):
    """Publishes one kind of messages in one place; a `ports.feedback.Publisher`."""

    writer: Writer[C]
    tells: Tells[C]

    async def publish(
        self,
        subscription: Subscription,
        snapshot: Snapshot,
        cursor: Cursor,
        save_cursor: SaveCursor,
    ) -> Sequence[Subscription]:
        """Post or edit the message, and tell what is new."""
        message = Message(self.writer, subscription, MessageCursor.of(cursor), save_cursor)
        if message.known.saying > message.known.said and not message.known.gone:
            await message.recover()
        live = self.tells(subscription, snapshot, message.known)
        if live is None:
            return ()
        try:
            await message.shown(live)
            await message.told(live.replies)
        except Gone:
            await message.deleted()
        except Refused as error:
            target = message.target()
            other = None if message.known.message else self.writer.elsewhere(target, error)
            if other is None:
                raise
            log.info("a message goes to the person instead", extra={"why": str(error)})
            return (other,)
        return live.then


@dataclass(slots=True)
class Message(Generic[C]):
    """One message while it is brought up to date."""

    writer: Writer[C]
    subscription: Subscription
    known: MessageCursor
    store: SaveCursor

    async def shown(self, live: Live[C]) -> None:
        """Post it, or edit it if it shows something else."""
        if self.known.gone or (live.once and await self._is_over(live)):
            return
        sought = self.writer.shared and not self.known.message
        if sought or (self.known.posting and not live.once):
            await self._resume()
        if not self.known.message and self.known.lost and live.under_way:
            return
        content = self.writer.anew(live.content) if self.known.lost else live.content
        body = self.writer.render(content)
        if not self.known.message or self.known.by != self.writer.by(self.target()):
            await self._post(body, live)
        if live.linked and self.known.message and not self.known.link:
            await self._learn_link()
        if self.known.message and self.known.shows != _hash(body):
            await self._edit(body, live)

    async def told(self, replies: Sequence[Reply[C]]) -> None:
        """Tell what is new, each once."""
        if self.known.gone and (self.writer.threads or self.known.thread):
            return  # it is gone with its thread
        for reply in replies:
            if reply.loud or self.writer.threads:
                await self._reply(reply)

    async def deleted(self) -> None:
        """Remember that somebody has deleted it."""
        log.warning(
            "a message in %s was deleted: it stays away",
            self.writer.chat,
            extra={"target": self.subscription.id},
        )
        await self._save(self.known, gone=True)

    def target(self, lines: int = 0, *, loud: bool = False, under_way: int = 0) -> Target:
        """Return what is to be written."""
        return Target(self.subscription, self.known, lines, loud, under_way)

    async def _save(self, known: MessageCursor, **changes: Any) -> None:
        self.known = replace(known, **changes)
        await self.store(self.known.cursor())

    # ── the message ───────────────────────────────────────────────────────

    async def _is_over(self, live: Live[C]) -> bool:
        """Return whether a message that is posted once is there, or counts as such.

        What was not confirmed may be there: none is better than two, unless it can be looked for.
        """
        if self.known.message or self.known.said:  # as older releases wrote it
            return True
        if not self.known.posting:
            return False
        sought = live.sought and self.writer.finds
        return not sought or await self.writer.find(self.target()) is not None

    async def _resume(self) -> None:
        """Look for a message that was being posted; without that, count it as lost."""
        if not self.writer.finds:
            log.warning(
                "%s did not confirm a message: it is not posted again, so none is there twice",
                self.writer.chat,
                extra={"target": self.subscription.id},
            )
            lost = self.known.lost + 1
            await self._save(self.known, message="", shows="", posting=False, lost=lost)
        elif (there := await self.writer.find(self.target())) is not None:
            shows = self.known.shows if there.body is None else _hash(there.body)
            await self._save(self.known, **_place(there), posting=False, shows=shows)
        elif self.known.posting and self.writer.lands and not self.known.waited:
            await self._save(self.known, waited=True)
            why = "a message may be on its way"
            raise TooEarly(self.writer.chat, why, retry_after=self.writer.lands)

    async def _post(self, body: Body, live: Live[C]) -> None:
        if not self.known.message and self.known.lost >= MOST_POSTS:
            raise Rejected(
                f"{self.writer.chat} did not confirm {self.known.lost} postings of this message, so"
                " it is not posted again: look in the channel whether it is there"
            )
        await self.writer.ready(self.target(under_way=live.under_way))
        if not live.may_post():
            return
        before, by = replace(self.known, posting=False, waited=False), self.writer.by(self.target())
        thread = before.thread if before.by == by else ""
        await self._save(before, posting=True, thread=thread, shows=_hash(body))
        there = await self._sent(body, self.target(), before)
        # At once: until then it counts as not confirmed.
        new = replace(self.known, by=by, link="", posting=False, at=self.writer.now())
        await self._save(new, **_place(there), **live.marks)

    async def _edit(self, body: Body, live: Live[C]) -> None:
        await self.writer.ready(self.target(under_way=live.under_way))
        try:
            await self.writer.edit(body, self.target())
        except Gone:
            if self.writer.revives and not self.known.again:
                self.known = MessageCursor(again=True)
                await self.shown(live)
            else:
                await self.deleted()
        except Closed:
            await self._post(body, live)
            if live.linked:
                await self._learn_link()
        else:
            now = self.writer.now()
            await self._save(self.known, shows=_hash(body), at=now, **live.marks)

    async def _learn_link(self) -> None:
        """Learn its permalink, for links from elsewhere; it works without one."""
        if link := await self.writer.link(self.target()):
            await self._save(self.known, link=link)

    async def _sent(self, body: Body, to: Target, before: MessageCursor) -> Posted:
        """Post what was announced; take the announcement back if it was surely not sent."""
        try:
            return await self.writer.post(body, to)
        except BridgeError as error:
            if self.writer.was_not_sent(error):
                await self._save(before)
            raise

    # ── its replies ───────────────────────────────────────────────────────

    async def recover(self) -> None:
        """Find out whether a reply was sent before the process died; if in doubt, it was."""
        to = self.target(self.known.saying)
        there = not self.writer.finds or await self.writer.find(to) is not None
        await self._save(self.known.now_said() if there else self.known.not_said())

    async def _reply(self, reply: Reply[C]) -> None:
        body = self.writer.render(await reply.content())
        await self.writer.ready(self.target())
        before = self.known
        await self._save(before, saying=reply.saying, **reply.marks)
        await self._sent(body, self.target(reply.saying, loud=reply.loud), before)
        await self._save(self.known.now_said())


def _place(there: Posted) -> dict[str, str]:
    return {"message": there.message, "channel": there.channel, "thread": there.thread}


def _hash(body: Body) -> str:
    """Identify an unchanged message."""
    return hashlib.sha256(json.dumps(body).encode()).hexdigest()[:16]
