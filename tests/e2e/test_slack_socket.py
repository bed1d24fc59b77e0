"""Socket Mode, through a real WebSocket; and all calls through Slack's own contract."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bridge.chats.slack import door
from tests.fakes.slack.server import running_slack
from tests.oracles.prism import proxy
from tests.worlds.bridge import Origin
from tests.worlds.slack import bridged


async def test_everything_works_through_the_socket_and_after_it_breaks(
    tmp_path: Path, origin: Origin
) -> None:
    async with (
        running_slack() as slack,
        bridged(slack, tmp_path / "bridge", socket=True) as both,
    ):
        app_id = await both.app(origin)

        answered = await both.hands.type("deploy web")
        card = await both.card_says("is live")
        await slack.drop_sockets()
        await slack.connected.wait()
        await both.hands.click(card, "deployment.redeploy")
        await both.world.ended(2)
        await both.hands.type("", command="/deploy")
        view = await both.view("operation.view", "Deploy")
        await both.hands.pick(view, app_id)
        ended = await both.world.ended(3)
        events = await both.world.web.post("/slack/events")

        assert answered.body["response_type"] == "in_channel"
        assert await both.hands.search(view, "web") == [app_id]
        assert [str(one.state) for one in ended] == ["done"] * 3
        assert events.status_code == 404


async def test_a_message_that_is_too_large_is_not_read_and_the_next_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(door, "PING_SECONDS", 0.5)
    async with (
        running_slack() as slack,
        bridged(slack, tmp_path / "bridge", socket=True) as both,
    ):
        slack.connected.clear()
        (socket,) = slack.sockets  # its close code tells nothing: a reset may overtake it
        large = {"envelope_id": "large", "type": "slash_commands", "payload": {"text": "x" * 2**20}}
        await socket.send_json(large)
        async with asyncio.timeout(10):
            await slack.connected.wait()  # it is made anew

        assert slack.sockets != [socket]
        assert (await both.hands.type("apps")).body["text"]
        assert [line for line in caplog.messages if "unsupported" in line] == [
            "slack sent an unsupported message over the socket: more than 1 MiB"
        ]


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
