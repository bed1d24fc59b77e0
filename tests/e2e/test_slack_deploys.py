"""From a slash command, a button or a push to the end of a deployment, over real HTTP."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bridge.chats.slack.opening import LIMITS
from bridge.core.lifecycle import State
from tests.fakes.slack.hands import buttons_of, words_of
from tests.fakes.slack.server import running_slack
from tests.worlds.bridge import Origin
from tests.worlds.embedded import GitServer, Repository, git_server
from tests.worlds.sites import make_site, push_broken
from tests.worlds.slack import SlackWorld, bridged, slack_world

pytestmark = pytest.mark.journey


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[SlackWorld]:
    async with slack_world(tmp_path / "bridge") as running:
        yield running


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[GitServer]:
    """A Git host whose gate holds clones, and so deployments, while it is shut."""
    async with git_server(tmp_path / "hosted") as running:
        yield running


@pytest.fixture
def slow(tmp_path: Path, server: GitServer) -> Origin:
    """A repository behind that gate."""
    repository = Repository.make(tmp_path / "hosted/site.git", {"web/index.html": "first"})
    return Origin(repository, url=f"{server.url}/site.git")


async def deployed(both: SlackWorld) -> dict[str, Any]:
    """Somebody deploys the app to its end; its card."""
    await both.hands.type("deploy web")
    return await both.card_says("is live")


async def held(both: SlackWorld, slow: Origin, server: GitServer) -> dict[str, Any]:
    """Somebody deploys a new app, which builds until the gate opens; its card."""
    await both.app(slow)
    server.gate.clear()
    await both.hands.type("deploy web")
    return await both.card_says("is building")


async def another(both: SlackWorld, cards: int) -> None:
    """Somebody deploys it once more; returns when there are so many cards."""
    await both.hands.type("deploy web")
    await both.slack.until(lambda: len(both.slack.channels["C0SHOP"].roots()) == cards)


# ── to the end ───────────────────────────────────────────────────────────────


async def test_a_command_makes_a_card_that_follows_to_the_end(
    both: SlackWorld, origin: Origin
) -> None:
    await both.app(origin)

    answered = await both.hands.type("web", command="/deploy")
    card = await both.card_says("is live")
    await both.thread_says(card, "live")

    assert answered.body["response_type"] == "in_channel"
    assert "Deploying *shop/web*" in words_of(answered.body)
    (deployment,) = await both.world.ended(1)
    assert deployment.trigger == "slack: Ada"
    assert "Ada" in words_of(card)
    assert set(buttons_of(card)) >= {"deployment.redeploy", "deployment.why"}
    assert "deployment.cancel" not in buttons_of(card)
    assert not any(line["broadcast"] for line in both.thread(card))
    assert len(both.slack.channels["C0SHOP"].roots()) == 1


async def test_a_push_makes_a_card_in_the_channels_of_its_app(
    tmp_path: Path, origin: Origin
) -> None:
    rules = '[{apps: "shop/*", channels: [C0WEB, "#ops"]}, {apps: shop/quiet, channels: []}]'
    async with slack_world(tmp_path / "bridge", BRIDGE_RULES=rules) as both:
        both.slack.channel("C0WEB", "web")
        both.slack.channel("C0OPS", "ops")
        await make_site(both.world, origin)

        await both.world.commit(origin, "feat: <!channel> & more", {"web/index.html": "2"})
        cards = [await both.card_says("is live", channel) for channel in ("C0WEB", "C0OPS")]

        assert both.slack.channels["C0SHOP"].messages == []
        for card in cards:
            assert "pushed" in words_of(card)
            assert "<!channel>" not in words_of(card)


async def test_a_failure_is_told_to_the_channel_with_log_and_author(
    both: SlackWorld, origin: Origin
) -> None:
    await push_broken(both.world, origin)

    card = await both.card_says("failed")
    line = await both.thread_says(card, "<@U0ADA>")

    assert line["broadcast"]
    assert "```" in words_of(line)
    assert "deployment.log" in buttons_of(card)

    assert buttons_of(line) == ["deployment.redeploy", "deployment.log", "deployment.why"]
    await both.hands.click(line, "deployment.log")
    await both.slack.until(lambda: "```" in str(both.slack.views))
    asked = await both.hands.click(line, "deployment.redeploy")
    assert asked.status == 200
    again = (await both.world.ended(2))[1]
    assert (again.action, again.app) == ("redeploy", "shop/web")


async def test_a_failure_of_somebody_unknown_mentions_nobody(
    both: SlackWorld, origin: Origin
) -> None:
    both.slack.person("U0ADA", "Ada", email="another@example.com")
    await push_broken(both.world, origin)

    card = await both.card_says("failed")
    line = await both.thread_says(card, "```")

    assert "<@" not in words_of(line)


# ── buttons and dialogs ──────────────────────────────────────────────────────


async def test_the_cancel_button_cancels_and_vanishes(
    both: SlackWorld, slow: Origin, server: GitServer
) -> None:
    card = await held(both, slow, server)

    answered = await both.hands.click(card, "deployment.cancel")
    cancelled = await both.card_says("was cancelled")

    assert (answered.status, answered.body) == (200, {})
    assert "deployment.cancel" not in buttons_of(cancelled)
    assert await both.world.states() == ["cancelled"]
    again = await both.hands.click(card, "deployment.cancel")
    assert "ended already" in words_of(await again.later())


async def test_the_cancel_button_of_a_card_cancels_that_one_and_no_other(
    both: SlackWorld, slow: Origin, server: GitServer
) -> None:
    await held(both, slow, server)
    await another(both, 2)

    await both.hands.click(both.card(), "deployment.cancel")
    await both.card_says("was cancelled")
    server.gate.set()
    await both.card_says("is live", at=0)

    assert await both.world.states() == ["done", "cancelled"]


async def test_what_is_sent_again_and_a_double_click_act_once(
    both: SlackWorld, origin: Origin
) -> None:
    await both.app(origin)
    first = await both.hands.type("deploy web", trigger="1.2.same")
    again = await both.hands.type("deploy web", trigger="1.2.same")
    assert first.body["response_type"] == "in_channel"
    assert again.body["response_type"] == "ephemeral"
    assert "moment ago" in again.text
    card = await both.card_says("is live")

    clicks = [both.hands.click(card, "deployment.redeploy") for _ in range(3)]
    await asyncio.gather(*clicks)
    await both.world.ended(2)
    later = await both.hands.click(card, "deployment.redeploy", at=2e9)
    await both.world.ended(3)

    assert later.status == 200
    actions = [str(one.action) for one in await both.world.deployments()]
    assert actions == ["deploy", "redeploy", "redeploy"]


async def test_a_dialog_offers_what_one_may_deploy_and_deploys_it_once(
    both: SlackWorld, origin: Origin
) -> None:
    app_id = await both.app(origin)

    opened = await both.hands.type("", command="/deploy")
    view = await both.view("operation.view", "Deploy")
    assert (opened.status, opened.body) == (200, {})
    assert await both.hands.search(view, "we") == [app_id]
    for _ in range(2):
        picked = await both.hands.pick(view, app_id)
        assert (picked.status, picked.body) == (200, {})
    card = await both.card_says("is live")
    assert await both.world.states() == ["done"]

    await both.hands.shortcut("deploy_app")
    await both.hands.shortcut("redeploy_this", message=card, channel="C0SHOP")
    view = await both.view("operation.view", "once more")
    assert app_id in words_of(view)
    await both.hands.pick(view, app_id)
    await both.world.ended(2)
    assert [str(one.action) for one in await both.world.deployments()] == ["deploy", "redeploy"]


# ── when things go wrong ─────────────────────────────────────────────────────


async def test_a_restart_in_the_middle_goes_on_in_the_same_message_and_thread(
    tmp_path: Path, slow: Origin, server: GitServer
) -> None:
    async with running_slack() as slack:
        async with bridged(slack, tmp_path / "bridge") as both:
            card = await held(both, slow, server)
        async with bridged(slack, tmp_path / "bridge") as both:
            server.gate.set()
            ended = await both.world.ended(1)
            final = await both.slack.until(lambda: not both.card()["text"].count("is building"))

            assert final
            assert both.card()["ts"] == card["ts"]
            assert len(slack.channels["C0SHOP"].roots()) == 1
            assert ended[0].final
            lines = Counter(words_of(line) for line in both.thread(card))
            changes = await both.world.stores.journal.changes(ended[0].id)
            builds = sum(change.state is State.RUNNING for change in changes)
            # Asked for again, it may have begun twice within a second.
            assert all(
                count <= (builds if "Builds" in line else 1) for line, count in lines.items()
            )


async def test_too_many_messages_wait_and_none_is_lost(tmp_path: Path, origin: Origin) -> None:
    async with slack_world(tmp_path / "bridge", limits=LIMITS) as both:
        both.slack.pace = 0.9
        await both.app(origin)
        for _ in range(2):
            both.slack.next("chat.postMessage", status=429, after=1)
        both.slack.next("chat.update", status=429, after=1)

        card = await deployed(both)
        await both.thread_says(card, "live")

        assert len(both.slack.channels["C0SHOP"].roots()) == 1
        refused = [call for call in both.slack.calls if call.status == 429]
        assert len(refused) <= 4
        # what was refused is surely not there, so nobody looks for it
        assert both.slack.count("conversations.history", "conversations.replies") == 0


async def test_a_card_that_somebody_deletes_stays_away(
    both: SlackWorld, slow: Origin, server: GitServer
) -> None:
    await held(both, slow, server)
    both.slack.channels["C0SHOP"].messages.clear()
    server.gate.set()
    await both.world.ended(1)
    await both.slack.until(lambda: any(c.answer.get("ok") is False for c in both.slack.calls))

    failing = await both.world.stores.journal.feedback(limit=10, failing=True)
    assert failing == []
    assert both.slack.channels["C0SHOP"].messages == []


async def test_an_app_that_is_gone_by_then_is_told_to_who_asked(
    both: SlackWorld, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    app_id = await both.app(origin)
    deliveries = both.world.stores.inbox
    woken, deliveries.woken = deliveries.woken, lambda: None
    assert both.world.backend is not None
    monkeypatch.setattr(deliveries, "due", _nothing_due)
    await both.hands.type("deploy web")

    await both.world.backend.ask("POST", "application.delete", applicationId=app_id)
    await both.knows("There is no app")
    monkeypatch.undo()
    deliveries.woken = woken
    woken()
    said = await both.slack.until(lambda: both.slack.ephemerals)

    assert "the app no longer exists" in said[0]["text"]
    assert "shop/web" in said[0]["text"]
    assert said[0]["user"] == "U0ADA"


async def _nothing_due(_now: float, _limit: int) -> list[Any]:
    return []


async def test_the_answer_is_quick_and_honest_while_the_backend_is_down(
    tmp_path: Path, origin: Origin
) -> None:
    from tests.worlds.embedded import running_server

    async with running_server(tmp_path / "dokploy") as dokploy:
        settings: dict[str, Any] = {
            "BRIDGE_DOKPLOY_URL": dokploy.server.url,
            "BRIDGE_DOKPLOY_API_KEY": dokploy.server.api_key,
            "BRIDGE_DOKPLOY_READ_RETRIES": "0",
        }
        async with slack_world(tmp_path / "bridge", **settings) as both:
            both.world.backend = dokploy
            await both.app(origin)
            await dokploy.server.stop()
            await both.knows("can't be read", by="status")

            answered = await both.hands.type("deploy web")
            card = await both.slack.until(
                lambda: (
                    both.slack.channels["C0SHOP"].roots()
                    and "waits for the backend" in words_of(both.card()).lower()
                    and both.card()
                )
            )

            assert answered.seconds < 1.0
            assert "waits for the backend" in answered.text
            assert "deployment.cancel" in buttons_of(card)
            (deployment,) = await both.world.deployments()
            assert deployment.state is State.WAITING
