"""The `Journal` port: reminders of locks, and the pull requests that release them."""

import asyncio
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


async def test_a_pull_request_is_looked_at_at_once_then_later_and_after_an_event(
    journal: Any, clock: ManualClock
) -> None:
    mine = lock(clock, merge=PULL, until=clock.now + 2 * DAY)
    await journal.take_lock(mine, ["app-web"], steal=False)
    await journal.take_lock(due_daily(clock, scope="all"), None, steal=False)
    assert mine in await journal.locks()
    (due,) = await journal.due_locks(clock.now, 9, "github")
    assert due == DueLock(mine, 0, looks=0)
    assert await journal.due_locks(clock.now, 9, "git") == []

    await journal.look_later(mine, clock.now + 600)
    assert (await journal.next_lock_at())["github"] == clock.now + 600
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
    clock.now += 3 * DAY  # it has expired
    assert await journal.due_locks(clock.now, 9, "github") == []
    await journal.end_locks()
    assert [one.scope for one in await journal.locks()] == ["all"]


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
