"""The backend says no, is away, or does not answer: it is asked once all the same."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from bridge.core.apps import App, Source, SourceType
from bridge.core.errors import Unreachable
from bridge.core.lifecycle import Deployment, State
from bridge.pipeline.deploying.deployments import Deployer
from bridge.ports.backends import BackendDeployment
from bridge.ports.gates import Judging
from tests.fakes.journey import HEAD, NO_GATES, KeptSteps, deployment
from tests.worlds.deployer import AWAY, NO, PACE, SILENT, Stage


@pytest.mark.parametrize("call", ["deploy", "deployments"])
async def test_a_refusal_fails_with_its_words(stage: Stage, call: str) -> None:
    stage.backend.next(call, NO)

    ended = await stage.run()

    assert (ended.state, ended.note) == (State.FAILED, "refused by dokploy: Application not found")
    assert len(stage.backend.jobs) == 0
    assert ended.finished_at is not None


@pytest.mark.parametrize("call", ["deploy", "deployments"])
async def test_while_the_backend_is_away_it_waits_longer_each_time(stage: Stage, call: str) -> None:
    for _ in range(7):
        stage.backend.next(call, AWAY)

    ended = await stage.run()

    assert ended.state is State.DONE
    assert len(stage.backend.jobs) == 1
    pauses = [pause for pause in stage.clock.slept if pause >= 1.0][:7]
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    notes = [note for state, note in await stage.history(ended) if state == "waiting"]
    assert notes[1:] == ["waits for the backend: dokploy can't be reached: ConnectError"]


async def test_it_comes_again_when_the_backend_asks_it_to(stage: Stage) -> None:
    stage.backend.next("deploy", Unreachable("dokploy", "429", retry_after=42.0))

    assert (await stage.run()).state is State.DONE
    assert 42.0 in stage.clock.slept


@pytest.mark.parametrize("call", ["deploy", "deployments"])
async def test_what_waits_for_an_absent_backend_gives_way_to_a_newer_push(
    stage: Stage, call: str
) -> None:
    for _ in range(20):
        stage.backend.next(call, AWAY)
    first = await stage.wish(1)
    stage.clock.after(20, lambda: stage.wish(2))

    ended = await stage.run(first)

    assert ended.state is State.SUPERSEDED
    assert ended.superseded_by == deployment(2).id
    assert stage.backend.jobs == []
    assert (await stage.run(deployment(2))).state is State.DONE
    assert len(stage.backend.jobs) == 1


async def test_what_was_left_by_a_crash_gives_way_too_once_it_is_surely_not_there(
    stage: Stage,
) -> None:
    first = await stage.wish(1)
    await stage.journal.intend(first.id, [], NO_GATES)  # and here the process died
    for _ in range(20):
        stage.backend.next("deploy", AWAY)
    stage.clock.after(30, lambda: stage.wish(2))

    assert (await stage.run(first)).state is State.SUPERSEDED
    assert (await stage.run(deployment(2))).state is State.DONE
    assert len(stage.backend.jobs) == 1


async def test_what_may_have_been_asked_never_gives_way(stage: Stage) -> None:
    first = await stage.wish(1)
    stage.backend.next("deploy", SILENT, arrives=True)
    for _ in range(5):
        stage.backend.next("queue", AWAY)
    stage.clock.after(3, lambda: stage.wish(2))

    assert (await stage.run(first)).state is State.DONE
    assert (await stage.now(deployment(2))).state is State.WAITING


@pytest.mark.parametrize("late", [0.0, 4.0])
async def test_an_unanswered_one_that_arrived_is_adopted(
    staged: Callable[..., Stage], late: float
) -> None:
    stage = staged(listed_after=late)
    stage.backend.next("deploy", SILENT, arrives=True)

    ended = await stage.run()

    assert (stage.backend.asked, len(stage.backend.jobs)) == (1, 1)
    assert ended.state is State.DONE
    assert ("asked", "the backend had accepted it already") in await stage.history(ended)
    assert ended.asked_at is not None
    assert ended.finished_at is not None
    assert ended.asked_at <= ended.finished_at, "it was asked for before it could end"


@pytest.mark.parametrize("late", [12.0, 100.0])
async def test_what_is_listed_very_late_is_not_asked_for_again(
    staged: Callable[..., Stage], late: float
) -> None:
    """Nothing was followed before, so nobody has looked at the backend for long."""
    stage = staged(listed_after=late, waits=0.0)
    deploy = stage.backend.deploy

    async def slow(*args: Any, **kwargs: Any) -> None:
        await deploy(*args, **kwargs)
        await stage.clock.sleep(0.05)

    stage.backend.deploy = slow  # type: ignore[method-assign]

    ended = await stage.run()

    assert (stage.backend.asked, ended.state, ended.deployed_commit) == (1, State.DONE, HEAD)


async def test_an_unanswered_one_that_ended_before_it_was_seen_is_not_asked_for_again(
    staged: Callable[..., Stage],
) -> None:
    """Its title is overwritten by then, so nothing tells that it is ours."""
    stage = staged(listed_after=8.0)
    stage.backend.next("deploy", SILENT, arrives=True)

    ended = await stage.run()

    assert (stage.backend.asked, ended.state, ended.deployed_commit) == (1, State.DONE, HEAD)
    assert ended.backend_id is None
    assert ended.note == (
        "commit ccccccc is live; the backend does not say whether this deployment or another one"
        " built it"
    )


async def test_an_unanswered_one_that_is_not_there_is_asked_for_once_more(stage: Stage) -> None:
    stage.backend.next("deploy", SILENT)

    ended = await stage.run()

    assert (stage.backend.asked, ended.state) == (2, State.DONE)
    history = await stage.history(ended)
    assert ("waiting", "for 10 s the backend has shown no sign of it") in history
    assert ("asked", "asked again; the backend accepted it") in history


@pytest.mark.parametrize("arrives", [True, False])
async def test_where_no_queue_is_listed_an_unanswered_one_is_not_asked_for_again(
    staged: Callable[..., Stage], arrives: bool
) -> None:
    """It may wait behind another app's build, where nobody can see it."""
    stage = staged(tells_queue=False, waits=60.0)
    stage.backend.next("deploy", SILENT, arrives=arrives)

    ended = await stage.run()

    assert (stage.backend.asked, ended.state) == (1, State.UNKNOWN)
    assert ended.note == (
        "outcome unknown: it may have been requested, and the backend lists no queue; dokploy did"
        " not answer as expected: ReadTimeout"
    )


async def test_twice_unanswered_and_not_there_is_unknown(stage: Stage) -> None:
    stage.backend.next("deploy", SILENT)
    stage.backend.next("deploy", SILENT)

    ended = await stage.run()

    assert (stage.backend.asked, ended.state) == (2, State.UNKNOWN)
    assert "asked twice" in ended.note


async def test_unanswered_and_then_away_is_still_asked_for_once_more_only(stage: Stage) -> None:
    stage.backend.next("deploy", SILENT)
    stage.backend.next("deploy", AWAY)

    ended = await stage.run()

    assert ended.state is State.DONE
    assert len(stage.backend.jobs) == 1


@pytest.mark.parametrize("call", ["deployments", "queue"])
async def test_a_refusal_while_looking_for_what_may_be_there_leaves_it_unknown(
    staged: Callable[..., Stage], call: str
) -> None:
    stage = staged(waits=60.0 if call == "queue" else 0.0)
    new = await stage.wish()
    await stage.journal.intend(new.id, [], NO_GATES)
    await stage.backend.deploy(stage.app, title=new.token, description="")  # and here it died
    stage.backend.next(call, NO)

    ended = await stage.run(new)

    assert ended.state is State.UNKNOWN
    assert ended.note == "may have been requested, outcome unknown: dokploy: Application not found"
    assert stage.backend.asked == 1


@pytest.mark.parametrize("others", [{}, {"tells_queue": False, "waits": 60.0}])
async def test_a_journal_that_fails_just_after_the_call_asks_no_second_time(
    staged: Callable[..., Stage], others: dict[str, Any]
) -> None:
    """Also where it waits unseen, behind another app's build."""
    stage = staged(**others)
    new = await stage.wish()
    move, failures = stage.journal.move, [Unreachable("the journal", "disk full")] * 3

    async def failing(*args: Any, **facts: Any) -> Deployment | None:
        if failures:
            raise failures.pop()
        return await move(*args, **facts)

    stage.journal.move = failing  # type: ignore[method-assign]

    assert (await stage.run(new)).state is State.DONE
    assert (stage.backend.asked, len(stage.backend.jobs)) == (1, 1)
    assert ("asked", "the backend accepted it") in await stage.history(new)


async def test_a_journal_that_is_away_is_never_taken_for_the_backend(stage: Stage) -> None:
    new = await stage.wish()
    intend, failures = stage.journal.intend, [Unreachable("the journal", "disk full")] * 3

    async def failing(
        id_: str, known_before: Sequence[str], by: Judging, **facts: Any
    ) -> Deployment | None:
        if failures:
            raise failures.pop()
        return await intend(id_, known_before, by, **facts)

    stage.journal.intend = failing  # type: ignore[method-assign]

    assert (await stage.run(new)).state is State.DONE
    assert stage.backend.asked == 1
    assert not [note for _, note in await stage.history(new) if "waits for the backend" in note]


async def test_a_backend_that_is_configured_no_more_fails_it_with_words(stage: Stage) -> None:
    new = await stage.wish()
    deployer = Deployer({}, stage.journal, stage.clock, PACE, sleep=stage.clock.sleep)

    await deployer.run(KeptSteps(), new.id)

    ended = await stage.now(new)
    assert ended.state is State.FAILED
    assert "no backend 'dokploy' is configured any more" in ended.note


async def test_a_fault_of_our_own_ends_unknown_and_not_in_a_loop(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    new = await stage.wish()
    stage.backend.deploy = None  # type: ignore[assignment, method-assign]

    ended = await stage.run(new)

    assert ended.state is State.UNKNOWN
    assert ended.note == "outcome unknown: the bridge had an internal error (TypeError)"


async def test_an_ask_that_the_journal_has_forgotten_is_found_by_its_token(stage: Stage) -> None:
    """A copy of the journal from before the ask was restored while it builds."""
    new = await stage.wish()
    await stage.backend.deploy(stage.app, title=new.token, description="")
    stage.clock.now += 2

    ended = await stage.run(new)

    assert (stage.backend.asked, ended.state, ended.backend_id) == (1, State.DONE, "dep-1")


# ── superseded and cancelled ─────────────────────────────────────────────────


@pytest.mark.parametrize("state", [State.SUPERSEDED, State.CANCELLED])
async def test_what_is_not_wanted_any_more_is_not_asked_for(stage: Stage, state: State) -> None:
    new = await stage.wish()
    await stage.journal.move(new.id, state)

    assert (await stage.run(new)).state is state
    assert stage.backend.calls == []


async def test_what_is_superseded_between_the_look_and_the_intent_is_not_asked_for(
    stage: Stage,
) -> None:
    first = await stage.wish(1)
    listing = stage.backend.deployments

    async def overtaken(app: App) -> list[BackendDeployment]:
        stage.backend.deployments = listing  # type: ignore[method-assign]
        await stage.wish(2)
        return await listing(app)

    stage.backend.deployments = overtaken  # type: ignore[method-assign]

    assert (await stage.run(first)).state is State.SUPERSEDED
    assert stage.backend.asked == 0


async def test_the_image_that_is_recorded_is_the_one_that_the_app_has_when_it_is_asked_for(
    stage: Stage,
) -> None:
    stage.app = replace(stage.app, source=Source(SourceType.DOCKER, image="shop/web:1"))
    stage.backend.tells_after = None
    new = await stage.wish(image="shop/web:1")
    stage.backend.image(stage.app, "shop/web:2")  # after it was decided

    ended = await stage.run(new)

    assert (ended.state, ended.image) == (State.DONE, "shop/web:2")
    assert ended.note == "image shop/web:2 is live"
    assert stage.backend.count("apps") == 1


async def test_a_git_source_is_not_read_once_more(stage: Stage) -> None:
    await stage.run()

    assert stage.backend.count("apps") == 0
