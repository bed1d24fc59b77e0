"""A push waits for checks: red is held, and the event of a green re-run lets it deploy."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bridge.app.wiring import NO_PUBLISHERS
from bridge.core.lifecycle import Deployment
from bridge.pipeline.gates.ci import FIRST
from tests.fakes.checks import ACTIONS, run_of, status_of
from tests.fakes.github import FakeGithub
from tests.fakes.gitlab import FakeGitlab
from tests.fakes.host import FakeHook, FakeRepository
from tests.worlds.bridge import SECRET, TOKEN, Origin, World, running_world
from tests.worlds.embedded import Repository, git_server, until
from tests.worlds.feedback import make_app

NAME = "my-org/mono"
ALL = "{need: all}"
GITHUB = pytest.mark.parametrize("stage", ["github"], indirect=True)
GITLAB = pytest.mark.parametrize("stage", ["gitlab"], indirect=True)
FAKES: dict[str, type[FakeGithub | FakeGitlab]] = {"github": FakeGithub, "gitlab": FakeGitlab}


@dataclass
class Stage:
    """A bridge, a Git host with CI, and a repository that both know."""

    world: World
    fake: FakeGithub | FakeGitlab
    origin: Origin
    theirs: FakeRepository
    hook: FakeHook

    async def push(self, text: str, state: str | None = "failed") -> str:
        """Push a new page, whose CI is in that state at once; None: there is none yet."""
        before = self.origin.head("main")
        after = self.origin.repository.commit(f"feat: {text}", {"web/index.html": text})
        if state is not None:
            self.report(state)
        said = self.origin.payload("refs/heads/main", before, after)
        said["project" if self.fake.name == "gitlab" else "repository"] |= self.page
        answer = await self.world.hook(self.fake.name, said)
        assert answer.status_code == 202
        return after

    @property
    def pending(self) -> str:
        """The host's word for a check that runs."""
        return "running" if self.fake.name == "gitlab" else "in_progress"

    @property
    def page(self) -> dict[str, str]:
        """The address of the repository's page."""
        key = "web_url" if self.fake.name == "gitlab" else "html_url"
        return {key: self.origin.url.removesuffix(".git")}

    def report(self, state: str) -> dict[str, Any]:
        """Have CI run again, and end so; return what its webhook says."""
        sha, checks = self.origin.head("main"), self.theirs.checks
        if isinstance(self.fake, FakeGitlab):
            pipeline = checks.pipeline(sha, state)
            checks.run(sha, "build", state, pipeline=pipeline.id)
            about = {"id": pipeline.id, "sha": sha, "source": "push", "status": state}
            project = {"id": self.theirs.id, "path_with_namespace": NAME} | self.page
            return {"object_kind": "pipeline", "object_attributes": about, "project": project}
        run = checks.run(sha, "build", "failure" if state == "failed" else state)
        ours = {"id": self.theirs.id, "name": "mono", "full_name": NAME} | self.page
        return {"action": "completed", "check_run": run_of(run), "repository": ours}

    async def tell(self, said: dict[str, Any]) -> None:
        event = "Pipeline Hook" if self.fake.name == "gitlab" else "check_run"
        sent = await self.fake.send(self.hook, event, said)
        assert 200 <= sent.status < 300

    async def held(self, commit: str, says: str = "checks failed") -> Deployment:
        """Wait until the deployment of a commit is held, for a reason that says this."""

        async def of_commit() -> Deployment | None:
            found = [one for one in await self.world.deployments() if one.commit == commit]
            return found[0] if found else None

        def is_held(one: Deployment | None) -> bool:
            return one is not None and any(says in hold.says for hold in one.holds)

        found = await until(of_commit, is_held)
        assert found is not None
        return found

    async def read_again(self) -> None:
        """Wait until the checks were listed once more."""
        before = self.lists

        async def lists() -> int:
            return self.lists

        await until(lists, lambda count: count > before)

    @property
    def lists(self) -> int:
        return sum(one.path.partition("?")[0].endswith("/check-runs") for one in self.fake.asked)


@pytest.fixture(params=FAKES)
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    """A stage whose apps wait for all checks, or as a test says by `with_checks`."""
    marker = request.node.get_closest_marker("with_checks")
    checks = ALL if marker is None else marker.args[0]
    root = tmp_path / "served"
    repository = Repository.make(root / f"{NAME}.git", {"web/index.html": "first"})
    async with git_server(root) as server, FAKES[request.param]() as fake:
        origin = Origin(repository, fake.name, NAME, 4711, f"{server.url}/{NAME}.git")
        there = {f"BRIDGE_{fake.name.upper()}_WEB_URL": server.url}
        settings = fake.settings | there | {"BRIDGE_RULES": f"[{{apps: shop/*, checks: {checks}}}]"}
        async with running_world(tmp_path / "bridge", NO_PUBLISHERS, **settings) as world:
            await make_app(world, origin)
            theirs = fake.repository(NAME, id=4711, git=repository.path)
            secret = TOKEN if fake.name == "gitlab" else SECRET
            hook = fake.hook(theirs, f"{world.bridge.url}/hooks/{fake.name}", secret)
            yield Stage(world, fake, origin, theirs, hook)


def waited(ended: Deployment) -> float:
    """Return for how long it was held, which a test may come too late to see."""
    assert ended.intent_at is not None
    return ended.intent_at - ended.created_at


@pytest.mark.journey
async def test_a_red_check_holds_and_the_event_of_a_green_one_deploys(stage: Stage) -> None:
    commit = await stage.push("second")
    held = await stage.held(commit)
    assert held.intent_at is None
    assert "build" in held.holds[0].says

    await stage.tell(stage.report("failed"))  # red again
    await stage.held(commit)
    said = stage.report("success")
    began = time.time()
    await stage.tell(said)
    (ended,) = await stage.world.ended(1)

    assert (ended.state, ended.commit) == ("done", commit), ended.note
    assert ended.intent_at is not None
    assert 0 <= ended.intent_at - began < FIRST / 2, "no poll has found it"


@GITHUB
async def test_a_list_with_a_missing_page_holds_and_says_so(stage: Stage) -> None:
    stage.fake.lists_at_most = 0
    commit = await stage.push("second", "success")
    held = await stage.held(commit, "a page is missing")
    assert held.intent_at is None

    stage.fake.lists_at_most = None
    await stage.tell(stage.report("success"))
    (ended,) = await stage.world.ended(1)

    assert (ended.state, ended.commit) == ("done", commit), ended.note


@GITLAB
@pytest.mark.with_checks("{need: all, timeout: 1s}")
async def test_what_is_pending_for_too_long_stays_held_and_says_so(stage: Stage) -> None:
    commit = await stage.push("second", stage.pending)
    held = await stage.held(commit, "waited already for 1 s")
    assert "waits for checks" in held.holds[0].says
    assert held.intent_at is None

    await stage.tell(stage.report("success"))
    assert (await stage.world.ended(1))[0].state == "done"


@GITHUB
@pytest.mark.with_checks("required")
async def test_a_status_of_the_same_name_is_not_the_check_that_the_branch_requires(
    stage: Stage,
) -> None:
    stage.theirs.checks.required["main"] = [("build", ACTIONS)]
    commit = await stage.push("second", None)
    await stage.held(commit, "waits for checks")

    status = status_of(commit, "build", "success", by="mallory")
    stage.theirs.statuses.append(status)
    ours = {"id": stage.theirs.id, "name": "mono", "full_name": NAME} | stage.page
    event = {"id": 1, "sha": commit, "context": "build", "state": "success", "repository": ours}
    sent = await stage.fake.send(stage.hook, "status", event)
    assert sent.status == 202
    await stage.read_again()
    await stage.held(commit, "build (app 15368)")

    await stage.tell(stage.report("success"))
    (ended,) = await stage.world.ended(1)
    assert ended.deployed_commit == commit
