"""How a chat posts, edits and finds messages: what each has to supply."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.core.errors import BridgeError, Refused, Unreachable
from bridge.core.lifecycle import Deployment
from bridge.messages.cursor import MessageCursor
from bridge.ports.feedback import Turn
from bridge.ports.outcomes import Subscription
from bridge.views.markup import Markup
from bridge.views.view import View

Body = Mapping[str, Any]
"""A message as the chat takes it, in JSON."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is written: a message, or a reply.

    Attributes:
        known: what is known of the message; its thread is where a reply belongs.
        lines: how many the thread will have with the reply, by which it is found; 0: no reply.
        loud: the channel shall see the reply.
    """

    subscription: Subscription
    known: MessageCursor
    lines: int = 0
    loud: bool = False

    @property
    def channel(self) -> str:
        """Return the channel, as rules call it."""
        place = self.subscription.place
        return str(place.get("channel") or place["webhook"])  # of Discord, by older releases


@dataclass(frozen=True, slots=True)
class Posted:
    """Where a message is; see `MessageCursor`."""

    message: str
    channel: str = ""
    thread: str = ""


class Gone(Exception):
    """Somebody has deleted the message."""


class Closed(Exception):
    """The message can't be edited any more; a new one takes its place."""


class Writer(ABC):
    """Writes to one chat.

    Attributes:
        chat: the chat's key, with which kinds of subscriptions begin.
        threads: each message has a thread, in which all changes are told; without one, only those
            that somebody must act on are told, in messages of their own.
        finds: what was posted can be looked for. If it can't, a message that was not confirmed is
            not posted again while its subject goes on by itself.
    """

    chat: str
    threads = False
    finds = False

    def __init__(self, turn: Turn) -> None:
        """Take what waits for a lane's turn."""
        self._turn = turn

    def render(self, view: View) -> Body:
        """Return a view as a message within the chat's limits; the same view, the same message.

        Without markup of its own, a chat gets plain text.
        """
        return {"text": "\n".join(Markup().lines(view))}

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

    async def ready(self, to: Target) -> None:
        """Wait until a message may be written.

        It is awaited before a posting is announced, so a process that dies meanwhile has posted
        nothing.
        """
        await self._turn(to.subscription.lane)

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
