"""A push to GitLab: what only GitLab shows, and how it is asked which files changed."""

from typing import Any

import pytest

from tests.fakes.gitlab import FakeGitlab
from tests.fakes.host import FakeRepository, Spoil
from tests.worlds.bridge import Origin, World
from tests.worlds.feedback import decided, make_app, nothing_due

pytestmark = pytest.mark.parametrize("fake", ["gitlab"], indirect=True)


@pytest.mark.parametrize("uses", ["comment,status"])
async def test_a_status_where_it_is_wanted_and_the_same_state_again_is_no_trouble(
    world: World, origin: Origin, theirs: FakeRepository, fake: FakeGitlab
) -> None:
    await make_app(world, origin)
    # it happens, but nobody hears of it: so it is set again, which GitLab refuses
    fake.spoil(Spoil(lose=True), path=r"/statuses/", times=2)

    await world.commit(origin, "feat: second", {"web/index.html": "2"})
    await world.ended(1)
    await nothing_due(world)

    assert theirs.statuses[-1]["state"] == "success"
    assert theirs.statuses[-1]["name"] == "dokploy/shop/web"
    assert theirs.deployments == {}
    assert [one for one in await world.stores.journal.feedback(limit=99) if one.parked] == []


# ── which files changed ──────────────────────────────────────────────────────


async def pushed(world: World, payload: dict[str, Any]) -> tuple[str, str]:
    answer = await world.hook("gitlab", payload)
    return await decided(world, answer.json()["delivery"], "gitlab")


async def test_of_twenty_commits_all_are_seen(
    world: World, origin: Origin, theirs: FakeRepository
) -> None:
    await make_app(world, origin, watch=["web/**"])
    before = origin.head()
    for n in range(25):
        after = origin.repository.commit(f"docs: {n}", {"docs/read.md": f"{n}"})
    payload = origin.payload("refs/heads/main", before, after)
    payload |= {"commits": payload["commits"][-20:], "total_commits_count": 25}

    assert await pushed(world, payload) == (
        "no_path_hit",
        f"1 file changed, none matches web/** (compare {before[:7]}..{after[:7]}: 1 file)",
    )


async def test_more_than_gitlab_compares_deploys_and_says_so(
    world: World, origin: Origin, theirs: FakeRepository, fake: FakeGitlab
) -> None:
    await make_app(world, origin, watch=["web/**"])
    fake.diffs_at_most = 1
    before = origin.head()
    after = origin.repository.commit("docs", {"docs/read.md": "2", "docs/more.md": "2"})
    payload = origin.payload("refs/heads/main", before, after) | {"total_commits_count": 30}

    assert await pushed(world, payload) == (
        "paths_unknown",
        (
            "GitLab listed 1 of 30 commits; the change is too large for GitLab to compare,"
            " so it deploys"
        ),
    )
