"""Keep Discord's messages up to date: post each once, then edit it.

Publishing is level-triggered: many changes need one edit. Discord has neither a key that would make
posting idempotent nor a list of what a webhook has posted, so a message whose posting was not
confirmed can't be found again (docs/notes/0037). It is not posted again while the deployment goes
on; its outcome is told in a new message, which says so.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bridge.chats.card import (
    LOUD,
    Card,
    Channels,
    card_of,
    failure_of,
    note_in,
    undone_by,
    was_made,
)
from bridge.chats.discord.api import (
    ARCHIVED,
    DISCORD,
    NEEDS_A_POST,
    NO_FORUM,
    UNKNOWN_CHANNEL,
    UNKNOWN_MESSAGE,
    DiscordClient,
    DiscordRefused,
)
from bridge.chats.discord.embeds import Message, render_card, render_change, render_failure
from bridge.chats.discord.settings import Webhook
from bridge.chats.links import Links, around_of
from bridge.core.errors import BridgeError, Refused, Rejected, Unreachable
from bridge.core.events import CONFIGURING
from bridge.core.lifecycle import Deployment
from bridge.ports.chats import OfDeployment
from bridge.ports.feedback import Occasion, SaveCursor, Snapshot, Turn
from bridge.ports.outcomes import (
    LINK,
    Audited,
    Cursor,
    Subscription,
    about_change,
    about_delivery,
    about_deployment,
)

log = logging.getLogger(__name__)

CARD = "discord.card"
CHANGED = "discord.change"
"""The kinds of subscriptions: the card of a deployment, and a change of a configuration."""

MOST_POSTS = 3
"""The most attempts to post a message if Discord confirms none."""

POSTED_ANEW = (
    "Discord did not confirm an earlier card of this deployment: if one is here, it is out of date."
)


# ── Plan what is shown where. Pure ──────────────────────────────────────────────────────────────


class Cards:
    """The planner of cards."""

    def __init__(self, channels: Channels, webhooks: Mapping[str, Webhook]) -> None:
        self._channels = channels
        self._webhooks = webhooks

    def __call__(self, occasion: Occasion) -> list[Subscription]:
        """Return a card for each deployment in each channel; previews have a place of their own."""
        return [
            Subscription(
                id=card_id(one.id, name),
                kind=CARD,
                lane=lane_of(self._webhooks, name),
                follows=(about_deployment(one.id),),
                place={"webhook": name, "deployment": one.id},
            )
            for one in occasion.of_people()
            for name in names_of(self._channels.of(one.app), self._webhooks)
        ]


def names_of(channels: Sequence[str], webhooks: Mapping[str, Webhook]) -> list[str]:
    """Return the names of the webhooks of channels; one with several names only once."""
    found: dict[str, str] = {}
    for name in channels:
        found.setdefault(webhooks[name].id if name in webhooks else name, name)
    return [*found.values()]


def card_id(deployment: str, name: str) -> str:
    """Return the id of a deployment's card in a channel."""
    return f"{CARD} {deployment} {name}"


def lane_of(webhooks: Mapping[str, Webhook], name: str) -> str:
    """Return the lane for Discord's limits: that of the webhook, whatever its name."""
    return f"{DISCORD} {webhooks[name].id if name in webhooks else name}"


class ChangePlans:
    """The planner of changes to configurations."""

    def __init__(self, channels: Channels, webhooks: Mapping[str, Webhook]) -> None:
        self._channels = channels
        self._webhooks = webhooks

    def __call__(self, occasion: Occasion) -> list[Subscription]:
        """Return a message in each of the app's channels, for a change requested by chat."""
        asked, seq = occasion.asked, occasion.outcome.seq
        app = occasion.apps.get(asked.target) if asked else None
        if asked is None or app is None or asked.action not in CONFIGURING or not asked.person:
            return []
        return self._of(app.label, f"{CHANGED} {seq}", about_delivery(seq), {"seq": seq})

    def of_note(self, note: Audited) -> list[Subscription]:
        """Return the same for a change from elsewhere."""
        number = note.number
        id_ = f"{CHANGED} number {number}"
        return self._of(note.app, id_, about_change(number), {"number": number})

    def _of(
        self, label: str, id_: str, follows: str, place: Mapping[str, Any]
    ) -> list[Subscription]:
        return [
            Subscription(
                f"{id_} {name}",
                CHANGED,
                lane_of(self._webhooks, name),
                (follows,),
                {**place, "webhook": name},
            )
            for name in names_of(self._channels.of(label), self._webhooks)
        ]


# ── What is known of a message ──────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class MessageCursor:
    """The cursor of a message.

    Attributes:
        webhook: the id of the webhook that posted it; no other can edit it.
        message: its id; "" until it is posted.
        thread: of its post, if the channel is a forum.
        link: its permalink.
        posting: it was about to be posted.
        lost: how often a posting was not confirmed.
        shows: a hash of what it shows.
        said: the number of changes of which the loud ones were told.
        gone: it was deleted, so it stays away.
    """

    webhook: str = ""
    message: str = ""
    thread: str = ""
    link: str = ""
    posting: bool = False
    lost: int = 0
    shows: str = ""
    said: int = 0
    gone: bool = False

    @classmethod
    def of(cls, cursor: Cursor) -> "MessageCursor":
        """Return a stored cursor; unknown fields have their initial values."""
        return cls(**{name: cursor[name] for name in cls.__slots__ if name in cursor})

    def cursor(self) -> dict[str, Any]:
        """Return it as JSON; `LINK` only once it is known."""
        found = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in found.items() if value or name != LINK}


# ── Post and edit ───────────────────────────────────────────────────────────────────────────────


class Channel:
    """Writes messages by webhooks, and knows their channels and links."""

    def __init__(self, client: DiscordClient, webhooks: Mapping[str, Webhook], turn: Turn) -> None:
        self._client = client
        self._webhooks = webhooks
        self._turn = turn
        self._forums: set[str] = set()
        self._guilds: dict[str, str] = {}

    def webhook(self, subscription: Subscription) -> Webhook:
        """Return the webhook of a subscription; raise Rejected if it is no longer set."""
        name = str(subscription.place["webhook"])
        if (found := self._webhooks.get(name)) is None:
            raise Rejected(f"{DISCORD} has no webhook called {name}: its setting is gone")
        return found

    async def learn(self, webhook: Webhook) -> None:
        """Ask Discord for a webhook's server, which is part of links to its messages."""
        about = await self._client.about(webhook)
        self._guilds[webhook.id] = str(about.get("guild_id") or "")

    async def shown(
        self,
        subscription: Subscription,
        known: MessageCursor,
        message: Message,
        save_cursor: SaveCursor,
    ) -> MessageCursor:
        """Post a message, or edit it if it shows something else; return its cursor."""
        webhook = self.webhook(subscription)
        if known.shows == message.hash:
            return known
        if known.message and known.webhook == webhook.id:
            return await self._edited(subscription, known, message, save_cursor)
        return await self._posted(subscription, known, message, save_cursor)

    async def ready(self, subscription: Subscription) -> None:
        """Wait until a message may be written.

        Await it before a posting is announced, so a process that dies meanwhile has posted nothing.
        """
        await self._turn(subscription.lane)
        await self._client.ready(self.webhook(subscription))

    async def add(self, subscription: Subscription, known: MessageCursor, message: Message) -> None:
        """Post a further message beside a card: in its post, if the channel is a forum."""
        await self._post(subscription, message, known.thread)

    async def _posted(
        self,
        subscription: Subscription,
        known: MessageCursor,
        message: Message,
        save_cursor: SaveCursor,
    ) -> MessageCursor:
        webhook = self.webhook(subscription)
        thread = known.thread if known.webhook == webhook.id else ""
        await self.ready(subscription)
        await save_cursor(replace(known, posting=True).cursor())
        try:
            made = await self._post(subscription, message, thread)
        except (Unreachable, Refused):  # surely not posted
            await save_cursor(known.cursor())
            raise
        if webhook.id in self._forums:
            thread = str(made["channel_id"])
        known = replace(
            known,
            webhook=webhook.id,
            message=str(made["id"]),
            thread=thread,
            link="",
            posting=False,
            shows=message.hash,
        )
        await save_cursor(known.cursor())  # at once: until then it counts as not confirmed
        if link := await self._link_of(webhook, made):
            known = replace(known, link=link)
            await save_cursor(known.cursor())
        return known

    async def _post(
        self, subscription: Subscription, message: Message, thread: str = ""
    ) -> Mapping[str, Any]:
        """Post a message; in a forum as a post of its own, unless it belongs to one."""
        webhook = self.webhook(subscription)
        try:
            return await self._send(webhook, message, thread)
        except DiscordRefused as error:
            if error.code not in (NEEDS_A_POST, NO_FORUM) or thread:
                raise
            is_forum = error.code == NEEDS_A_POST
            (self._forums.add if is_forum else self._forums.discard)(webhook.id)
        await self.ready(subscription)
        return await self._send(webhook, message, thread)

    async def _send(self, webhook: Webhook, message: Message, thread: str) -> Mapping[str, Any]:
        body = message.body()
        if webhook.id in self._forums and not thread:
            body["thread_name"] = message.post
        return await self._client.post(webhook, body, thread=thread)

    async def _edited(
        self,
        subscription: Subscription,
        known: MessageCursor,
        message: Message,
        save_cursor: SaveCursor,
    ) -> MessageCursor:
        await self.ready(subscription)
        webhook, body = self.webhook(subscription), message.body()
        try:
            await self._client.edit(webhook, known.message, body, thread=known.thread)
        except DiscordRefused as error:
            if error.code == ARCHIVED:  # a new message in the post brings it back
                return await self._posted(subscription, known, message, save_cursor)
            if error.code not in (UNKNOWN_MESSAGE, UNKNOWN_CHANNEL):
                raise
            log.warning(
                "a message in discord was deleted: it stays away",
                extra={"target": subscription.id, "why": str(error)},
            )
            known = replace(known, gone=True)
        else:
            known = replace(known, shows=message.hash)
        await save_cursor(known.cursor())
        return known

    async def _link_of(self, webhook: Webhook, made: Mapping[str, Any]) -> str:
        """Return a message's permalink; "" while its server is unknown."""
        if webhook.id not in self._guilds:
            try:
                await self.learn(webhook)
            except BridgeError as error:
                log.info("a message in discord has no link", extra={"why": str(error)})
        guild = self._guilds.get(webhook.id, "")
        where = f"{guild}/{made['channel_id']}/{made['id']}"
        return f"https://discord.com/channels/{where}" if guild else ""


# ── The publishers ──────────────────────────────────────────────────────────────────────────────


class Board:
    """Publishes cards, and failures; of kind `CARD`."""

    def __init__(self, channel: Channel, links: Links, tail: OfDeployment) -> None:
        """Take the parts; `tail` returns the end of a deployment's log."""
        self._channel = channel
        self._links = links
        self._tail = tail

    async def publish(
        self,
        subscription: Subscription,
        snapshot: Snapshot,
        cursor: Cursor,
        save_cursor: SaveCursor,
    ) -> Sequence[Subscription]:
        """Update a card, and post what somebody must act on."""
        known = MessageCursor.of(cursor)
        if not snapshot.deployments:
            return ()
        deployment = snapshot.deployments[0]
        if known.posting:
            known = await lost(subscription, known, save_cursor)
        if not known.gone and (known.message or not known.lost or deployment.final):
            may_be_posted(known)
            card = self._card(subscription, snapshot, deployment)
            message = render_card(card, remark=POSTED_ANEW if known.lost else "")
            known = await self._channel.shown(subscription, known, message, save_cursor)
        if not (known.gone and known.thread):  # a forum's post is gone with its messages
            await self._tell(subscription, snapshot, deployment, known, save_cursor)
        return ()

    def _card(self, subscription: Subscription, snapshot: Snapshot, deployment: Deployment) -> Card:
        app = snapshot.apps.get(deployment.app_id)
        newer = _newer(subscription, snapshot, deployment)
        return card_of(deployment, app, self._links, around_of(deployment, snapshot), newer)

    async def _tell(
        self,
        subscription: Subscription,
        snapshot: Snapshot,
        deployment: Deployment,
        known: MessageCursor,
        save_cursor: SaveCursor,
    ) -> None:
        """Post each new loud change as a message of its own.

        The cursor moves on before it is sent: it is not told twice, and the card says it as well.
        """
        history = snapshot.history.get(deployment.id, ())
        for at in range(known.said, len(history)):
            if history[at].state not in LOUD:
                continue
            tail = deployment.log_tail or await self._tail(deployment)
            card = self._card(subscription, snapshot, deployment)
            message = render_failure(card, failure_of(deployment, history[at], tail))
            await self._channel.ready(subscription)
            await save_cursor(replace(known, said=at + 1).cursor())
            try:
                await self._channel.add(subscription, known, message)
            except (Unreachable, Refused):  # surely not posted
                await save_cursor(known.cursor())
                raise
            known = replace(known, said=at + 1)


async def lost(
    subscription: Subscription, known: MessageCursor, save_cursor: SaveCursor
) -> MessageCursor:
    """Record that a posting was not confirmed."""
    log.warning(
        "discord did not confirm a message: it is not posted again, so none is there twice",
        extra={"target": subscription.id},
    )
    known = replace(known, message="", shows="", posting=False, lost=known.lost + 1)
    await save_cursor(known.cursor())
    return known


def may_be_posted(known: MessageCursor) -> None:
    """Raise Rejected if posting it once more could fill the channel."""
    if not known.message and known.lost >= MOST_POSTS:
        raise Rejected(
            f"{DISCORD} did not confirm {known.lost} postings of this message, so it is not posted"
            " again: look in the channel whether it is there"
        )


def _newer(subscription: Subscription, snapshot: Snapshot, deployment: Deployment) -> str | None:
    """Return the link of the successor's card in the same channel."""
    if deployment.superseded_by is None:
        return None
    wanted = card_id(deployment.superseded_by, str(subscription.place["webhook"]))
    link = snapshot.beside.get(wanted, {}).get(LINK)
    return str(link) if link else None


class ChangeNotes:
    """Publishes changes of configurations; of kind `CHANGED`."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def publish(
        self,
        subscription: Subscription,
        snapshot: Snapshot,
        cursor: Cursor,
        save_cursor: SaveCursor,
    ) -> Sequence[Subscription]:
        """Post it once it is made; update it when it was undone."""
        known = MessageCursor.of(cursor)
        note = note_in(subscription, snapshot)
        if known.gone or note is None or not was_made(note):
            return ()
        if known.posting:
            known = await lost(subscription, known, save_cursor)
        if known.message or not known.lost:
            message = render_change(note, undone_by(note, snapshot))
            await self._channel.shown(subscription, known, message, save_cursor)
        return (replace(subscription, follows=(*subscription.follows, about_change(note.number))),)
