"""Every change reaches every place that shows it, once, in few writes."""

import logging
from collections.abc import Sequence

import pytest

from bridge.core import trace
from bridge.core.lifecycle import State
from bridge.pipeline.feedback.outbox import together
from bridge.ports.feedback import Occasion, Snapshot
from bridge.ports.outcomes import Outcome, Subscription, about_delivery
from tests.fakes.journey import push
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


async def test_what_changes_while_it_is_shown_is_shown_after(stage: Stage) -> None:
    id_ = await stage.deployed()
    stage.place.during[f"card {id_}"] = lambda: stage.journal.move(id_, State.ASKED)

    await stage.quiet()

    assert stage.place.shown[f"card {id_}"] == ["waiting", "asked"]


async def test_what_is_done_to_show_it_is_about_its_delivery(stage: Stage) -> None:
    id_ = await stage.deployed()
    seen: list[str] = []

    async def look() -> None:
        seen.append(trace.current())

    stage.place.during[f"card {id_}"] = look
    await stage.quiet()

    assert seen == ["delivery-1"]


# ── targets, memories and links ──────────────────────────────────────────────


async def test_further_targets_are_wanted_from_then_on(stage: Stage) -> None:
    id_ = await stage.deployed()
    stage.place.further[f"card {id_}"] = (card(id_, name="second", lane="C2"),)

    await stage.quiet()
    await stage.journal.move(id_, State.ASKED)
    await stage.quiet()

    assert stage.place.shown["second"] == ["waiting", "asked"]


async def test_a_new_link_is_shown_by_what_may_link_to_it(stage: Stage) -> None:
    """The card of a superseded deployment links to that of the newer one."""
    stage.place.hangs.add("card of the newer")
    old = await stage.deployed(1)
    new = await stage.deployed(2, name="card of the newer", lane="C2")
    await stage.clock.sleep(1)
    await stage.feedback.look()
    await stage.rests(f"card {old}")
    assert stage.place.shown == {f"card {old}": ["superseded"]}
    assert links_beside(stage.place.stories) == []
    shown = len(stage.place.stories)

    stage.place.let_go.set()
    await stage.feedback.settled()
    await stage.quiet()

    assert new.endswith("app-web")
    assert len(stage.place.stories) == shown + 1
    assert links_beside(stage.place.stories[shown:]) == ["https://chat.example/card of the newer"]


async def test_what_shows_a_delivery_is_raised_by_the_link_of_its_cards(stage: Stage) -> None:
    comment = Subscription("comment", "card", "G", (about_delivery(1),), {})
    await stage.journal.subscribe([comment])
    await stage.quiet()
    shown = len(stage.place.stories)

    await stage.deployed(1)
    await stage.quiet()

    assert links_beside(stage.place.stories[shown:])[-1].startswith("https://chat.example/card")


async def test_two_places_that_link_to_each_other_come_to_rest(stage: Stage) -> None:
    id_ = await stage.deployed()
    await stage.journal.subscribe([card(id_, name="second", lane="C2")])

    await stage.quiet()
    shown = len(stage.place.stories)
    await stage.quiet()

    assert len(stage.place.stories) == shown <= 4


def links_beside(stories: Sequence[Snapshot]) -> list[str]:
    return [cursor["link"] for snapshot in stories for cursor in snapshot.beside.values() if cursor]


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
