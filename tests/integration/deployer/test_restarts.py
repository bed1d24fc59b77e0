"""What a restart of the backend drops or interrupts is asked for again, but not endlessly."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from bridge.core.lifecycle import Deployment, State
from bridge.pipeline.deploying.outcome import LOST
from bridge.ports.gates import Judging
from tests.fakes.journey import NO_GATES, Death, deployment
from tests.worlds.deployer import AWAY, LOOK, PACE, Stage, interrupt, restarted


async def test_a_job_that_a_restart_drops_is_asked_for_again_within_seconds(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(waits=300.0)
    back_at = restarted(stage, at=60)

    ended = await stage.run()

    assert (ended.state, stage.backend.asked) == (State.DONE, 2)
    assert await stage.states(ended) == [
        "waiting", "asked", "queued", "queued", "queued",
        "waiting", "asked", "queued", "running", "done",
    ]  # fmt: skip
    again = [change for change in await stage.journal.changes(ended.id) if "again" in change.note]
    assert [change.note for change in again] == [
        "the backend answers again",
        f"{LOST}; it waits here again",
        "asked again; the backend accepted it",
    ]
    assert again[0].at - back_at <= LOOK.longest + 0.1
    assert again[1].at - back_at <= PACE.lost + 2 * LOOK.longest


async def test_what_a_restart_drops_gives_way_to_a_newer_push(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(waits=300.0)
    first = await stage.wish(1)
    restarted(stage, at=60)
    stage.clock.after(62, lambda: stage.wish(2))

    ended = await stage.run(first)

    assert (ended.state, ended.superseded_by) == (State.SUPERSEDED, deployment(2).id)
    assert (await stage.run(deployment(2))).state is State.DONE
    assert stage.backend.asked == 2


async def test_a_queue_that_an_operator_empties_is_obeyed(staged: Callable[..., Stage]) -> None:
    stage = staged(waits=300.0)
    stage.clock.after(60, stage.backend.jobs.clear)

    ended = await stage.run()

    assert (ended.state, stage.backend.asked) == (State.CANCELLED, 1)
    assert ended.note.startswith("it was taken out of the backend's queue there")


async def test_a_queue_that_is_found_empty_after_our_own_restart_is_asked_again(
    staged: Callable[..., Stage],
) -> None:
    """Nobody has watched meanwhile, so the backend may have been restarted."""
    stage = staged(waits=300.0)
    new = await stage.wish()
    await stage.deployer().ask(new.id)
    await stage.journal.move(new.id, State.QUEUED)
    stage.backend.jobs.clear()
    stage.clock.now += 60

    ended = await stage.run(new)

    assert (ended.state, stage.backend.asked) == (State.DONE, 2)


async def test_a_build_that_a_restart_interrupts_is_asked_for_once_more(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(builds=200.0)

    def restart() -> None:
        interrupt(stage)
        stage.backend.builds = 5.0

    stage.clock.after(30, restart)

    ended = await stage.run()

    assert (ended.state, stage.backend.asked) == (State.DONE, 2)
    assert ended.backend_id == stage.backend.jobs[-1].id
    assert any("restarted while it built" in note for _, note in await stage.history(ended))


async def test_a_second_restart_ends_it_cancelled(staged: Callable[..., Stage]) -> None:
    stage = staged(builds=200.0)
    stage.clock.after(30, lambda: interrupt(stage))
    stage.clock.after(90, lambda: interrupt(stage))

    ended = await stage.run()

    assert (ended.state, stage.backend.asked) == (State.CANCELLED, 2)
    assert ended.note == "the backend was restarted while it built"


async def test_a_process_that_dies_while_asking_again_does_not_ask_a_third_time(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(waits=300.0)
    restarted(stage, at=60)
    new = await stage.wish()
    deploy, calls = stage.backend.deploy, []

    async def dying(*args: Any, **facts: Any) -> None:
        calls.append(1)
        await deploy(*args, **facts)
        if len(calls) == 2:
            raise Death

    stage.backend.deploy = dying  # type: ignore[method-assign]
    with pytest.raises(Death):
        await stage.run(new)

    ended = await stage.run(new)

    assert (ended.state, len(calls)) == (State.DONE, 2)


async def test_a_process_that_dies_before_it_asks_again_asks_when_it_lives(
    staged: Callable[..., Stage],
) -> None:
    """It is written down that it was lost, and the call was never made."""
    stage = staged(waits=300.0)
    restarted(stage, at=60)
    new = await stage.wish()
    take_back = stage.journal.take_back

    async def dying(*args: Any, **more: Any) -> Any:
        await take_back(*args, **more)
        raise Death

    stage.journal.take_back = dying  # type: ignore[method-assign]
    with pytest.raises(Death):
        await stage.run(new)
    del stage.journal.take_back

    ended = await stage.run(new)

    assert (ended.state, stage.backend.asked) == (State.DONE, 2)


async def test_a_job_that_is_lost_before_it_was_seen_is_asked_for_again(
    staged: Callable[..., Stage],
) -> None:
    """Accepted, and restarted for two seconds: what is said meanwhile is no second ask."""
    stage = staged(waits=300.0)
    new = await stage.wish()
    await stage.deployer().ask(new.id)
    restarted(stage, at=0, lasts=2.0)

    ended = await stage.run(new)

    assert (ended.state, stage.backend.asked) == (State.DONE, 2)
    assert any("watched as soon as that ends" in note for _, note in await stage.history(ended))


# ── cancelled ────────────────────────────────────────────────────────────────


async def test_what_was_cancelled_is_not_asked_for_again_after_a_restart(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(builds=200.0, cancels=False)
    new = await stage.wish()
    stage.clock.after(10, lambda: stage.journal.cancel(new.app_id, new.seq + 1))
    stage.clock.after(30, lambda: interrupt(stage))

    ended = await stage.run(new)

    assert (ended.state, stage.backend.asked) == (State.CANCELLED, 1)
    assert ended.note == "the backend was restarted while it built; it had been cancelled"


@pytest.mark.parametrize("away", [False, True])
async def test_what_is_cancelled_just_after_the_intent_is_not_asked(
    stage: Stage, away: bool
) -> None:
    """Also where its backend has gone by then, so that the cancel's own flow can do nothing."""
    new = await stage.wish()
    intend = stage.journal.intend

    async def overtaken(
        id_: str, known_before: Sequence[str], by: Judging, **facts: Any
    ) -> Deployment | None:
        intended = await intend(id_, known_before, by, **facts)
        await stage.journal.cancel(new.app_id, new.seq + 1)
        stage.backend.away = away
        return intended

    stage.journal.intend = overtaken  # type: ignore[method-assign]

    ended = await stage.run(new)

    assert (ended.state, stage.backend.asked) == (State.CANCELLED, 0)
    assert ended.note == "cancelled before the backend was asked"


async def test_what_was_cancelled_while_it_may_have_been_asked_is_not_asked(
    stage: Stage,
) -> None:
    new = await stage.wish()
    await stage.journal.intend(new.id, [], NO_GATES)  # and here the process died
    await stage.journal.cancel(new.app_id, new.seq + 1)

    ended = await stage.run(new)

    assert (ended.state, stage.backend.asked) == (State.CANCELLED, 0)


async def test_a_build_that_ended_before_its_cancel_took_effect_says_so(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(builds=30.0, cancels=False)
    new = await stage.wish()
    stage.clock.after(10, lambda: stage.journal.cancel(new.app_id, new.seq + 1))

    ended = await stage.run(new)

    assert ended.state is State.DONE
    assert ended.note == "commit ccccccc is live; the cancel came too late"


async def test_what_is_cancelled_while_it_waits_to_be_asked_again_is_not_asked_again(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(listed_after=1e9)
    new = await stage.wish()
    await stage.deployer().ask(new.id)
    for _ in range(5):
        stage.backend.next("deploy", AWAY)
    stage.clock.after(PACE.lost + 5, lambda: stage.journal.move(new.id, State.CANCELLED))

    ended = await stage.run(new)

    assert ended.state is State.CANCELLED
    assert len(stage.backend.jobs) == 1
