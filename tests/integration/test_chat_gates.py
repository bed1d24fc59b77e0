"""Locks, freezes, approvals and overrides by chat: who may do what, and what they are told."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.core.access import Grant, Person, Right
from bridge.core.chat.calls import Call
from bridge.core.chat.replies import Denied, Sorry
from bridge.core.gates.locks import DAY
from bridge.core.holds import Gate
from bridge.core.lifecycle import State
from bridge.ports.chats import Place
from bridge.storage.journal import SqlJournal
from bridge.views.gates import LockTaken
from bridge.views.holds import Approved
from bridge.views.values import Moment, plain
from bridge.views.view import Item, Table, View
from tests.fakes.journey import HEAD, ManualClock
from tests.worlds.chat_desk import (
    ADA,
    APPS,
    BOB,
    EVE,
    FROZEN,
    HERE,
    OTHER,
    Desk,
    desk_of,
    listed,
    rows,
    sorry,
    view,
)


@pytest.fixture
async def desk(journal: SqlJournal, clock: ManualClock, tmp_path: Path) -> Any:
    async with desk_of(journal, clock, tmp_path, freezes=[FROZEN]) as made:
        yield made


# ── locks ────────────────────────────────────────────────────────────────────


async def test_what_the_owner_asked_for_is_not_held(desk: Desk) -> None:
    await desk.waits(APPS[1], person="slack:U0ADA")

    said = await desk.say("lock shop a release")

    assert listed(said) == {}


async def test_a_lock_of_somebody_else_is_named_and_can_be_stolen(desk: Desk) -> None:
    await desk.say("lock api until 23:00 Europe/Berlin a release")
    busy = view(await desk.say('lock api "don\'t touch"', BOB))
    stolen = view(await desk.say("lock! api don't touch", BOB))

    assert busy.refused
    assert isinstance(busy.data, LockTaken)
    assert (busy.data.taken, busy.data.name, busy.data.reason) == (False, "Ada", "a release")
    assert [one.typed for one in busy.offers] == ["steal api don't touch"]
    assert plain(stolen.notes[1]).startswith("Taken over. Ada had locked it since ")
    assert (await desk.journal.locks())[0].name == "Bob"
    assert [what for _, what, *_ in await desk.audited()] == ["steal", "lock"]


async def test_a_lock_needs_the_right_to_every_app_in_its_scope(desk: Desk) -> None:
    refused = await desk.say("lock shop a release", BOB)
    all_ = await desk.say("lock all a release", BOB)
    view(await desk.say("lock shop/staging a release", BOB))
    stranger = await desk.say("lock shop a release", EVE)

    assert isinstance(refused, Denied)
    assert refused.target == "project shop"
    assert "It covers shop/web, for which you lack it." in refused.why
    assert isinstance(all_, Denied)
    assert "shop/web and other apps" in all_.why
    assert "vault" not in all_.why
    assert isinstance(stranger, Denied)
    frozen = await desk.say("freeze shop an incident", BOB)
    assert isinstance(frozen, Denied)
    assert frozen.right is Right.LOCK
    assert isinstance(await desk.say("unfreeze shop", BOB), Denied)
    assert isinstance(await desk.say("freeze shop/staging/api an incident", BOB), View)
    assert len(await desk.journal.freezes()) == 1
    assert isinstance(await desk.say("unlock shop/web", BOB), Denied)
    told = ("slack: Bob (U0BOB)", "lock", "project shop", "refused: no right to lock")
    assert told in await desk.audited()
    assert [one.label for one in await desk.journal.locks()] == ["environment shop/staging"]


async def taken(desk: Desk, typed: str = "lock shop a release", person: Person = ADA) -> str:
    """Take a lock; return its key."""
    assert isinstance(await desk.say(typed, person), View)
    (lock,) = await desk.journal.locks()
    return lock.key


async def test_a_lock_until_a_merge_is_taken_where_hosts_can_be_asked(desk: Desk) -> None:
    refused = sorry(await desk.say("lock shop until merge of #12 a risky one"))
    assert "deploys from no Git host that the bridge knows" in refused or (
        "no credential is set" in refused
    )
    assert await desk.journal.locks() == []


async def test_a_reminder_is_settled_by_its_buttons(desk: Desk) -> None:
    key = await taken(desk)
    for click in (desk.commands.reminders.keep, desk.commands.reminders.release):
        assert isinstance(await click(BOB, HERE, key), Denied)  # he lacks it for a part

    view(await desk.commands.reminders.keep(ADA, Place("D0ADA"), key))
    (lock,) = await desk.journal.locks()
    assert lock.remind_at == lock.at + 7 * DAY  # and not after one, as before
    view(await desk.commands.reminders.release(ADA, Place("D0ADA"), key))
    assert await desk.journal.locks() == []

    for click in (desk.commands.reminders.keep, desk.commands.reminders.release):
        gone = view(await click(ADA, Place("D0ADA"), key))
        assert plain(gone.head) == "That lock is gone already"
    assert [what for _, what, _, _ in await desk.audited()] == [
        *("unlock", "keep lock"),
        *("unlock", "keep lock"),  # refused
        "lock",
    ]


# ── freezes ──────────────────────────────────────────────────────────────────


async def test_a_freeze_holds_also_ones_own_until_it_ends(desk: Desk) -> None:
    mine = await desk.waits(APPS[1], person="slack:U0ADA")

    said = view(await desk.say("freeze all until 08:00 Europe/Berlin the database is down"))

    assert plain(said.notes[0]) == "Until Wed 2023-11-15 08:00 Europe/Berlin"
    (declared,) = await desk.journal.freezes()
    assert declared.until == 1_700_031_600.0  # Wed 2023-11-15 07:00 UTC
    assert listed(said) == {"Held now": [mine.app]}
    assert (await desk.judged(APPS[1], mine.id)).state is State.HELD

    ended = view(await desk.say("unfreeze all"))
    again = view(await desk.say("unfreeze all"))

    assert [one.reason for one in ended.data] == ["the database is down"]
    assert plain(again.head) == "Nobody has frozen all apps by command"


async def test_what_is_closed_is_listed_as_far_as_one_may_see(desk: Desk) -> None:
    await desk.say("lock vault an audit")
    await desk.say("lock api a release")
    await desk.say("freeze shop an incident")

    ada, bob = await desk.say("locks"), await desk.say("locks", BOB)
    eve = await desk.say("locks", EVE)

    assert rows(ada) == [
        ["shop/staging/api", "a release"],
        ["secret/vault", "an audit"],
        ["secret/vault", "audit"],
        ["project shop", "an incident"],
    ]
    assert rows(bob) == [["shop/staging/api", "a release"], ["project shop", "an incident"]]
    assert rows(eve) == []


# ── a time to deploy, and why nothing happens ────────────────────────────────


async def test_a_deploy_for_later_is_kept_with_its_time(desk: Desk) -> None:
    said = view(await desk.say("deploy web at 09:00 Europe/Berlin"))

    assert said.head[-1] == Moment(1_700_035_200.0, "Europe/Berlin")
    assert (await desk.kept()).not_before == "1700035200"


async def test_why_tells_what_holds_it(desk: Desk) -> None:
    held = await desk.waits()

    said = view(await desk.say("why web"))

    (table,) = [one for one in said.parts if isinstance(one, Table)]
    (row,) = table.rows
    told = [plain(one.says) for one in row.says if isinstance(one, Item)]
    assert [f"{hold.says}  ·  lifted by {hold.may_lift}" for hold in held.holds] == told[1:]


# ── approvals ────────────────────────────────────────────────────────────────


async def test_an_approval_lets_pass_what_it_was_given_for(desk: Desk) -> None:
    held = await desk.waits()
    for refused in (
        await desk.say("approve web", BOB),
        await desk.click("approve", held, BOB, commit=HEAD),
    ):
        assert isinstance(refused, Denied)
        assert refused.right is Right.APPROVE
    asked = view(await desk.say("approve web"))
    assert asked.asks is not None
    assert asked.asks.call == Call("approve", {"app": "web", "commit": HEAD}, f"approve web {HEAD}")
    assert await desk.journal.approvals("app-web") == []

    said = view(await desk.say(f"approve web {HEAD[:7]}"))
    again = view(await desk.click("approve", held, commit=HEAD))

    assert said.data == Approved("shop/web", HEAD, new=True, given=("Ada",), missing=0)
    assert listed(said) == {}
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
    right = view(await desk.click("approve", held, commit=OTHER))

    for said in (clicked, typed):
        assert isinstance(said, Sorry)
        assert "the head of shop/web is now ddddddd, not" in said.why
        assert "look again" in said.why
    assert right.data.commit == OTHER
    assert await desk.journal.approvals("app-web", HEAD) == []


# ── in spite of the gates ────────────────────────────────────────────────────


async def test_a_dialog_lifts_only_what_it_has_shown(desk: Desk) -> None:
    await desk.say("lock api a release")
    held = await desk.waits(APPS[1], 1)

    asked = view(await desk.click("override", held))
    assert asked.asks is not None
    assert [one.name for one in asked.asks.lacks] == ["reason"]
    seen = asked.asks.call.given["seen"]
    await desk.say("freeze all an incident")
    await desk.judged(APPS[1], held.id)

    more = view(await desk.click("override", held, reason="why not", seen=seen))
    refused = await desk.click("override", held, BOB, reason="why not", seen=seen)
    assert more.asks is not None
    assert plain(more.says[0]) == "Something else holds it by now. Nothing was done."
    assert isinstance(refused, Denied)
    assert (await desk.judged(APPS[1], held.id)).state is State.HELD

    seen = more.asks.call.given["seen"]
    assert isinstance(await desk.click("override", held, reason=" ", seen=seen), Sorry)
    lifted = view(await desk.click("override", held, reason="it mends it", seen=seen))
    assert lifted.asks is None
    assert (await desk.judged(APPS[1], held.id)).state is State.WAITING
    (newest, *_) = await desk.audited()
    said = "lock, freeze: it mends it"
    assert newest == ("slack: Ada (U0ADA)", "override", held.app, said)
    late = await desk.click("override", held, reason="it mends it", seen=seen)
    assert late == Sorry("It is not held any more: it is waiting.")


async def test_who_may_deploy_ends_a_wait_for_a_time(desk: Desk) -> None:
    desk.grant(Grant(("everyone",), frozenset({Right.DEPLOY})))
    held = await desk.waits(APPS[1], 1, not_before=desk.clock.now + 900)
    assert [one.gate for one in held.holds] == [Gate.SCHEDULE]

    asked = view(await desk.say("override api now, please", BOB))
    assert asked.asks is not None
    assert (await desk.judged(APPS[1], held.id)).state is State.HELD
    lifted = view(await desk.say(asked.asks.call, BOB))

    assert lifted.data.id == held.id
    assert plain(lifted.says[0]) == "Why: now, please"


async def test_a_click_removes_the_lock_that_was_shown_and_no_other(desk: Desk) -> None:
    await desk.say("lock api a release")
    held = await desk.waits(APPS[1], 1)
    (hold,) = held.holds
    await desk.say("steal api an incident", BOB)
    await desk.judged(APPS[1], held.id)

    stale = view(await desk.click("unlock", held, seen=hold.key))
    assert stale.refused
    assert plain(stale.notes[0]) == "Now: shop/staging/api is locked by Bob: an incident"

    now = (await desk.judged(APPS[1], held.id)).holds[0]
    assert isinstance(await desk.click("unlock", held, EVE, seen=now.key), Denied)
    assert len(await desk.journal.locks()) == 1
    await desk.click("unlock", held, seen=now.key)
    assert await desk.journal.locks() == []
    gone = view(await desk.click("unlock", held, seen=now.key))
    assert plain(gone.head) == "That lock is gone already"


# ── nothing is named that may not be seen ────────────────────────────────────

VERBS = st.sampled_from(
    ["lock", "steal", "unlock", "freeze", "unfreeze", "approve", "override", "locks"]
)
NAMES = st.sampled_from(
    ["vault", "secret", "secret/vault", "secret/production", "all", "project:secret", "app:vault"]
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(VERBS, NAMES | st.text(max_size=30), st.sampled_from(["", "a reason", "for 2h a reason"]))
async def test_nothing_typed_names_or_changes_an_app_that_one_may_not_see(
    desk: Desk, verb: str, name: str, rest: str
) -> None:
    said = repr(await desk.say(f"{verb} {name} {rest}", BOB))

    for hidden in ("secret/vault", "app-vault"):
        assert hidden not in said.replace(repr(name)[1:-1], "").replace(name, "")
    scopes = {one.scope for one in await desk.journal.locks()}
    assert not scopes & {"all", "project/secret", "environment/secret/production", "app/app-vault"}


async def test_an_unseen_project_and_none_are_answered_alike(desk: Desk) -> None:
    unseen = repr(await desk.say("lock secret a release", BOB))
    absent = repr(await desk.say("lock nosuch a release", BOB))

    assert unseen.replace("secret", "x") == absent.replace("nosuch", "x")
