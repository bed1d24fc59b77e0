"""A push, and what people see of it on its Git host, whichever that is."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.githosts import HOSTS
from tests.fakes.github import FakeGithub
from tests.fakes.gitlab import FakeGitlab
from tests.fakes.host import FakeHost, FakeRepository, Spoil
from tests.worlds.bridge import ZERO, Origin, World, running_world
from tests.worlds.feedback import QUICKLY, comment_with, decided, make_app, nothing_due, states

pytestmark = pytest.mark.journey

FAKES: dict[str, type[FakeGithub | FakeGitlab]] = {"github": FakeGithub, "gitlab": FakeGitlab}
NAMES = {"github": "my-org/mono", "gitlab": "my-group/sub/mono"}


@pytest.fixture(params=FAKES)
async def fake(request: pytest.FixtureRequest) -> AsyncIterator[FakeGithub | FakeGitlab]:
    async with FAKES[request.param]() as host:
        yield host


@pytest.fixture
def origin(origin: Origin, fake: FakeHost) -> Origin:
    """The origin as a repository of the host's."""
    return replace(origin, host=fake.name, name=NAMES[fake.name])


@pytest.fixture
def theirs(fake: FakeHost, origin: Origin) -> FakeRepository:
    """The origin as the host has it."""
    return fake.repository(origin.name, id=origin.id, git=origin.repository.path)


@pytest.fixture
def further() -> dict[str, str]:
    """Settings besides."""
    return {}


@pytest.fixture
async def world(
    tmp_path: Path,
    fake: FakeGithub | FakeGitlab,
    further: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[World]:
    """A bridge that writes there as fast as it can, and soon looks again for pull requests."""
    monkeypatch.setattr("bridge.githosts.feedback.subscriptions.LOOKS_AGAIN", (0.05, 0.05))
    for host, provider in HOSTS.items():
        monkeypatch.setitem(HOSTS, host, replace(provider, limits=()))
    settings: dict[str, Any] = fake.settings | QUICKLY | further
    async with running_world(tmp_path / "bridge", **settings) as running:
        yield running


COMMENTS = {"github": r"/issues/(\d+/)?comments", "gitlab": r"/notes$"}

TROUBLE: dict[str, Spoil | dict[str, Spoil]] = {
    "limit": {
        "github": Spoil(
            status=403, headers={"Retry-After": "1"}, body={"message": "secondary rate limit"}
        ),
        "gitlab": Spoil(status=429, headers={"Retry-After": "1"}, body={"message": "too many"}),
    },
    "502": Spoil(status=502, body={"message": "Unicorn!"}),
    "hangs": Spoil(hang=True),
    "is done and lost": Spoil(lose=True),
}


async def test_one_comment_and_a_deployment_go_through_the_states_of_a_push(
    world: World, origin: Origin, theirs: FakeRepository
) -> None:
    await make_app(world, origin)
    pull = theirs.open_pull("main", base="release")

    await world.commit(origin, "feat: second\n\n/merge\n@all", {"web/index.html": "2"})

    body = await comment_with(pull, "✅ deployed")
    await nothing_due(world)
    head = origin.head()
    assert states(body) == "✅ deployed"
    assert f" | {head[:7]} | " in body
    assert body.startswith("<!-- dokploy-bridge:")
    assert [line for line in body.splitlines() if line.lstrip().startswith("/")] == []
    (comment,) = pull.comments
    assert len(comment.history) >= 1
    assert states(comment.history[-1]) == "✅ deployed"
    (made,) = theirs.deployments.values()
    assert (made.sha, made.environment) == (head, "production/shop/web")
    assert made.states[-1]["state"] == "success"


async def test_a_second_push_edits_the_comment_of_the_first(
    world: World, origin: Origin, theirs: FakeRepository
) -> None:
    await make_app(world, origin, watch=["web/**"])
    pull = theirs.open_pull("main", base="release")
    await world.commit(origin, "feat: second", {"web/index.html": "2"})
    first = origin.head()
    await comment_with(pull, "✅ deployed")

    await world.commit(origin, "docs: third", {"docs/read.md": "3"})

    body = await comment_with(pull, "not deployed by the newest push")
    # what the older push deployed is still what runs, and says so
    assert f" | {first[:7]} | " in body
    assert "- `shop/web`: no watched path changed (`1 file changed, none matches web/**" in body
    await nothing_due(world)
    assert len(pull.comments) == 1


async def test_nothing_is_written_where_no_app_waits_for_the_branch(
    world: World, origin: Origin, theirs: FakeRepository, fake: FakeHost
) -> None:
    await make_app(world, origin)
    origin.repository.git("branch", "topic")
    theirs.open_pull("topic")

    id_ = await world.push(origin, "refs/heads/topic", ZERO, origin.head())

    assert await world.reasons(id_, fake.name) == {"shop/web": "branch_mismatch"}
    await nothing_due(world)
    assert fake.writes() == 0


@pytest.mark.parametrize(
    ("fake", "trouble"),
    [
        ("github", "limit"),
        ("gitlab", "limit"),
        ("github", "502"),
        ("gitlab", "hangs"),
        ("github", "is done and lost"),
        ("gitlab", "is done and lost"),
    ],
    indirect=["fake"],
)
async def test_a_host_in_trouble_delays_no_deployment_and_the_comment_is_right_in_the_end(
    world: World, origin: Origin, theirs: FakeRepository, fake: FakeHost, trouble: str
) -> None:
    spoil = TROUBLE[trouble]
    spoil = spoil[fake.name] if isinstance(spoil, dict) else spoil
    await make_app(world, origin)
    pull = theirs.open_pull("main", base="release")
    fake.spoil(spoil, times=3)
    fake.spoil(spoil, method="POST", path=COMMENTS[fake.name], times=1)

    await world.commit(origin, "feat: second", {"web/index.html": "2"})
    async with asyncio.timeout(5):
        (deployment,) = await world.ended(1)
    assert deployment.state == "done"
    fake.mend()

    await comment_with(pull, "✅ deployed")
    await nothing_due(world)
    assert len(pull.comments) == 1
    (made,) = theirs.deployments.values()
    assert made.states[-1]["state"] == "success"


# ── what only GitHub shows, and which files it says have changed ─────────────

ON_GITHUB = pytest.mark.parametrize("fake", ["github"], indirect=True)


@ON_GITHUB
@pytest.mark.parametrize("further", [{"BRIDGE_GITHUB_SKIPPED_STATUS": "true"}])
async def test_each_app_that_deploys_has_a_status_and_a_skipped_one_where_asked_for(
    world: World, origin: Origin, theirs: FakeRepository
) -> None:
    await make_app(world, origin, watch=["web/**"])
    await world.commit(origin, "feat: second", {"web/index.html": "2"})
    await world.ended(1)
    await nothing_due(world)
    first = origin.head()
    assert [one["state"] for one in theirs.statuses if one["sha"] == first][-1] == "success"
    assert {one["context"] for one in theirs.statuses} == {"dokploy/shop/web"}

    skipped = await world.commit(origin, "docs: third", {"docs/read.md": "3"})
    assert (await decided(world, skipped))[0] == "no_path_hit"
    await nothing_due(world)

    said = {
        "sha": origin.head(), "state": "success", "context": "dokploy/shop/web",
        "description": "skipped: no watched path changed (1 file changed, none matches web/**)",
    }  # fmt: skip
    about_it = [one for one in theirs.statuses if one["sha"] == origin.head()]
    assert about_it == [said]


@ON_GITHUB
async def test_a_failed_deployment_is_made_up_for_by_the_next_push(
    world: World, origin: Origin, theirs: FakeRepository
) -> None:
    await make_app(world, origin, watch=["web/**"])
    await world.commit(origin, "feat: second", {"web/index.html": "2"})
    (first,) = await world.ended(1)
    origin.repository.git("rm", "-q", "-r", "web")
    broken = origin.repository.commit("feat: broken")
    await world.push(origin, "refs/heads/main", first.deployed_commit or "", broken)
    assert [one.state for one in await world.ended(2)] == ["done", "failed"]
    origin.repository.git("revert", "--no-edit", broken)
    # the revert's own webhook never comes; what does come touches documents only
    mended = origin.head()
    after = origin.repository.commit("docs: fourth", {"docs/read.md": "4"})
    origin.repository.commit("feat: and one more page", {"web/new.html": "5"})
    id_ = await world.push(origin, "refs/heads/main", mended, after)

    reason, evidence = await decided(world, id_)

    assert (reason, "compare" in evidence) == ("no_path_hit", True)
    id_ = await world.push(origin, "refs/heads/main", after, origin.head())
    assert (await decided(world, id_))[0] == "path_hit"


@ON_GITHUB
async def test_a_commit_that_github_does_not_know_yet_is_waited_for_without_holding_up_others(
    world: World, origin: Origin, theirs: FakeRepository, fake: FakeHost
) -> None:
    await make_app(world, origin, watch=["web/**"])
    before = origin.head()
    after = origin.repository.commit("docs: much", {"docs/read.md": "2"})
    fake.spoil(Spoil(status=404), path=r"/compare/|/git/trees/", times=2)
    payload = origin.payload("refs/heads/main", before, after) | {"commits": []}

    slow = (await world.hook("github", payload)).json()["delivery"]
    quick = await world.commit(origin, "feat: page", {"web/index.html": "3"})

    assert (await decided(world, quick))[0] == "path_hit"
    assert (await decided(world, slow))[0] == "no_path_hit"
