"""Which cards there are to be: one for each deployment and channel. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bridge.core.events import Asked
from bridge.core.rules import names
from bridge.ports.feedback import Occasion
from bridge.ports.targets import Target, about_delivery, about_deployment

CARD = "slack.card"
NOTICE = "slack.notice"
"""The kinds of what is shown in Slack: a live card, and a word to one person."""


@dataclass(frozen=True, slots=True)
class Channels:
    """Where what happens to apps is shown.

    Attributes:
        book: globs over labels with their channels, by id or as "#name"; later ones win.
        default: for apps that the book does not name; "" for none.
    """

    book: Sequence[tuple[str, tuple[str, ...]]] = ()
    default: str = ""

    def of(self, label: str, asked_in: str = "") -> tuple[str, ...]:
        """The channels of an app; where it has none, that in which it was asked for."""
        found: tuple[str, ...] = (self.default,) if self.default else ()
        for pattern, channels in self.book:
            if names(pattern, label):
                found = channels
        return found or ((asked_in,) if asked_in else ())


class Cards:
    """The planner of Slack."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels

    def __call__(self, occasion: Occasion) -> list[Target]:
        """A card for each deployment in each channel; a word to who asked in vain."""
        asked = occasion.asked if occasion.asked and occasion.asked.person else None
        found = [
            card(one.id, channel, asked)
            for one in occasion.outcome.deployments
            for channel in self._of(one.app, asked)
        ]
        if asked is not None and not occasion.outcome.decisions:
            found.append(_in_vain(occasion.outcome.seq, asked))
        return found

    def _of(self, label: str, asked: Asked | None) -> Iterable[str]:
        """Whoever asks from nowhere, as from Home, is told in their own conversation."""
        here = (asked.channel or asked.person) if asked else ""
        return self._channels.of(label, here)


def card(deployment: str, channel: str, asked: Asked | None = None) -> Target:
    """The card of a deployment in a channel.

    In its place `person` is who is told where the channel can't be had, and `asker` who is called
    where it fails.
    """
    person = asked.person if asked and channel == asked.channel else ""
    place = {"channel": channel, "deployment": deployment}
    if asked is not None and asked.person:
        place["asker"] = asked.person
    return Target(
        id=f"{CARD} {deployment} {channel}",
        kind=CARD,
        lane=lane_of(channel),
        follows=(about_deployment(deployment),),
        place=place | ({"person": person} if person else {}),
    )


def lane_of(channel: str) -> str:
    """What shares Slack's limit of a message a second."""
    return f"slack {channel}"


def _in_vain(seq: int, asked: Asked) -> Target:
    what = f"{asked.action} of {asked.app or asked.target}"
    return Target(
        id=f"{NOTICE} {seq}",
        kind=NOTICE,
        lane=lane_of(asked.channel or asked.person),
        follows=(about_delivery(seq),),
        place={
            "channel": asked.channel,
            "person": asked.person,
            "text": f"Your {what} can't be done: there is no such app any more.",
        },
    )
