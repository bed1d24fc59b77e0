"""What a bridge shows people of an app: in Slack, in the console and on the command line."""

import asyncio
import html
import re
from collections.abc import Iterator

import httpx

from tests.fakes.slack.hands import Hands, words_of
from tests.fakes.slack.server import FakeSlack, running_slack
from tests.trial.alone import own_bridge
from tests.trial.beside import beside
from tests.trial.comparing import WITHIN
from tests.trial.dokploy import until
from tests.trial.scene import Scene
from tests.worlds.slack import slack_settings


def in_slack(scene: Scene) -> FakeSlack:
    """Give the scene a bridge of its own that posts to a workspace; return the workspace."""
    slack = scene.trial.cleanup.enter_context(beside(running_slack()))
    own_bridge(scene, **slack_settings(slack, BRIDGE_JOURNEY_CATALOG_EVERY="60"))
    return slack


def card_says(slack: FakeSlack, words: str) -> None:
    """Wait until the newest card says this."""
    cards = slack.channels["C0SHOP"]
    until(lambda: words in cards.roots()[-1]["text"], WITHIN, f"the card says that it {words}")


def places(scene: Scene, slack: FakeSlack) -> Iterator[tuple[str, str]]:
    """Yield each place that tells what the app serves, and its words."""
    bridge, label = scene.trial.bridge, scene.service.label
    yield "apps", bridge.cli("apps", label).stdout
    yield "status in Slack", asyncio.run(_typed(scene, slack, f"status {label}"))
    with httpx.Client(base_url=bridge.url, trust_env=False, timeout=20) as web:
        link = bridge.cli("console", "--url", bridge.url).stdout.strip()
        web.get(link.removeprefix(bridge.url))
        for path in ("/console", "/console/apps", f"/console/apps/{scene.service.id}"):
            page = web.get(path).raise_for_status().text
            yield path, html.unescape(re.sub("<[^>]*>", " ", page))


def says_live(words: str, commit: str) -> bool:
    """Return whether words call a commit live."""
    before = r"\blive\b:?\s+(version\s+)?(<[^|>]+\|)?\W?"  # in Slack it is a link
    return bool(re.search(f"{before}{commit[:7]}", words, re.IGNORECASE))


async def _typed(scene: Scene, slack: FakeSlack, words: str) -> str:
    url = scene.trial.bridge.url
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as web:
        return words_of((await Hands(slack, web).type(words)).body)
