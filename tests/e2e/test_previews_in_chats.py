"""Pull requests with previews in Slack and Discord, from the webhook to the thread."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bridge.core.access import Right
from bridge.core.previews.preview import PreviewState
from tests.fakes.discord import FakeDiscord
from tests.fakes.pulls import FakePull
from tests.fakes.slack.hands import Hands, buttons_of, words_of
from tests.fakes.slack.server import FakeSlack, running_slack
from tests.worlds.embedded import until
from tests.worlds.previews import PreviewWorld, preview_world, without_limits
from tests.worlds.slack import slack_settings

EVERYTHING = [str(right) for right in Right]
ACCESS = [
    {"who": ["U0ADA"], "may": EVERYTHING},
    {"who": ["U0BOB"], "may": ["view"], "apps": ["shop/*"]},
]
RULE = {"host": "pr-{number}-{app}.preview.example.com", "channels": ["C0PR", "discord:default"]}


@dataclass
class Both:
    """A bridge with previews, and the chats that they are told in."""

    previews: PreviewWorld
    slack: FakeSlack
    discord: FakeDiscord
    hands: Hands

    async def says(self, *words: str) -> dict[str, Any]:
        """Wait until the one message in the channel has these words; return it."""

        def found() -> dict[str, Any] | None:
            roots = self.slack.channels["C0PR"].roots()
            fits = len(roots) == 1 and all(one in words_of(roots[0]) for one in words)
            return roots[0] if fits else None

        return dict(await self.slack.until(found))

    async def thread(self, *words: str) -> list[str]:
        """Wait until the thread has a line with each of these words, and no other."""

        def found() -> list[str] | None:
            channel = self.slack.channels["C0PR"]
            lines = [
                words_of(line) for root in channel.roots() for line in channel.thread(root["ts"])
            ]
            fits = len(lines) == len(words) and all(
                word in line for word, line in zip(words, lines, strict=True)
            )
            return lines if fits else None

        return list(await self.slack.until(found))

    async def in_discord(self, *words: str) -> None:
        """Wait until the one message in Discord has these words."""

        async def shown() -> list[str]:
            return [json.dumps(one.embed, ensure_ascii=False) for one in self.discord.shown()]

        await until(shown, lambda all_: len(all_) == 1 and all(w in all_[0] for w in words))


@pytest.fixture
async def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Both]:
    without_limits(monkeypatch)
    rules = [{"apps": "shop/*", "previews": RULE}]
    async with running_slack() as slack, FakeDiscord().running() as discord:
        slack.channel("C0PR", "pulls")
        slack.person("U0BOB", "Bob")
        given: dict[str, Any] = slack_settings(slack, ACCESS)
        given |= {"BRIDGE_DISCORD_WEBHOOK": discord.webhook()}
        given |= {"BRIDGE_DISCORD_API_URL": discord.url, "BRIDGE_PREVIEWS_SWEEP": "1h"}
        async with preview_world(tmp_path, "github", rules, **given) as world:
            await slack.until(lambda: slack.count("auth.test"))
            yield Both(world, slack, discord, Hands(slack, world.world.web))
        assert discord.wrong == []


async def up_at(both: Both, pull: FakePull) -> None:
    """Wait until the message says that the newest commit is up."""
    await both.says("is up", pull.head_sha[:7])


async def test_a_pull_request_is_one_message_from_its_opening_to_its_end(both: Both) -> None:
    world = both.previews
    await world.app("web", watch=["web/**"])
    await world.app("api", watch=["api/**"])

    pull = await world.opened("topic", {"web/index.html": "first"}, title="Hours <!channel>")
    await world.live(pull)
    root = await both.says("is up", "Hours", "my-org/mono", f"pr-{pull.number}-web.preview")
    assert "<!channel>" not in json.dumps(root)
    assert "shop/api" not in words_of(root)
    await both.thread("is ready")
    await both.in_discord("is up", "Hours")

    for text in ("second", "third"):
        await world.pushed(pull, {"web/index.html": text})
        await world.live(pull)
        await up_at(both, pull)
    await both.thread("is ready")

    await world.closed(pull)
    await both.says("has ended", "closed")
    await both.thread("is ready", "has ended")
    await both.in_discord("has ended")

    assert both.slack.channels["C0SHOP"].roots() == []
    assert both.slack.count("chat.postMessage") == 3
    assert len(both.discord.shown()) == 1


async def test_the_commit_of_a_fork_is_approved_as_it_was_shown(both: Both) -> None:
    world = both.previews
    await world.app()
    pull = await world.forked({"web/index.html": "theirs"})
    shown = await both.says("waits for an approval", "from a fork", pull.head_sha[:7])
    assert buttons_of(shown)[0] == "preview.approve"

    refused = await (await both.hands.click(shown, "preview.approve", user="U0BOB")).later()
    assert "You may not approve" in words_of(refused)
    assert "may: [approve]" in words_of(refused)

    first = pull.head_sha
    await world.fork_pushed(pull, {"web/index.html": "theirs, changed"})
    await both.says("waits for an approval", pull.head_sha[:7])
    stale = await (await both.hands.click(shown, "preview.approve")).later()
    assert f"is at {pull.head_sha[:12]} by now" in words_of(stale)
    preview = await world.preview(pull, PreviewState.HELD)
    assert preview.approved is None

    newer = await both.says("waits for an approval", pull.head_sha[:7])
    done = await (await both.hands.click(newer, "preview.approve")).later()
    assert f"Approved `{pull.head_sha[:12]}`" in words_of(done)
    assert done["response_type"] == "ephemeral"
    await world.live(pull)
    await up_at(both, pull)
    approved = await world.preview(pull, PreviewState.UP)
    assert (approved.approved, approved.approver) == (pull.head_sha, "Ada")
    assert first != pull.head_sha
    await both.thread("waits for an approval", "is ready")


async def test_an_approval_by_command_names_its_commit(both: Both) -> None:
    world, type_ = both.previews, both.hands.type
    await world.app()
    pull = await world.forked({"web/index.html": "theirs"})
    await both.says("waits for an approval")
    name = f"shop/web#{pull.number}"

    asked = await type_(f"previews approve {name}")
    assert "Which commit?" in words_of(asked.body)
    assert f"previews approve {name} {pull.head_sha[:12]}" in words_of(asked.body)
    wrong = await type_(f"previews approve {name} {'0' * 12}")
    assert "look at that commit" in words_of(wrong.body)

    ran = await (await both.hands.click(asked.body, "suggest.run")).later()
    assert "Approved" in words_of(ran)
    await world.live(pull)
