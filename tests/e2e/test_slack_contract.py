"""The bridge, Slack's contract, and the fake Slack: nothing passes that does not keep to it."""

from pathlib import Path
from typing import Any

from tests.fakes.slack.server import running_slack
from tests.oracles.prism import proxy
from tests.worlds.bridge import Origin
from tests.worlds.slack import bridged


async def test_a_deployment_passes_through_the_contract(tmp_path: Path, origin: Origin) -> None:
    """Prism stands between the two, and answers itself where a call or an answer is wrong."""
    async with running_slack() as slack:
        with proxy("slack", slack.url) as url:
            settings: dict[str, Any] = {"BRIDGE_SLACK_API_URL": f"{url}/api/"}
            async with bridged(slack, tmp_path / "bridge", **settings) as both:
                await both.app(origin)

                await both.hands.type("deploy web")
                card = await both.card_says("is live")
                await both.thread_says(card, "live")
                await both.hands.type("deploy")
                await both.view("operation.view", "Deploy")

        assert slack.count("chat.getPermalink", "users.info", "views.open") >= 3
