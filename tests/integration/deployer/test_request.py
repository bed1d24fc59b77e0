"""The backend says no, is away, or does not answer: it is asked once, and followed to its end."""

from collections.abc import Callable
from typing import Any

import pytest

from bridge.core.apps import App
from bridge.core.errors import Unreachable
from bridge.core.lifecycle import Deployment, State
from bridge.pipeline.deploying.deployments import Deployer
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


async def test_what_may_have_been_asked_never_gives_way(stage: Stage) -> None:
    first = await stage.wish(1)
    stage.backend.next("deploy", SILENT, arrives=True)
    for _ in range(5):
        stage.backend.next("queue", AWAY)
    stage.clock.after(3, lambda: stage.wish(2))

    assert (await stage.run(first)).state is State.DONE
    assert (await stage.now(deployment(2))).state is State.WAITING


@pytest.mark.parametrize(("silent", "state"), [(1, State.DONE), (2, State.UNKNOWN)])
async def test_an_unanswered_one_that_is_not_there_is_asked_for_once_more_and_then_unknown(
    stage: Stage, silent: int, state: State
) -> None:
    for _ in range(silent):
        stage.backend.next("deploy", SILENT)

    ended = await stage.run()

    assert (stage.backend.asked, ended.state) == (2, state)
    assert ("asked twice" in ended.note) is (silent == 2)
    waits = ("waiting", "for 10 s the backend has shown no sign of it")
    assert waits in await stage.history(ended)


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


@pytest.mark.parametrize(
    ("call", "others"),
    [("move", {}), ("move", {"tells_queue": False, "waits": 60.0}), ("intend", {})],
    ids=["just after the call", "where it waits unseen", "before the call"],
)
async def test_a_journal_that_is_away_asks_no_second_time_and_is_not_taken_for_the_backend(
    staged: Callable[..., Stage], call: str, others: dict[str, Any]
) -> None:
    stage = staged(**others)
    new = await stage.wish()
    carried_out, failures = getattr(stage.journal, call), [Unreachable("the journal", "full")] * 3

    async def failing(*args: Any, **facts: Any) -> Deployment | None:
        if failures:
            raise failures.pop()
        found: Deployment | None = await carried_out(*args, **facts)
        return found

    setattr(stage.journal, call, failing)

    assert (await stage.run(new)).state is State.DONE
    assert (stage.backend.asked, len(stage.backend.jobs)) == (1, 1)
    assert ("asked", "the backend accepted it") in await stage.history(new)
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


async def test_what_the_backend_never_shows_is_asked_a_few_times_and_then_unknown(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(listed_after=1e9)
    began = stage.clock.now

    ended = await stage.run()

    assert ended.state is State.UNKNOWN
    note = "accepted, outcome unknown: the backend has accepted and lost it 3 times"
    assert (ended.note, stage.backend.asked) == (note, 3)
    assert await stage.states(ended) == [*["waiting", "asked"] * 3, "unknown"]
    assert stage.clock.now - began > 3 * PACE.untold  # nothing explains it, so no haste


@pytest.mark.parametrize("commit", [None, "d" * 40], ids=["asked by a person", "the head moved"])
async def test_a_build_that_is_quicker_than_a_look_does_not_block_its_app(
    staged: Callable[..., Stage], commit: str | None
) -> None:
    """Its job was never seen, and its record does not show who asked for it any more."""
    stage = staged(waits=0.0, builds=0.1)
    deploy, began = stage.backend.deploy, stage.clock.now

    async def slow(app: App, **words: str) -> None:
        await deploy(app, **words)
        await stage.clock.sleep(1)

    stage.backend.deploy = slow  # type: ignore[method-assign]

    ended = await stage.run(await stage.wish(commit=commit))

    assert (ended.state, ended.deployed_commit, ended.backend_id) == (State.DONE, HEAD, "dep-1")
    assert stage.clock.now - began < PACE.lost


async def test_an_app_that_the_backend_does_not_have_any_more_is_looked_for_at_once(
    stage: Stage,
) -> None:
    stage.backend.next("deployments", NO)
    new = await stage.wish()
    looked_at: list[str] = []
    deployer = Deployer(
        {"dokploy": stage.backend}, stage.journal, stage.clock, PACE,
        troubled=looked_at.append, sleep=stage.clock.sleep,
    )  # fmt: skip

    await deployer.run(KeptSteps(), new.id)

    assert looked_at == ["dokploy"]


async def test_a_backend_that_is_away_while_it_builds_loses_nothing(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(builds=30.0)
    stage.clock.after(5, lambda: setattr(stage.backend, "away", True))
    stage.clock.after(900, lambda: setattr(stage.backend, "away", False))

    ended = await stage.run()

    assert (ended.state, stage.backend.asked) == (State.DONE, 1)
    assert any("watched as soon as that ends" in note for _, note in await stage.history(ended))


async def test_a_refusal_while_following_is_accepted_outcome_unknown(stage: Stage) -> None:
    new = await stage.wish()
    await stage.deployer().ask(new.id)
    stage.backend.next("deployments", NO)

    ended = await stage.run(new)

    assert ended.state is State.UNKNOWN
    assert ended.note == "accepted, outcome unknown: dokploy: Application not found"
