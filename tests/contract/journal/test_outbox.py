"""The `Journal` port: which subscriptions are pending, in which order, and what they show."""

from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

from bridge.core.lifecycle import State
from bridge.ports.outcomes import (
    LINK,
    Subscription,
    about_delivery,
    about_deployment,
)
from tests.fakes.journey import ManualClock, app, deployment
from tests.worlds.journal import Opened, card, decision, due, ids, one_of, outcome, record


async def test_wanting_again_changes_nothing_and_following_more_raises(
    journal: Any, clock: ManualClock
) -> None:
    await journal.subscribe([card()])
    (pending,) = await due(journal, clock)
    await journal.mark_published("card 1", pending.wanted)
    await journal.subscribe([card(), card()])
    assert await due(journal, clock) == []

    more = replace(card(), follows=(about_delivery(7),))
    await journal.subscribe([more])

    (pending,) = await due(journal, clock)
    assert set(pending.subscription.follows) == {about_delivery(7), *card().follows}


async def test_each_change_raises_what_follows_it_and_nothing_else(
    journal: Any, clock: ManualClock
) -> None:
    subscriptions = (card(), Subscription("push 1", "push", "G", (about_delivery(1),), {}))
    await record(journal, outcome(1, deployment(1), subscriptions=subscriptions))
    other = card(2, lane="C2", app_id="app-api")
    await record(journal, outcome(2, deployment(2, "app-api"), subscriptions=(other,)))
    id_ = deployment(1).id

    async def raised_by(change: Awaitable[object]) -> list[str]:
        for pending in await due(journal, clock):
            await journal.mark_published(pending.subscription.id, pending.wanted)
        await change
        return sorted(await ids(journal, clock))

    for change in (
        journal.move(id_, State.ASKED),
        journal.say(id_, "waits for the backend"),
        journal.take_back(id_, "token", "lost"),
        journal.move(id_, State.DONE),
    ):
        assert await raised_by(change) == ["card 1", "push 1"]
    assert await raised_by(journal.move(id_, State.ASKED)) == []  # may not follow: no change
    assert await raised_by(journal.cancel("app-api", 99)) == ["card 2"]


async def test_of_each_lane_the_longest_waiting_goes_first_and_busy_lanes_wait(
    journal: Any, clock: ManualClock
) -> None:
    for name, lane in (("b", "C1"), ("a", "C2"), ("c", "C1"), ("d", "C3")):
        await journal.subscribe([card(name=name, lane=lane)])
        clock.now += 1

    assert await ids(journal, clock) == ["b", "a", "d"]
    assert await ids(journal, clock, busy=["C1", "C4"]) == ["a", "d"]
    assert [one.subscription.id for one in await journal.pending(clock.now - 3, 100)] == ["b", "a"]


async def test_in_a_lane_rank_counts_before_waiting_unless_another_rank_is_favoured(
    journal: Any, clock: ManualClock
) -> None:
    for name, rank in (("status", 2), ("object", 1), ("comment", 0), ("other", 0)):
        await journal.subscribe([replace(card(name=name), rank=rank)])
        clock.now += 1
    await journal.subscribe([replace(card(name="elsewhere", lane="C2"), rank=0)])

    assert await ids(journal, clock) == ["comment", "elsewhere"]
    assert await ids(journal, clock, ready=clock.now - 3) == ["object", "elsewhere"]
    assert await ids(journal, clock, ready=clock.now - 4) == ["status", "elsewhere"]
    assert set(await ids(journal, clock, favoured={"C1": 2, "C2": 1})) == {"status", "elsewhere"}
    assert await ids(journal, clock, favoured={"C1": 3, "C9": 1}) == ["comment", "elsewhere"]


async def test_what_changes_is_due_since_its_first_change_and_again_if_it_was_read_before(
    journal: Any, clock: ManualClock
) -> None:
    await record(journal, outcome(1, deployment(1), subscriptions=(card(),)))
    began = clock.now
    for number in range(3):
        clock.now += 1
        await journal.say(deployment(1).id, f"line {number}")

    (pending,) = await due(journal, clock)
    assert (pending.wanted, pending.due_at) == (4, began)
    await journal.say(deployment(1).id, "news")
    await journal.mark_published("card 1", pending.wanted)
    (again,) = await due(journal, clock)
    assert (again.wanted, again.shown) == (5, 4)
    await journal.mark_published("card 1", again.wanted)
    assert await due(journal, clock) == []


async def test_what_shows_a_deployment_is_found_with_what_shows_all_of_its_push(
    journal: Any,
) -> None:
    places = [
        Subscription(f"github.{kind} {key}", f"github.{kind}", "github", (key,), {})
        for kind, key in [
            ("status", about_deployment(deployment(1).id)),
            ("status", about_deployment(deployment(1, "app-api").id)),
            ("status", about_delivery(1)),
            ("push", about_delivery(1)),
            ("comment", about_delivery(1)),
            ("comment", about_delivery(2)),
        ]
    ]
    both = deployment(1), deployment(1, "app-api")
    await record(journal, outcome(1, *both, subscriptions=tuple(places)))

    shown = await journal.showing(deployment(1), limit=9)

    assert [one.subscription.id for one in shown] == [places[4].id, places[0].id]


async def test_what_fails_keeps_its_pause_and_its_reason_until_it_works(
    journal: Any, clock: ManualClock
) -> None:
    await record(journal, outcome(1, deployment(1), subscriptions=(card(),)))
    failed_at = clock.now
    await journal.mark_failed("card 1", 1, "away", due_at=clock.now + 60)
    clock.now += 10
    await journal.say(deployment(1).id, "news")
    await journal.mark_failed("card 1", 2, "still away", due_at=failed_at + 90)

    assert await ids(journal, clock) == []
    (failing,) = await journal.feedback(limit=10, failing=True)
    assert (failing.attempts, failing.failing_since, failing.error, failing.due_at) == (
        2, failed_at, "still away", failed_at + 90,
    )  # fmt: skip
    await journal.mark_published("card 1", failing.wanted)
    assert await journal.feedback(limit=10, failing=True) == []
    well = await one_of(journal, "card 1")
    assert (well.attempts, well.failing_since, well.error) == (0, None, None)


async def test_what_is_parked_is_taken_up_by_the_next_change_and_begins_anew(
    journal: Any, clock: ManualClock
) -> None:
    await record(journal, outcome(1, deployment(1), subscriptions=(card(),)))
    await journal.mark_failed("card 1", 1, "channel_not_found", due_at=None)
    assert await ids(journal, clock) == []
    assert (await one_of(journal, "card 1")).parked

    clock.now += 5
    await journal.say(deployment(1).id, "news")

    (again,) = await due(journal, clock)
    assert (again.attempts, again.failing_since, again.parked) == (0, None, False)
    assert (again.due_at, again.error) == (clock.now, "channel_not_found")
    await journal.mark_failed("card 1", 1, "invalid_blocks", due_at=None)
    assert await ids(journal, clock) == ["card 1"]  # it changed while it was tried


async def test_a_place_remembers_across_restarts(reopened: Opened, clock: ManualClock) -> None:
    journal = await reopened()
    await journal.subscribe([card()])
    await journal.save_cursor("card 1", {"ts": "1.2", "shown": ["ü"]})
    await journal.save_cursor("no such target", {"ts": "0"})

    (pending,) = await due(await reopened(), clock)

    assert pending.cursor == {"ts": "1.2", "shown": ["ü"]}


async def test_a_lease_is_held_until_it_is_over_and_who_has_lost_it_changes_no_memory(
    journal: Any, clock: ManualClock
) -> None:
    await journal.subscribe([card()])
    assert await journal.hold("feedback", "one", 60)
    assert await journal.hold("feedback", "one", 60)
    assert not await journal.hold("feedback", "two", 60)
    assert await journal.hold("retention", "two", 60)
    assert await journal.save_cursor("card 1", {"saying": 2}, holding=("feedback", "one"))

    await journal.release("feedback", "two")
    assert not await journal.hold("feedback", "two", 60)
    await journal.release("feedback", "one")
    assert await journal.hold("feedback", "two", 60)

    assert not await journal.save_cursor("card 1", {"said": 2}, holding=("feedback", "one"))
    (pending,) = await due(journal, clock)
    assert pending.cursor == {"saying": 2}
    assert await journal.hold("feedback", "two", -1)
    assert await journal.hold("feedback", "one", 60)


async def test_a_new_link_raises_what_may_link_to_it_and_only_once(
    journal: Any, clock: ManualClock
) -> None:
    """The superseded card, the push's own comment, and another card of the deployment."""
    comment = Subscription("comment", "push", "G", (about_delivery(2),), {})
    unlinked = card(3, lane="C9", app_id="app-api")
    second = card(2, name="second", lane="C2")
    await record(
        journal,
        outcome(1, deployment(1), subscriptions=(card(1, lane="C3"),)),
        outcome(2, deployment(2), subscriptions=(card(2), second, comment)),
        outcome(3, deployment(3, "app-api"), subscriptions=(unlinked,)),
    )
    for pending in await due(journal, clock):
        await journal.mark_published(pending.subscription.id, pending.wanted)

    await journal.save_cursor("card 2", {"ts": "1.2"})
    assert await ids(journal, clock) == []
    await journal.save_cursor("card 2", {"ts": "1.2", LINK: "https://chat.example/1.2"})

    assert sorted(await ids(journal, clock)) == ["card 1", "comment", "second"]
    for pending in await due(journal, clock):
        snapshot = await journal.snapshot(pending.subscription)
        assert snapshot.beside["card 2"] == {"ts": "1.2", LINK: "https://chat.example/1.2"}
        await journal.mark_published(pending.subscription.id, pending.wanted)
    await journal.save_cursor("card 2", {"ts": "1.2", "more": 1, LINK: "https://chat.example/1.2"})
    assert await ids(journal, clock) == []


async def test_a_story_of_very_many_pushes_tells_the_newest_of_each_app(
    journal: Any, clock: ManualClock
) -> None:
    await journal.save_apps("dokploy", [app(), app("app-api")])
    first = outcome(1, deployment(1, "app-api"), decisions=(decision("app-api"),))
    pushes = range(2, 62)
    await record(
        journal, first, *(outcome(seq, deployment(seq), decisions=(decision(),)) for seq in pushes)
    )
    follows = tuple(
        about_delivery(seq) for seq in [*range(-33_000, 0), 1, *pushes, *range(100, 999)]
    )
    subscription = Subscription("t", "comment", "G", follows, {})

    snapshot = await journal.snapshot(subscription)

    assert [one.seq for one in snapshot.deployments] == [*range(61, 41, -1), 1]
    assert [one.seq for one in snapshot.explained] == [*range(61, 41, -1), 1]
