"""What the backend has accepted is followed to its real end."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from bridge.core.apps import App
from bridge.core.lifecycle import State
from bridge.pipeline.deploying.deployments import Deployer
from bridge.storage import tables
from tests.fakes.journey import HEAD, KeptSteps
from tests.worlds.deployer import LOOK, NO, PACE, Stage


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


async def test_where_the_backend_lists_no_queue_what_it_never_shows_is_not_asked_again(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(listed_after=1e9, tells_queue=False)

    ended = await stage.run()

    assert (ended.state, stage.backend.asked) == (State.UNKNOWN, 1)


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


async def test_a_long_wait_in_the_backends_queue_is_not_lost(staged: Callable[..., Stage]) -> None:
    assert (await staged(waits=400.0).run()).state is State.DONE


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


async def test_while_its_job_is_active_its_records_are_hardly_read(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(builds=100.0)

    ended = await stage.run()

    assert ended.state is State.DONE
    # Before it was asked, when it began, every half minute, and at its end until its commit came.
    assert stage.backend.count("deployments") <= 1 + 1 + 3 + 3


async def test_looks_grow_rarer_while_nothing_changes(staged: Callable[..., Stage]) -> None:
    stage = staged(builds=200.0)

    await stage.run()

    assert stage.backend.count("deployments") < 110
    assert max(stage.clock.slept) == LOOK.longest


async def test_a_backend_too_old_to_list_its_queue_is_followed_by_its_records(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(tells_queue=False)

    ended = await stage.run()

    assert (ended.state, stage.backend.asked) == (State.DONE, 1)
    assert await stage.states(ended) == ["waiting", "asked", "running", "done"]


async def test_one_that_waits_again_by_the_journal_is_asked_for_again_without_a_restart(
    staged: Callable[..., Stage],
) -> None:
    """As after a failover to a replica that lagged: what was written down meanwhile is lost."""
    stage = staged(waits=60)
    new = await stage.wish()
    t = tables.deployments

    def lag(db: sa.Connection) -> None:
        lost = {"state": State.WAITING, "intent_at": None, "asked_at": None, "known_before": "[]"}
        db.execute(sa.update(t).where(t.c.id == new.id).values(lost))
        stage.backend.jobs.clear()

    stage.clock.after(30, lambda: stage.journal._write(lag))

    ended = await stage.run(new)

    assert ended.state is State.DONE
    assert stage.backend.asked == 2
