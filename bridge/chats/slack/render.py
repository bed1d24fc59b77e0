"""Render replies for Slack, and decide who sees them. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.chats.slack import answers
from bridge.chats.slack import answers as replies
from bridge.chats.slack.blocks import Message, context
from bridge.chats.slack.help import help_about, whoami
from bridge.chats.slack.mrkdwn import escape
from bridge.chats.slack.previews import answer_previews
from bridge.chats.slack.views import message_of
from bridge.core.chat.replies import (
    AppList,
    Configure,
    Denied,
    Help,
    Identity,
    Past,
    Pick,
    PreviewDone,
    PreviewList,
    Reasons,
    Sorry,
    Standing,
)
from bridge.core.lifecycle import Deployment
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
        case Help() | Identity():
            return Outgoing(_about_itself(reply))
        case Pick() | Configure():
            return Outgoing(replies.notice("A dialog opens."))
        case _:
            return Outgoing(_told(reply, links))


Told = Standing | Past | Reasons | AppList | PreviewList | PreviewDone


def _told(reply: Told, links: Links) -> Message:
    match reply:
        case PreviewList() | PreviewDone():
            return answer_previews(reply, links)
        case Standing():
            return _standing(reply, links)
        case Past():
            told = answers.history(reply.app, reply.deployments, links)
            return _deleted(told) if reply.gone else told
        case Reasons():
            told = answers.why(reply.app, reply.explained, links, gone=reply.gone, held=reply.held)
            return _deleted(told) if reply.gone else told
        case AppList():
            newest = list(reply.last.values())
            return answers.list_apps(
                reply.apps,
                newest,
                typed=reply.filter,
                page=reply.page,
                links=links,
                live=reply.live,
            )


def _deleted(told: Message) -> Message:
    """Return the answer about a deleted app, which says so."""
    remark = context("This app is gone from the backends; its history stays.")
    return Message(told.text, (*told.blocks[:49], remark))


def _standing(reply: Standing, links: Links) -> Message:
    newest = _newest_first([*reply.open, *reply.last.values()])
    if reply.app is None:
        said = answers.status_all(reply.apps, newest, links)
    else:
        said = answers.status_of(reply.app, newest, links, reply.live)
    away = [
        context(f":warning: {escape(name, 80)} can't be read: {escape(why, 500)}")
        for name, why in list(reply.trouble.items())[:5]
    ]
    return Message(said.text, (*said.blocks, *away))


def _newest_first(deployments: Sequence[Deployment]) -> list[Deployment]:
    by_id: Mapping[str, Deployment] = {one.id: one for one in deployments}
    return sorted(by_id.values(), key=lambda one: (-one.seq, one.app))


def elsewhere(view: View, here: Collection[str]) -> str:
    """Return where else a view is shown, to be said after its first line."""
    others = [one for one in view.shown_in if one not in here]
    return f"; see {' and '.join(map(_channel, others))}" if others else ""


def _channel(name: str) -> str:
    """Return a channel by its id or name; else the person's conversation with the bridge."""
    if name.startswith(("C", "G")):
        return f"<#{escape(name, 40)}>"
    return escape(name, 80) if name.startswith("#") else "your messages with the bridge"


def _about_itself(reply: Help | Identity) -> Message:
    if isinstance(reply, Help):
        return help_about(reply.topic, reply.operations)
    rights = {str(right): labels for right, labels in reply.rights.items()}
    return whoami(f"{reply.person.called} ({reply.person.id})", rights, reply.apps)
