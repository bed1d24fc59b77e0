"""Keep Discord's messages up to date: post each once, then edit it.

Publishing is level-triggered: many changes need one edit. A message whose posting was not confirmed
is not posted again while the deployment goes on; its outcome is told in a new message, which says
so.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bridge.chats.discord.api import DISCORD
from bridge.chats.discord.embeds import render_card, render_change, render_failure
from bridge.chats.discord.posts import Channel, MessageCursor, lost, may_be_posted
from bridge.chats.discord.settings import Webhook
from bridge.chats.facts.card import LOUD, Card, Channels, card_of, failure_of
from bridge.chats.facts.config_notes import note_in, undone_by, was_made
from bridge.chats.facts.links import Links, around_of
from bridge.core.errors import Refused, Unreachable
from bridge.core.events import CONFIGURING
from bridge.core.lifecycle import Deployment
from bridge.ports.chats import OfDeployment
from bridge.ports.feedback import Occasion, SaveCursor, Snapshot
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
            failure = await asyncio.to_thread(failure_of, deployment, history[at], tail)
            message = render_failure(card, failure)
            await self._channel.ready(subscription)
            await save_cursor(replace(known, said=at + 1).cursor())
            try:
                await self._channel.add(subscription, known, message)
            except (Unreachable, Refused):  # surely not posted
                await save_cursor(known.cursor())
                raise
            known = replace(known, said=at + 1)


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
