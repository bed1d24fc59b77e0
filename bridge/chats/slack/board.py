"""Keep cards and their threads up to date: post once, then update in place.

Level-triggered: all changes since the last time are one update of the card and one message in its
thread. `posts` writes each of them once.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from bridge.chats.facts.card import LOUD
from bridge.chats.facts.links import Links, around_of
from bridge.chats.slack.answers import problem
from bridge.chats.slack.api import People, SlackClient, code_of, tell_alone
from bridge.chats.slack.blocks import Message
from bridge.chats.slack.cards import Line, card, render_card, render_fate, render_line
from bridge.chats.slack.posts import GONE, CardCursor, Posts
from bridge.core.errors import Refused
from bridge.core.health.fate import Fate, Now
from bridge.core.lifecycle import Change, Deployment
from bridge.ports.feedback import SaveCursor, Snapshot, Turn
from bridge.ports.outcomes import LINK, Cursor, Subscription

MOST_AT_ONCE = 40
"""The most changes in one message, each in a block; a message has at most fifty blocks."""


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
        self._posts = Posts(client, turn)
        self._people = people
        self._links = links
        self._tail = tail
        self._email_of = email_of

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
            known = await self._posts.shown(subscription, known, message, save_cursor)
            await self._said(subscription, known, snapshot, deployment, save_cursor)
        except Refused as error:
            if code_of(error) in GONE:
                await save_cursor(replace(known, gone=True).cursor())
                return ()
            if known.ts or code_of(error) not in _NOT_THERE or not subscription.place.get("person"):
                raise
            # Requested in a channel without the bridge: send it directly.
            log.info("a card is sent to the requester", extra={"why": str(error)})
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
        for upto, news in portions(history, max(known.said - known.turns, 1)):
            await self._posts.turn(subscription)
            line = await self._line(subscription, deployment, news, snapshot)
            saying = replace(known, saying=upto + known.turns)
            await self._posts.reply(
                subscription, known, saying, line.message, save_cursor, broadcast=line.broadcast
            )
            known = saying.now_said()
            await save_cursor(known.cursor())
        fate = snapshot.fates.get(deployment.id)
        if fate is not None and (turn := _turn_of(fate, known)) not in ("", known.turn):
            await self._posts.turn(subscription)
            saying = replace(known, saying=max(known.said, len(history)) + 1, turning=turn)
            told = render_fate(deployment, fate)
            await self._posts.reply(subscription, known, saying, told, save_cursor)
            await save_cursor(saying.now_said().cursor())

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
        return await asyncio.to_thread(
            render_line,
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
        was_said = await self._posts.was_said(subscription, known)
        known = known.now_said() if was_said else replace(known, saying=known.said, turning="")
        await save_cursor(known.cursor())
        return known


def _turn_of(fate: Fate, known: CardCursor) -> str:
    """Identify a rollback, or the return from one of which the thread tells; "" for neither."""
    if fate.now is Now.ROLLED_BACK:
        return f"{fate.now} {fate.by.id if fate.by is not None else ''}".strip()
    return f"{fate.now} {fate.returned}" if fate.now is Now.AGAIN and known.turn else ""


def _newer(subscription: Subscription, snapshot: Snapshot, deployment: Deployment) -> str | None:
    """Return the link of the successor's card in the same channel."""
    if deployment.superseded_by is None:
        return None
    wanted = card(deployment.superseded_by, str(subscription.place["channel"])).id
    link = snapshot.beside.get(wanted, {}).get(LINK)
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
