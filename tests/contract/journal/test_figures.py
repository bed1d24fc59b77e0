"""The `Journal` port: figures for metrics, and queries that search an index, not the table."""

from typing import Any

import sqlalchemy as sa

from bridge.core.lifecycle import State
from bridge.core.previews.preview import PreviewState
from bridge.ports.figures import JournalFigures
from bridge.ports.outcomes import (
    Subscription,
    about_deployment,
)
from bridge.storage.journal import SqlJournal
from bridge.storage.postgres import postgres_engine
from tests.fakes.journey import ManualClock, app, deployment
from tests.worlds.journal import WINDOW, A, B, decision, outcome, pushed, record
from tests.worlds.previewed import held, skipped, up


async def test_it_tells_how_much_is_going_on(journal: Any, clock: ManualClock) -> None:
    assert await journal.figures() == JournalFigures({}, 0, 0, None)
    late, parked = (
        Subscription(f"card {n}", "card", f"lane {n}", (about_deployment(deployment(1).id),), {})
        for n in (1, 2)
    )
    await journal.record([outcome(1, deployment(1), subscriptions=(late, parked))], window=WINDOW)
    await journal.record([outcome(2, deployment(2, "app-api"))], window=WINDOW)
    await journal.mark_failed(parked.id, 1, "gone", due_at=None)
    await journal.mark_failed(late.id, 1, "away", due_at=clock.now + 70)
    await journal.move(deployment(2, "app-api").id, State.ASKED)

    found = await journal.figures()

    assert found.open == {State.WAITING: 1, State.ASKED: 1}
    assert (found.pending, found.parked, found.overdue) == (1, 1, clock.now + 70)


async def test_it_tells_how_many_previews_there_are_and_when_the_last_push_of_an_app_came(
    journal: Any, clock: ManualClock
) -> None:
    for number in (1, 2):
        await up(journal, app(), number)
    await held(journal, app(), 3)
    await skipped(journal, app(), 4)
    assert (await journal.figures()).previews == {PreviewState.UP: 2, PreviewState.HELD: 1}

    apps = [app(id_) for id_ in ("app-web", "app-api", "app-docs")]
    await journal.save_apps("dokploy", apps)
    both = (decision(), decision("app-api"))
    await record(journal, outcome(1, decisions=both, push=pushed()))
    first = clock.now
    clock.now += 60
    await record(journal, outcome(2, push=pushed(B, A)))
    await record(journal, outcome(3, decisions=(decision("app-docs"),)))  # by a command
    assert await journal.last_pushes() == {"app-api": first, "app-web": clock.now}


async def test_what_has_ended_is_told_once(journal: Any, clock: ManualClock) -> None:
    await journal.record([outcome(1, deployment(1))], window=WINDOW)
    before = await journal.newest_change()
    assert await journal.ended(0) == []

    await journal.move(deployment(1).id, State.RUNNING, started_at=clock.now)
    clock.now += 12
    await journal.move(deployment(1).id, State.DONE)
    await journal.say(deployment(1).id, "said after its end")
    await journal.record([outcome(2, deployment(2))], window=WINDOW)
    await journal.record([outcome(3, deployment(3))], window=WINDOW)

    ended = await journal.ended(before)
    label = deployment(1).app
    assert [(one.app, one.result, one.seconds) for one in ended] == [
        (label, State.DONE, 12.0),
        (label, State.SUPERSEDED, None),
    ]
    assert await journal.ended(ended[-1].number) == []
    assert await journal.newest_change() >= ended[-1].number

    await journal.move(deployment(1).id, State.UNHEALTHY)  # it breaks after its end
    again = await journal.ended(ended[-1].number)
    assert [(one.result, one.seconds) for one in again] == [(State.UNHEALTHY, None)]


MANY_OF_FEW = """
INSERT INTO deployments (id, seq, delivery, app_id, app, action, trigger, state, note, token,
    known_before, created_at, finished_at, live_at)
SELECT lpad(n::text, 16, '0') || '.app-' || app, n, 'd', 'app-' || app, 'app', 'deploy', 'push',
    'done', '', '', '[]', 0, n, n FROM generate_series(0, 1999) k, generate_series(0, 9) app,
    LATERAL (SELECT 10 * k + app) AS made (n)
"""


async def test_what_apps_run_is_searched_for_however_long_the_history_is(
    postgres: str, clock: ManualClock
) -> None:
    """Most apps here were never deployed: to find that out, nothing of others' is read."""
    asked: list[tuple[str, Any]] = []
    engine = postgres_engine(postgres)
    journal = SqlJournal(engine, clock=clock)
    await journal.start()
    apps = [app(f"app-{number}") for number in range(50)]
    await journal.save_apps("dokploy", apps)
    with engine.begin() as db:
        db.exec_driver_sql(MANY_OF_FEW)
        db.exec_driver_sql("ANALYZE")

    @sa.event.listens_for(engine, "before_cursor_execute")
    def ask(_db: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        asked.append((statement, values))

    found = await journal.live([one.id for one in apps])
    with engine.connect() as db:
        plan = [
            row[0]
            for question, values in list(asked)
            if "deployments" in question
            for row in db.exec_driver_sql(f"EXPLAIN {question}", values)
        ]
    await journal.stop()

    assert {one.seq: id_ for id_, one in found.items()} == {
        19_990 + number: f"app-{number}" for number in range(10)
    }
    scans = [step for step in plan if "Scan" in step and "on deployments" in step]
    assert scans
    wrong = ("Seq Scan", "deployments_by_seq", "deployments_by_end")
    assert not [step for step in scans if any(one in step for one in wrong)]
