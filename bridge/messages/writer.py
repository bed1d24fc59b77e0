"""The port of a chat: it posts, edits and finds messages."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from bridge.core.errors import BridgeError, Refused, Unreachable
from bridge.core.lifecycle import Deployment
from bridge.messages.cursor import MessageCursor
from bridge.ports.feedback import Turn
from bridge.ports.outcomes import Subscription
from bridge.views.markup import Markup
from bridge.views.view import Item, Lines, View, Weight

Body = Mapping[str, Any]
"""A message as the service takes it, in JSON."""

C = TypeVar("C")
"""The source of a message, before rendering: in chats, a view."""

POSTED_ANEW = "An earlier message was not confirmed: if one is here, it is out of date."


@dataclass(frozen=True, slots=True)
class Target:
    """A message or a reply, ready to be sent.

    Attributes:
        known: what is known of the message; its thread is where a reply belongs.
        lines: how many the thread will have with the reply, by which it is found; 0: no reply.
        loud: the channel shall see the reply.
        under_way: how many parts of its subject still change, so that it is soon edited again.
    """

    subscription: Subscription
    known: MessageCursor
    lines: int = 0
    loud: bool = False
    under_way: int = 0

    @property
    def channel(self) -> str:
        """Return the channel, as rules call it."""
        place = self.subscription.place
        return str(place.get("channel") or place["webhook"])  # of Discord, by older releases


@dataclass(frozen=True, slots=True)
class Posted:
    """The place of a message; see `MessageCursor`. `body`: its content, if known."""

    message: str
    channel: str = ""
    thread: str = ""
    body: Body | None = None


class Gone(Exception):
    """Somebody has deleted the message."""


class Closed(Exception):
    """The message can't be edited any more; a new one takes its place."""


class Writer(ABC, Generic[C]):
    """Writes to one chat, or to the comments of one Git host.

    Attributes:
        chat: its key, with which kinds of subscriptions begin.
        threads: each message has a thread, in which all changes are told; without one, only those
            that somebody must act on are told, in messages of their own.
        finds: what was posted can be looked for. If it can't, a message that was not confirmed is
            not posted again while its subject still changes.
        shared: others may post the same message, so it is looked for before it is posted.
        lands: seconds in which a message appears whose posting was not confirmed.
        revives: what somebody has deleted is posted once more.
    """

    chat: str
    threads = False
    finds = False
    shared = False
    lands = 0.0
    revives = False

    @abstractmethod
    def render(self, content: C) -> Body:
        """Return a message within the service's limits; the same content, the same message."""

    def anew(self, content: C) -> C:
        """Say that an earlier message was not confirmed, and may be there."""
        return content

    @abstractmethod
    async def post(self, body: Body, to: Target) -> Posted:
        """Post a message or a reply.

        Raises:
            Refused: it was not posted. Unreachable: it was not; see `was_not_sent`.
            Unanswered: it may have been posted.
        """

    @abstractmethod
    async def edit(self, body: Body, to: Target) -> None:
        """Replace a message's content; raise as `post`, and Gone or Closed."""

    def by(self, _to: Target) -> str:
        """Return who posts there, where nobody else can edit it."""
        return ""

    @abstractmethod
    async def ready(self, to: Target) -> None:
        """Wait until a message may be written.

        It is awaited before a posting is announced, so a process that dies meanwhile has posted
        nothing.
        """

    def now(self) -> float:
        """Return when a message is written, where that matters later; 0.0 where it does not."""
        return 0.0

    async def find(self, _to: Target) -> Posted | None:
        """Return what was posted, if it is there."""
        return None

    async def link(self, _to: Target) -> str:
        """Return a message's permalink; "" if it has none, or not yet."""
        return ""

    async def calls(self, _subscription: Subscription, _deployment: Deployment) -> str:
        """Return the id of whom to call when a deployment fails; "" for nobody."""
        return ""

    def was_not_sent(self, error: BridgeError) -> bool:
        """Return whether a message was surely not posted."""
        return isinstance(error, Unreachable | Refused)

    def elsewhere(self, _to: Target, _error: Refused) -> Subscription | None:
        """Return where to post what can't be posted there."""
        return None

    async def close(self) -> None:
        """Close the connections, if there are any."""
        return


class ChatWriter(Writer[View]):
    """Writes views to a chat."""

    def __init__(self, turn: Turn) -> None:
        """Take what waits for a lane's turn."""
        self._turn = turn

    def render(self, content: View) -> Body:
        """Return a view as a message; without markup of its own, a chat gets plain text."""
        return {"text": "\n".join(Markup().lines(content))}

    def anew(self, content: View) -> View:
        aside = Lines("", [Item((POSTED_ANEW,))], weight=Weight.ASIDE)
        return replace(content, parts=[*content.parts, aside])

    async def ready(self, to: Target) -> None:
        await self._turn(to.subscription.lane)
