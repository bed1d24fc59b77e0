"""Approvals and overrides by chat: who may do what, and what they are told."""

from pathlib import Path
from typing import Any

import pytest

from bridge.core.access import Access, Grant, Right
from bridge.core.chat.calls import Call
from bridge.core.chat.replies import Denied, Sorry
from bridge.core.holds import Gate
from bridge.core.lifecycle import State
from bridge.storage.journal import SqlJournal
from bridge.views.holds import Approved
from bridge.views.values import plain
from bridge.views.view import View
from tests.fakes.journey import HEAD, ManualClock
from tests.worlds.chat_desk import (
    APPS,
    BOB,
    EVE,
    OTHER,
    Desk,
    desk_of,
    listed,
)


@pytest.fixture
async def desk(journal: SqlJournal, clock: ManualClock, tmp_path: Path) -> Any:
    async with desk_of(journal, clock, tmp_path) as made:
        yield made


# ── approvals ────────────────────────────────────────────────────────────────


async def test_an_approval_lets_pass_what_it_was_given_for(desk: Desk) -> None:
    held = await desk.waits()
    for refused in (
        await desk.say("approve web", BOB),
        await desk.click("approve", held, BOB, commit=HEAD),
    ):
        assert isinstance(refused, Denied)
        assert refused.right is Right.APPROVE
    asked = await desk.say("approve web")
    assert isinstance(asked, View)
    assert asked.asks is not None
    assert asked.asks.call == Call("approve", {"app": "web", "commit": HEAD}, f"approve web {HEAD}")
    assert await desk.journal.approvals("app-web") == []

    said = await desk.say(f"approve web {HEAD[:7]}")
    again = await desk.click("approve", held, commit=HEAD)

    assert isinstance(said, View)
    assert said.data == Approved("shop/web", HEAD, new=True, given=("Ada",), missing=0)
    assert listed(said) == {}
    assert isinstance(again, View)
    assert not again.data.new
    assert (await desk.judged(APPS[0], held.id)).state is State.WAITING


async def test_what_waits_for_no_approval_is_not_approved(desk: Desk) -> None:
    await desk.say("lock api a release")
    await desk.waits(APPS[1], 1)

    for typed in ("approve api", f"approve api {HEAD}"):
        assert await desk.say(typed) == Sorry("shop/staging/api waits for no approval.")
    assert await desk.journal.approvals("app-api") == []


async def test_a_commit_that_is_no_longer_the_head_is_not_approved(desk: Desk) -> None:
    """Whoever clicks has seen the commit on the card, not the one that would be built."""
    held = await desk.waits()
    await desk.judged(APPS[0], held.id, OTHER)

    clicked = await desk.click("approve", held, commit=HEAD)
    typed = await desk.say(f"approve web {HEAD[:7]}")
    right = await desk.click("approve", held, commit=OTHER)

    for said in (clicked, typed):
        assert isinstance(said, Sorry)
        assert "the head of shop/web is now ddddddd, not" in said.why
        assert "look again" in said.why
    assert isinstance(right, View)
    assert right.data.commit == OTHER
    assert await desk.journal.approvals("app-web", HEAD) == []


# ── in spite of the gates ────────────────────────────────────────────────────


async def test_a_dialog_lifts_only_what_it_has_shown(desk: Desk) -> None:
    await desk.say("lock api a release")
    held = await desk.waits(APPS[1], 1)

    asked = await desk.click("override", held)
    assert isinstance(asked, View)
    assert asked.asks is not None
    assert [one.name for one in asked.asks.lacks] == ["reason"]
    seen = asked.asks.call.given["seen"]
    await desk.say("freeze all an incident")
    await desk.judged(APPS[1], held.id)

    more = await desk.click("override", held, reason="why not", seen=seen)
    refused = await desk.click("override", held, BOB, reason="why not", seen=seen)
    assert isinstance(more, View)
    assert more.asks is not None
    assert plain(more.says[0]) == "Something else holds it by now. Nothing was done."
    assert isinstance(refused, Denied)
    assert (await desk.judged(APPS[1], held.id)).state is State.HELD

    seen = more.asks.call.given["seen"]
    assert isinstance(await desk.click("override", held, reason=" ", seen=seen), Sorry)
    lifted = await desk.click("override", held, reason="it mends it", seen=seen)
    assert isinstance(lifted, View)
    assert lifted.asks is None
    assert (await desk.judged(APPS[1], held.id)).state is State.WAITING
    (newest, *_) = await desk.audited()
    said = "lock, freeze: it mends it"
    assert newest == ("slack: Ada (U0ADA)", "override", held.app, said)
    late = await desk.click("override", held, reason="it mends it", seen=seen)
    assert late == Sorry("It is not held any more: it is waiting.")


async def test_who_may_deploy_ends_a_wait_for_a_time(desk: Desk) -> None:
    may_deploy = Access([Grant(("everyone",), frozenset({Right.DEPLOY}))])
    desk.commands.reminders._finding.access = may_deploy
    held = await desk.waits(APPS[1], 1, not_before=desk.clock.now + 900)
    assert [one.gate for one in held.holds] == [Gate.SCHEDULE]

    lifted = await desk.say("override api now, please", BOB)

    assert isinstance(lifted, View)
    assert lifted.data.id == held.id


async def test_a_click_removes_the_lock_that_was_shown_and_no_other(desk: Desk) -> None:
    await desk.say("lock api a release")
    held = await desk.waits(APPS[1], 1)
    (hold,) = held.holds
    await desk.say("steal api an incident", BOB)
    await desk.judged(APPS[1], held.id)

    stale = await desk.click("unlock", held, seen=hold.key)
    assert isinstance(stale, View)
    assert stale.refused
    assert plain(stale.notes[0]) == "Now: shop/staging/api is locked by Bob: an incident"

    now = (await desk.judged(APPS[1], held.id)).holds[0]
    assert isinstance(await desk.click("unlock", held, EVE, seen=now.key), Denied)
    assert len(await desk.journal.locks()) == 1
    await desk.click("unlock", held, seen=now.key)
    assert await desk.journal.locks() == []
    gone = await desk.click("unlock", held, seen=now.key)
    assert isinstance(gone, View)
    assert plain(gone.head) == "That lock is gone already"
