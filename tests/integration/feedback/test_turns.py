"""Each lane is written to as fast as its service allows, and no faster."""

import asyncio
from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest

from bridge.core.errors import TooEarly
from bridge.pipeline.feedback.rate_limit import RateLimiter
from bridge.ports.clock import Limit
from bridge.ports.feedback import NO_TURNS, after_turn, next_turn, rank_favoured
from bridge.ports.outcomes import Rank
from tests.fakes.journey import ManualClock
from tests.worlds.feedback_stage import Stage, card

# ── how fast ─────────────────────────────────────────────────────────────────


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


async def test_writes_of_a_lane_are_spaced_and_other_lanes_do_not_wait(clock: ManualClock) -> None:
    rate_limiter = RateLimiter(clock, sleep=clock.sleep)
    turn = rate_limiter.within([Limit(1, 1.0)])
    began = clock()

    for lane in ("C1", "C1", "C1", "C2"):
        await turn(lane)

    assert clock() - began == 2.0
    assert rate_limiter.free_at("C1") == rate_limiter.free_at("C2") + 0.0 == clock() + 1.0


async def test_a_long_wait_is_given_back_to_the_loop_instead(clock: ManualClock) -> None:
    rate_limiter = RateLimiter(clock, sleep=clock.sleep)
    turn = rate_limiter.within([Limit(2, 3600.0)])
    await turn("github")
    await turn("github")

    with pytest.raises(TooEarly, match="written as often") as caught:
        await turn("github")

    assert caught.value.retry_after == 3600.0
    assert clock.slept == []


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


async def test_a_lane_that_may_not_be_written_to_is_not_even_read(stage: Stage) -> None:
    stage.place.turn = stage.rate_limiter.within([Limit(1, 10.0)])
    for number in range(1, 4):
        await stage.deployed(number, f"app-{number}")

    await stage.quiet(seconds=12)
    assert len(stage.place.stories) == 2
    await stage.quiet(seconds=12)

    assert len(stage.place.stories) == 3
    assert stage.clock.slept.count(10.0) == 0


# ── whose turn it is ─────────────────────────────────────────────────────────


def test_of_many_turns_each_rank_gets_some() -> None:
    ranks, since = list[int](), NO_TURNS
    for _ in range(64):
        ranks.append(rank_favoured(since))
        since = after_turn(since, ranks[-1])

    assert ranks[:8] == [0, 0, 0, 1, 0, 0, 0, 2]
    assert [ranks.count(rank) for rank in range(4)] == [48, 8, 4, 4]


def test_a_comment_that_comes_during_many_statuses_goes_next() -> None:
    since = NO_TURNS
    for _ in range(30):
        since = after_turn(since, Rank.DEPLOYED)
        assert rank_favoured(since) in (Rank.READ, Rank.SKIPPED)


async def written_beside_comments_that_always_change(stage: Stage, seconds: int) -> list[str]:
    """The kinds of what is shown, in order: each takes a second, and comments never rest."""
    written: list[str] = []

    async def writes(name: str, kind: str) -> None:
        written.append(kind)
        await stage.clock.sleep(1.0)
        if kind == "comment":
            await always_changes(name)

    async def always_changes(name: str) -> None:
        stage.place.during[name] = partial(writes, name, "comment")
        await stage.journal.say(id_, f"line {len(written)}")

    id_ = await stage.deployed(name="one")
    await stage.journal.subscribe([card(id_, name="another")])
    for name in ("one", "another"):
        await always_changes(name)
    for kind, rank, many in (("deployed", 1, 3), ("skipped", 2, 200)):
        for number in range(many):
            subscription = replace(card(id_, name=f"{kind} {number}"), rank=rank, follows=())
            stage.place.during[subscription.id] = partial(writes, subscription.id, kind)
            await stage.journal.subscribe([subscription])
    await stage.clock.sleep(1.0)
    await stage.quiet(seconds=seconds)
    return written


@pytest.mark.slow
async def test_statuses_get_their_turn_beside_comments_that_always_change(stage: Stage) -> None:
    written = await written_beside_comments_that_always_change(stage, 64)

    assert written.count("deployed") == 3
    assert written.count("skipped") >= 3


@pytest.mark.slow
async def test_a_comment_waits_for_one_of_two_hundred_statuses_at_most(stage: Stage) -> None:
    written = await written_beside_comments_that_always_change(stage, 64)

    assert written[0] == "comment"
    for one, next_one in pairwise(written):
        assert "comment" in (one, next_one)
