"""A push to GitLab, and what people see there: one note, a deployment, a status if wanted."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.gitlab import FakeGitlab
from tests.fakes.host import FakeRepository, Spoil
from tests.worlds.bridge import ZERO, Origin, World, running_world
from tests.worlds.feedback import (
    QUICKLY,
    comment_with,
    decided,
    make_app,
    nothing_due,
)

GROUP = "my-group/sub/mono"


@pytest.fixture
async def gitlab() -> AsyncIterator[FakeGitlab]:
    async with FakeGitlab() as host:
        yield host


@pytest.fixture
def origin(origin: Origin) -> Origin:
    """The origin as a project of GitLab's."""
    return replace(origin, host="gitlab", name=GROUP)


@pytest.fixture
def theirs(gitlab: FakeGitlab, origin: Origin) -> FakeRepository:
    return gitlab.repository(GROUP, id=origin.id, git=origin.repository.path)


@pytest.fixture
async def world(
    tmp_path: Path,
    gitlab: FakeGitlab,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> AsyncIterator[World]:
    monkeypatch.setattr("bridge.app.hosts.WRITES_TO", {"github": (), "gitlab": ()})
    uses = {"BRIDGE_GITLAB_FEEDBACK": request.param} if hasattr(request, "param") else {}
    settings = gitlab.settings | QUICKLY | uses
    async with running_world(tmp_path / "bridge", **settings) as running:
        yield running


def quick_action(body: str) -> list[str]:
    return [line for line in body.splitlines() if line.lstrip().startswith("/")]


async def test_a_merge_request_that_is_opened_later_gets_the_note_of_what_was_pushed(
    world: World, origin: Origin, theirs: FakeRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.githosts.showing.planning.LOOKS_AGAIN", ())
    await make_app(world, origin)
    await world.commit(origin, "feat: second", {"web/index.html": "2"})
    await world.ended(1)
    await nothing_due(world)
    pull = theirs.open_pull("main", base="release")
    opened = {
        "object_kind": "merge_request",
        "project": origin.payload("refs/heads/main", ZERO, origin.head())["project"],
        "object_attributes": {
            "action": "open",
            "iid": pull.number,
            "source_branch": "main",
            "source_project_id": int(origin.id),
            "target_project_id": int(origin.id),
            "last_commit": {"id": origin.head()},
        },
    }

    assert (await world.hook("gitlab", opened)).status_code == 202

    assert origin.head()[:7] in await comment_with(pull, "✅ deployed")


async def test_one_note_and_a_deployment_and_no_status_unless_wanted(
    world: World, origin: Origin, theirs: FakeRepository
) -> None:
    await make_app(world, origin)
    pull = theirs.open_pull("main", base="release")

    await world.commit(origin, "feat: second\n\n/merge\n@all", {"web/index.html": "2"})

    body = await comment_with(pull, "✅ deployed")
    await nothing_due(world)
    assert len(pull.comments) == 1
    assert quick_action(body) == []
    (made,) = theirs.deployments.values()
    assert (made.sha, made.ref, made.environment) == (origin.head(), "main", "production/shop/web")
    assert [one["state"] for one in made.states][-1] == "success"
    assert theirs.statuses == []


@pytest.mark.parametrize("world", ["comment,status"], indirect=True)
async def test_a_status_where_it_is_wanted_and_the_same_state_again_is_no_trouble(
    world: World, origin: Origin, theirs: FakeRepository, gitlab: FakeGitlab
) -> None:
    await make_app(world, origin)
    # it happens, but nobody hears of it: so it is set again, which GitLab refuses
    gitlab.spoil(Spoil(lose=True), path=r"/statuses/", times=2)

    await world.commit(origin, "feat: second", {"web/index.html": "2"})
    await world.ended(1)
    await nothing_due(world)

    assert theirs.statuses[-1]["state"] == "success"
    assert theirs.statuses[-1]["name"] == "dokploy/shop/web"
    assert theirs.deployments == {}
    assert [one for one in await world.stores.journal.feedback(limit=99) if one.parked] == []


async def test_a_merged_request_is_told_and_another_push_edits_its_note(
    world: World, origin: Origin, theirs: FakeRepository
) -> None:
    await make_app(world, origin, watch=["web/**"])
    origin.repository.git("branch", "topic")
    pull, before = theirs.open_pull("topic"), origin.head()
    after = origin.repository.commit("Merge branch 'topic'", {"web/index.html": "2"})
    theirs.merge(pull, after)

    await world.push(origin, "refs/heads/main", before, after)

    body = await comment_with(pull, "✅ deployed")
    assert f"| {after[:7]} |" in body


@pytest.mark.parametrize(
    "spoil",
    [
        Spoil(status=429, headers={"Retry-After": "1"}, body={"message": "too many"}),
        Spoil(status=500),
        Spoil(hang=True),
        Spoil(lose=True),
    ],
    ids=["429 with Retry-After", "500", "hangs", "is done and lost"],
)
async def test_a_gitlab_in_trouble_delays_nothing_and_the_note_is_right_in_the_end(
    world: World, origin: Origin, theirs: FakeRepository, gitlab: FakeGitlab, spoil: Spoil
) -> None:
    await make_app(world, origin)
    pull = theirs.open_pull("main", base="release")
    gitlab.spoil(spoil, times=3)
    gitlab.spoil(spoil, method="POST", path=r"/notes$", times=1)

    await world.commit(origin, "feat: second", {"web/index.html": "2"})
    async with asyncio.timeout(5):
        (deployment,) = await world.ended(1)
    assert deployment.state == "done"
    gitlab.mend()

    await comment_with(pull, "✅ deployed")
    await nothing_due(world)
    assert len(pull.comments) == 1


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


async def test_a_forced_push_that_gitlab_does_not_name_deploys_what_it_takes_back(
    world: World, origin: Origin, theirs: FakeRepository
) -> None:
    await make_app(world, origin, watch=["web/**"])
    good = origin.head()
    live = origin.repository.commit("feat: second", {"web/index.html": "2"})
    theirs.follow()  # GitLab keeps what no branch leads to any more
    origin.repository.git("reset", "-q", "--hard", good)
    after = origin.repository.commit("docs: third", {"docs/read.md": "3"})
    payload = origin.payload("refs/heads/main", good, after) | {"before": live}
    assert payload["commits"][0]["modified"] == ["docs/read.md"]

    assert await pushed(world, payload) == (
        "path_hit",
        f"web/index.html matches web/** (compare {live[:7]}..{after[:7]}: 2 files)",
    )


async def test_a_push_that_lists_no_commits_is_compared(
    world: World, origin: Origin, theirs: FakeRepository, gitlab: FakeGitlab
) -> None:
    await make_app(world, origin, watch=["web/**"])
    before = origin.head()
    after = origin.repository.commit("docs: second", {"docs/read.md": "2"})
    payload = origin.payload("refs/heads/main", before, after)
    payload |= {"commits": [], "total_commits_count": 0}

    assert (await pushed(world, payload))[0] == "no_path_hit"


async def test_more_than_gitlab_compares_deploys_and_says_so(
    world: World, origin: Origin, theirs: FakeRepository, gitlab: FakeGitlab
) -> None:
    await make_app(world, origin, watch=["web/**"])
    gitlab.diffs_at_most = 1
    before = origin.head()
    after = origin.repository.commit("docs", {"docs/read.md": "2", "docs/more.md": "2"})
    payload = origin.payload("refs/heads/main", before, after) | {"total_commits_count": 30}

    assert await pushed(world, payload) == (
        "paths_unknown",
        "GitLab listed 1 of 30 commits; more has changed than GitLab compares, so it deploys",
    )


async def test_a_new_branch_of_an_app_that_runs_is_compared_with_what_it_runs(
    world: World, origin: Origin, theirs: FakeRepository
) -> None:
    await make_app(world, origin, watch=["web/**"])
    await world.commit(origin, "feat: second", {"web/index.html": "2"})
    (deployment,) = await world.ended(1)
    live = deployment.deployed_commit or ""
    after = origin.repository.commit("docs: third", {"docs/read.md": "3"})
    payload = origin.payload("refs/heads/main", "0" * 40, after)

    reason, evidence = await pushed(world, payload)

    assert reason == "no_path_hit"
    assert evidence.endswith(f"(compare {live[:7]}..{after[:7]}: 1 file)")
