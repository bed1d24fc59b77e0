"""A whole bridge with a Slack workspace beside it: signed requests in, Web API calls out."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bridge.ports.clock import Limit
from tests.fakes.slack.hands import Hands, words_of
from tests.fakes.slack.methods import APP_TOKEN, BOT_TOKEN, SECRET
from tests.fakes.slack.server import FakeSlack, running_slack
from tests.worlds.bridge import Origin, World, running_world
from tests.worlds.embedded import until
from tests.worlds.sites import make_site

EVERYONE = [{"who": ["everyone"], "may": ["deploy", "cancel", "configure"]}]


@dataclass(frozen=True)
class SlackWorld:
    """A bridge, a workspace, and people's hands."""

    world: World
    slack: FakeSlack
    hands: Hands

    def card(self, channel: str = "C0SHOP", at: int = -1) -> dict[str, Any]:
        """Return a card in a channel; by default the newest."""
        return self.slack.channels[channel].roots()[at]

    async def card_says(self, words: str, channel: str = "C0SHOP", at: int = -1) -> dict[str, Any]:
        """Wait until the card has this text; return it."""

        def found() -> dict[str, Any] | None:
            roots = self.slack.channels[channel].roots()
            fits = bool(roots) and words in roots[at]["text"]
            return roots[at] if fits else None

        return dict(await self.slack.until(found))

    async def knows(self, words: str, *, by: str = "apps") -> None:
        """Wait until the answer to a command contains the words."""

        async def answer() -> str:
            return words_of((await self.hands.type(by)).body)

        await until(answer, lambda said: words in said)

    def thread(self, card: dict[str, Any], channel: str = "C0SHOP") -> list[dict[str, Any]]:
        """Return the lines of a card's thread."""
        return self.slack.channels[channel].thread(card["ts"])

    async def thread_says(
        self, card: dict[str, Any], words: str, channel: str = "C0SHOP"
    ) -> dict[str, Any]:
        """Wait for a line of a card's thread; return it."""

        def found() -> dict[str, Any] | None:
            lines = self.thread(card, channel)
            return next((line for line in lines if words in words_of(line)), None)

        return dict(await self.slack.until(found))

    async def app(self, origin: Origin, **others: Any) -> str:
        """Create an app that the bridge knows, `shop/web`; return its id."""
        made = await make_site(self.world, origin, **others)
        await self.knows("shop/web")
        return str(made["applicationId"])

    async def view(self, callback_id: str, words: str = "") -> dict[str, Any]:
        """Wait until the newest dialog of that kind has this text; return it."""

        def found() -> dict[str, Any] | None:
            fits = [v for v in self.slack.views.values() if v["callback_id"] == callback_id]
            return fits[-1] if fits and words in words_of(fits[-1]) else None

        return dict(await self.slack.until(found))


def slack_settings(
    slack: FakeSlack, access: Sequence[dict[str, Any]] = EVERYONE, **others: str
) -> dict[str, str]:
    """Return the settings of a bridge with that workspace."""
    return {
        "BRIDGE_SLACK_BOT_TOKEN": BOT_TOKEN,
        "BRIDGE_SLACK_SIGNING_SECRET": SECRET,
        "BRIDGE_SLACK_API_URL": f"{slack.url}/api/",
        "BRIDGE_SLACK_CHANNEL": "C0SHOP",
        "BRIDGE_ACCESS": json.dumps(list(access)),
        "BRIDGE_JOURNEY_CATALOG_EVERY": "0.3",
    } | others


@asynccontextmanager
async def bridged(
    slack: FakeSlack,
    data: Path,
    access: Sequence[dict[str, Any]] = EVERYONE,
    *,
    socket: bool = False,
    limits: Sequence[Limit] = (),
    **others: str,
) -> AsyncIterator[SlackWorld]:
    """Run a bridge beside a workspace that outlives it; by default it writes as fast as it can."""
    settings: dict[str, Any] = slack_settings(slack, access, **others)
    if socket:
        del settings["BRIDGE_SLACK_SIGNING_SECRET"]
        settings["BRIDGE_SLACK_APP_TOKEN"] = APP_TOKEN
    with patch("bridge.chats.slack.opening.LIMITS", limits):
        async with running_world(data, **settings) as world:
            if socket:
                await slack.connected.wait()
            else:
                await slack.until(lambda: slack.count("auth.test"))
            yield SlackWorld(world, slack, Hands(slack, world.web, socket=socket))


@asynccontextmanager
async def slack_world(
    data: Path, access: Sequence[dict[str, Any]] = EVERYONE, **others: Any
) -> AsyncIterator[SlackWorld]:
    """Both."""
    async with running_slack() as slack, bridged(slack, data, access, **others) as both:
        yield both
