"""The `Journal` port: held deployments, the facts that hold them, and reminders of locks."""

import asyncio
from dataclasses import replace
from typing import Any

from bridge.core.apps import Rules
from bridge.core.checks import Check, CheckPolicy, CheckState, Need, Required
from bridge.core.events import Repository
from bridge.core.gates.approvals import Approval
from bridge.core.gates.ci import Ci
from bridge.core.gates.locks import DAY, Lock, PullRef
from bridge.core.holds import Gate, Proposal
from bridge.core.lifecycle import Deployment, State, flow_of
from bridge.core.people import Actor
from bridge.ports.gates import CommitAt, Judging
from bridge.ports.outcomes import (
    Audited,
    PushSeen,
    Result,
    Stage,
    Subscription,
    about_change,
    about_lock,
)
from tests.fakes.journey import HEAD, NO_GATES, ManualClock, deployment
from tests.worlds.journal import outcome, record

ID = deployment(1).id
APP = NO_GATES.app
AT = CommitAt("github", "my-org/site", HEAD, "main")
SITE = Repository("github", "4711", "My-Org/site")
OTHER = "d" * 40


def lock(clock: ManualClock, **facts: Any) -> Lock:
    new = Lock("app/app-web", "shop/web", "slack:U1", "Ada", "a release", clock.now)
    return replace(new, **facts)


def judging(**rules: Any) -> Judging:
    return Judging(replace(APP, rules=Rules(**rules)), head=AT)


async def held(journal: Any, clock: ManualClock, seq: int = 1) -> Deployment:
    """Record a deployment and hold it by a lock."""
    await record(journal, outcome(seq, deployment(seq)))
    await journal.take_lock(lock(clock), ["app-web"], steal=False)
    found = await journal.judge(deployment(seq).id, NO_GATES)
    assert found.state is State.HELD
    return found  # type: ignore[no-any-return]


async def due(journal: Any, clock: ManualClock) -> list[str]:
    return [one.id for one in await journal.due_holds(clock.now, 100)]


async def test_a_lock_holds_and_its_end_lets_pass(journal: Any, clock: ManualClock) -> None:
    found = await held(journal, clock)

    assert (found.held_at, found.look_at) == (clock.now, None)
    assert [one.gate for one in found.holds] == [Gate.LOCK]
    assert found.note == "held: shop/web is locked by Ada: a release"
    assert await journal.deployment(ID) == found
    assert (await journal.figures()).held == {Gate.LOCK: 1}
    assert await due(journal, clock) == []

    clock.now += 5
    released = await journal.release_lock("app/app-web", ["app-web"])
    assert released.owner == "slack:U1"
    assert await due(journal, clock) == [ID]

    passed = await journal.judge(ID, NO_GATES)
    assert (passed.state, passed.starts, passed.holds) == (State.WAITING, 1, ())
    assert flow_of(passed) == f"{ID}+1"
    assert [str(one.state) for one in await journal.changes(ID)] == ["waiting", "held", "waiting"]
    assert await journal.intend(ID, [], NO_GATES) is not None


async def test_a_gate_that_closed_meanwhile_holds_only_what_was_not_asked_for(
    journal: Any, clock: ManualClock
) -> None:
    other = deployment(2, "app-api")
    await record(journal, outcome(1, deployment(1)), outcome(2, other))
    assert (await journal.judge(ID, NO_GATES)).state is State.WAITING
    await journal.intend(other.id, [], NO_GATES)
    await journal.take_lock(lock(clock, scope="all"), None, steal=False)

    assert await journal.intend(ID, [], NO_GATES) is None
    found = await journal.deployment(ID)
    assert (found.state, found.intent_at) == (State.HELD, None)
    assert await journal.judge(other.id, NO_GATES) is None
    assert (await journal.deployment(other.id)).state is State.WAITING
    assert [one.id for one in await journal.open_deployments(held=False)] == [other.id]


async def test_what_changes_while_it_is_judged_has_it_judged_again(
    journal: Any, clock: ManualClock
) -> None:
    await journal.take_lock(lock(clock), None, steal=False)
    await record(journal, outcome(1, deployment(1)))
    await journal.judge(ID, NO_GATES)
    await journal.look_again(["app-web"])
    (seen,) = await journal.due_holds(clock.now, 9)

    clock.now += 5
    await journal.look_again(["app-web"])
    assert (await journal.judge(ID, NO_GATES, seen=seen.look_at)).state is State.HELD
    (still,) = await journal.due_holds(clock.now, 9)

    await journal.judge(ID, NO_GATES, seen=still.look_at)
    assert await due(journal, clock) == []


# ── locks ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_lock_is_taken_once_and_renewed_by_its_owner(
    journal: Any, clock: ManualClock
) -> None:
    assert await journal.release_lock("all", None) is None
    first = lock(clock)
    assert (await journal.take_lock(first, None, steal=False)).taken

    other = await journal.take_lock(lock(clock, owner="slack:U2"), None, steal=False)
    assert (other.taken, other.lock) == (False, first)

    longer = lock(clock, reason="still", until=clock.now + 60)
    renewed = await journal.take_lock(longer, None, steal=False)
    assert (renewed.taken, renewed.before) == (True, first)

    stolen = await journal.take_lock(lock(clock, owner="slack:U2"), None, steal=True)
    assert (stolen.taken, stolen.before) == (True, longer)
    assert [one.owner for one in await journal.locks()] == ["slack:U2"]

    await journal.take_lock(lock(clock, owner="slack:U2", until=clock.now + 60), None, steal=False)
    clock.now += 60
    expired = await journal.take_lock(lock(clock), None, steal=False)
    assert (expired.taken, expired.before) == (True, None)


async def test_of_two_who_lock_at_once_one_wins_and_the_other_is_told_who(
    journal: Any, clock: ManualClock
) -> None:
    ada, grace = lock(clock), lock(clock, owner="slack:U2", name="Grace")

    found = await asyncio.gather(
        *(journal.take_lock(one, None, steal=False) for one in (ada, grace) * 4)
    )

    (kept,) = await journal.locks()
    assert {one.lock.owner for one in found} == {kept.owner}
    assert {one.taken for one in found if one.lock.owner == kept.owner} <= {True, False}
    assert [one.taken for one, who in zip(found, (ada, grace) * 4, strict=True)] == [
        who.owner == kept.owner for who in (ada, grace) * 4
    ]


# ── freezes, approvals, lifts ───────────────────────────────────────────────────────────────────


async def test_approvals_count_once_and_for_one_commit(journal: Any, clock: ManualClock) -> None:
    await record(journal, outcome(1, deployment(1)))
    by = replace(judging(approvals=1), proposal=Proposal(HEAD, by=("github",)))
    assert (await journal.judge(ID, by)).note == f"held: needs 1 approval of {HEAD[:7]}, has 0"
    number = ("github:#7",)
    grace = Approval("app-web", OTHER, "github:grace", "Grace", "", clock.now, number)

    assert await journal.approve(grace)
    assert (await journal.judge(ID, by)).state is State.HELD

    assert await journal.approve(replace(grace, commit=HEAD))
    assert not await journal.approve(replace(grace, commit=HEAD))
    assert await due(journal, clock) == [ID]
    assert (await journal.judge(ID, by)).state is State.WAITING
    assert await journal.approvals("app-web", HEAD) == [replace(grace, commit=HEAD)]


# ── order ───────────────────────────────────────────────────────────────────────────────────────


async def test_an_older_tag_waits_while_the_newer_one_is_held(
    journal: Any, clock: ManualClock
) -> None:
    newer = await held(journal, clock)
    older = deployment(2, behind=newer.id)
    await record(journal, outcome(2, older))
    await journal.release_lock("app/app-web", [])

    found = await journal.judge(older.id, NO_GATES)

    assert found.note == "held: waits for the deployment of the newer tag, #1"
    await journal.cancel("app-web", 9, newer.id)
    assert await due(journal, clock) == [older.id]
    assert (await journal.judge(older.id, NO_GATES)).state is State.WAITING


# ── checks ──────────────────────────────────────────────────────────────────────────────────────

BUILD = Check("build", CheckState.PENDING, "GitHub Actions")
WAITS = judging(checks=CheckPolicy(Need.ALL))


def listed(clock: ManualClock, *checks: Check) -> Ci:
    return Ci(HEAD, checks, clock.now)


async def test_checks_are_read_and_wake_those_that_wait(journal: Any, clock: ManualClock) -> None:
    await record(journal, outcome(1, deployment(1)))
    assert await journal.want_ci(AT, clock.now)
    assert not await journal.want_ci(AT, clock.now)
    assert (await journal.judge(ID, WAITS)).state is State.HELD
    assert await journal.awaited(HEAD)
    (wanted,) = await journal.due_ci(clock.now, 10, "github")
    assert (wanted.at, wanted.known, wanted.reported) == (AT, Ci(HEAD), 0)

    passed = replace(BUILD, state=CheckState.PASSED)
    known = replace(listed(clock, passed), required=(Required("build", 15368), Required("lint")))
    saved = await journal.save_ci(AT, known, reported=0, due_at=clock.now + 10)

    assert saved
    assert await journal.ci(AT) == known
    assert await journal.next_ci_at() == {"github": clock.now + 10}
    assert await due(journal, clock) == [ID]
    assert (await journal.judge(ID, WAITS)).state is State.WAITING
    assert not await journal.awaited(HEAD)


async def test_what_is_held_by_checks_has_them_read_whatever_came_in_between(
    journal: Any, clock: ManualClock
) -> None:
    """A reader that found nobody held lays the checks aside, while somebody is being judged."""
    await record(journal, outcome(1, deployment(1)))
    await journal.want_ci(AT, clock.now)
    await journal.save_ci(AT, listed(clock, BUILD), reported=0, due_at=clock.now + 10)
    assert not await journal.want_ci(AT, clock.now)
    assert await journal.save_ci(AT, Ci(HEAD), reported=0, due_at=None)

    assert (await journal.judge(ID, WAITS)).state is State.HELD

    assert await journal.next_ci_at() == {"github": clock.now}


async def test_checks_that_a_held_deployment_waits_for_are_not_laid_aside(
    journal: Any, clock: ManualClock
) -> None:
    await record(journal, outcome(1, deployment(1)))
    await journal.want_ci(AT, clock.now)
    await journal.save_ci(AT, listed(clock, BUILD), reported=0, due_at=clock.now + 10)
    assert not await journal.awaited(HEAD)
    await journal.judge(ID, WAITS)

    assert not await journal.save_ci(AT, Ci(HEAD), reported=0, due_at=None)

    assert await journal.ci(AT) == listed(clock, BUILD)
    assert await journal.next_ci_at() == {"github": clock.now + 10}


async def test_a_list_that_was_read_before_an_event_does_not_count(
    journal: Any, clock: ManualClock
) -> None:
    await record(journal, outcome(1, deployment(1)))
    await journal.want_ci(AT, clock.now)
    await journal.judge(ID, WAITS)
    failed = replace(BUILD, state=CheckState.FAILED)
    await journal.report_check(SITE, HEAD, failed, clock.now)

    passed = replace(BUILD, state=CheckState.PASSED)
    saved = await journal.save_ci(AT, listed(clock, passed), reported=0, due_at=None)

    assert not saved
    assert (await journal.ci(AT)).checks == (failed,)
    assert [one.reported for one in await journal.due_ci(clock.now, 10, "github")] == [1]


async def test_events_about_what_nobody_waits_for_concern_nobody(
    journal: Any, clock: ManualClock
) -> None:
    await journal.want_ci(AT, clock.now)
    fork = replace(SITE, id="4712", name="mallory/site")
    for site, commit in ((SITE, OTHER), (replace(SITE, host="gitlab"), HEAD), (fork, HEAD)):
        assert not await journal.report_check(site, commit, BUILD, clock.now)

    await journal.save_ci(AT, Ci(HEAD), reported=0, due_at=None)
    assert not await journal.report_check(SITE, HEAD, BUILD, clock.now)
    assert await journal.next_ci_at() == {}
    assert await journal.want_ci(AT, clock.now)
    assert await journal.next_ci_at() == {"github": clock.now}


async def test_facts_that_hold_nothing_any_more_are_forgotten(
    journal: Any, clock: ManualClock
) -> None:
    await journal.take_lock(lock(clock), None, steal=False)
    await journal.take_lock(lock(clock, scope="all", until=clock.now + 60), None, steal=False)
    await journal.approve(Approval("app-web", HEAD, "slack:U2", "Grace", "", clock.now))
    await journal.want_ci(AT, clock.now)
    await journal.want_ci(replace(AT, commit=OTHER), clock.now)
    await journal.save_ci(AT, listed(clock), reported=0, due_at=None)

    before = clock.now + 61
    assert [await journal.forget_gates(before, n) for n in (1, 5, 5)] == [1, 2, 0]

    assert [one.scope for one in await journal.locks()] == ["app/app-web"]
    assert [one.at.commit for one in await journal.due_ci(clock.now, 9, "github")] == [OTHER]


async def test_a_head_from_before_the_push_holds_for_a_while(
    journal: Any, clock: ManualClock
) -> None:
    """Later it is taken for that of a newer push whose webhook came first."""
    seen = PushSeen("github 1 refs/heads/main", OTHER, HEAD)
    await record(journal, outcome(1, deployment(1), push=seen))
    before = Judging(
        replace(APP, rules=Rules(checks=CheckPolicy(Need.ALL))), head=replace(AT, commit=OTHER)
    )

    found = await journal.judge(ID, before)
    assert found.note == (
        "held: waits for the checks of a commit that is not known: the Git host still reports"
        " the head from before the push"
    )
    assert (found.head, found.look_at) == (None, clock.now + 2)

    clock.now += 60
    found = await journal.judge(ID, before)
    assert (found.head, found.note) == (
        OTHER,
        f"held: the checks of {OTHER[:7]} are not known: they are being read",
    )


# ── reminders, and the pull requests that release ─────────────────────────────


PULL = PullRef("github", "Acme/Shop", 12)


def due_daily(clock: ManualClock, **facts: Any) -> Lock:
    return lock(clock, remind_at=clock.now + DAY, **facts)


def reminder(day: int = 1, scope: str = "app/app-web") -> Subscription:
    follows = (about_lock(scope),)
    return Subscription(
        f"slack.lock {scope} {day}", "slack.lock", "slack U1", follows, {"day": day}
    )


async def told(journal: Any) -> list[str]:
    return sorted(one.subscription.id for one in await journal.feedback(limit=100))


async def test_one_of_several_processes_reminds_of_a_lock_as_it_is_now(
    journal: Any, clock: ManualClock
) -> None:
    old = due_daily(clock)
    await journal.take_lock(old, ["app-web"], steal=False)
    clock.now += 1
    mine = due_daily(clock)
    await journal.take_lock(mine, ["app-web"], steal=False)
    clock.now += DAY
    assert not await journal.remind(old, None, [reminder(9)])
    assert not await journal.keep_lock(old, None)

    given = await asyncio.gather(
        *(journal.remind(mine, clock.now + DAY, [reminder(n)]) for n in range(4))
    )

    assert sorted(given) == [False, False, False, True]
    assert len(await told(journal)) == 1
    await journal.release_lock(mine.scope, ["app-web"])
    assert await told(journal) == [], "what waits to be told is gone with the lock"


async def test_a_lock_is_released_once_with_what_tells_of_it(
    journal: Any, clock: ManualClock
) -> None:
    found = await held(journal, clock)
    mine = lock(clock, merge=PULL)
    await journal.take_lock(mine, ["app-web"], steal=False)
    note = Audited(
        clock.now,
        Actor(name="github"),
        "unlock",
        "",
        "shop/web",
        (),
        Result(Stage.TOLD, "Acme/Shop#12 is merged"),
    )

    def tell(kept: Audited) -> list[Subscription]:
        follows = (about_change(kept.number),)
        return [Subscription("slack.lock ended", "slack.lock", "slack C", follows, {})]

    ended = [await journal.release_merged(mine, ["app-web"], note, tell) for _ in range(2)]

    assert ended == [True, False]
    assert await journal.locks() == []
    assert [one.id for one in await journal.due_holds(clock.now, 9)] == [found.id]
    (audited,) = await journal.audited(limit=9)
    assert (str(audited.by), audited.what, audited.outcome) == ("github", "unlock", note.outcome)
    assert await told(journal) == ["slack.lock ended"]
    clock.now += 1
    await journal.forget_audit(clock.now, 9)
    assert await told(journal) == []
