"""Going back in Slack, from the notice of an unhealthy deployment to the page; over real HTTP."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bridge.core.lifecycle import Deployment, State
from tests.fakes.dokploy_server import FakeDokploy
from tests.fakes.slack.hands import buttons_of, words_of
from tests.worlds.slack import SlackWorld, slack_world

pytestmark = pytest.mark.journey

ACCESS = [
    {"who": ["U0ADA"], "may": ["view", "deploy", "lock"]},
    {"who": ["U0BOB"], "may": ["view"]},
]
RULES = [{"apps": "shop/*", "verify": {"within": "0.4s", "every": "0.1s"}}]
ONE, TWO, THREE = "1" * 40, "2" * 40, "3" * 40
WORKS = [{"name": "web-x1.1.a", "state": "running", "status": "Up Less than a second"}]
BROKEN = [{"name": "web-x1.1.b", "state": "exited", "status": "Exited (1) Less than a second ago"}]


@dataclass(frozen=True)
class Shop:
    """An app at a Dokploy, and a bridge with Slack beside it."""

    dokploy: FakeDokploy
    both: SlackWorld

    async def deploy(self, head: str, containers: list[dict[str, str]], count: int) -> Deployment:
        self.dokploy.head, self.dokploy.containers = head, containers
        await self.both.hands.type("deploy web")
        return (await self.both.world.ended(count))[-1]

    async def card(self, at: int, *, leads_back: bool) -> dict[str, Any]:
        """Wait until a card has the button that leads back to it, or has none."""

        def found() -> dict[str, Any] | None:
            card = dict(enumerate(self.both.slack.channels["C0SHOP"].roots())).get(at)
            shown = card and ("deployment.rollback_to" in buttons_of(card)) is leads_back
            return card if shown else None

        return dict(await self.both.slack.until(found))

    async def notice(self) -> dict[str, Any]:
        """Return the line about the unhealthy deployment."""
        card = await self.both.card_says("is live and unhealthy")
        return await self.both.thread_says(card, "no container runs")

    async def offered(self, user: str = "U0ADA") -> dict[str, Any]:
        """Return what a click on that line shows."""
        clicked = await self.both.hands.click(await self.notice(), "deployment.rollback", user=user)
        return await clicked.later()


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    """With a version that works, and a newer one that does not."""
    async with FakeDokploy().running() as dokploy:
        dokploy.app("web", appName="web-x1")
        given = dokploy.settings | {"BRIDGE_RULES": json.dumps(RULES)}
        async with slack_world(tmp_path / "bridge", ACCESS, **given) as both:
            both.slack.person("U0BOB", "Bob")
            await both.knows("shop/web")
            made = Shop(dokploy, both)
            await made.deploy(ONE, WORKS, 1)
            await made.deploy(TWO, BROKEN, 2)
            dokploy.containers = WORKS
            yield made


async def test_an_unhealthy_deployment_is_told_loudly_once_with_the_way_back(
    shop: Shop,
) -> None:
    line = await shop.notice()
    card = shop.both.card()

    assert line["broadcast"]
    assert [one["broadcast"] for one in shop.both.thread(card)].count(True) == 1
    assert "deployment.rollback" in buttons_of(line)
    shown = await shop.offered()
    assert shown["response_type"] == "ephemeral"
    assert "go back from 2222222 to 1111111" in words_of(shown)
    assert "migrations are not undone" in words_of(shown)
    assert buttons_of(shown) == ["operation.run"]
    assert len(await shop.both.world.deployments()) == 2


async def test_roll_back_is_done_once_and_told_and_locks(shop: Shop) -> None:
    shown = await shop.offered()
    for _ in range(2):
        await shop.both.hands.click(shown, "operation.run")

    _, bad, back = await shop.both.world.ended(3)
    card = await shop.both.card_says("is live  ·  1111111")
    line = await shop.both.thread_says(card, "healthy")
    assert (bad.state, back.state, back.trigger) == (State.UNHEALTHY, State.DONE, "slack: Ada")
    assert "was served again" in words_of(line)
    assert not line["broadcast"]
    assert back.deployed_commit == ONE
    assert shop.dokploy.restored == ["r1"]
    assert "shop/web" in words_of((await shop.both.hands.type("locks")).body)


async def test_without_the_right_it_is_refused_with_the_lines_that_grant_it(
    shop: Shop,
) -> None:
    refused = await shop.offered("U0BOB")
    typed = await shop.both.hands.type("shop/web", command="/rollback", user="U0BOB")
    forged = await shop.both.hands.click(await shop.offered(), "operation.run", user="U0BOB")

    for said in (refused, typed.body, await forged.later()):
        assert "may not" in words_of(said)
        assert "may: [deploy]" in words_of(said)
    assert len(await shop.both.world.deployments()) == 2


async def test_a_stale_button_does_nothing_and_says_what_is_live(shop: Shop) -> None:
    line, shown = await shop.notice(), await shop.offered()
    await shop.deploy(THREE, WORKS, 3)

    for message, button in ((line, "deployment.rollback"), (shown, "operation.run")):
        said = await (await shop.both.hands.click(message, button)).later()
        assert "is live: 3333333, by #" in words_of(said)
    assert len(await shop.both.world.deployments()) == 3
