"""What a restart of the backend drops or interrupts is asked for again, but not endlessly."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from bridge.core.lifecycle import Deployment, State
from bridge.pipeline.deploying.outcome import LOST
from bridge.ports.gates import Judging
from tests.fakes.journey import Death
from tests.worlds.deployer import LOOK, PACE, Stage, interrupt, restarted


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


async def test_a_queue_that_an_operator_empties_is_obeyed(staged: Callable[..., Stage]) -> None:
    stage = staged(waits=300.0)
    stage.clock.after(60, stage.backend.jobs.clear)

    ended = await stage.run()

    assert (ended.state, stage.backend.asked) == (State.CANCELLED, 1)
    assert ended.note.startswith("it was taken out of the backend's queue there")


async def test_a_second_restart_ends_it_cancelled(staged: Callable[..., Stage]) -> None:
    stage = staged(builds=200.0)
    stage.clock.after(30, lambda: interrupt(stage))
    stage.clock.after(90, lambda: interrupt(stage))

    ended = await stage.run()

    assert (ended.state, stage.backend.asked) == (State.CANCELLED, 2)
    assert ended.note == "the backend was restarted while it built"


@pytest.mark.parametrize("asked", [False, True])
async def test_a_process_that_dies_before_or_while_it_asks_again_asks_no_third_time(
    staged: Callable[..., Stage], *, asked: bool
) -> None:
    """It is written down that it was lost; whether the call was made differs."""
    stage = staged(waits=300.0)
    restarted(stage, at=60)
    new = await stage.wish()
    port: Any = stage.backend if asked else stage.journal
    name = "deploy" if asked else "take_back"
    carried_out, calls = getattr(port, name), []

    async def dying(*args: Any, **facts: Any) -> None:
        calls.append(1)
        await carried_out(*args, **facts)
        if len(calls) == 1 + asked:
            raise Death

    setattr(port, name, dying)
    with pytest.raises(Death):
        await stage.run(new)
    setattr(port, name, carried_out)

    ended = await stage.run(new)

    assert (ended.state, stage.backend.asked) == (State.DONE, 2)


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
