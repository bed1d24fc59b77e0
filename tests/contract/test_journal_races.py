"""Several processes write one journal on Postgres at once: what holds for one holds for all.

Each journal here has connections of its own, as another process would.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from bridge.core.apps import Rules
from bridge.core.decision import Decision, Reason
from bridge.core.errors import Rejected
from bridge.core.gates.gates import open_gates
from bridge.core.gates.locks import Lock
from bridge.core.holds import Hold
from bridge.core.lifecycle import Deployment, State
from bridge.ports.gates import CommitAt, Judging
from bridge.ports.outcomes import Outcome, PushSeen, Subscription, about_deployment
from bridge.storage import migrations, tables
from bridge.storage.journal import SqlJournal, held, outbox
from bridge.storage.postgres import postgres_engine
from tests.fakes.journey import HEAD, NO_GATES, ManualClock, app, deployment
from tests.worlds.embedded import until

WINDOW = 600.0
ROUNDS = 12


@pytest.fixture
async def journals(postgres: str) -> AsyncIterator[list[SqlJournal]]:
    clock = ManualClock()
    opened = [SqlJournal(postgres_engine(postgres), clock=clock) for _ in range(3)]
    for journal in opened:
        await journal.start()
    yield opened
    for journal in opened:
        await journal.stop()


@pytest.fixture
def engine(postgres: str) -> Any:
    engine = postgres_engine(postgres)
    yield engine
    engine.dispose()


def outcome(seq: int, *deployments: Deployment, **others: Any) -> Outcome:
    decisions = tuple(
        Decision(one.app_id, one.app, Reason.NO_WATCH_PATHS, "because") for one in deployments
    )
    return replace(Outcome(seq, f"delivery-{seq}", decisions, deployments), **others)


def subscription(name: str, *deployments: str) -> Subscription:
    follows = tuple(map(about_deployment, deployments))
    return Subscription(name, "a kind", "a lane", follows, {"where": name})


async def test_one_is_superseded_or_asked_for_but_never_both(journals: list[SqlJournal]) -> None:
    first, second, _ = journals
    for number in range(1, 2 * ROUNDS, 2):
        old = deployment(number)
        await first.record([outcome(number, old)], window=WINDOW)

        _, intended = await asyncio.gather(
            first.record([outcome(number + 1, deployment(number + 1))], window=WINDOW),
            second.intend(old.id, [], NO_GATES),
        )

        now = await first.deployment(old.id)
        assert now is not None
        assert (now.state is State.SUPERSEDED) == (intended is None)
        assert (now.intent_at is None) == (intended is None)
        for seq in (number, number + 1):  # out of the way of the next round
            await first.move(deployment(seq).id, State.DONE)


@pytest.mark.parametrize("how", ["cancelled", "held"])
async def test_what_lets_another_one_go_first_is_woken_though_that_one_stops_just_then(
    journals: list[SqlJournal], how: str
) -> None:
    first, second, _ = journals
    lock = Lock("all", "all apps", "cli:bob", "Bob", "why", 0.0)
    for number in range(1, 2 * ROUNDS, 2):
        older = deployment(number, person="cli:bob")
        newer = deployment(number + 1, person="cli:ada")
        await first.record([outcome(number, older), outcome(number + 1, newer)], window=WINDOW)
        if how == "held":
            await first.take_lock(lock, None, steal=True)

        await asyncio.gather(
            first.judge(older.id, NO_GATES),
            second.judge(newer.id, NO_GATES)
            if how == "held"
            else second.cancel(newer.app_id, 10**6, newer.id),
        )
        for due in await first.due_holds(1e12, 99):
            await first.judge(due.id, NO_GATES)

        now = await first.deployment(older.id)
        assert now is not None
        assert now.state is State.WAITING
        await first.cancel(older.app_id, 10**6)  # out of the way of the next round
        await first.release_lock(lock.scope, None)


async def test_who_waits_for_an_earlier_app_is_woken_though_that_goes_live_just_then(
    journals: list[SqlJournal], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, _ = journals
    await first.save_apps("dokploy", [app("app-staging"), app("app-web")])
    staged, new = deployment(1, "app-staging"), deployment(2)
    await first.record([outcome(1, staged), outcome(2, new)], window=WINDOW)
    waits = replace(NO_GATES.app, rules=Rules(after=("shop/staging",)))
    head = CommitAt("github", "my-org/site", HEAD, "main")
    by = Judging(waits, earlier={"shop/staging": "app-staging"}, head=head)
    loop, moving = asyncio.get_running_loop(), list[Future[Deployment | None]]()

    def meanwhile(*facts: Any) -> tuple[Hold, ...]:
        """Judge by what was read, while the earlier app goes live."""
        if not moving:
            live = second.move(staged.id, State.DONE, deployed_commit=HEAD)
            moving.append(asyncio.run_coroutine_threadsafe(live, loop))
            wait(moving, timeout=1.0)
        return open_gates(*facts)

    monkeypatch.setattr(held, "open_gates", meanwhile)
    found = await first.judge(new.id, by)
    assert found is not None
    assert found.state is State.HELD
    await asyncio.wrap_future(moving[0])

    assert [one.id for one in await first.due_holds(1e12, 9)] == [new.id]


async def test_the_same_push_by_two_hooks_at_once_deploys_once(journals: list[SqlJournal]) -> None:
    first, second, _ = journals
    for number in range(1, 2 * ROUNDS, 2):
        push = PushSeen(f"github {number} refs/heads/main", "a" * 40, "b" * 40)
        app_id = f"app-{number}"

        await asyncio.gather(
            *(
                journal.record([outcome(seq, deployment(seq, app_id), push=push)], window=WINDOW)
                for journal, seq in ((first, number), (second, number + 1))
            )
        )

        found = await first.decisions([number, number + 1])
        reasons = [decision.reason for decisions in found.values() for decision in decisions]
        assert sorted(reasons) == [Reason.DUPLICATE_PUSH, Reason.NO_WATCH_PATHS]
        assert len(await first.deployments(limit=9, app_id=app_id)) == 1


async def test_whoever_records_when_only_the_newest_of_an_app_stays(
    journals: list[SqlJournal],
) -> None:
    await asyncio.gather(
        *(
            journals[seq % 3].record([outcome(seq, deployment(seq, f"app-{seq % 4}"))], window=9.0)
            for seq in range(60, 0, -1)
        )
    )

    found = await journals[0].deployments(limit=100)
    waiting = sorted(one.seq for one in found if one.state is State.WAITING)
    assert waiting == [57, 58, 59, 60]
    assert {one.state for one in found} == {State.WAITING, State.SUPERSEDED}


@pytest.mark.parametrize("reason", [Reason.CANCEL_ASKED, Reason.CANCEL_ONE_ASKED])
async def test_a_cancel_that_was_decided_first_ends_an_older_push_too_unless_it_was_of_one(
    journals: list[SqlJournal], reason: Reason
) -> None:
    first, second, _ = journals
    cancel = Decision("app-web", "shop/web", reason, "ada asked to cancel")
    await first.record([outcome(1, deployment(1))], window=WINDOW)
    await first.record([Outcome(3, "cli-3", (cancel,), explicit=True)], window=WINDOW)

    late = await second.record([outcome(2, deployment(2))], window=WINDOW)

    if reason is Reason.CANCEL_ONE_ASKED:
        assert late.start == (deployment(2).id,)
        return
    assert late.start == ()
    found = {one.seq: one.state for one in await first.deployments(limit=9)}
    assert found == {1: State.CANCELLED, 2: State.CANCELLED}


async def test_what_several_do_at_once_is_done_once(journals: list[SqlJournal]) -> None:
    names = await asyncio.gather(*(journal.instance() for journal in journals * 4))
    assert len(set(names)) == 1

    owners = [f"owner-{number}" for number in range(12)]
    held = await asyncio.gather(
        *(journals[n % 3].hold("timer", owner, 60.0) for n, owner in enumerate(owners))
    )
    assert held.count(True) == 1

    apps = [app(f"app-{number}") for number in range(40)]
    await asyncio.gather(*(journal.save_apps("dokploy", apps) for journal in journals))
    assert await journals[0].apps_version() == 1
    assert len(await journals[1].apps()) == 40

    outcomes = [outcome(seq, deployment(seq, f"app-{seq}")) for seq in range(1, 30)]
    said = await asyncio.gather(*(one.record(outcomes, window=WINDOW) for one in journals))
    assert len(set(said)) == 1
    assert len(await journals[0].deployments(limit=100)) == 29
    assert len(await journals[0].changes(deployment(1, "app-1").id)) == 1


async def test_all_start_at_once_on_an_empty_database(empty_postgres: str) -> None:
    engines = [postgres_engine(empty_postgres, connections=1) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        did = list(pool.map(migrations.migrate, engines))

    assert did.count(True) == 1
    with engines[0].connect() as db:
        assert sa.inspect(db).has_table("deployments")
    for engine in engines:
        engine.dispose()


async def test_texts_may_hold_what_postgres_can_not(journals: list[SqlJournal]) -> None:
    new = deployment(1, message="fix:\0\0 it", author="\0")

    await journals[0].record([outcome(1, new)], window=WINDOW)

    found = await journals[0].deployment(new.id)
    assert found is not None
    assert (found.message, found.author) == ("fix:\ufffd\ufffd it", "\ufffd")


async def test_deadlocks_are_tried_again(journals: list[SqlJournal], engine: sa.Engine) -> None:
    """Two who raise two places in opposite orders: the database chooses one, which comes again."""
    one, two = deployment(1, "app-1"), deployment(2, "app-2")
    await journals[0].record([outcome(1, one), outcome(2, two)], window=WINDOW)
    await journals[0].subscribe([subscription("a", one.id), subscription("b", two.id)])
    t = tables.feedback
    with engine.connect() as db:
        with db.begin():
            db.execute(sa.select(t.c.id).where(t.c.id == "b").with_for_update())
            both = [subscription("a", one.id, two.id), subscription("b", two.id, one.id)]
            wanting = asyncio.create_task(journals[0].subscribe(both))

            async def blocked() -> int:
                query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                return int(db.scalar(sa.text(query)) or 0)

            await until(blocked, lambda count: count == 1)
            # Whichever of the two the database ends: ours must come through in the end.
            with suppress(sa.exc.OperationalError):
                outbox.save_cursor(db, "a", {"by": "the other"}, 1.0)
        await wanting

    follows = {
        one.subscription.id: set(one.subscription.follows)
        for one in await journals[0].feedback(limit=9)
    }
    assert follows["a"] == follows["b"] == {about_deployment(one.id), about_deployment(two.id)}


async def test_a_name_too_long_for_an_index_is_refused_and_nobody_waits_for_it(
    journals: list[SqlJournal],
) -> None:
    """To wait until it can be kept would keep all others from being decided, for ever."""
    name = "".join(hashlib.sha256(bytes([number])).hexdigest() for number in range(62))
    ref = PushSeen(f"gitlab 1 refs/heads/{name}", "a" * 40, "b" * 40)

    with pytest.raises(Rejected, match="the journal can't keep it: index row"):
        await journals[0].record([outcome(1, deployment(1), push=ref)], window=WINDOW)

    await journals[0].record([outcome(2, deployment(2))], window=WINDOW)
    assert [one.seq for one in await journals[0].deployments(limit=10)] == [2]
