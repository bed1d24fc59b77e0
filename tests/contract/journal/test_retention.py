"""The `Journal` port: what is old is forgotten, and what still counts stays."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bridge.core.health.serving import Look
from bridge.core.lifecycle import State
from bridge.core.people import Actor
from bridge.durable.system import sqlite_engine as workflows_engine
from bridge.ports.outcomes import (
    Audited,
    Outcome,
    Subscription,
    about_deployment,
)
from bridge.storage.engines import WRITES, sqlite_engine
from bridge.storage.journal import SqlJournal, rows
from tests.fakes.journey import NO_GATES, ManualClock, app, deployment
from tests.worlds.journal import WINDOW, outcome


async def test_what_is_old_and_over_is_forgotten_but_an_apps_newest_deployment_stays(
    journal: Any, clock: ManualClock
) -> None:
    subscription = Subscription(
        "card 1", "card", "slack", (about_deployment(deployment(1).id),), {}
    )
    await journal.record([outcome(1, deployment(1), subscriptions=(subscription,))], window=WINDOW)
    await journal.move(deployment(1).id, State.DONE)
    for seq in (2, 3):
        await journal.record([outcome(seq, deployment(seq))], window=WINDOW)
    await journal.move(deployment(3).id, State.DONE)
    await journal.record([outcome(4, deployment(4, "app-api"))], window=WINDOW)
    await journal.intend(deployment(4, "app-api").id, [], NO_GATES)
    await journal.record([outcome(5, deployment(5, "app-api"))], window=WINDOW)
    clock.now += 10

    assert [await journal.forget(clock.now, 1) for _ in range(3)] == [1, 1, 0]

    assert [one.seq for one in await journal.deployments(limit=10)] == [5, 4, 3]
    assert await journal.decisions([1, 2]) == {1: [], 2: []}
    assert await journal.changes(deployment(1).id) == []
    assert await journal.feedback(limit=10) == []
    assert await journal.forget(clock.now - 20, 10) == 0


async def test_what_an_app_serves_is_not_forgotten_however_often_a_build_has_failed_since(
    journal: Any, clock: ManualClock
) -> None:
    await journal.save_apps("dokploy", [app()])
    ends = (State.DONE, State.DONE, State.DONE, State.UNKNOWN, State.FAILED, State.FAILED)
    for seq, end in enumerate(ends, 1):
        clock.now += 1
        await journal.record([outcome(seq, deployment(seq))], window=WINDOW)
        await journal.move(deployment(seq).id, end)
    before = await journal.serving([app()])

    assert await journal.forget(clock.now + 1, 10) == 2

    assert [one.seq for one in await journal.deployments(limit=10)] == [6, 4, 3, 2]
    assert await journal.serving([app()]) == before


async def test_what_somebody_has_put_back_is_not_forgotten_however_old_it_is(
    journal: Any, clock: ManualClock
) -> None:
    await journal.save_apps("dokploy", [app()])
    for seq in range(1, 5):
        clock.now += 1
        await journal.record([outcome(seq, deployment(seq))], window=WINDOW)
        await journal.move(deployment(seq).id, State.DONE)
    back = Look(clock.now, deployment(4).id, record="its image", deployment=deployment(1).id)
    await journal.save_look(app().id, back)
    before = await journal.serving([app()])

    assert await journal.forget(clock.now + 1, 10) == 1

    assert before[app().id].ours.id == deployment(1).id
    assert await journal.serving([app()]) == before


async def test_one_that_was_decided_late_keeps_nothing_old_from_being_forgotten(
    journal: Any, clock: ManualClock
) -> None:
    for seq in (2, 3):
        await journal.record([outcome(seq)], window=WINDOW)
    clock.now += 100
    await journal.record([outcome(1)], window=WINDOW)

    assert [await journal.forget(clock.now - 50, 2) for _ in range(2)] == [2, 0]
    assert [bool(one) for one in (await journal.decisions([1, 2, 3])).values()] == [
        True,
        False,
        False,
    ]


async def begins_of(
    folder: Path, clock: ManualClock, outcomes: list[Outcome]
) -> tuple[SqlJournal, list[bool]]:
    """A journal that holds them, and of each transaction from now on whether it writes."""
    writes: list[bool] = []
    engine = sqlite_engine(folder / "journal.sqlite")
    journal = SqlJournal(engine, clock=clock)
    await journal.start()
    await journal.record(outcomes, window=WINDOW)

    @sa.event.listens_for(engine, "begin")
    def began(db: sa.Connection) -> None:
        writes.append(db.get_execution_options().get(WRITES, False))

    return journal, writes


async def test_what_is_forgotten_at_a_time_is_written_in_parts(
    tmp_path: Path, clock: ManualClock
) -> None:
    journal, writes = await begins_of(tmp_path, clock, [outcome(seq) for seq in range(1, 51)])

    assert await journal.forget(clock.now - 1, 10) == 0
    assert writes == [False], "nobody who writes waits while what is old is looked for"

    assert await journal.forget(clock.now + 1, 50) == 50
    left = await journal.decisions(range(1, 51))
    await journal.stop()

    assert writes.count(True) == 3
    assert not any(left.values())


async def test_what_deployed_more_apps_than_fit_a_statement_is_forgotten_too(
    journal: Any, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "MANY", 2)
    for seq in (1, 2):
        some = [deployment(seq, f"app-{number}", state=State.DONE) for number in range(5)]
        subscriptions = [
            Subscription(f"card {one.id}", "card", "slack", (about_deployment(one.id),), {})
            for one in some
        ]
        await journal.record(
            [outcome(seq, *some, subscriptions=tuple(subscriptions))], window=WINDOW
        )

    assert await journal.forget(clock.now + 10, 10) == 1

    assert {one.seq for one in await journal.deployments(limit=20)} == {2}
    assert len(await journal.feedback(limit=20)) == 5
    assert await journal.changes(deployment(1, "app-4").id) == []


async def test_old_entries_of_the_audit_and_old_drafts_are_forgotten(
    journal: Any, clock: ManualClock
) -> None:
    for at in (1.0, 2.0, 3.0):
        await journal.audit(
            Audited(at, Actor("cli", "ada"), "provider set", "app-web", "shop/web", ())
        )
    for name in "abc":
        await journal.keep_draft(name, "sealed")
        clock.now += 10

    assert [await journal.forget_audit(3.0, 10), await journal.forget_audit(3.0, 10)] == [2, 0]
    assert [one.at for one in await journal.audited(limit=10)] == [3.0]
    before = clock.now - 10
    assert [await journal.forget_drafts(before, n) for n in (1, 5, 5)] == [1, 1, 0]
    assert [await journal.draft(name) for name in "abc"] == [None, None, "sealed"]


def test_an_error_of_the_database_repeats_no_values(tmp_path: Path) -> None:
    """It may be one that nobody foresaw, and then all of it is logged."""
    insert = sa.text("INSERT INTO t VALUES (1, :value)")
    for make in (sqlite_engine, workflows_engine):
        engine = make(tmp_path / f"{make.__module__}.sqlite")
        with engine.begin() as db:
            db.execute(sa.text("CREATE TABLE t (id INTEGER PRIMARY KEY, value TEXT)"))
            db.execute(insert, {"value": "hunter2"})
        with pytest.raises(sa.exc.IntegrityError) as caught, engine.begin() as db:
            db.execute(insert, {"value": "hunter2"})
        engine.dispose()

        assert "INSERT INTO t" in str(caught.value)
        assert "hunter2" not in str(caught.value)
