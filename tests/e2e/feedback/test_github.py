"""A push to GitHub: what only GitHub shows, and how it is asked which files changed."""

import pytest

from tests.fakes.host import FakeHost, FakeRepository, Spoil
from tests.worlds.bridge import Origin, World
from tests.worlds.feedback import decided, make_app, nothing_due

pytestmark = pytest.mark.parametrize("fake", ["github"], indirect=True)


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


# ── which files changed ──────────────────────────────────────────────────────


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
