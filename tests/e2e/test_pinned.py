"""A pinned app, from the command to the page: real git, and a host whose API moves its branches."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from bridge.app.stored_settings import note_settings
from bridge.app.wiring import NO_PUBLISHERS
from bridge.core.events import Action
from bridge.core.lifecycle import State
from bridge.settings import read_settings
from tests.fakes.github import FakeGithub
from tests.fakes.gitlab import FakeGitlab
from tests.fakes.host import FakeRepository
from tests.worlds.bridge import ZERO, Origin, World, running_world
from tests.worlds.console import ConsoleWorld, replayed
from tests.worlds.embedded import GitServer, Repository, git_server, until
from tests.worlds.processes import PIPE, STDOUT, start_bridge
from tests.worlds.sites import page

NAME = "my-org/mono"
FAKES: dict[str, type[FakeGithub | FakeGitlab]] = {"github": FakeGithub, "gitlab": FakeGitlab}
ROOT = Path(__file__).parents[2]
GITHUB = pytest.mark.parametrize("stage", ["github"], indirect=True)


@dataclass
class Stage:
    """A running bridge with an app, its Git host, and the repository that is cloned."""

    world: World
    fake: FakeGithub | FakeGitlab
    origin: Origin
    theirs: FakeRepository
    server: GitServer
    app: dict[str, str]
    environment: dict[str, str]

    async def run(self, *words: str, code: int = 0) -> str:
        """Call a command of another process with the same data; return what it prints."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("BRIDGE_")}
        process = await start_bridge(
            *words,
            cwd=Path.cwd(),
            env=kept | {"PYTHONPATH": str(ROOT)} | self.environment,
            stdout=PIPE,
            stderr=STDOUT,
        )
        told, _ = await process.communicate()
        assert process.returncode == code, told.decode()
        return told.decode()

    @property
    def pin(self) -> str:
        return f"bridge/web/{self.app['applicationId']}"

    def heads(self) -> dict[str, str]:
        form = "--format=%(refname:short) %(objectname)"
        listed = self.origin.repository.git("for-each-ref", form, "refs/heads").splitlines()
        return dict(line.split() for line in listed)

    async def push(self, text: str) -> str:
        """Push a new page to `main`."""
        before = self.origin.head("main")
        after = self.origin.repository.commit(f"feat: {text}", {"web/index.html": text})
        await self.tell("main", before, after)
        return after

    async def tell(self, branch: str, before: str, after: str) -> str:
        """Deliver the webhook of a push; return its id."""
        said = self.origin.payload(f"refs/heads/{branch}", before, after)
        answer = await self.world.hook(self.fake.name, said)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["delivery"])


@pytest.fixture(params=FAKES)
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    root = tmp_path / "served"
    repository = Repository.make(root / f"{NAME}.git", {"web/index.html": "first"})
    async with git_server(root) as server, FAKES[request.param]() as fake:
        origin = Origin(repository, fake.name, NAME, 4711, f"{server.url}/{NAME}.git")
        settings = fake.settings | {f"BRIDGE_{fake.name.upper()}_WEB_URL": server.url}
        data = tmp_path / "bridge"
        async with running_world(data, NO_PUBLISHERS, **settings) as world:
            assert world.backend is not None
            app = await world.backend.app("web", origin.clone_url, publishDirectory="web")
            theirs = fake.repository(NAME, id=4711, git=repository.path)
            given = settings | {"BRIDGE_DATA": str(data)}
            await note_settings(read_settings(None, given), world.stores.journal)
            yield Stage(world, fake, origin, theirs, server, app, given)


@GITHUB
async def test_a_commit_that_lands_before_the_clone_is_not_built(stage: Stage) -> None:
    told = await stage.run("pin", "shop/web", "--yes")
    assert f"pinned: shop/web tracks main, and embedded builds {stage.pin}" in told
    assert stage.heads()[stage.pin] == stage.origin.head("main")

    stage.server.gate.clear()
    second = await stage.push("second")
    await until(_is(lambda: stage.server.waiting), bool)  # it is about to clone
    third = stage.origin.repository.commit("feat: third", {"web/index.html": "third"})
    stage.server.gate.set()
    (ended,) = await stage.world.ended(1)

    assert (ended.state, ended.head, ended.deployed_commit) == ("done", second, second), ended.note
    assert await page(stage.world, stage.app) == "second"
    assert stage.heads() == {"main": third, stage.pin: second}


@GITHUB
async def test_pushes_of_our_own_branches_deploy_nothing_and_say_so(stage: Stage) -> None:
    await stage.run("pin", "shop/web", "--yes")
    head = stage.origin.head("main")

    for before, after in ((ZERO, head), (head, ZERO)):
        told = await stage.tell(stage.pin, before, after)
        assert await stage.world.reasons(told, stage.fake.name) == {"shop/web": "own_branch"}

    await stage.push("second")
    (ended,) = await stage.world.ended(1)
    assert ended.state == "done"
    assert "no_watch_paths" in await stage.run("why", "shop/web")
    assert "own_branch" not in await stage.run("why", "shop/web")
    assert "the bridge's own branch" in await stage.run("why", "shop/web", head[:7])


@GITHUB
async def test_what_was_interrupted_is_completed_by_asking_again(stage: Stage) -> None:
    await stage.run("pin", "shop/web", "--yes")
    stage.origin.repository.git("update-ref", "-d", f"refs/heads/{stage.pin}")
    await stage.run("pin", "shop/web", "--yes")
    assert set(stage.heads()) == {"main", stage.pin}

    await stage.run("unpin", "shop/web", "--yes")
    stage.theirs.put_branch(stage.pin, stage.origin.head("main"))
    await stage.run("unpin", "shop/web", "--yes")
    assert set(stage.heads()) == {"main"}


@GITHUB
async def test_doctor_and_the_settings_say_what_is_missing(stage: Stage) -> None:
    await stage.run("pin", "shop/web", "--yes")
    told = await stage.run("doctor", code=1)
    assert f"builds {stage.pin}, which tracks main [app.pin]" in told

    await stage.run("provider", "set", "git", "shop/web", "--branch", "main", "--yes")
    told = await stage.run("doctor", code=1)
    assert "a rule pins it, and embedded does not build its own branch: nothing deploys" in told

    stage.environment["BRIDGE_RULES"] = "[{apps: shop/web, pin: true}]"
    told = await stage.run("config", "check")
    assert "rules.0.pin: a pinned app tracks one branch, and `branch` names none" in told
    told = await stage.run("unpin", "shop/web", "--yes", code=2)
    assert "bridge.yaml pins shop/web, and wins" in told


def _is(look: Callable[[], int]) -> Callable[[], Awaitable[int]]:
    async def now() -> int:
        return look()

    return now


@GITHUB
async def test_a_version_is_promoted_and_what_came_later_is_not(stage: Stage) -> None:
    assert stage.world.backend is not None
    live = await stage.world.backend.app("live", stage.origin.clone_url, publishDirectory="web")
    await stage.push("first of both")
    await stage.world.ended(2)
    await stage.run("pin", "shop/live", "--yes")
    await stage.run("lock", "shop/live", "-m", "only what was tried in shop/web")
    second = await stage.push("second")
    journal = stage.world.stores.journal
    of_web = lambda: journal.deployments(limit=1, app_id=stage.app["applicationId"])  # noqa: E731
    await until(of_web, lambda those: those[0].deployed_commit == second and those[0].final)
    stage.origin.repository.commit("feat: third", {"web/index.html": "third"})

    plan = await stage.run("promote", "shop/live", "from", "shop/web", "--plan")
    told = await stage.run("promote", "shop/live", "from", "shop/web", "--yes", "--follow")

    assert f"build {second[:7]} again for shop/live, as it was built for shop/web" in plan
    assert "it is a rebuild" in plan
    assert "it will be held" not in plan  # the lock is of the same person
    assert f"commit {second[:7]} went live" in told
    assert await page(stage.world, live) == "second"
    again = await stage.run("promote", "shop/live", "from", "shop/web", "--yes", code=2)
    assert f"shop/live runs {second[:7]} already" in again
    (newest,) = await journal.deployments(limit=1, app_id=live["applicationId"])
    assert (newest.deployed_commit, newest.pinned, newest.way) == (second, second, "pin")


@GITHUB
async def test_an_older_push_is_replayed_as_it_was_and_takes_no_newer_ones_place(
    stage: Stage,
) -> None:
    await stage.run("pin", "shop/web", "--yes")
    first = await stage.push("first")
    await stage.world.ended(1)
    await stage.push("second")
    await stage.world.ended(2)
    (of_first, _) = await stage.world.deployments()
    await stage.run("lock", "shop/web", "-m", "third waits")
    third = await stage.push("third")
    await until(stage.world.deployments, lambda those: those[-1].state is State.HELD)

    async with ConsoleWorld(stage.world).browsing() as web:
        shown = await replayed(web, of_first.seq)
        assert f"shop/web: build {first[:7]} again, from the pinned branch" in shown.text
        await until(stage.world.deployments, lambda those: len(those) == 4)
        of_third, again = (await stage.world.deployments())[2:]
        assert (of_third.state, of_third.commit) == (State.HELD, third)
        await stage.run("unlock", "shop/web")
    *_, of_third, again = await stage.world.ended(4)

    assert (of_third.state, of_third.deployed_commit) == (State.DONE, third)
    assert (again.action, again.state, again.pinned) == (Action.DEPLOY, State.DONE, first)
    assert again.deployed_commit == first
