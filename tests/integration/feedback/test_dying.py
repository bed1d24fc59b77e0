"""Killed at any moment, and beside another process, feedback loses nothing."""

import asyncio
from dataclasses import replace

import pytest

from bridge.core.lifecycle import State
from bridge.pipeline.feedback.outbox import Feedback
from tests.fakes.journey import Death, Lifetime
from tests.worlds.feedback_stage import TIMING, Stage, until


@pytest.mark.slow
async def test_dying_at_any_moment_loses_nothing_and_remembers_what_was_kept(
    stage: Stage,
) -> None:
    """Each moment: before and after every call of the journal and of the place."""
    for moment in range(1, 100):
        id_ = await stage.deployed(moment, f"app-{moment}", lane=f"C{moment}")
        await stage.journal.move(id_, State.ASKED)
        await stage.clock.sleep(1)
        life = Lifetime(until=moment)
        died = await dies(stage, stage.loop(life))
        await stage.quiet(seconds=5)
        assert stage.place.shown[f"card {id_}"][-1] == "asked", moment
        assert (await stage.of(f"card {id_}")).due_at is None
        if not died:
            assert moment > 10
            return
    raise AssertionError("it never came to the end of its life")


async def dies(stage: Stage, feedback: Feedback) -> bool:
    try:
        await stage.once(feedback)
    except Death:
        return True
    return False


async def test_what_was_remembered_before_death_is_there_when_it_is_shown_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = await stage.deployed()
    await stage.clock.sleep(1)

    async def dead(*_: object) -> None:
        raise Death

    with monkeypatch.context() as patched:
        patched.setattr(stage.journal, "mark_published", dead)
        assert await dies(stage, stage.loop())
    await stage.quiet()

    assert stage.place.cursors[0] == {}
    assert stage.place.cursors[1]["state"] == "waiting"
    assert stage.place.shown[f"card {id_}"] == ["waiting"]


async def test_two_loops_on_one_journal_never_show_the_same_target_at_once(stage: Stage) -> None:
    ids = [await stage.deployed(n, f"app-{n}", lane=f"C{n % 3}") for n in range(1, 10)]
    one, two = stage.loop(owner="one"), stage.loop(owner="two")

    for _ in range(60):
        await stage.clock.sleep(0.1)
        await asyncio.gather(stage.once(one), stage.once(two))

    assert [stage.place.shown[f"card {id_}"] for id_ in ids] == [["waiting"]] * len(ids)


async def test_one_that_ends_waits_for_the_write_that_is_on_its_way(stage: Stage) -> None:
    """A write whose id was never stored often can't be found again, and would be repeated."""
    id_ = await stage.deployed()
    turn = stage.rate_limiter.within([])

    async def slow_write(lane: str) -> None:
        await turn(lane)
        await stage.place.let_go.wait()

    stage.place.turn = slow_write
    await stage.clock.sleep(1)
    running = asyncio.create_task(stage.loop(owner="one").run())
    await until(stage.begun)
    running.cancel()
    await asyncio.sleep(0)
    stage.place.let_go.set()
    await asyncio.gather(running, return_exceptions=True)

    pending = await stage.of(f"card {id_}")
    assert stage.place.shown[f"card {id_}"] == ["waiting"]
    assert (pending.cursor["state"], pending.due_at) == ("waiting", None)


async def test_who_can_not_renew_the_lease_sends_nothing_more(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the database is silent: by then another process may be at the same card."""
    lease = replace(TIMING, lease=0.3)
    one, two = stage.loop(owner="one", timing=lease), stage.loop(owner="two")
    id_ = await stage.deployed()
    stage.place.hangs.add(f"card {id_}")
    await stage.clock.sleep(1)
    await one.look()
    await until(stage.begun)

    await one.settled()  # in real time: the lease ends it, though nothing wakes the place
    stage.place.hangs.clear()
    stage.place.let_go.set()
    await stage.quiet(two, seconds=3)

    assert stage.place.shown[f"card {id_}"] == ["waiting"]
    assert len(stage.place.stories) == 2


async def test_who_has_lost_the_lease_says_nothing_of_it_in_the_journal(stage: Stage) -> None:
    one = stage.loop(owner="one")
    id_ = await stage.deployed()
    await stage.clock.sleep(1)

    async def taken_over() -> None:
        await stage.journal.release("feedback", "one")
        assert await stage.journal.hold("feedback", "two", 15.0)

    stage.place.during[f"card {id_}"] = taken_over
    await stage.once(one)

    pending = await stage.of(f"card {id_}")
    assert (pending.cursor, pending.attempts, pending.error) == ({}, 0, None)
    assert pending.due_at is not None
