"""Every change reaches every place that shows it, once, and no faster than its service allows."""

import asyncio
import logging
from collections.abc import Sequence

import pytest

from bridge.core.lifecycle import State
from bridge.pipeline.feedback.outbox import together
from bridge.pipeline.feedback.rate_limit import RateLimiter
from bridge.ports.clock import Limit
from bridge.ports.feedback import NO_TURNS, Occasion, after_turn, next_turn, rank_favoured
from bridge.ports.outcomes import Outcome, Subscription
from tests.fakes.journey import ManualClock, push
from tests.worlds.feedback_stage import Stage, card


async def test_a_change_is_shown_once_and_only_once(stage: Stage) -> None:
    id_ = await stage.deployed()

    await stage.quiet()
    await stage.quiet()

    assert stage.place.shown == {f"card {id_}": ["waiting"]}
    assert len(stage.place.stories) == 1
    assert (await stage.of(f"card {id_}")).due_at is None


@pytest.mark.slow
async def test_a_burst_of_changes_is_few_showings_and_the_right_one_last(stage: Stage) -> None:
    id_ = await stage.deployed()
    for number in range(300):
        await stage.journal.say(id_, f"line {number}")
        await stage.clock.sleep(0.002)
        if number % 15 == 0:
            await stage.once()
    await stage.journal.move(id_, State.ASKED)
    await stage.journal.move(id_, State.RUNNING)

    await stage.quiet()

    assert len(stage.place.stories) <= 4
    assert stage.place.shown[f"card {id_}"] == ["waiting", "running"]
    assert [change.note for change in stage.place.stories[-1].history[id_]][-3] == "line 299"


# ── plans ────────────────────────────────────────────────────────────────────


def test_a_planner_that_fails_does_not_keep_others_from_planning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(_: Occasion) -> Sequence[Subscription]:
        raise KeyError("channel")

    occasion = Occasion(push(), None, Outcome(7, "delivery-7", ()), {})

    with caplog.at_level(logging.ERROR, "bridge.pipeline.feedback.outbox"):
        assert together([broken, lambda o: [card(str(o.outcome.seq))]])(occasion) == [card("7")]

    assert "can't be planned" in caplog.text


@pytest.mark.parametrize(
    ("written", "turn"),
    [
        ([], 100.0),
        ([98.0], 100.0),
        ([99.5], 100.5),
        ([70.0, 80.0, 98.0], 130.0),
        ([10.0, 80.0, 98.0], 100.0),
    ],
)
def test_the_next_turn_keeps_every_limit(written: list[float], turn: float) -> None:
    assert next_turn([Limit(1, 1.0), Limit(3, 60.0)], written, 100.0) == turn


async def test_once_closed_no_write_gets_its_turn(clock: ManualClock) -> None:
    rate_limiter = RateLimiter(clock, sleep=lambda _: asyncio.Event().wait())
    turn = rate_limiter.within([Limit(1, 1.0)])

    async def write(lane: str) -> None:
        await turn(lane)

    await turn("C1")
    waiting = [asyncio.create_task(write("C1")) for _ in range(2)]
    await asyncio.sleep(0)

    rate_limiter.close()
    late = asyncio.create_task(write("C2"))
    await asyncio.wait([*waiting, late])

    assert all(task.cancelled() for task in (*waiting, late))
    rate_limiter.open()
    await turn("C2")


def test_of_many_turns_each_rank_gets_some() -> None:
    ranks, since = list[int](), NO_TURNS
    for _ in range(64):
        ranks.append(rank_favoured(since))
        since = after_turn(since, ranks[-1])

    assert ranks[:8] == [0, 0, 0, 1, 0, 0, 0, 2]
    assert [ranks.count(rank) for rank in range(4)] == [48, 8, 4, 4]
