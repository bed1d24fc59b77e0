"""A push, and what people see of it on its Git host, whichever that is."""

import asyncio
import json

import pytest

from tests.fakes.host import FakeHost, FakeRepository, Spoil
from tests.worlds.bridge import ZERO, Origin, World
from tests.worlds.feedback import comment_with, make_app, nothing_due, states

pytestmark = pytest.mark.parametrize("fake", ["github", "gitlab"], indirect=True)

COMMENTS = {"github": r"/issues/(\d+/)?comments", "gitlab": r"/notes$"}

TROUBLE: dict[str, Spoil | dict[str, Spoil]] = {
    "limit": {
        "github": Spoil(
            status=403, headers={"Retry-After": "1"}, body={"message": "secondary rate limit"}
        ),
        "gitlab": Spoil(status=429, headers={"Retry-After": "1"}, body={"message": "too many"}),
    },
    "500": Spoil(status=500),
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
    assert f"| `shop/web` | `production` | ✅ deployed | {head[:7]} |" in body
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
    assert f"✅ deployed | {first[:7]}" in body
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


@pytest.mark.parametrize("trouble", TROUBLE)
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


async def test_a_push_of_another_server_is_refused_and_writes_nothing_here(
    world: World, origin: Origin, theirs: FakeRepository
) -> None:
    """It has a repository of the same name and number, which is not ours to write to."""
    await make_app(world, origin, watch=["web/**"])
    pull = theirs.open_pull("main", base="release")
    before = origin.head()
    after = origin.repository.commit("feat: second", {"web/index.html": "2"})
    text = json.dumps(origin.payload("refs/heads/main", before, after))
    text = text.replace("https://github.com/", "https://elsewhere.example.com/")
    text = text.replace("https://gitlab.example.com/", "https://elsewhere.example.com/")
    answer = await world.hook(origin.host, json.loads(text))
    found = await world.delivery(answer.json()["delivery"], origin.host)
    await nothing_due(world)

    assert "is at https://elsewhere.example.com/" in str(found.error)
    assert await world.deployments() == []
    assert pull.comments == []
    assert theirs.deployments == {}
