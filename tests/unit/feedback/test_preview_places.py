"""The deployment objects of previews: one environment for each, which ends with it."""

from dataclasses import replace
from typing import Any

import pytest

from bridge.core.errors import BridgeError, NotFound, Refused, Unanswered
from bridge.core.events import Repository
from bridge.core.lifecycle import Deployment, State
from bridge.core.previews.preview import Preview, PreviewState
from bridge.core.pulls import PullRequest
from bridge.githosts.feedback.subscriptions import Plans, Use
from bridge.ports.feedback import Snapshot
from bridge.ports.githosts import CommitState
from tests.fakes.journey import app, deployment
from tests.unit.feedback.test_places import Places

MONO = Repository("github", "4711", "my-org/mono")
FIRST, SECOND = "a" * 40, "b" * 40
ADDRESS = "https://pr-12.example.com"
DONE, RUNNING, FAILED = State.DONE, State.RUNNING, State.FAILED


def preview(commit: str = FIRST, state: PreviewState = PreviewState.UP, **facts: Any) -> Preview:
    pull = PullRequest(12, "topic", commit, open=True, base="main")
    of: dict[str, Any] = {"asked": commit, "made": "made-1", "url": ADDRESS} | facts
    return Preview("my-org/mono", MONO, "app-web", "shop/web", "dokploy", pull, state=state, **of)


def built(seq: int, state: State, app_id: str = "made-1") -> Deployment:
    facts: dict[str, Any] = {"state": state, "asked_at": 1.0, "commit": None}
    return deployment(seq, app_id, app="shop/previews/web pr-12", **facts)


class World(Places):
    """The objects at one host, and the cursor, which survives what dies."""

    async def show(self, one: Preview | None, *deployments: Deployment) -> None:
        """Publish how things are; the newest deployment comes first."""
        there = Snapshot(
            deployments=deployments,
            previews=() if one is None else (one,),
            apps={"made-1": app("made-1", page="https://dokploy.example.com/p")},
        )
        await self.publish(OBJECTS, there)

    @property
    def states(self) -> list[object]:
        return [one[3] for one in self.api.deployments.values()]


(OBJECTS,) = Plans("github", frozenset({Use.DEPLOYMENT})).previews(preview(), 7)


@pytest.fixture
def world() -> World:
    return World()


# ── where ────────────────────────────────────────────────────────────────────


def test_a_preview_has_one_place_for_its_deployments() -> None:
    plans = Plans("github", frozenset(Use))

    kinds = [one.kind for one in plans.previews(preview(), 7)]
    assert kinds == ["github.comment", "github.preview", "github.status"]
    assert [one.kind for one in plans.previews(preview(), None)] == ["github.comment"]
    assert OBJECTS.id == "github.preview github:4711#12:app-web"
    assert OBJECTS.follows == ("pull github:4711#12", "delivery 7")
    assert OBJECTS.place["environment"] == "preview/shop/web/pr-12"


# ── from the build to the end ────────────────────────────────────────────────


async def test_an_object_is_transient_and_shows_the_address_once_it_is_served(world: World) -> None:
    await world.show(preview(), built(1, RUNNING))
    await world.show(preview(), built(1, DONE))
    await world.show(preview(), built(1, DONE))

    words = "shop/previews/web pr-12 by dokploy-bridge, deployment 0000000000000001.made-1"
    assert world.api.deployments == {
        "1": [FIRST, "preview/shop/web/pr-12", words, CommitState.SUCCESS]
    }
    assert world.api.transient == {"1"}
    assert ("create_deployment", "my-org/mono", FIRST, "refs/heads/topic") in world.api.calls
    said = [call[3:] for call in world.api.calls if call[0] == "set_deployment"]
    page = "https://dokploy.example.com/p"
    assert said == [(CommitState.RUNNING, page, None), (CommitState.SUCCESS, page, ADDRESS)]
    assert len(world.rate_limiter) == 3


async def test_what_was_never_asked_has_no_object(world: World) -> None:
    await world.show(preview())
    await world.show(preview(), replace(built(1, State.WAITING), asked_at=None))
    await world.show(preview(state=PreviewState.MAKING, made=None))

    assert world.api.calls == []


async def test_the_earlier_one_is_replaced_once_the_newer_one_is_served(world: World) -> None:
    await world.show(preview(), built(1, DONE))
    for state, earlier in ((RUNNING, CommitState.SUCCESS), (DONE, "replaced")):
        await world.show(preview(SECOND), built(2, state), built(1, DONE))
        assert world.states[0] is earlier or world.states[0] == earlier

    assert world.states[1] is CommitState.SUCCESS
    assert world.api.count("create_deployment") == 2


@pytest.mark.parametrize(
    "gone",
    [
        preview(state=PreviewState.ENDING),
        preview(state=PreviewState.ENDED, made=None, asked=None),
        preview(state=PreviewState.SKIPPED, made=None, asked=None),
        None,
    ],
)
async def test_all_objects_end_with_the_preview(world: World, gone: Preview | None) -> None:
    await world.show(preview(), built(1, DONE))
    await world.show(preview(SECOND), built(2, FAILED), built(1, DONE))
    assert world.states == [CommitState.SUCCESS, CommitState.FAILURE]  # the earlier one is still up
    for _ in range(2):
        await world.show(gone, built(2, FAILED), built(1, DONE))

    assert world.states == ["replaced", "ended"]  # the environment ends once, with the last
    assert world.api.count("end_deployment") == 2


async def test_the_environment_ends_also_where_the_last_object_was_never_made(world: World) -> None:
    await world.show(preview(), built(1, DONE))
    world.api.next("create_deployment", Refused("github", "Resource not accessible", status=403))
    with pytest.raises(Refused):
        await world.show(preview(SECOND), built(2, RUNNING), built(1, DONE))

    await world.show(preview(SECOND, PreviewState.ENDING), built(2, FAILED), built(1, DONE))
    assert world.states == ["ended"]


async def test_one_that_begins_anew_has_objects_anew(world: World) -> None:
    await world.show(preview(), built(1, DONE))
    await world.show(preview(state=PreviewState.ENDED, made=None), built(1, DONE))
    again = preview(made="made-2")
    await world.show(again, built(3, RUNNING, "made-2"), built(1, DONE))

    assert world.states == ["ended", CommitState.RUNNING]


async def test_an_object_that_somebody_has_deleted_has_ended(world: World) -> None:
    await world.show(preview(), built(1, DONE))
    world.api.deployments.clear()

    await world.show(preview(state=PreviewState.ENDING), built(1, DONE))
    assert world.cursors[OBJECTS.id] == {"made": {}, "objects": {}}


# ── death at every step ──────────────────────────────────────────────────────

STORY: list[tuple[Preview, tuple[Deployment, ...]]] = [
    (preview(), (built(1, RUNNING),)),
    (preview(), (built(1, DONE),)),
    (preview(SECOND), (built(2, DONE), built(1, DONE))),
    (preview(SECOND, PreviewState.ENDING), (built(2, DONE), built(1, DONE))),
]
CALLS = ("create_deployment", "set_deployment", "end_deployment")


@pytest.mark.parametrize("arrives", [True, False])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("step", range(len(STORY)))
async def test_an_answer_that_is_lost_anywhere_leaves_no_object_and_makes_none_twice(
    world: World, step: int, call: str, arrives: bool
) -> None:
    for number, (one, deployments) in enumerate(STORY):
        if number == step:
            world.api.next(call, Unanswered("github", "no answer"), arrives=arrives)
        try:
            await world.show(one, *deployments)
        except BridgeError:
            await world.show(one, *deployments)

    assert world.states == ["replaced", "ended"]
    assert world.cursors[OBJECTS.id] == {"made": {}, "objects": {}}


@pytest.mark.parametrize("until", range(len(STORY) - 1))
async def test_one_that_ends_while_an_object_may_have_been_made_leaves_none(
    world: World, until: int
) -> None:
    for one, deployments in STORY[:until]:
        await world.show(one, *deployments)
    world.api.next("create_deployment", Unanswered("github", "no answer"), arrives=True)
    world.api.next("set_deployment", NotFound("gone"))
    one, deployments = STORY[until]
    with pytest.raises(BridgeError):
        await world.show(one, *deployments)

    ending, deployments = STORY[-1]
    await world.show(ending, *deployments)

    assert set(world.states) <= {"replaced", "ended"}
    assert world.states.count("ended") == 1
