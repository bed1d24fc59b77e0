"""A push that waits for somebody's approval: GitHub's webhook, its API, and clicks in Slack."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bridge.core.access import Right
from tests.fakes.github import FakeGithub
from tests.fakes.slack.hands import words_of
from tests.worlds.bridge import Origin
from tests.worlds.embedded import Repository, git_server
from tests.worlds.slack import SlackWorld, slack_world

NAME = "my-org/mono"
MAY = [{"who": ["everyone"], "may": [str(right) for right in Right]}]


@dataclass
class Office:
    """A bridge, GitHub, a workspace with Ada, Bob and Grace, and a repository of Ada's commits."""

    both: SlackWorld
    origin: Origin

    async def push(self, text: str, pusher: str) -> str:
        """Push a commit of Ada's."""
        before = self.origin.head("main")
        after = self.origin.repository.commit(f"feat: {text}", {"web/index.html": text})
        said = self.origin.payload("refs/heads/main", before, after)
        said["pusher"] = {"name": pusher, "email": f"{pusher}@example.com"}
        said["repository"]["html_url"] = self.origin.url.removesuffix(".git")
        assert (await self.both.world.hook("github", said)).status_code == 202
        return after

    async def approve(self, user: str) -> str:
        """Have somebody click *Approve* on the newest card; return what they are told."""
        card = await self.both.card_says("is held")
        clicked = await self.both.hands.click(card, "gate.approve", user=user)
        return words_of(await clicked.later())

    async def held(self, words: str) -> None:
        """Wait until the newest card is held for a reason that says this."""

        def says() -> Any:
            cards = self.both.slack.channels["C0SHOP"].roots()
            return [
                one for one in cards[-1:] if "is held" in one["text"] and words in words_of(one)
            ]

        await self.both.slack.until(says)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    root = tmp_path / "served"
    repository = Repository.make(root / f"{NAME}.git", {"web/index.html": "first"})
    async with git_server(root) as server, FakeGithub() as github:
        origin = Origin(repository, "github", NAME, 4711, f"{server.url}/{NAME}.git")
        github.repository(NAME, id=4711, git=repository.path)
        there = github.settings | {"BRIDGE_GITHUB_WEB_URL": server.url}
        rules = "[{apps: shop/*, approvals: 1}]"
        async with slack_world(tmp_path / "bridge", MAY, **there, BRIDGE_RULES=rules) as both:
            both.slack.person("U0BOB", "Bob")
            both.slack.person("U0GRACE", "Grace")
            await both.app(origin)
            yield Office(both, origin)


async def test_somebody_who_has_neither_written_nor_pushed_it_approves(office: Office) -> None:
    commit = await office.push("second", pusher="bob")

    assert "is your own commit" in await office.approve("U0ADA")
    assert "is your own commit" in await office.approve("U0BOB")
    await office.held("has 0")
    assert f"You approved `{commit[:7]}`" in await office.approve("U0GRACE")

    await office.both.card_says("is live")
    (done,) = await office.both.world.deployments()
    assert done.deployed_commit == commit


async def test_who_wrote_what_somebody_else_has_merged_does_not_approve_it(office: Office) -> None:
    git, before = office.origin.repository.git, office.origin.head("main")
    git("checkout", "-q", "-b", "topic")
    git("config", "user.email", "ada@example.com")
    office.origin.repository.commit("feat: all of it", {"web/index.html": "second"})
    git("checkout", "-q", "main")
    bob = ("-c", "user.name=Bob", "-c", "user.email=bob@example.com")
    git(*bob, "merge", "-q", "--no-ff", "-m", "Merge pull request #1", "topic")
    after = office.origin.head("main")
    said = office.origin.payload("refs/heads/main", before, after)
    by_bob = {"name": "Bob", "email": "bob@example.com"}
    said["head_commit"]["author"] = said["pusher"] = by_bob
    said["commits"] = [
        one | ({"author": by_bob} if one["id"] == after else {}) for one in said["commits"]
    ]
    said["repository"]["html_url"] = office.origin.url.removesuffix(".git")
    assert (await office.both.world.hook("github", said)).status_code == 202

    await office.held("has 0")
    assert "is your own commit" in await office.approve("U0ADA")
    assert f"You approved `{after[:7]}`" in await office.approve("U0GRACE")


async def test_a_head_whose_webhook_is_late_is_not_approved_as_the_one_before(
    office: Office,
) -> None:
    shown = await office.push("second", pusher="bob")
    await office.held("has 0")
    newer = office.origin.repository.commit("feat: third", {"web/index.html": "third"})

    told = await office.approve("U0GRACE")

    assert f"is now {newer[:7]}, not {shown[:7]}: look again" in told
    await office.held(newer[:7])


async def test_the_author_does_not_approve_what_somebody_else_deploys_by_hand(
    office: Office,
) -> None:
    await office.both.hands.type("deploy web", user="U0BOB")
    await office.held("has 0")

    assert "is your own commit" in await office.approve("U0ADA")
    await office.held("has 0")
    assert "asked for" in await office.approve("U0BOB")
    await office.approve("U0GRACE")

    await office.both.card_says("is live")
