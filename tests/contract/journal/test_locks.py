"""The `Journal` port: reminders of locks, and the pull requests that release them."""

import asyncio
from dataclasses import replace
from typing import Any

from bridge.core.gates.locks import DAY, Lock, PullRef
from bridge.core.people import Actor
from bridge.ports.gates import DueLock
from bridge.ports.outcomes import Audited, Result, Stage, Subscription, about_change, about_lock
from tests.contract.journal.test_due import ID, held, lock
from tests.fakes.journey import NO_GATES, ManualClock

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


async def test_a_lock_is_kept_with_all_that_belongs_to_it(journal: Any, clock: ManualClock) -> None:
    whole = due_daily(clock, merge=replace(PULL, sign="!"), channel="C0SHOP", until=clock.now + 9)
    await journal.take_lock(whole, ["app-web"], steal=False)

    assert await journal.locks() == [whole]


async def test_a_reminder_is_due_in_time_with_what_the_lock_holds(
    journal: Any, clock: ManualClock
) -> None:
    await held(journal, clock)
    mine = due_daily(clock)
    await journal.take_lock(mine, ["app-web"], steal=False)
    assert await journal.judge(ID, NO_GATES) is not None
    assert await journal.next_lock_at() == {"": mine.remind_at}
    assert await journal.due_locks(clock.now, 9, "") == []

    clock.now += DAY
    assert await journal.due_locks(clock.now, 9, "") == [DueLock(mine, held=1, looks=None)]
    assert await journal.remind(mine, clock.now + DAY, [reminder()])

    assert await journal.due_locks(clock.now, 9, "") == []
    assert await journal.next_lock_at() == {"": clock.now + DAY}
    assert await told(journal) == [reminder().id]


async def test_one_of_several_processes_reminds(journal: Any, clock: ManualClock) -> None:
    mine = due_daily(clock)
    await journal.take_lock(mine, ["app-web"], steal=False)
    clock.now += DAY

    given = await asyncio.gather(
        *(journal.remind(mine, clock.now + DAY, [reminder(n)]) for n in range(4))
    )

    assert sorted(given) == [False, False, False, True]
    assert len(await told(journal)) == 1


async def test_a_lock_that_was_renewed_is_not_reminded_of_as_before(
    journal: Any, clock: ManualClock
) -> None:
    old = due_daily(clock)
    await journal.take_lock(old, ["app-web"], steal=False)
    clock.now += DAY
    await journal.take_lock(due_daily(clock), ["app-web"], steal=False)

    assert not await journal.remind(old, None, [reminder()])
    assert not await journal.keep_lock(old, None)
    assert await journal.next_lock_at() == {"": clock.now + DAY}
    assert await told(journal) == []


async def test_what_waits_to_be_told_is_gone_with_the_lock(
    journal: Any, clock: ManualClock
) -> None:
    mine = due_daily(clock)
    await journal.take_lock(mine, ["app-web"], steal=False)
    await journal.remind(mine, clock.now + DAY, [reminder()])
    other = due_daily(clock, scope="app/app-api", until=clock.now + 5)
    await journal.take_lock(other, ["app-api"], steal=False)
    await journal.remind(other, None, [reminder(scope=other.scope)])

    await journal.release_lock(mine.scope, ["app-web"])
    assert await told(journal) == [reminder(scope=other.scope).id]

    clock.now += 10
    assert await journal.forget_gates(clock.now, 100) == 1
    assert await told(journal) == []


async def test_each_host_has_locks_of_its_own_that_are_due(
    journal: Any, clock: ManualClock
) -> None:
    there = lock(clock, merge=PULL)
    alike = lock(clock, scope="app/app-api", merge=replace(PULL, host="github%"))
    for one in (there, alike, due_daily(clock, scope="all")):
        await journal.take_lock(one, None, steal=False)
    at = {"github": there.at, "github%": there.at, "": clock.now + DAY}
    assert await journal.next_lock_at() == at

    clock.now += DAY
    assert [
        [one.lock.scope for one in await journal.due_locks(clock.now, 9, host)] for host in at
    ] == [[there.scope], [alike.scope], ["all"]]
    assert await journal.due_locks(clock.now, 9, "git") == []


async def test_an_expired_lock_is_due_for_nothing_but_to_be_forgotten(
    journal: Any, clock: ManualClock
) -> None:
    mine = due_daily(clock, until=clock.now + 2 * DAY + 5, merge=PULL)
    await journal.take_lock(mine, ["app-web"], steal=False)
    clock.now += 3 * DAY

    assert await journal.due_locks(clock.now, 9, "github") == []
    assert await journal.next_lock_at() == {"": mine.until}
    await journal.end_locks()
    assert await journal.next_lock_at() == {}


async def test_a_pull_request_is_looked_at_at_once_then_later_and_after_an_event(
    journal: Any, clock: ManualClock
) -> None:
    mine = lock(clock, merge=PULL)
    await journal.take_lock(mine, ["app-web"], steal=False)
    (due,) = await journal.due_locks(clock.now, 9, "github")
    assert due == DueLock(mine, 0, looks=0)

    await journal.look_later(mine, clock.now + 600)
    assert await journal.next_lock_at() == {"github": clock.now + 600}
    clock.now += 600
    assert [one.looks for one in await journal.due_locks(clock.now, 9, "github")] == [1]
    await journal.look_later(mine, clock.now + 600)

    assert await journal.report_pull("github", ["acme/shop", "4711"], 12)
    assert [one.looks for one in await journal.due_locks(clock.now, 9, "github")] == [0]
    for host, name, number in (
        ("gitea", "acme/shop", 12),
        ("github", "acme/other", 12),
        ("github", "acme/shop", 1),
    ):
        assert not await journal.report_pull(host, [name], number)


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
