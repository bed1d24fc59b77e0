"""Socket Mode: the same through a real WebSocket, with no address of our own."""

from pathlib import Path

from tests.fakes.slack.server import running_slack
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
        view = await both.view("pick.deploy")
        await both.hands.pick(view, app_id)
        ended = await both.world.ended(3)
        events = await both.world.web.post("/slack/events")

        assert answered.body["response_type"] == "in_channel"
        assert await both.hands.search(view, "web") == [app_id]
        assert [str(one.state) for one in ended] == ["done"] * 3
        assert events.status_code == 404
