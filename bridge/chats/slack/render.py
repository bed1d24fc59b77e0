"""Render replies for Slack, and decide who sees them. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from bridge.chats.slack import answers as replies
from bridge.chats.slack.blocks import Message
from bridge.chats.slack.help import help_about
from bridge.chats.slack.mrkdwn import escape
from bridge.chats.slack.views import message_of
from bridge.core.chat.replies import (
    Denied,
    Help,
    Sorry,
)
from bridge.ports.chats import AnyReply
from bridge.views.links import Links
from bridge.views.view import View


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message, and who sees it.

    Attributes:
        public: for the whole channel, not only for the person.
        shown: a card in the same channel shows the same, so the message may be lost.
    """

    message: Message
    public: bool = False
    shown: bool = False

    def body(self) -> dict[str, Any]:
        """Return the arguments of an acknowledgement, and of an answer through a `response_url`."""
        seen_by = "in_channel" if self.public else "ephemeral"
        return {"response_type": seen_by, **self.message.body()}


def outgoing(reply: AnyReply, links: Links, here: Collection[str] = ()) -> Outgoing:
    """Return the message for a reply; `here` has the names of its channel."""
    if isinstance(reply, View):
        shown = not reply.shown_in or not set(here).isdisjoint(reply.shown_in)
        message = message_of(reply, links, elsewhere(reply, here))
        return Outgoing(message, reply.public, shown and reply.may_be_lost)
    match reply:
        case Denied():
            label = reply.app.label if reply.app else reply.target or "that"
            return Outgoing(replies.refused(reply.right, label, why=reply.why, grant=reply.lines))
        case Sorry(suggestions=()):
            return Outgoing(replies.problem(reply.why))
        case Sorry():
            return Outgoing(replies.did_you_mean(reply.why, reply.suggestions))
        case Help():
            return Outgoing(help_about(reply.topic, reply.operations))


def elsewhere(view: View, here: Collection[str]) -> str:
    """Return where else a view is shown, to be said after its first line."""
    others = [one for one in view.shown_in if one not in here]
    return f"; see {' and '.join(map(_channel, others))}" if others else ""


def _channel(name: str) -> str:
    """Return a channel by its id or name; else the person's conversation with the bridge."""
    if name.startswith(("C", "G")):
        return f"<#{escape(name, 40)}>"
    return escape(name, 80) if name.startswith("#") else "your messages with the bridge"
