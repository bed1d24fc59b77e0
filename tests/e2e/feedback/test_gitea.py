"""A push to a Gitea, from real git to what people see there; and two Giteas that are alike."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fakes.gitea import FakeGitea
from tests.fakes.host import FakeRepository, FakeSending
from tests.worlds.bridge import SECRET, World, running_world
from tests.worlds.embedded import Repository, git_server, until
from tests.worlds.feedback import QUICKLY, comment_with, nothing_due

NAME, ID = "my-org/mono", 1
SECOND = "a secret of the second server"


@dataclass
class Server:
    """A Gitea with one repository, which can be cloned.

    Attributes:
        path: of its webhooks at the bridge.
    """

    fake: FakeGitea
    git: Repository
    theirs: FakeRepository
    path: str
    secret: str
    sent: list[FakeSending] = field(default_factory=list)

    @property
    def clone_url(self) -> str:
        return f"{self.fake.web_url}/{NAME}.git"

    def settings(self) -> dict[str, str]:
        found = {"url": self.fake.url, "web_url": self.fake.web_url, "token": self.fake.token}
        return found | {"webhook_secrets": self.secret}

    async def push(self, world: World, files: dict[str, str], *, path: str = "") -> str:
        """Commit to main and send its webhook; return the delivery's id."""
        before = self.git.git("rev-parse", "main")
        self.git.commit("feat: next", files)
        return await self.send(world, self.fake.push_of(self.theirs, "main", before), path=path)

    async def send(self, world: World, payload: dict[str, Any], *, path: str = "") -> str:
        hook = self.fake.hook(self.theirs, f"{world.bridge.url}{path or self.path}", self.secret)
        self.sent.append(await self.fake.send(hook, "push", payload))
        return self.sent[-1].delivery


async def opened(stack: AsyncExitStack, folder: Path, path: str, secret: str) -> Server:
    root = folder / path.replace("/", "-")
    git = Repository.make(root / f"{NAME}.git", {"web/index.html": "first"})
    url = (await stack.enter_async_context(git_server(root))).url
    fake = await stack.enter_async_context(FakeGitea(url))
    return Server(fake, git, fake.repository(NAME, id=ID, git=git.path), path, secret)


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[tuple[Server, Server]]:
    """Two Giteas, each with a repository of the same name and number."""
    async with AsyncExitStack() as stack:
        yield (
            await opened(stack, tmp_path, "/hooks/gitea", SECRET),
            await opened(stack, tmp_path, "/hooks/gitea/second", SECOND),
        )


@pytest.fixture
def one(servers: tuple[Server, Server]) -> Server:
    return servers[0]


@pytest.fixture
def further() -> dict[str, Any]:
    return {}


@pytest.fixture
async def world(
    tmp_path: Path,
    servers: tuple[Server, Server],
    further: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[World]:
    monkeypatch.setattr("bridge.githosts.feedback.subscriptions.LOOKS_AGAIN", (0.05, 0.05))
    first, second = servers
    given: dict[str, Any] = {
        f"BRIDGE_GITEA_{name.upper()}": value for name, value in first.settings().items()
    }
    given["BRIDGE_GITEAS"] = yaml.safe_dump({"second": second.settings()})
    async with running_world(tmp_path / "bridge", **given, **QUICKLY, **further) as running:
        yield running


async def app_of(
    world: World, server: Server, name: str = "web", watch: list[str] | None = None
) -> None:
    assert world.backend is not None
    app = await world.backend.app(name, server.clone_url, publishDirectory="web")
    await world.backend.save_git(app["applicationId"], server.clone_url, watchPaths=watch)


async def test_a_push_deploys_and_its_pull_request_and_commit_show_it(
    world: World, one: Server
) -> None:
    await app_of(world, one)
    pull = one.theirs.open_pull("main", base="release")

    await one.push(world, {"web/index.html": "<h1>second</h1>"})

    (deployment,) = await world.ended(1)
    body = await comment_with(pull, "✅ deployed")
    await nothing_due(world)
    head = one.git.git("rev-parse", "main")
    assert deployment.deployed_commit == head
    assert "| ✅ deployed |" in body
    assert f" | {head[:7]} | " in body
    assert len(pull.comments) == 1
    assert {one_["context"] for one_ in one.theirs.statuses} == {"dokploy/shop/web"}
    assert [one_["state"] for one_ in one.theirs.statuses][-1] == "success"
    assert {one_["sha"] for one_ in one.theirs.statuses} == {head}


@pytest.mark.parametrize("path", ["/hooks/gitea/third", "/hooks/forgejo", "/hooks/gitea"])
async def test_a_server_at_the_wrong_path_is_told_the_paths_of_all_of_its_kind(
    world: World, servers: tuple[Server, Server], path: str
) -> None:
    _, second = servers
    sent = second.fake.prepared(
        second.fake.hook(second.theirs, "", SECOND), "push", {"ref": "refs/heads/main"}
    )

    answer = await world.web.post(path, content=second.fake.body_of(sent), headers=sent.headers)

    assert answer.status_code == (401 if path == "/hooks/gitea" else 404)
    error = answer.json()["error"]
    assert error.endswith("; Gitea's webhooks go to /hooks/gitea or /hooks/gitea/second")


async def test_an_id_and_a_name_of_one_server_are_never_taken_for_another_s(
    world: World, servers: tuple[Server, Server]
) -> None:
    first, second = servers
    await app_of(world, first, "first")
    await app_of(world, second, "second")
    pulls = [server.theirs.open_pull("main", base="release") for server in servers]

    await second.push(world, {"web/index.html": "<h1>second</h1>"})

    (deployment,) = await world.ended(1)
    assert deployment.app == "shop/second"
    await comment_with(pulls[1], "✅ deployed")
    await nothing_due(world)
    assert pulls[0].comments == []
    assert first.fake.writes() == 0
    assert second.theirs.statuses[-1]["state"] == "success"


async def test_a_server_can_sign_for_no_other(world: World, servers: tuple[Server, Server]) -> None:
    first, second = servers
    await app_of(world, first)
    before = first.git.git("rev-parse", "main")
    first.git.commit("feat: forged", {"web/index.html": "forged"})
    forged = first.fake.push_of(first.theirs, "main", before)

    at_its_own = await second.send(world, forged)
    await second.send(world, forged, path="/hooks/gitea")

    kept = await until(
        lambda: world.stores.inbox.find("gitea/second", at_its_own),
        lambda found: found is not None and found.state == "failed",
    )
    assert kept is not None
    assert "which is not the configured Gitea at" in (kept.error or "")
    assert "giteas.second.web_url" in (kept.error or "")
    assert [one_.status for one_ in second.sent] == [202, 401]
    assert await world.deployments() == []


@pytest.mark.parametrize("further", [{"BRIDGE_CATCHUP_EVERY": "0.2", "BRIDGE_CATCHUP_GRACE": "0"}])
async def test_a_branch_that_moved_without_a_webhook_is_found_where_it_is(
    world: World, servers: tuple[Server, Server], further: dict[str, str]
) -> None:
    _, second = servers
    await app_of(world, second)
    await second.push(world, {"web/index.html": "known"})
    await world.ended(1)
    second.git.commit("feat: untold", {"web/index.html": "<h1>untold</h1>"})

    _, found = await world.ended(2)

    assert found.trigger == "push, found by reconciliation"
    assert found.commit == second.git.git("rev-parse", "main")
