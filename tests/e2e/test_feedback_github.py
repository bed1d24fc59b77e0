"""A push to GitHub, and what people see there: one comment, statuses, deployments."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.github import FakeGithub
from tests.fakes.host import FakeRepository, Spoil
from tests.worlds.bridge import ZERO, Origin, World, running_world
from tests.worlds.feedback import (
    QUICKLY,
    comment_with,
    decided,
    make_app,
    nothing_due,
    states,
)

COMMENTS, STATUSES = r"/issues/(\d+/)?comments", r"/statuses/"


@pytest.fixture
async def github() -> AsyncIterator[FakeGithub]:
    async with FakeGithub() as host:
        yield host


@pytest.fixture
def theirs(github: FakeGithub, origin: Origin) -> FakeRepository:
    """The origin as GitHub has it."""
    return github.repository(origin.name, id=origin.id, git=origin.repository.path)


@pytest.fixture
async def world(
    tmp_path: Path, github: FakeGithub, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    monkeypatch.setattr("bridge.app.hosts.WRITES_TO", {"github": (), "gitlab": ()})
    async with running_world(tmp_path / "bridge", **github.settings, **QUICKLY) as running:
        yield running


async def test_one_comment_goes_through_the_states_of_a_push(
    world: World, origin: Origin, theirs: FakeRepository
) -> None:
    await make_app(world, origin)
    pull = theirs.open_pull("main", base="release")

    await world.commit(origin, "feat: second", {"web/index.html": "2"})

    body = await comment_with(pull, "✅ deployed")
    await nothing_due(world)
    head = origin.head()
    assert f"| `shop/web` | `production` | ✅ deployed | {head[:7]} |" in body
    assert body.startswith("<!-- dokploy-bridge:")
    (comment,) = pull.comments
    assert len(comment.history) >= 1
    assert states(comment.history[-1]) == "✅ deployed"
    assert [one["state"] for one in theirs.statuses if one["sha"] == head][-1] == "success"
    assert {one["context"] for one in theirs.statuses} == {"dokploy/shop/web"}
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
    assert f"✅ deployed | {first[:7]}" in body
    assert "- `shop/web`: no watched path changed (`1 file changed, none matches web/**`)" in body
    await nothing_due(world)
    assert theirs.statuses[-1] | {"description": ""} == {
        "sha": origin.head(), "state": "success", "context": "dokploy/shop/web", "description": "",
    }  # fmt: skip


async def test_the_merged_pull_request_of_a_push_is_told(
    world: World, origin: Origin, theirs: FakeRepository
) -> None:
    await make_app(world, origin)
    origin.repository.git("branch", "topic")
    pull, other = theirs.open_pull("topic"), theirs.open_pull("topic", base="release")
    before = origin.head()
    after = origin.repository.commit("Merge pull request #1", {"web/index.html": "2"})
    theirs.merge(pull, after)

    await world.push(origin, "refs/heads/main", before, after)

    await comment_with(pull, "✅ deployed")
    assert other.comments == []


async def test_a_direct_push_has_statuses_and_no_comment(
    world: World, origin: Origin, theirs: FakeRepository, github: FakeGithub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("bridge.githosts.showing.planning.LOOKS_AGAIN", (0.05, 0.05))
    await make_app(world, origin)
    theirs.open_pull("main", base="release", own=False)  # a fork's branch of the same name

    await world.commit(origin, "feat: second", {"web/index.html": "2"})
    await world.ended(1)
    await nothing_due(world)

    assert theirs.statuses[-1]["state"] == "success"
    assert github.writes("POST", COMMENTS) == 0


async def test_a_pull_request_that_is_opened_later_gets_the_comment_of_what_was_pushed(
    world: World, origin: Origin, theirs: FakeRepository, github: FakeGithub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("bridge.githosts.showing.planning.LOOKS_AGAIN", ())
    await make_app(world, origin)
    await world.commit(origin, "feat: second", {"web/index.html": "2"})
    await world.ended(1)
    await nothing_due(world)
    pull = theirs.open_pull("main", base="release")
    opened = {
        "action": "opened",
        "number": pull.number,
        "pull_request": {
            "head": {
                "ref": "main",
                "sha": origin.head(),
                "repo": {"id": int(origin.id), "name": "x"},
            }
        },
        "repository": origin.payload("refs/heads/main", ZERO, origin.head())["repository"],
    }

    for _ in range(2):  # a second App or hook tells of it as well
        assert (await world.hook("github", opened)).status_code == 202

    body = await comment_with(pull, "✅ deployed")
    await nothing_due(world)
    assert origin.head()[:7] in body
    assert github.writes("POST", COMMENTS) == 1

    await world.commit(origin, "docs: third", {"web/index.html": "3"})

    await comment_with(pull, origin.head()[:7])
    assert len(pull.comments) == 1


async def test_nothing_is_written_where_no_app_waits_for_the_branch(
    world: World, origin: Origin, theirs: FakeRepository, github: FakeGithub
) -> None:
    await make_app(world, origin)
    origin.repository.git("branch", "topic")
    theirs.open_pull("topic")

    id_ = await world.push(origin, "refs/heads/topic", ZERO, origin.head())

    assert await world.reasons(id_) == {"shop/web": "branch_mismatch"}
    await nothing_due(world)
    assert github.writes() == 0


@pytest.mark.parametrize(
    "spoil",
    [
        Spoil(status=403, headers={"Retry-After": "1"}, body={"message": "secondary rate limit"}),
        Spoil(status=500),
        Spoil(status=502, body={"message": "Unicorn!"}),
        Spoil(hang=True),
        Spoil(lose=True),
    ],
    ids=["403 with Retry-After", "500", "502", "hangs", "is done and lost"],
)
async def test_a_host_in_trouble_delays_no_deployment_and_the_comment_is_right_in_the_end(
    world: World, origin: Origin, theirs: FakeRepository, github: FakeGithub, spoil: Spoil
) -> None:
    await make_app(world, origin)
    pull = theirs.open_pull("main", base="release")
    github.spoil(spoil, times=3)
    github.spoil(spoil, method="POST", path=COMMENTS, times=1)

    await world.commit(origin, "feat: second", {"web/index.html": "2"})
    async with asyncio.timeout(5):
        (deployment,) = await world.ended(1)
    assert deployment.state == "done"
    github.mend()

    await comment_with(pull, "✅ deployed")
    await nothing_due(world)
    assert len(pull.comments) == 1
    assert theirs.statuses[-1]["state"] == "success"


async def test_a_deleted_comment_comes_back_once(
    world: World, origin: Origin, theirs: FakeRepository
) -> None:
    await make_app(world, origin)
    pull = theirs.open_pull("main", base="release")
    await world.commit(origin, "feat: second", {"web/index.html": "2"})
    await comment_with(pull, "✅ deployed")
    await nothing_due(world)
    pull.comments.clear()

    await world.commit(origin, "feat: third", {"web/index.html": "3"})

    await comment_with(pull, f"✅ deployed | {origin.head()[:7]}")


# ── which files changed ──────────────────────────────────────────────────────


async def test_a_list_that_is_cut_short_is_asked_of_github(
    world: World, origin: Origin, theirs: FakeRepository
) -> None:
    await make_app(world, origin, watch=["web/**"])
    before = origin.head()
    after = origin.repository.commit("docs: much", {"docs/read.md": "2", "docs/more.md": "3"})
    payload = origin.payload("refs/heads/main", before, after) | {"commits": []}

    answer = await world.hook("github", payload)

    assert await decided(world, answer.json()["delivery"]) == (
        "no_path_hit",
        f"2 files changed, none matches web/** (compare {before[:7]}..{after[:7]}: 2 files)",
    )


async def test_a_branch_forced_back_deploys_what_it_takes_back(
    world: World, origin: Origin, theirs: FakeRepository
) -> None:
    await make_app(world, origin, watch=["web/**"])
    await world.commit(origin, "docs: second", {"docs/read.md": "2"})
    good = origin.head()
    await world.commit(origin, "feat: third", {"web/index.html": "3"})
    (deployment,) = await world.ended(1)
    live = origin.head()
    assert deployment.deployed_commit == live
    origin.repository.git("reset", "-q", "--hard", good)
    payload = origin.payload("refs/heads/main", live, good) | {"forced": True, "commits": []}

    answer = await world.hook("github", payload)

    assert await decided(world, answer.json()["delivery"]) == (
        "path_hit",
        f"web/index.html matches web/** (compare {live[:7]}..{good[:7]}: 1 file)",
    )
    assert (await world.ended(2))[1].deployed_commit == good


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


async def test_a_commit_that_github_does_not_know_yet_is_waited_for_without_holding_up_others(
    world: World, origin: Origin, theirs: FakeRepository, github: FakeGithub
) -> None:
    await make_app(world, origin, watch=["web/**"])
    before = origin.head()
    after = origin.repository.commit("docs: much", {"docs/read.md": "2"})
    github.spoil(Spoil(status=404), path=r"/compare/|/git/trees/", times=2)
    payload = origin.payload("refs/heads/main", before, after) | {"commits": []}

    slow = (await world.hook("github", payload)).json()["delivery"]
    quick = await world.commit(origin, "feat: page", {"web/index.html": "3"})

    assert (await decided(world, quick))[0] == "path_hit"
    assert (await decided(world, slow))[0] == "no_path_hit"
