"""What people ask of gates by chat: who may do what, and what they are told; no chat is needed."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.core.access import Access, Grant, Person, Right
from bridge.core.apps import App, Rules
from bridge.core.chat.gate_replies import ApprovalAsked, ApprovalGiven, Lifted, MoreHolds
from bridge.core.chat.replies import Accepted, Denied, Reasons, Sorry
from bridge.core.events import parse_command
from bridge.core.gates.freezes import At, Freeze, Window
from bridge.core.gates.locks import DAY
from bridge.core.gates.times import read_zone
from bridge.core.holds import Gate, Proposal
from bridge.core.lifecycle import Deployment, State
from bridge.core.people import Identities
from bridge.operations.commands import ChatCommands
from bridge.operations.words import parse
from bridge.pipeline.feedback.lookup import BuildLogs, Known
from bridge.ports.chats import AnyReply, Place
from bridge.ports.gates import CommitAt, Judging
from bridge.storage.inbox.sqlite import SqliteInbox
from bridge.storage.journal import SqlJournal
from bridge.views.gates import FreezeData, LockTaken, Unlocked
from bridge.views.view import Lines, Table, View, plain
from tests.fakes.journey import HEAD, ManualClock, app, deployment
from tests.worlds.journal import outcome, record

ADA = Person("U0ADA", "Ada", email="ada@example.com")
BOB = Person("U0BOB", "Bob", email="bob@example.com")
EVE = Person("U0EVE", "Eve")
HERE = Place("C0SHOP")
NEEDS_APPROVAL = Rules(approvals=1)
APPS = [
    app("app-web", name="web", project="shop", rules=NEEDS_APPROVAL),
    app("app-api", name="api", project="shop", environment="staging"),
    app("app-vault", name="vault", project="secret"),
]
AT = CommitAt("github", "my-org/site", HEAD, "main")
OTHER = "d" * 40

GRANTS = (
    Grant(("U0ADA",), frozenset(Right)),
    Grant(("U0BOB",), frozenset({Right.LOCK}), ("shop/staging/api",)),
    Grant(("U0BOB",), frozenset({Right.VIEW}), ("shop/**",)),
)


@dataclass
class Desk:
    """People who ask, and what is kept."""

    commands: ChatCommands
    journal: SqlJournal
    inbox: SqliteInbox
    clock: ManualClock

    async def say(self, typed: str, person: Person = ADA) -> AnyReply:
        self.clock.now += 1
        return await self.commands.answer(person, HERE, parse(typed), f"id-{self.clock.now}")

    async def waits(self, app_: App = APPS[0], seq: int = 1, **facts: Any) -> Deployment:
        """Record a deployment, and let the gates judge it."""
        one = deployment(seq, app_.id, app=app_.label, **facts)
        await record(self.journal, outcome(seq, one))
        return await self.judged(app_, one.id)

    async def judged(self, app_: App, id_: str, head: str = HEAD) -> Deployment:
        proposal = Proposal(head, authors=("bob@example.com",), by=("github",))
        at = replace(AT, commit=head)
        by = Judging(app_, head=at, proposal=proposal, identities=PEOPLE)
        await self.journal.judge(id_, by)
        found = await self.journal.deployment(id_)
        assert found is not None
        return found

    async def audited(self) -> list[tuple[str, str, str, str]]:
        """Return who did what to what, and the outcome, newest first."""
        return [
            (str(one.by), one.what, one.app, one.outcome)
            for one in await self.journal.audited(limit=100)
        ]


PEOPLE = Identities(
    {one: frozenset({f"slack:U0{one.upper()}", f"github:{one}"}) for one in ("ada", "bob", "eve")}
)


@pytest.fixture
async def desk(journal: SqlJournal, clock: ManualClock, tmp_path: Path) -> Any:
    clock.now = 1_700_000_000.0  # Tue 2023-11-14 22:13:20 UTC
    inbox = SqliteInbox(tmp_path / "inbox.sqlite")
    await inbox.start()
    known = Known(lambda: APPS, dict, lambda _app, here: (here,), lambda: None)
    weekend = Window(At(0), At(1440), read_zone("UTC"))
    frozen = Freeze("settings-1", ("secret/*",), "audit", (weekend,))
    commands = ChatCommands(
        "slack",
        inbox,
        journal,
        known,
        Access(GRANTS),
        BuildLogs({}, journal),
        clock,
        identities=PEOPLE,
        freezes=[frozen],
    )
    yield Desk(commands, journal, inbox, clock)
    await inbox.stop()


def listed(said: AnyReply) -> dict[str, list[str]]:
    """Return the apps of deployments in a view's lists, by their titles."""
    assert isinstance(said, View)
    lists = [one for one in said.parts if isinstance(one, Lines)]
    return {one.title: [plain(item.says[:1]) for item in one.items] for one in lists}


def rows(said: AnyReply) -> list[list[str]]:
    """Return what a view's tables have of each lock or freeze: the scope and the reason."""
    assert isinstance(said, View)
    named = [
        {column.title: plain(cell) for column, cell in zip(one.columns, row.cells, strict=True)}
        for one in said.parts
        if isinstance(one, Table)
        for row in one.rows
    ]
    return [[one.get("scope") or one["covers"], one["reason"]] for one in named]


# ── locks ────────────────────────────────────────────────────────────────────


async def test_a_lock_says_what_it_holds_and_what_it_does_not_stop(desk: Desk) -> None:
    waiting = await desk.waits()
    going = await desk.waits(APPS[1], 2, state=State.RUNNING, asked_at=1.0)
    await desk.waits(APPS[2], 3)  # not in its scope

    said = await desk.say("lock shop for 2h moving the orders")

    (lock,) = await desk.journal.locks()
    assert (lock.label, lock.owner, lock.name) == ("project shop", "slack:U0ADA", "Ada")
    assert (lock.reason, lock.until) == ("moving the orders", desk.clock.now + 7200)
    assert isinstance(said, View)
    assert isinstance(said.data, LockTaken)
    assert (said.data.taken, said.data.not_stopped) == (True, (going.id,))
    assert (said.data.label, said.data.reason) == (lock.label, lock.reason)
    going_on = "Under way already: not stopped"
    assert listed(said) == {"Held now": [waiting.app], going_on: [going.app]}
    assert await desk.audited() == [
        ("slack: Ada (U0ADA)", "lock", "project shop", "moving the orders")
    ]


async def test_what_the_owner_asked_for_is_not_held(desk: Desk) -> None:
    await desk.waits(APPS[1], person="slack:U0ADA")

    said = await desk.say("lock shop a release")

    assert listed(said) == {}


async def test_a_lock_of_somebody_else_is_named_and_can_be_stolen(desk: Desk) -> None:
    await desk.say("lock api until 23:00 Europe/Berlin a release")
    busy = await desk.say('lock api "don\'t touch"', BOB)
    stolen = await desk.say("lock! api don't touch", BOB)

    assert isinstance(busy, View)
    assert busy.refused
    assert isinstance(busy.data, LockTaken)
    assert (busy.data.taken, busy.data.name, busy.data.reason) == (False, "Ada", "a release")
    assert [one.typed for one in busy.offers] == ["steal api don't touch"]
    assert isinstance(stolen, View)
    assert plain(stolen.notes[1]).startswith("Taken over. Ada had locked it since ")
    assert (await desk.journal.locks())[0].name == "Bob"
    assert [what for _, what, *_ in await desk.audited()] == ["steal", "lock"]


async def test_a_lock_needs_the_right_to_every_app_in_its_scope(desk: Desk) -> None:
    refused = await desk.say("lock shop a release", BOB)
    all_ = await desk.say("lock all a release", BOB)
    granted = await desk.say("lock shop/staging a release", BOB)
    stranger = await desk.say("lock shop a release", EVE)

    assert isinstance(refused, Denied)
    assert refused.target == "project shop"
    assert "It covers shop/web, for which you lack it." in refused.why
    assert isinstance(all_, Denied)
    assert "shop/web and other apps" in all_.why
    assert "vault" not in all_.why
    assert isinstance(granted, View)
    assert isinstance(stranger, Denied)
    assert [one.label for one in await desk.journal.locks()] == ["environment shop/staging"]


async def test_a_refused_lock_is_audited(desk: Desk) -> None:
    refused = await desk.say("lock shop a release", BOB)
    await desk.commands.note(BOB, "lock", refused)

    assert await desk.audited() == [
        ("slack: Bob (U0BOB)", "lock", "project shop", "refused: no right to lock")
    ]


async def test_unlocking_needs_the_right_too_and_tells_whose_lock_it_was(desk: Desk) -> None:
    await desk.say("lock shop/web a release")
    refused = await desk.say("unlock shop/web", BOB)
    await desk.say("lock api theirs")
    other = await desk.say("unlock api", BOB)
    own = await desk.say("unlock shop/web")

    assert isinstance(refused, Denied)
    for said in (other, own):
        assert isinstance(said, View)
        assert isinstance(said.data, Unlocked)
        assert said.data.released is not None
        assert said.data.released.name == "Ada"
    assert await desk.journal.locks() == []


async def test_who_unlocks_too_little_is_told_which_lock_holds(desk: Desk) -> None:
    await desk.say("lock shop a release")

    said = await desk.say("unlock api")

    assert isinstance(said, View)
    assert plain(said.head) == "shop/staging/api itself is not locked"
    assert [one.typed for one in said.offers] == ["unlock project:shop"]


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("lock shop for 20s a release", "lasts from 1 minute to 90 days"),
        ("lock shop for 100d a release", "lasts from 1 minute to 90 days"),
        ("lock shop until 2020-01-01 8:00 a release", "is in the past"),
        ("freeze shop until 2020-01-01 8:00 a release", "is in the past"),
        ("freeze shop until 9999-12-31 24:00 a release", "too far away"),
        ("freeze shop until 2030-01-01 8:00 a release", "more than 366 days ahead"),
        ("lock nosuch a release", "There is no app 'nosuch'"),
        ("deploy web at 2020-01-01 8:00", "is in the past"),
    ],
)
async def test_what_can_not_be_is_named_with_the_rule(desk: Desk, typed: str, why: str) -> None:
    said = await desk.say(typed)

    assert isinstance(said, Sorry)
    assert why in said.why
    assert (await desk.journal.locks(), await desk.journal.freezes()) == ([], [])


async def taken(desk: Desk, typed: str = "lock shop a release", person: Person = ADA) -> str:
    """Take a lock; return its key."""
    assert isinstance(await desk.say(typed, person), View)
    (lock,) = await desk.journal.locks()
    return lock.key


async def test_a_lock_until_a_merge_is_taken_where_hosts_can_be_asked(desk: Desk) -> None:
    refused = await desk.say("lock shop until merge of #12 a risky one")
    assert isinstance(refused, Sorry)
    assert "deploys from no Git host that the bridge knows" in refused.why or (
        "no credential is set" in refused.why
    )
    assert await desk.journal.locks() == []


async def test_a_lock_remembers_where_it_was_taken_and_when_to_remind(desk: Desk) -> None:
    await taken(desk)

    (lock,) = await desk.journal.locks()
    assert (lock.channel, lock.remind_at) == ("C0SHOP", lock.at + DAY)


async def test_a_reminder_is_settled_by_its_buttons(desk: Desk) -> None:
    key = await taken(desk)

    kept = await desk.commands.gates.keep(ADA, Place("D0ADA"), key)
    assert isinstance(kept, View)
    (lock,) = await desk.journal.locks()
    assert lock.remind_at == lock.at + 7 * DAY
    released = await desk.commands.gates.release(ADA, Place("D0ADA"), key)
    assert isinstance(released, View)
    assert await desk.journal.locks() == []

    for click in (desk.commands.gates.keep, desk.commands.gates.release):
        gone = await click(ADA, Place("D0ADA"), key)
        assert gone == Sorry("That lock is gone already.")
    assert [what for _, what, _, _ in await desk.audited()] == ["unlock", "keep lock", "lock"]


async def test_the_buttons_of_a_reminder_need_the_right_to_the_whole_scope(desk: Desk) -> None:
    key = await taken(desk)

    for click in (desk.commands.gates.keep, desk.commands.gates.release):
        assert isinstance(await click(BOB, HERE, key), Denied)
    assert len(await desk.journal.locks()) == 1


async def test_an_owner_has_the_rights_of_where_the_lock_was_taken(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await taken(desk, "lock api a release", BOB)
    asked: list[str] = []
    real = desk.commands.gates._finding.scope_denied

    def denied(person: Person, place: Place, scope: Any) -> Any:
        asked.append(place.channel)
        return real(person, place, scope)

    monkeypatch.setattr(desk.commands.gates._finding, "scope_denied", denied)
    await desk.commands.gates.keep(BOB, Place("D0BOB"), key)
    await desk.commands.gates.keep(ADA, Place("D0ADA"), key)

    assert asked == ["C0SHOP", "D0ADA"]


# ── freezes ──────────────────────────────────────────────────────────────────


async def test_a_freeze_holds_also_ones_own_until_it_ends(desk: Desk) -> None:
    mine = await desk.waits(APPS[1], person="slack:U0ADA")

    said = await desk.say("freeze all until 08:00 Europe/Berlin the database is down")

    assert isinstance(said, View)
    assert plain(said.notes[0]) == "Until Wed 2023-11-15 08:00 Europe/Berlin"
    (declared,) = await desk.journal.freezes()
    assert declared.until == 1_700_031_600.0  # Wed 2023-11-15 07:00 UTC
    assert listed(said) == {"Held now": [mine.app]}
    assert (await desk.judged(APPS[1], mine.id)).state is State.HELD

    ended = await desk.say("unfreeze all")
    again = await desk.say("unfreeze all")

    assert isinstance(ended, View)
    assert [one.reason for one in ended.data] == ["the database is down"]
    assert isinstance(again, View)
    assert plain(again.head) == "Nobody has frozen all apps by command"


async def test_a_freeze_needs_the_right_to_lock(desk: Desk) -> None:
    refused = await desk.say("freeze shop an incident", BOB)
    granted = await desk.say("freeze shop/staging/api an incident", BOB)
    thawed = await desk.say("unfreeze shop", BOB)

    assert isinstance(refused, Denied)
    assert refused.right is Right.LOCK
    assert isinstance(granted, View)
    assert isinstance(granted.data, FreezeData)
    assert isinstance(thawed, Denied)
    assert len(await desk.journal.freezes()) == 1


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


# ── approvals ────────────────────────────────────────────────────────────────


async def test_an_approval_lets_pass_what_it_was_given_for(desk: Desk) -> None:
    held = await desk.waits()

    said = await desk.say(f"approve web {HEAD[:7]}")
    again = await desk.commands.gates.approve(ADA, HERE, held.id, HEAD)

    assert isinstance(said, ApprovalGiven)
    assert (said.new, said.given, said.missing, said.others) == (True, ("Ada",), 0, ())
    assert isinstance(again, ApprovalGiven)
    assert not again.new
    assert (await desk.judged(APPS[0], held.id)).state is State.WAITING


async def test_without_a_commit_it_is_shown_what_would_be_approved_and_nothing_is(
    desk: Desk,
) -> None:
    held = await desk.waits()

    said = await desk.say("approve web")

    assert isinstance(said, ApprovalAsked)
    assert (said.deployment.id, said.proposal.commit) == (held.id, HEAD)
    assert await desk.journal.approvals("app-web") == []


async def test_what_waits_for_no_approval_is_not_approved(desk: Desk) -> None:
    await desk.say("lock api a release")
    await desk.waits(APPS[1], 1)

    for typed in ("approve api", f"approve api {HEAD}"):
        assert await desk.say(typed) == Sorry("shop/staging/api waits for no approval.")
    assert await desk.journal.approvals("app-api") == []


async def test_an_approval_needs_the_right(desk: Desk) -> None:
    held = await desk.waits()

    refused = await desk.say("approve web", BOB)
    clicked = await desk.commands.gates.approve(BOB, HERE, held.id, HEAD)

    assert isinstance(refused, Denied)
    assert isinstance(clicked, Denied)
    assert refused.right is clicked.right is Right.APPROVE
    assert await desk.journal.approvals("app-web", HEAD) == []


async def test_nobody_approves_their_own(journal: SqlJournal, desk: Desk) -> None:
    everybody = Access([Grant(("everyone",), frozenset(Right))])
    desk.commands.gates._finding._access = everybody
    await desk.waits(person="slack:U0ADA")

    typed = f"approve web {HEAD}"
    asked, wrote = await desk.say(typed), await desk.say(typed, BOB)
    other = await desk.say(typed, EVE)

    assert isinstance(asked, Sorry)
    assert "you asked for shop/web yourself" in asked.why
    assert isinstance(wrote, Sorry)
    assert "is your own commit" in wrote.why
    assert isinstance(other, ApprovalGiven)


async def test_a_commit_that_is_no_longer_the_head_is_not_approved(desk: Desk) -> None:
    """Whoever clicks has seen the commit on the card, not the one that would be built."""
    held = await desk.waits()
    await desk.judged(APPS[0], held.id, OTHER)

    clicked = await desk.commands.gates.approve(ADA, HERE, held.id, HEAD)
    typed = await desk.say(f"approve web {HEAD[:7]}")
    right = await desk.commands.gates.approve(ADA, HERE, held.id, OTHER)

    for said in (clicked, typed):
        assert isinstance(said, Sorry)
        assert "the head of shop/web is now ddddddd, not" in said.why
        assert "look again" in said.why
    assert isinstance(right, ApprovalGiven)
    assert await desk.journal.approvals("app-web", HEAD) == []


@pytest.mark.parametrize("typed", ["approve api", "override api the shop is down"])
async def test_nothing_is_held(desk: Desk, typed: str) -> None:
    assert await desk.say(typed) == Sorry("no deployment of shop/staging/api is held.")


# ── in spite of the gates ────────────────────────────────────────────────────


async def test_who_may_override_lets_it_pass_with_a_reason(desk: Desk) -> None:
    await desk.say("lock api a release")
    held = await desk.waits(APPS[1], 1)

    refused = await desk.say("override api the shop is down", BOB)
    said = await desk.say("override api the shop   is down")

    assert isinstance(refused, Denied)
    assert refused.right is Right.OVERRIDE
    assert isinstance(said, Lifted)
    assert [one.gate for one in said.holds] == [Gate.LOCK]
    assert said.reason == "the shop is down"
    assert (await desk.judged(APPS[1], held.id)).state is State.WAITING
    (newest, *_) = await desk.audited()
    assert newest == ("slack: Ada (U0ADA)", "override", held.app, "lock: the shop is down")


async def test_a_dialog_lifts_only_what_it_has_shown(desk: Desk) -> None:
    await desk.say("lock api a release")
    held = await desk.waits(APPS[1], 1)
    gates, seen = desk.commands.gates, [one.short for one in held.holds]
    await desk.say("freeze all an incident")
    await desk.judged(APPS[1], held.id)

    more = await gates.lift(ADA, HERE, held.id, "why not", seen)
    refused = await gates.lift(BOB, HERE, held.id, "why not", seen)
    assert isinstance(more, MoreHolds)
    assert isinstance(refused, Denied)
    assert (await desk.judged(APPS[1], held.id)).state is State.HELD

    seen = [one.short for one in more.deployment.holds]
    assert isinstance(await gates.lift(ADA, HERE, held.id, " ", seen), Sorry)
    assert isinstance(await gates.lift(ADA, HERE, held.id, "it mends it", seen), Lifted)
    assert (await desk.judged(APPS[1], held.id)).state is State.WAITING
    late = await gates.lift(ADA, HERE, held.id, "it mends it", seen)
    assert late == Sorry("It is not held any more: it is waiting.")


async def test_who_may_deploy_ends_a_wait_for_a_time(desk: Desk) -> None:
    may_deploy = Access([Grant(("everyone",), frozenset({Right.DEPLOY}))])
    desk.commands.gates._finding._access = may_deploy
    held = await desk.waits(APPS[1], 1, not_before=desk.clock.now + 900)
    assert [one.gate for one in held.holds] == [Gate.SCHEDULE]

    assert isinstance(await desk.say("override api now, please", BOB), Lifted)


async def test_a_click_removes_the_lock_that_was_shown_and_no_other(desk: Desk) -> None:
    await desk.say("lock api a release")
    held = await desk.waits(APPS[1], 1)
    (hold,) = held.holds
    gates = desk.commands.gates
    await desk.say("steal api an incident", BOB)
    await desk.judged(APPS[1], held.id)

    stale = await gates.unlock(ADA, HERE, held.id, hold.key)
    assert isinstance(stale, Sorry)
    assert "Now: shop/staging/api is locked by Bob: an incident" in stale.why

    now = (await desk.judged(APPS[1], held.id)).holds[0]
    refused = await gates.unlock(EVE, HERE, held.id, now.key)
    assert refused == Sorry("That deployment is gone, or you may not see its app.")
    assert isinstance(await gates.unlock(ADA, HERE, held.id, now.key), View)
    gone = await gates.unlock(ADA, HERE, held.id, now.key)
    assert isinstance(gone, Sorry)


async def test_a_click_needs_the_right_to_the_whole_scope_of_the_lock(desk: Desk) -> None:
    await desk.say("lock shop a release")
    held = await desk.waits(APPS[1], 1)

    refused = await desk.commands.gates.unlock(BOB, HERE, held.id, held.holds[0].key)

    assert isinstance(refused, Denied)
    assert refused.target == "project shop"
    assert len(await desk.journal.locks()) == 1


# ── a time to deploy, and why nothing happens ────────────────────────────────


async def test_a_deploy_for_later_is_kept_with_its_time(desk: Desk) -> None:
    said = await desk.say("deploy web at 09:00 Europe/Berlin")

    assert isinstance(said, Accepted)
    assert (said.at, said.zone) == (1_700_035_200.0, "Europe/Berlin")
    (kept,) = await desk.inbox.newest(9)
    whole = await desk.inbox.find(kept.host, kept.id)
    assert whole is not None
    assert whole.body is not None
    assert parse_command(whole.event, whole.body).not_before == "1700035200"


async def test_why_tells_what_holds_it(desk: Desk) -> None:
    held = await desk.waits()

    said = await desk.say("why web")

    assert isinstance(said, Reasons)
    assert said.held == held


# ── nothing is named that may not be seen ────────────────────────────────────

VERBS = st.sampled_from(
    ["lock", "steal", "unlock", "freeze", "unfreeze", "approve", "override", "locks"]
)
NAMES = st.sampled_from(
    ["vault", "secret", "secret/vault", "secret/production", "all", "project:secret", "app:vault"]
)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
