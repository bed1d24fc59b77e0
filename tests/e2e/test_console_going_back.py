"""*Replay as it was* and *Roll back to this*: the version of then, or why not; over HTTP."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from bridge.core.events import Action
from bridge.core.lifecycle import State
from bridge.embedded.storage.history import KEPT
from tests.fakes.github import FakeGithub
from tests.worlds.bridge import Origin
from tests.worlds.console import ConsoleWorld, console_world, replayed, sent
from tests.worlds.embedded import GitServer, Repository, git_server

NAME = "my-org/mono"


async def test_an_older_push_comes_back_as_it_was_built(tmp_path: Path, origin: Origin) -> None:
    async with console_world(tmp_path / "bridge") as console, console.browsing() as web:
        await console.deployed(origin, ["feat: one", "feat: two"])
        first, second = await console.world.deployments()
        one, two = (str(it.deployed_commit)[:7] for it in (first, second))

        shown = await replayed(web, first.seq)

        assert f"go back from {two} to {one}: serve again what was built then" in shown.text
        assert "afterwards shop/web is locked" in shown.text
        back = (await console.world.ended(3))[-1]
        assert (back.action, back.state, back.target) == (Action.ROLLBACK, State.DONE, first.id)
        assert back.deployed_commit == first.deployed_commit


@dataclass
class Hosted:
    """A bridge that asks GitHub for the heads of branches, and the owner's browser."""

    console: ConsoleWorld
    web: httpx.AsyncClient
    origin: Origin
    github: FakeGithub
    server: GitServer


@pytest.fixture
async def hosted(tmp_path: Path) -> AsyncIterator[Hosted]:
    root = tmp_path / "served"
    repository = Repository.make(root / f"{NAME}.git", {"web/index.html": "first"})
    async with git_server(root) as server, FakeGithub() as github:
        github.repository(NAME, id=4711, git=repository.path)
        origin = Origin(repository, "github", NAME, 4711, f"{server.url}/{NAME}.git")
        given = github.settings | {"BRIDGE_GITHUB_WEB_URL": server.url}
        async with (
            console_world(tmp_path / "bridge", **given) as console,
            console.browsing() as web,
        ):
            yield Hosted(console, web, origin, github, server)


async def test_where_the_head_is_another_one_by_now_it_is_not_built(hosted: Hosted) -> None:
    """The webhook of the newer push is late; then the app's source is another repository."""
    app_id = await hosted.console.deployed(hosted.origin)
    (first,) = await hosted.console.world.deployments()
    one = str(first.commit)[:7]
    newer = hosted.origin.repository.commit("feat: two", {"web/index.html": "two"})

    assert (
        f"the head of main, which is {newer[:7]} now, not {one}; {one} is what is served"
        in (await replayed(hosted.web, first.seq)).text
    )

    other = Repository.make(hosted.server.root / "my-org/other.git", {"web/index.html": "other"})
    hosted.github.repository("my-org/other", id=4712, git=other.path)
    url = f"{hosted.server.url}/my-org/other.git"
    assert hosted.console.world.backend is not None
    await hosted.console.world.backend.save_git(app_id, url)
    foreign = Origin(other, "github", "my-org/other", 4712, url)
    await hosted.console.world.commit(foreign, "feat: other", {"web/index.html": "another"})
    theirs = (await hosted.console.world.ended(2))[-1]

    shown = await replayed(hosted.web, first.seq)

    assert f"go back from {str(theirs.commit)[:7]} to {one}: serve again what was" in shown.text
    back = (await hosted.console.world.ended(3))[-1]
    assert (back.action, back.deployed_commit) == (Action.ROLLBACK, first.commit)


async def test_without_a_credential_for_its_host_no_head_is_built(
    tmp_path: Path, origin: Origin
) -> None:
    async with console_world(tmp_path / "bridge") as console, console.browsing() as web:
        await console.deployed(origin)
        (first,) = await console.world.deployments()

        refused = await replayed(web, first.seq)

        assert "builds the head of main, and its source is no branch of a Git" in refused.text
        assert len(await console.world.deployments()) == 1


async def test_where_that_commit_can_not_be_built_nothing_else_is(hosted: Hosted) -> None:
    console, web, origin = hosted.console, hosted.web, hosted.origin
    await console.deployed(origin)
    before = origin.head()
    origin.repository.git("mv", "web", "elsewhere")
    broken = origin.repository.commit("fix: break it")
    await console.world.push(origin, "refs/heads/main", before, broken)
    failed = (await console.world.ended(2))[-1]
    assert failed.state is State.FAILED
    origin.repository.git("mv", "elsewhere", "web")
    fixed = origin.repository.commit("fix: mend it")
    await console.world.push(origin, "refs/heads/main", broken, fixed)
    await console.world.ended(3)

    refused = await replayed(web, failed.seq)

    assert refused.status_code == 400
    says = f"embedded builds the head of main, which is {fixed[:7]} now, not {broken[:7]}"
    assert f"shop/web can&#39;t be deployed as it was: {says}" in refused.text
    assert "`dokploy-bridge pin shop/web`" in refused.text
    assert len(await console.world.deployments()) == 3


# ── going back from the page of a deployment ─────────────────────────────────


async def test_the_page_of_an_old_deployment_leads_back_to_that_very_one(
    tmp_path: Path, origin: Origin
) -> None:
    async with console_world(tmp_path / "bridge") as console, console.browsing() as web:
        await console.deployed(origin, ["feat: one", "feat: two", "feat: three"])
        first, _, last = await console.world.deployments()
        assert first.deployed_commit
        assert last.deployed_commit
        page = await web.get(f"/console/deployments/{first.id}")

        shown = await sent(web, page, "Roll back to this…")

        went = f"go back from {last.deployed_commit[:7]} to {first.deployed_commit[:7]}"
        assert went in shown.text
        assert f'href="/console/deployments/{first.id}">Keep it as it is' in shown.text
        assert len(await console.world.deployments()) == 3  # it is only shown

        assert (await sent(web, shown, "Roll back</button>")).status_code == 303
        back = (await console.world.ended(4))[-1]
        assert (back.action, back.state, back.target) == (Action.ROLLBACK, State.DONE, first.id)
        assert back.deployed_commit == first.deployed_commit
        again = (await web.get(f"/console/deployments/{first.id}")).text
        assert "Roll back to this…" not in again
        assert "<dt>Roll back to this</dt><dd>not possible: it is what is live</dd>" in again


async def test_where_a_version_can_not_be_gone_back_to_the_page_says_why(
    tmp_path: Path, origin: Origin
) -> None:
    async with console_world(tmp_path / "bridge") as console, console.browsing() as web:
        await console.deployed(origin, [f"feat: {number}" for number in range(KEPT + 1)])
        first, *_ = await console.world.deployments()
        before = origin.head()
        origin.repository.git("mv", "web", "elsewhere")
        await console.world.push(
            origin, "refs/heads/main", before, origin.repository.commit("fix: break it")
        )
        failed = (await console.world.ended(KEPT + 2))[-1]
        assert failed.state is State.FAILED

        page = await web.get(f"/console/deployments/{first.id}")
        refused = await sent(web, page, "Roll back to this…")
        of_failed = (await web.get(f"/console/deployments/{failed.id}")).text

        assert refused.status_code == 400
        assert "shop/web can&#39;t go back: the backend has kept newer builds" in refused.text
        assert "<dd>not possible: it brought no version (failed)</dd>" in of_failed
        *_, before_live, live, _ = await console.world.deployments()
        assert f"<code>{(live.deployed_commit or '')[:7]}</code></a> stays live." in of_failed
        assert '<span class="line failing">' in of_failed
        assert f"Roll back to {(before_live.deployed_commit or '')[:7]}…" in of_failed
        assert len(await console.world.deployments()) == KEPT + 2
