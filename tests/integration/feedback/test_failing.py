"""Places that are slow, dead, full or say no hold up nobody else, and are right in the end."""

import logging
from typing import Any

import pytest

from bridge.core.backoff import Backoff
from bridge.core.errors import NotFound, Refused, Unreachable
from bridge.core.lifecycle import State
from bridge.pipeline.feedback.outbox import Feedback, PublishTiming
from bridge.ports.outcomes import Subscription, about_deployment
from bridge.storage.journal import SqlJournal
from tests.worlds.feedback_stage import Stage, until

DAY = 24 * 3600.0


async def test_a_place_that_hangs_holds_up_no_other_lane(stage: Stage) -> None:
    hanging, other = await stage.deployed(1, "app-a"), await stage.deployed(2, "app-b", lane="C2")
    stage.place.hangs.add(f"card {hanging}")
    await stage.clock.sleep(1)
    await stage.feedback.look()
    await stage.rests(f"card {other}")

    await stage.journal.move(other, State.ASKED)
    await stage.clock.sleep(1)
    await stage.feedback.look()
    await stage.rests(f"card {other}")

    assert stage.place.shown == {f"card {other}": ["waiting", "asked"]}
    stage.place.let_go.set()
    await stage.feedback.settled()
    assert stage.place.shown[f"card {hanging}"] == ["waiting"]


async def test_no_more_lanes_are_at_work_than_allowed(stage: Stage) -> None:
    ids = [await stage.deployed(n, f"app-{n}", lane=f"C{n}") for n in (1, 2, 3)]
    stage.place.hangs |= {f"card {id_}" for id_ in ids}
    two = stage.loop(timing=PublishTiming(lanes=2))
    await stage.clock.sleep(1)

    await two.look()
    await until(stage.begun)
    await two.look()

    assert len(stage.place.at_work) == 2
    stage.place.let_go.set()
    await stage.quiet(two)
    assert len(stage.place.shown) == 3


async def test_a_place_that_hangs_for_too_long_is_cut_off_and_tried_again(stage: Stage) -> None:
    id_ = await stage.deployed()
    stage.place.hangs.add(f"card {id_}")
    impatient = stage.loop(timing=PublishTiming(longest=0.001))
    await stage.clock.sleep(1)

    await stage.once(impatient)

    assert "nothing came back within 0 s" in str((await stage.of(f"card {id_}")).error)
    stage.place.hangs.clear()
    await stage.quiet()
    assert stage.place.shown[f"card {id_}"] == ["waiting"]
    assert (await stage.of(f"card {id_}")).error is None


async def test_too_many_requests_make_the_whole_lane_wait_as_long_as_asked(stage: Stage) -> None:
    limited = await stage.deployed(1, "app-a")
    await stage.clock.sleep(0.1)
    same, other = await stage.deployed(2, "app-b"), await stage.deployed(3, "app-c", lane="C2")
    stage.place.fails[f"card {limited}"] = [Unreachable("slack", "429", retry_after=30)]

    await stage.quiet(seconds=29)

    assert stage.place.shown == {f"card {other}": ["waiting"]}
    assert len(stage.place.stories) == 2
    await stage.quiet(seconds=5)
    assert stage.place.shown[f"card {limited}"] == ["waiting"]
    assert stage.place.shown[f"card {same}"] == ["waiting"]


@pytest.mark.parametrize("no", [Refused("slack", "channel_not_found"), NotFound("no such channel")])
async def test_what_is_refused_is_parked_until_something_changes(
    stage: Stage, no: Exception
) -> None:
    id_ = await stage.deployed()
    stage.place.fails[f"card {id_}"] = [no]

    await stage.quiet(seconds=60)

    parked = await stage.of(f"card {id_}")
    assert (parked.parked, parked.error) == (True, str(no))
    assert len(stage.place.stories) == 1
    await stage.journal.move(id_, State.ASKED)
    await stage.quiet()
    assert stage.place.shown[f"card {id_}"] == ["asked"]
    assert not (await stage.of(f"card {id_}")).parked


@pytest.mark.slow
async def test_after_a_day_of_failing_it_is_parked_and_the_next_change_begins_anew(
    stage: Stage,
) -> None:
    id_ = await stage.deployed()
    failing = stage.place.fails[f"card {id_}"]
    failing += [Unreachable("slack", "ConnectError") for _ in range(5000)]
    patient = stage.loop(timing=PublishTiming(poll=3600, lease=1e6, retry=Backoff(1.0, 3600.0)))

    await stage.quiet(patient, seconds=DAY - 3600)
    assert not (await stage.of(f"card {id_}")).parked
    await stage.quiet(patient, seconds=2 * 3600)
    parked = await stage.of(f"card {id_}")
    assert parked.parked
    assert "can't be reached" in str(parked.error)
    tries = len(stage.place.stories)
    await stage.quiet(patient, seconds=DAY)
    assert len(stage.place.stories) == tries

    await stage.journal.move(id_, State.ASKED)
    await stage.quiet(patient, seconds=3600)
    again = await stage.of(f"card {id_}")
    assert not again.parked
    assert len(stage.place.stories) > tries
    failing.clear()
    await stage.quiet(patient, seconds=3600)
    assert stage.place.shown[f"card {id_}"] == ["asked"]


async def test_a_bug_in_one_place_is_told_once_and_kept_with_the_target(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    id_ = await stage.deployed()
    stage.place.fails[f"card {id_}"] = [KeyError("ts"), KeyError("ts"), KeyError("ts")]
    with caplog.at_level(logging.WARNING, "bridge.pipeline.feedback.outbox"):
        await stage.quiet(seconds=2)
        assert (await stage.of(f"card {id_}")).error == "a bug: KeyError"
        await stage.quiet()

    assert [record.getMessage() for record in caplog.records] == [
        "feedback can't be shown; it is tried again"
    ]
    assert caplog.records[0].exc_info is not None
    assert stage.place.shown[f"card {id_}"] == ["waiting"]


async def test_a_kind_that_nothing_shows_any_more_is_parked_and_named(stage: Stage) -> None:
    gone = Subscription("gone", "pigeon", "P", (about_deployment("1.x"),), {})
    await stage.journal.subscribe([gone])

    await stage.quiet(seconds=2)

    assert "nothing here shows pigeon" in str((await stage.of("gone")).error)


async def test_our_own_journal_being_away_is_no_fault_of_a_target(stage: Stage) -> None:
    id_ = await stage.deployed()
    await stage.clock.sleep(1)
    forgetful = Forgetful(stage.journal)
    feedback = Feedback(
        forgetful,  # a journal that fails once in a while
        {"card": stage.place},
        stage.clock,
        chance=lambda: 0.5,
    )

    await stage.quiet(feedback, seconds=5)

    assert forgetful.failed
    assert stage.place.shown[f"card {id_}"] == ["waiting"]
    assert (await stage.of(f"card {id_}")).error is None


class Forgetful:
    """A journal whose disk is full when the first target was shown."""

    def __init__(self, journal: SqlJournal) -> None:
        self._journal = journal
        self.failed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)

    async def mark_published(self, subscription_id: str, wanted: int) -> None:
        if not self.failed:
            self.failed = True
            raise Unreachable("the journal", "database or disk is full")
        await self._journal.mark_published(subscription_id, wanted)
