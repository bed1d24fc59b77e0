"""Locks that remind their owners, and locks that end with a pull request, over real HTTP."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bridge.core.gates.locks import DAY
from tests.fakes.gitea import FakeGitea
from tests.fakes.github import FakeGithub
from tests.fakes.gitlab import FakeGitlab
from tests.fakes.host import FakeHook, FakeRepository
from tests.fakes.pulls import FakePull
from tests.fakes.slack.hands import Hands, buttons_of, words_of
from tests.fakes.slack.server import FakeSlack, running_slack
from tests.worlds.bridge import SECRET, TOKEN, Origin, World, running_world
from tests.worlds.embedded import Repository, git_server, until
from tests.worlds.feedback import make_app
from tests.worlds.slack import SlackWorld, slack_settings

NAME = "my-org/mono"
FAKES: dict[str, type[FakeGithub | FakeGitlab | FakeGitea]] = {
    "github": FakeGithub,
    "gitlab": FakeGitlab,
    "gitea": FakeGitea,
}
EVERYTHING = [
    {"who": ["everyone"], "may": ["deploy", "lock"]},
]


@dataclass
class Stage:
    """A bridge, a Git host with a pull request, and a workspace."""

    world: World
    fake: FakeGithub | FakeGitlab | FakeGitea
    slack: FakeSlack
    hands: Hands
    origin: Origin
    theirs: FakeRepository
    hook: FakeHook

    @property
    def sign(self) -> str:
        return "!" if self.fake.name == "gitlab" else "#"

    def opened(self) -> FakePull:
        """Open a pull request from a branch of its own."""
        self.origin.repository.git("branch", "topic")
        return self.theirs.open_pull("topic")

    def end(self, pull: FakePull) -> None:
        self.theirs.merge(pull, self.origin.head("main"))

    async def tell(self, pull: FakePull) -> None:
        """Send the host's event about the merge."""
        page = self.origin.url.removesuffix(".git")
        urls: dict[str, Any] = {"clone_url": self.origin.url, "html_url": page}
        ours = {"id": 4711, "name": "mono", "full_name": NAME, **urls}
        head: dict[str, Any] = {"ref": pull.head, "sha": pull.head_sha}
        said: dict[str, Any]
        if self.fake.name == "gitlab":
            about = {
                "action": "merge",
                "iid": pull.number,
                "source_branch": pull.head,
                "source_project_id": 4711,
                "target_project_id": 4711,
            }
            project = {"path_with_namespace": NAME, "web_url": page}
            said = {"object_kind": "merge_request", "object_attributes": about, "project": project}
            sent = await self.fake.send(self.hook, "Merge Request Hook", said)
        else:
            head |= {"repo_id": 4711} if self.fake.name == "gitea" else {"repo": {"id": 4711}}
            said = {
                "action": "closed",
                "number": pull.number,
                "pull_request": {"number": pull.number, "head": head, "merged": True},
                "repository": ours,
            }
            sent = await self.fake.send(self.hook, "pull_request", said)
        assert 200 <= sent.status < 300

    async def says(self, channel: str, words: str) -> dict[str, Any]:
        """Wait for a message in a channel, or to a person."""

        def found() -> dict[str, Any] | None:
            there = self.slack.channels.get(channel)
            roots = there.roots() if there else []
            return next((one for one in roots if words in words_of(one)), None)

        return dict(await self.slack.until(found))

    async def typed(self, text: str) -> dict[str, Any]:
        """Type a command; return its answer, which comes later if the host is slow."""
        answered = await self.hands.type(text)
        late = answered.text.startswith("Still working")
        return await answered.later() if late else answered.body

    async def locks(self) -> list[Any]:
        return list(await self.world.stores.journal.locks())


@pytest.fixture(params=FAKES)
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    root = tmp_path / "served"
    repository = Repository.make(root / f"{NAME}.git", {"web/index.html": "first"})
    async with git_server(root) as server, FAKES[request.param]() as fake, running_slack() as slack:
        origin = Origin(repository, fake.name, NAME, 4711, f"{server.url}/{NAME}.git")
        there = {f"BRIDGE_{fake.name.upper()}_WEB_URL": server.url}
        there |= {"BRIDGE_GITEA_WEBHOOK_SECRETS": SECRET} if fake.name == "gitea" else {}
        settings: dict[str, Any] = fake.settings | there | slack_settings(slack, EVERYTHING)
        async with running_world(tmp_path / "bridge", **settings) as world:
            await make_app(world, origin)
            theirs = fake.repository(NAME, id=4711, git=repository.path)
            secret = TOKEN if fake.name == "gitlab" else SECRET
            hook = fake.hook(theirs, f"{world.bridge.url}/hooks/{fake.name}", secret)
            await slack.until(lambda: slack.count("auth.test"))
            hands = Hands(slack, world.web)
            await SlackWorld(world, slack, hands).knows("shop/web")
            yield Stage(world, fake, slack, hands, origin, theirs, hook)


async def test_a_lock_ends_with_its_pull_request(stage: Stage) -> None:
    pull = stage.opened()
    named = f"{NAME}{stage.sign}{pull.number}"
    answered = await stage.typed(f"lock web until merge of #{pull.number} a risky one")
    assert f"Until {named} is merged or closed" in words_of(answered)

    stage.end(pull)
    await stage.tell(pull)

    told = await stage.says("C0SHOP", f"Unlocked, as {named} is merged")
    assert "Ada had locked it since" in words_of(told)
    assert await stage.locks() == []
    audited = await stage.world.stores.journal.audited(limit=9)
    assert [(str(one.by), one.what) for one in audited] == [
        (stage.fake.name, "unlock"),
        ("slack: Ada (U0ADA)", "lock"),
    ]
    assert sum("Unlocked" in words_of(one) for one in stage.slack.channels["C0SHOP"].roots()) == 1


async def reminded(stage: Stage) -> dict[str, Any]:
    """Take a lock, and let it be a day old."""
    await stage.hands.type("lock web a migration")
    journal = stage.world.stores.journal
    (lock,) = await stage.locks()
    at = time.time() - DAY - 60
    await journal.take_lock(replace(lock, at=at, remind_at=at + DAY), None, steal=False)
    return await stage.says("D0ADA", "Still locked by you")


@pytest.mark.parametrize("stage", ["github"], indirect=True)
async def test_the_owner_is_reminded_directly_and_unlocks_by_a_click(stage: Stage) -> None:
    message = await reminded(stage)
    assert buttons_of(message) == ["lock.release", "lock.keep"]

    clicked = await stage.hands.click(message, "lock.release")
    answered = await clicked.later()

    assert answered["replace_original"] is True
    assert "Unlocked: *shop/web*" in words_of(answered)
    assert await stage.locks() == []


@pytest.mark.parametrize("stage", ["github"], indirect=True)
async def test_the_owner_keeps_it_by_a_click(stage: Stage) -> None:
    message = await reminded(stage)

    clicked = await stage.hands.click(message, "lock.keep")
    answered = await clicked.later()

    assert answered["replace_original"] is True
    assert "Kept locked by Ada: *shop/web*" in words_of(answered)
    await until(stage.locks, lambda found: found[0].remind_at > time.time() + 5 * DAY)


@pytest.mark.parametrize("stage", ["github"], indirect=True)
async def test_who_may_not_lock_settles_nothing(stage: Stage) -> None:
    message = await reminded(stage)
    stage.slack.person("U0EVE", "Eve", is_restricted=True)

    clicked = await stage.hands.click(message, "lock.release", user="U0EVE")
    answered = await clicked.later()

    assert answered["replace_original"] is False
    assert len(await stage.locks()) == 1
    audited = await stage.world.stores.journal.audited(limit=9)
    refused = [(one.what, one.outcome) for one in audited if one.by.id == "U0EVE"]
    assert refused == [("unlock", "refused: no right to lock")]
