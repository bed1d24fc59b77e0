"""A chat that only tests know, in one record: Walkie, with a wire of its own.

What is said there comes as `{"by": …, "says": …, "number": …}` to `/walkie/events`, with a
password in `Walkie-Password`. What the bridge says goes to one address: a card of each deployment,
on the frequency that is set.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import Field

from bridge.core.access import Person
from bridge.core.apps import App
from bridge.core.errors import BadSignature, Unreachable
from bridge.core.previews.preview import Preview
from bridge.ports.chats import ChatDoor, ChatParts, HttpAnswer, Place
from bridge.ports.clock import Limit
from bridge.ports.feedback import LockNews, Occasion, Planner, Publisher, SaveCursor, Snapshot, Turn
from bridge.ports.outcomes import Audited, Cursor, Subscription, about_deployment
from bridge.ports.providers import BY_HTTP, ChannelBook, ChannelsOf, ChatProvider
from bridge.ports.settings import Address, Secret, Section

KIND = "walkie.card"


class WalkieSettings(Section):
    """A Walkie."""

    password: Secret | None = Field(None, description="what people and the bridge say first")
    address: Address = Field("http://127.0.0.1:1", description="where the bridge speaks")
    frequency: str = "101.1"


@dataclass(frozen=True)
class WalkieDoor:
    """Hears what people say."""

    parts: ChatParts
    password: str

    def open(self, headers: Mapping[str, str]) -> None:
        if headers.get("Walkie-Password") != self.password:
            raise BadSignature("Walkie-Password is missing or wrong")

    async def take(self, opened: None, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        said = json.loads(body)
        person, typed = Person(said["by"]), self.parts.commands.parse(said["says"])
        id_ = f"walkie-{said['number']}"
        reply = await self.parts.commands.answer(person, Place("101.1"), typed, id_)
        return HttpAnswer(200, type(reply).__name__)


@dataclass(frozen=True)
class Speaks:
    """Keeps the card of a deployment up to date."""

    http: httpx.AsyncClient
    turn: Turn

    async def publish(
        self,
        subscription: Subscription,
        snapshot: Snapshot,
        cursor: Cursor,
        save_cursor: SaveCursor,
    ) -> Sequence[Subscription]:
        (deployment,) = snapshot.deployments
        card = {"app": deployment.app, "state": str(deployment.state), "by": deployment.trigger}
        if cursor.get("card") == card:
            return ()
        await self.turn(subscription.lane)
        try:
            told = {"id": deployment.id, "frequency": subscription.place["frequency"], **card}
            (await self.http.post("/cards", json=told)).raise_for_status()
        except httpx.HTTPError as error:
            raise Unreachable("walkie", type(error).__name__) from error
        await save_cursor({"card": card})
        return ()


class Walkie:
    """The chat, ready to run."""

    hears = True
    trouble: Mapping[str, str] = {}

    def __init__(self, settings: WalkieSettings, parts: ChatParts) -> None:
        assert settings.password is not None
        password = settings.password.get_secret_value()
        self._channels = _channels(settings, parts.book)
        self._http = httpx.AsyncClient(
            base_url=settings.address, headers={"Walkie-Password": password}, trust_env=False
        )
        self.door: ChatDoor | None = WalkieDoor(parts, password) if parts.hears else None
        self.planners: Sequence[Planner] = (self._planned,)
        self.publishers: Mapping[str, Publisher] = {
            KIND: Speaks(self._http, parts.within([Limit(50, 1.0)]))
        }

    def of_lock(self, news: LockNews) -> list[Subscription]:
        return []

    def of_preview(self, _preview: Preview, _seq: int | None) -> list[Subscription]:
        return []

    def _planned(self, occasion: Occasion) -> list[Subscription]:
        return [
            Subscription(
                id=f"{KIND} {one.id} {frequency}",
                kind=KIND,
                lane=f"walkie {frequency}",
                follows=(about_deployment(one.id),),
                place={"frequency": frequency},
            )
            for one in occasion.outcome.deployments
            for frequency in self._channels(one.app, "")
        ]

    async def permits(self, user: str, app: App, channel: str) -> str | None:
        return "nobody configures anything by walkie"

    async def run(self) -> None:
        """Nothing goes on by itself."""

    async def stop(self) -> None:
        await self._http.aclose()


def _channels(settings: WalkieSettings, book: ChannelBook) -> ChannelsOf:
    return lambda _label, _here: (settings.frequency,)


def _tells(settings: Any, book: ChannelBook, note: Audited) -> Sequence[Subscription]:
    return ()


WALKIE = ChatProvider(
    key="walkie",
    title="Walkie",
    settings=lambda: WalkieSettings,
    credential="password",
    heard_by=lambda given: (BY_HTTP,) if given.password else (),
    to_be_heard="BRIDGE_WALKIE_PASSWORD",
    cards_only="set a password",
    link_word="walkie",
    channels=_channels,
    open=Walkie,
    tells=_tells,
)
