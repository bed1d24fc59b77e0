"""Reminders of locks, and what tells that a lock was released with its pull request.

Both are posted once; only a click changes them. Nothing in a button proves a right.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from bridge.chats.facts.card import Channels
from bridge.chats.slack import names
from bridge.chats.slack.api import History, SlackClient, code_of, surely_not_done
from bridge.chats.slack.blocks import Message
from bridge.chats.slack.cards import lane_of
from bridge.chats.slack.commands import later, told
from bridge.chats.slack.gate_answers import ended_message, reminder
from bridge.chats.slack.render import outgoing
from bridge.chats.slack.workspace import CHAT, Parts, place_of
from bridge.core.access import Person
from bridge.core.errors import Refused, Unreachable
from bridge.core.gates.locks import Lock, PullRef
from bridge.ports.chats import AnyReply, LockReminders, Place
from bridge.ports.clock import Clock
from bridge.ports.feedback import LockNews, SaveCursor, Snapshot, Turn
from bridge.ports.outcomes import Cursor, Subscription
from bridge.views.view import View

LOCK = "slack.lock"
"""The kind of these subscriptions."""

EVENT = "bridge_lock"
"""The type of our messages' metadata."""

_NOT_THERE = frozenset({"not_in_channel", "channel_not_found", "is_archived", "restricted_action"})


# ── who is told where. Pure ─────────────────────────────────────────────────────────────────────


class LockPlans:
    """The planner of what is told of locks."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels

    def of(self, news: LockNews) -> list[Subscription]:
        """Return one message: to the owner, or in a channel if the owner is not known in Slack."""
        chat, _, id_ = news.lock.owner.partition(":")
        person = id_ if chat == CHAT else ""
        channel = person or self._channel_of(news.apps)
        if person and news.ended:
            channel = news.lock.channel or person  # where the others have seen it locked
        if not channel:
            return []
        place = {
            "channel": channel,
            "person": person,
            "lock": asdict(news.lock),
            "held": news.held,
            "ended": news.ended,
            "latest": news.latest,
        }
        return [_message(news.id, (news.follows,), place)]

    def _channel_of(self, labels: Sequence[str]) -> str:
        """Return the channel that most of these apps have their cards in; "" if there is none."""
        found = Counter(channel for label in labels for channel in self._channels.of(label))
        return min(found, key=lambda one: (-found[one], one), default=self._channels.default)


def _message(id_: str, follows: tuple[str, ...], place: Mapping[str, Any]) -> Subscription:
    channel = str(place["channel"])
    return Subscription(f"{LOCK} {id_} {channel}", LOCK, lane_of(channel), follows, place)


# ── the publisher ───────────────────────────────────────────────────────────────────────────────


class LockNotes:
    """Publishes what is told of locks; of kind `LOCK`."""

    def __init__(self, client: SlackClient, turn: Turn, clock: Clock) -> None:
        self._client = client
        self._history = History(client)
        self._turn = turn
        self._clock = clock

    async def publish(
        self, subscription: Subscription, _story: Snapshot, cursor: Cursor, save_cursor: SaveCursor
    ) -> Sequence[Subscription]:
        """Post it once; if the bridge is not in the channel, send it to the owner."""
        place = subscription.place
        if cursor.get("said") or await self._is_there(subscription, cursor):
            return ()
        await self._turn(subscription.lane)
        if place["latest"] is not None and self._clock() > place["latest"]:
            return ()  # it would come at night, or tomorrow's comes soon
        await save_cursor({"posting": True})
        try:
            await self._post(subscription)
        except Unreachable as error:
            if surely_not_done(error):
                await save_cursor({})
            raise
        except Refused as error:
            person, channel = str(place["person"]), str(place["channel"])
            if not person or person == channel or code_of(error) not in _NOT_THERE:
                raise
            id_ = subscription.id.removeprefix(f"{LOCK} ").removesuffix(f" {channel}")
            return (_message(id_, subscription.follows, {**place, "channel": person}),)
        await save_cursor({"said": True})
        return ()

    async def _is_there(self, subscription: Subscription, cursor: Cursor) -> bool:
        """Return whether an earlier attempt may have posted it.

        A reminder then counts as posted: none is better than two.
        """
        if not cursor.get("posting"):
            return False
        if not subscription.place["ended"]:
            return True
        channel = str(subscription.place["channel"])
        return await self._history.find(channel, _about(subscription)) is not None

    async def _post(self, subscription: Subscription) -> None:
        await self._client.call(
            "chat.postMessage",
            channel=str(subscription.place["channel"]),
            metadata=_about(subscription),
            unfurl_links=False,
            unfurl_media=False,
            **_rendered(subscription.place).body(),
        )


def _about(subscription: Subscription) -> dict[str, Any]:
    return {"event_type": EVENT, "event_payload": {"id": subscription.id}}


def _rendered(place: Mapping[str, Any]) -> Message:
    said = dict(place["lock"])
    merge = None if said["merge"] is None else PullRef(**said["merge"])
    lock = Lock(**said | {"merge": merge})
    if place["ended"]:
        return ended_message(lock, str(place["ended"]))
    return reminder(lock, int(place["held"]), mine=bool(place["person"]))


# ── the buttons of a reminder ───────────────────────────────────────────────────────────────────

Work = Callable[[LockReminders, Person, Place, str], Awaitable[AnyReply]]


def register(bolt: Any, parts: Parts) -> None:
    """Register the buttons of reminders."""

    async def release(gates: LockReminders, person: Person, place: Place, key: str) -> AnyReply:
        return await gates.release(person, place, key)

    async def keep(gates: LockReminders, person: Person, place: Place, key: str) -> AnyReply:
        return await gates.keep(person, place, key)

    for name, work in ((names.LOCK_RELEASE, release), (names.LOCK_KEEP, keep)):
        bolt.action(name)(_handler(parts, work))


def _handler(parts: Parts, work: Work) -> Callable[..., Any]:
    async def on_click(ack: Any, body: dict[str, Any]) -> Any:
        answer = told(parts, body, _answer(parts, body, work))
        parts.background.start(answer, "answer to a click")
        return await ack()

    return on_click


async def _answer(parts: Parts, body: dict[str, Any], work: Work) -> None:
    """Answer in place of the reminder once it is settled, otherwise only to the person."""
    person, clicked = await parts.person(body), body["actions"][0]
    key = str(clicked.get("value") or "")
    reply = await work(parts.commands.reminders, person, place_of(body), key)
    parts.background.start(
        parts.commands.note(person, str(clicked.get("action_id")), reply), "audit"
    )
    settled = isinstance(reply, View) and reply.public
    message = replace(outgoing(reply, parts.links), public=settled)
    await later(parts, body, message, replace_original=settled)
