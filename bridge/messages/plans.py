"""Which messages there are to be, and where. Pure."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bridge.core.apps import MARKER
from bridge.core.events import CONFIGURING, Asked
from bridge.core.previews.preview import Preview, pull_id
from bridge.core.rules import label_matches
from bridge.ports.feedback import LockNews, Occasion
from bridge.ports.outcomes import (
    Audited,
    Subscription,
    about_change,
    about_delivery,
    about_deployment,
    about_pull,
)

CARD, PULL, LOCK, CHANGE = "card", "pull", "lock", "change"
"""The kinds of messages; those of subscriptions begin with the chat, e.g. "slack.card"."""

RANK = 1
"""The rank of news about previews: in each channel, deployments of the apps go first."""


@dataclass(frozen=True, slots=True)
class Channels:
    """The channels of apps.

    Attributes:
        book: globs over labels with their channels; later ones win.
        default: for apps that the book does not name; "" for none.
        previews: globs over labels with the channels of previews, None for those of the app.
    """

    book: Sequence[tuple[str, tuple[str, ...]]] = ()
    default: str = ""
    previews: Sequence[tuple[str, tuple[str, ...] | None]] = ()

    def of(self, label: str, asked_in: str = "") -> tuple[str, ...]:
        """Return the channels of an app; without any, the one in which it was requested."""
        found: tuple[str, ...] = (self.default,) if self.default else ()
        for pattern, channels in self.book:
            if label_matches(pattern, label):
                found = channels
        return found or ((asked_in,) if asked_in else ())

    def of_previews(self, label: str) -> tuple[str, ...]:
        """Return the channels of the previews of an app, given by its own label."""
        found: tuple[str, ...] | None = None
        for pattern, channels in self.previews:
            if label_matches(pattern, label):
                found = channels
        return self.of(label) if found is None else found

    def most(self, labels: Sequence[str]) -> str:
        """Return the channel that most of these apps have their cards in; "" if there is none."""
        found = Counter(channel for label in labels for channel in self.of(label))
        return min(found, key=lambda one: (-found[one], one), default=self.default)


@dataclass(frozen=True, slots=True)
class Plans:
    """Plans the messages of one chat.

    Attributes:
        chat: the chat's key.
        scope: the scope of its rate limit, given a channel; channels of one scope are the same.
    """

    chat: str
    channels: Channels
    scope: Callable[[str], str] = str

    def lane(self, channel: str) -> str:
        """Return the lane of a channel."""
        return f"{self.chat} {self.scope(channel)}"

    def cards(self, occasion: Occasion) -> list[Subscription]:
        """Return a card for each deployment in each channel; previews have a place of their own."""
        return [
            self.card(one.id, channel)
            for one in occasion.of_people()
            for channel in self.distinct(self.channels.of(one.app))
        ]

    def card(self, deployment: str, channel: str, also: Mapping[str, Any] = {}) -> Subscription:
        """Return the card of a deployment in a channel; `also`: what else to know of its place."""
        place = {"deployment": deployment, **also}
        return self.message(CARD, deployment, channel, about_deployment(deployment), place=place)

    def pulls(self, occasion: Occasion) -> list[Subscription]:
        """Return the messages of pull requests whose previews are deployed.

        That may be because somebody has asked for it.
        """
        apps = (occasion.apps.get(one.app_id) for one in occasion.outcome.deployments)
        return [
            place
            for app in apps
            if app is not None and app.marker
            for place in self._pull(
                app.marker.removeprefix(MARKER).rpartition(":")[0],
                app.stands_for,
                occasion.outcome.seq,
            )
        ]

    def of_preview(self, preview: Preview, seq: int | None) -> list[Subscription]:
        """Return the messages that show a preview; see `ports.feedback.ShowsPreviews`."""
        return self._pull(pull_id(preview.repository, preview.pull.number), preview.app, seq)

    def _pull(self, pull: str, label: str, seq: int | None) -> list[Subscription]:
        follows = (about_pull(pull), *(() if seq is None else (about_delivery(seq),)))
        return [
            self.message(PULL, pull, channel, *follows, place={"pull": pull}, rank=RANK)
            for channel in self.distinct(self.channels.of_previews(label))
        ]

    def changes(self, occasion: Occasion) -> list[Subscription]:
        """Return a message in each of the app's channels, for a change requested by chat."""
        seq, asked = occasion.outcome.seq, asked_to_configure(occasion)
        app = occasion.apps.get(asked.target) if asked else None
        if asked is None or app is None:
            return []
        return [
            self.message(CHANGE, str(seq), channel, about_delivery(seq), place={"seq": seq})
            for channel in self.distinct(self.channels.of(app.label, self.heard_in(asked)))
        ]

    def of_change(self, note: Audited) -> list[Subscription]:
        """Return the same for a change from elsewhere."""
        number = note.number
        follows, place = about_change(number), {"number": number}
        return [
            self.message(CHANGE, f"number {number}", channel, follows, place=place)
            for channel in self.distinct(self.channels.of(note.app))
        ]

    def of_lock(self, news: LockNews) -> list[Subscription]:
        """Return one message, in the channel that most of the apps have their cards in."""
        channel, person = self.lock_channel(news)
        if not channel:
            return []
        place = {
            "person": person,
            "lock": asdict(news.lock),
            "held": news.held,
            "ended": news.ended,
            "latest": news.latest,
        }
        return [self.message(LOCK, news.id, channel, news.follows, place=place)]

    def lock_channel(self, news: LockNews) -> tuple[str, str]:
        """Return where a lock is told, and the id of its owner if they are told themselves."""
        return self.channels.most(news.apps), ""

    def heard_in(self, _asked: Asked) -> str:
        """Return the channel in which somebody has asked for something; "" if it was elsewhere."""
        return ""

    def distinct(self, channels: Sequence[str]) -> list[str]:
        """Return channels; one with several names only once."""
        found: dict[str, str] = {}
        for one in channels:
            found.setdefault(self.lane(one), one)
        return [*found.values()]

    def message(
        self,
        kind: str,
        id_: str,
        channel: str,
        *follows: str,
        place: Mapping[str, Any],
        rank: int = 0,
    ) -> Subscription:
        """Return the subscription of a message."""
        kind = f"{self.chat}.{kind}"
        place = {"channel": channel, **place}
        return Subscription(
            f"{kind} {id_} {channel}", kind, self.lane(channel), follows, place, rank
        )


def asked_to_configure(occasion: Occasion) -> Asked | None:
    """Return a person's request to change an app's configuration."""
    asked = occasion.asked
    return asked if asked is not None and asked.action in CONFIGURING and asked.person else None
