"""Which messages there are to be in Slack, whose people ask for what they are then told. Pure."""

import re
from collections.abc import Iterable
from dataclasses import replace

from bridge.chats.slack.payloads import SLACK
from bridge.core.events import Asked
from bridge.messages.plans import Channels, Plans, asked_to_configure
from bridge.ports.feedback import LockNews, Occasion
from bridge.ports.outcomes import Subscription, about_delivery

NOTICE = "slack.notice"
TOLD = "slack.told"
"""The kinds of messages to one person: of what was asked for in vain, and of a change."""

_IS_PERSON = re.compile(r"(?:slack:)?([UW][A-Z0-9]{2,})").fullmatch


def lane_of(channel: str) -> str:
    """Return the lane that shares Slack's limit of a message a second."""
    return f"{SLACK} {channel}"


def plans_of(channels: Channels) -> "SlackPlans":
    """Return the planners of Slack."""
    return SlackPlans(SLACK, channels)


class SlackPlans(Plans):
    """Plans what is shown in channels, and what people are told themselves."""

    def cards(self, occasion: Occasion) -> list[Subscription]:
        """Return a card for each deployment in each channel; a message to a requester in vain.

        In its place, `person` is told if the channel is unavailable, and `asker` is called if it
        fails.
        """
        asked = _of_slack(occasion.asked)
        found = []
        for one in occasion.of_people():
            for channel in self._of(one.app, asked):
                also = {"asker": asked.person} if asked and asked.person else {}
                if asked and asked.person and channel == asked.channel:
                    also["person"] = asked.person
                found.append(self.card(one.id, channel, also))
        if asked is not None and not occasion.outcome.decisions:
            found.append(_in_vain(occasion.outcome.seq, asked))
        return found

    def _of(self, label: str, asked: Asked | None) -> Iterable[str]:
        """People who ask outside a channel, such as in Home, are told directly."""
        here = (asked.channel or asked.person) if asked else ""
        return self.channels.of(label, here)

    def heard_in(self, asked: Asked) -> str:
        return asked.channel

    def changes(self, occasion: Occasion) -> list[Subscription]:
        """Return a message to the person, and one in each of the app's channels."""
        shown = super().changes(occasion)
        asked, seq = asked_to_configure(occasion), occasion.outcome.seq
        if asked is not None and asked.actor.door != SLACK:
            asked = _of_slack(asked)
        if asked is None or asked.target not in occasion.apps:
            return shown
        place = {
            "seq": seq,
            "person": asked.person,
            "channel": asked.channel,
            "view": asked.view,
            "shown": [one.place["channel"] for one in shown],
        }
        # A dialog is not a message in the channel, so it does not wait in the channel's lane.
        lane, follows = f"{TOLD} {asked.person}", (about_delivery(seq),)
        return [Subscription(f"{TOLD} {seq}", TOLD, lane, follows, place), *shown]

    def lock_channel(self, news: LockNews) -> tuple[str, str]:
        """Return the owner, or a channel if the owner is not known in Slack."""
        chat, _, id_ = news.lock.owner.partition(":")
        person = id_ if chat == SLACK else ""
        if not person:
            return super().lock_channel(news)
        # A release is told where the others have seen it locked.
        return (news.lock.channel if news.ended else "") or person, person


def _of_slack(asked: Asked | None) -> Asked | None:
    """Return a request by somebody of Slack, also if made elsewhere; others can't be told here."""
    found = _IS_PERSON(asked.person) if asked else None
    return replace(asked, person=found[1]) if asked and found else None


def _in_vain(seq: int, asked: Asked) -> Subscription:
    what = f"{asked.action} of {asked.app or asked.target}"
    return Subscription(
        id=f"{NOTICE} {seq}",
        kind=NOTICE,
        lane=lane_of(asked.channel or asked.person),
        follows=(about_delivery(seq),),
        place={
            "channel": asked.channel,
            "person": asked.person,
            "text": f"Your {what} can't be done: the app no longer exists.",
        },
    )
