"""The `Journal` port: changes of settings, and drafts and cards about them."""

from dataclasses import replace
from typing import Any

from bridge.core.configuration.difference import Changed
from bridge.core.people import Actor
from bridge.ports.outcomes import (
    ABOUT_ANYTHING,
    BEGUN,
    DONE,
    Audited,
    Subscription,
)
from tests.fakes.journey import ManualClock, deployment
from tests.worlds.journal import Opened, due, ids, outcome, record


async def test_changes_are_noted_before_they_are_made_and_settled_after(
    reopened: Opened, clock: ManualClock
) -> None:
    journal = await reopened()
    changes = (Changed("branch", "main", None), Changed("watch_paths", None, ("ä/**",)))
    first = Audited(clock(), Actor("cli", "ada"), "provider set", "app-a", "shop/a", changes)
    second = replace(first, what="clear", app_id="app-b", difference=())
    numbers = [await journal.audit(new) for new in (first, second)]
    await journal.settle(numbers[0], DONE)

    journal = await reopened()

    done = replace(first, result=DONE, number=numbers[0])
    assert await journal.audited(limit=9) == [replace(second, number=numbers[1]), done]
    assert await journal.audited(limit=9, app_id="app-a") == [done]
    assert (await journal.audited(limit=1))[0].result == BEGUN
    assert await journal.audited(limit=9, before=numbers[1]) == [done]
    assert await journal.audited(limit=9, before=numbers[0]) == []


def asked_for(seq: int, clock: ManualClock, **others: Any) -> Audited:
    """The note of a change that a delivery asked for."""
    note = Audited(clock(), Actor("slack", "ada"), "provider set", "app-a", "shop/a", (), seq=seq)
    return replace(note, **others)


async def test_a_delivery_has_one_note_however_often_it_is_noted(
    reopened: Opened, clock: ManualClock
) -> None:
    journal = await reopened()
    first = await journal.audit(asked_for(7, clock))
    changes = (Changed("branch", "main", "dev"),)
    fuller = asked_for(7, clock, difference=changes, undoing="sealed", undoes=3)
    assert await journal.audit(fuller) == first
    await journal.audit(asked_for(8, clock))

    journal = await reopened()

    kept = replace(fuller, number=first)
    assert await journal.change_of(7) == await journal.change(first) == kept
    assert (await journal.change_of(9), await journal.change(99)) == (None, None)
    assert len(await journal.audited(limit=9)) == 2
    assert "sealed" not in repr(kept)


async def test_what_shows_how_everything_stands_is_raised_by_any_deployment_until_unwanted(
    journal: Any, clock: ManualClock
) -> None:
    home = Subscription("home", "k", "home", (ABOUT_ANYTHING,), {})
    await journal.subscribe([home], {"looked_at": 1.0})
    (first,) = await due(journal, clock)
    assert first.cursor == {"looked_at": 1.0}
    await journal.mark_published("home", 1)

    await record(journal, outcome(1, deployment(1)))
    assert await ids(journal, clock) == ["home"]
    await journal.subscribe([home], {"looked_at": 2.0})
    await journal.unsubscribe("home", {"looked_at": 1.0})
    assert await ids(journal, clock) == ["home"]
    await journal.unsubscribe("home", {"looked_at": 2.0})
    await record(journal, outcome(2, deployment(2)))

    assert await ids(journal, clock) == []
    await journal.subscribe([home])
    assert await ids(journal, clock) == ["home"]
