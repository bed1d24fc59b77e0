"""The `Journal` port: what apps serve, how far behind, what became of it, what ended since."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bridge.core.apps import Rules, Source, SourceType, Trigger
from bridge.core.decision import Reason
from bridge.core.events import Action
from bridge.core.health.fate import Now
from bridge.core.health.serving import Behind, Look, Works
from bridge.core.lifecycle import Deployment, State
from bridge.storage.engines import sqlite_engine
from bridge.storage.journal import SqlJournal
from tests.fakes.journey import ManualClock, app, deployment
from tests.worlds.journal import decision, outcome, pushed, record

A, B, C, D, E = (letter * 40 for letter in "abcde")
WEB = app()


async def made(
    journal: Any,
    clock: ManualClock,
    seq: int,
    state: State,
    commit: str | None = None,
    **facts: Any,
) -> str:
    """Record a deployment and end it, ten seconds later."""
    new = deployment(seq, **facts)
    await journal.record([outcome(seq, new)], window=0)
    clock.now += 10
    await journal.move(new.id, state, "ended", deployed_commit=commit)
    return new.id


async def test_an_unknown_outcome_is_a_doubt_until_something_else_is_live(
    journal: Any, clock: ManualClock
) -> None:
    await journal.save_apps("dokploy", [WEB])
    await journal.save_look(WEB.id, Look(clock.now, record="r1", commit=A, since=clock.now))
    assert (await journal.serving([WEB]))[WEB.id].commit == A, "deployed by hand"
    for seq in (1, 3):
        await made(journal, clock, seq, State.UNKNOWN)
        serving = (await journal.serving([WEB]))[WEB.id]
        assert (serving.known, serving.commit, serving.works) == (False, None, Works.UNKNOWN)

        await made(journal, clock, seq + 1, State.DONE, C)
        assert (await journal.serving([WEB]))[WEB.id].commit == C


async def test_an_app_is_failing_until_something_is_served_again(
    journal: Any, clock: ManualClock
) -> None:
    other = app("api")
    await journal.save_apps("dokploy", [WEB, other])
    assert await journal.failing(9) == []
    steps = [
        (State.FAILED, [1]),
        (State.FAILED, [2]),
        (State.CANCELLED, [2]),
        (State.DONE, []),
        (State.FAILED, [5]),
    ]
    for seq, (state, failing) in enumerate(steps, start=1):
        await made(journal, clock, seq, state)
        assert [one.seq for one in await journal.failing(9)] == failing

    new = deployment(6, other.id)
    await journal.record([outcome(6, new)], window=0)
    await journal.move(new.id, State.FAILED, "ended")
    assert [one.seq for one in await journal.failing(9)] == [6, 5]
    assert [one.seq for one in await journal.failing(1)] == [6]


async def test_what_replaces_a_version_is_never_older_though_the_clock_was_set_back(
    journal: Any, clock: ManualClock
) -> None:
    """Nor though it was asked for earlier, and held."""
    await journal.save_apps("dokploy", [WEB])
    later = deployment(1)
    await record(journal, outcome(1, later))
    await journal.move(later.id, State.HELD, "held: why")
    await made(journal, clock, 2, State.DONE, A, action=Action.REDEPLOY)
    clock.now -= 3600
    await journal.move(later.id, State.WAITING, "lifted")
    await journal.move(later.id, State.DONE, "ended", deployed_commit=B)
    assert (await journal.serving([WEB]))[WEB.id].commit == B

    await made(journal, clock, 3, State.UNKNOWN)
    assert not (await journal.serving([WEB]))[WEB.id].known
    await made(journal, clock, 4, State.DONE, C)
    assert (await journal.serving([WEB]))[WEB.id].commit == C
    await made(journal, clock, 5, State.FAILED)
    assert (await journal.live([WEB.id]))[WEB.id].failed == 5


@pytest.mark.parametrize(
    ("began", "then", "counts"),
    [
        pytest.param(-9, -5, "second", id="the newer ends late"),
        pytest.param(-5, -9, "first", id="the older ends late"),
        pytest.param(-5, -5, "second", id="both began at once"),
        pytest.param(3600, -5, "second", id="the clock was set back"),
    ],
)
@pytest.mark.parametrize("record", ["r1", None])
async def test_the_look_that_began_later_counts_in_whatever_order_they_end(
    journal: Any, clock: ManualClock, began: float, then: float, counts: str, record: str | None
) -> None:
    await journal.save_apps("dokploy", [WEB])
    first = Look(clock.now + began, record=record, place="first")
    await journal.save_look(WEB.id, first)
    await journal.save_look(WEB.id, replace(first, at=clock.now + then, place="second"))

    await made(journal, clock, 1, State.DONE, A)

    assert (await journal.serving([WEB]))[WEB.id].look.place == counts


async def push(journal: Any, seq: int, before: str, after: str, reason: Reason) -> None:
    seen = replace(pushed(before, after), repository="my-org/mono")
    made = decision(WEB.id, reason)
    await record(journal, outcome(seq, decisions=(made,), push=seen))


async def test_it_tells_how_far_an_app_is_behind_its_branch(
    journal: Any, clock: ManualClock
) -> None:
    await journal.save_apps("dokploy", [WEB])
    await made(journal, clock, 1, State.DONE, A)
    await push(journal, 2, "0" * 40, A, Reason.PATH_HIT)
    await push(journal, 3, A, B, Reason.NO_PATH_HIT)
    await push(journal, 4, B, C, Reason.PATH_HIT)
    assert WEB.source is not None

    for changed, behind in (
        (WEB, Behind(2, 1)),
        (replace(WEB, source=Source(SourceType.GITHUB, "my-org/other", branch="main")), None),
        (replace(WEB, source=replace(WEB.source, branch="other")), None),
        (replace(WEB, rules=Rules(branch="release/*")), Behind(2, 1)),
        (replace(WEB, trigger=Trigger.TAG), None),
        (replace(WEB, source=None), None),
    ):
        assert (await journal.serving([changed]))[WEB.id].behind == behind, changed


async def test_it_tells_the_pushes_between_two_commits_of_an_apps_branch(journal: Any) -> None:
    """They count whatever came of them; the first was before the app, the last one's event late."""
    await journal.save_apps("dokploy", [WEB])
    others = replace(pushed("0" * 40, A), repository="my-org/mono")
    await record(journal, outcome(1, decisions=(decision("app-api"),), push=others))
    await push(journal, 2, A, B, Reason.SKIP_DIRECTIVE)
    await push(journal, 3, B, C, Reason.PATH_HIT)
    await push(journal, 4, E, D, Reason.PATH_HIT)
    await push(journal, 5, C, E, Reason.NO_PATH_HIT)
    elsewhere = replace(pushed(D, A, "github 1 refs/heads/other"), repository="my-org/mono")
    await record(journal, outcome(6, decisions=(decision(WEB.id),), push=elsewhere))

    for live, head, pinned, expected in (
        (A, D, False, {2, 3, 4, 5}),
        (C, D, False, {4, 5}),
        (E, D, False, {4}),
        (D, D, False, {4, 5}),
        (A, B, True, {2}),
        (A, D, True, {2, 3, 4, 5}),
        (C, A, True, {1}),
        ("f" * 40, C, True, {1, 2, 3}),
        (None, D, False, {2, 3, 4, 5}),
    ):
        found = await journal.brought(WEB, live, head, pinned=pinned, limit=10)
        assert set(found.seqs) == expected, (live, head, pinned)
        assert found.whole
        assert live is not None or found.begins == {A}
        cut = await journal.brought(WEB, live, head, pinned=pinned, limit=3)
        assert cut.whole is (live in (C, D, E)), "the three newest led to these"
        assert (await journal.brought(WEB, None, head, pinned=pinned, limit=5)).whole


async def test_both_are_searched_for_and_not_scanned(tmp_path: Path, clock: ManualClock) -> None:
    asked: list[tuple[str, Any]] = []
    engine = sqlite_engine(tmp_path / "journal.sqlite")
    journal = SqlJournal(engine, clock=clock)
    await journal.start()
    await journal.save_apps("dokploy", [WEB])
    await made(journal, clock, 1, State.DONE, A)
    await push(journal, 2, "0" * 40, A, Reason.PATH_HIT)

    @sa.event.listens_for(engine, "before_cursor_execute")
    def ask(_db: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.startswith("SELECT"):
            asked.append((statement, values))

    await journal.serving([WEB])
    await journal.failing(9)
    await journal.rollback_targets([WEB])
    await journal.ended_since(0.0)
    await journal.oldest_deployment()
    with engine.connect() as db:
        plans = [
            [row[3] for row in db.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
            for statement, values in list(asked)
        ]
    await journal.stop()

    steps = [step for plan in plans for step in plan]
    assert any("deployments_by_live (app_id=? AND live_at>?)" in step for step in steps)
    assert any("deployments_by_end (finished_at>?)" in step for step in steps)
    # The oldest deployment, and the newest within their limit, which are then gone through.
    scanned = [step for step in steps if step.startswith("SCAN") and step != "SCAN newest"]
    assert scanned == ["SCAN deployments USING INDEX deployments_by_seq"] * 2, steps


# ── what has become of what went live ─────────────────────────────────────────


async def served(
    journal: SqlJournal, clock: ManualClock, new: Deployment, sha: str | None
) -> Deployment:
    """A deployment that goes live, a minute after the one before."""
    clock.now += 60
    await journal.record([outcome(new.seq, new)], window=0)
    await journal.move(new.id, State.RUNNING)
    await journal.move(new.id, State.DONE, deployed_commit=sha, finished_at=clock.now)
    found = await journal.deployment(new.id)
    assert found is not None
    return found


async def test_a_fate_follows_the_version_where_a_redeploy_names_no_commit(
    journal: SqlJournal, clock: ManualClock
) -> None:
    await journal.save_apps("dokploy", [app()])
    first = await served(journal, clock, deployment(1), "1" * 40)
    second = await served(journal, clock, deployment(2), "2" * 40)
    again = deployment(3, action=Action.REDEPLOY)
    again = await served(journal, clock, again, None)

    fates = await journal.fates([second, again])
    assert [(fate.now, fate.says) for fate in fates.values()] == [
        (Now.LIVE, "#3 deployed it again"), (Now.LIVE, ""),
    ]  # fmt: skip

    back = deployment(4, action=Action.ROLLBACK, target=first.id)
    await served(journal, clock, back, "1" * 40)
    fates = await journal.fates([second, again])
    assert {fate.says for fate in fates.values()} == {"rolled back to 1111111 by #4"}


async def test_a_tag_that_another_image_has_by_now_is_another_version(
    journal: SqlJournal, clock: ManualClock
) -> None:
    await journal.save_apps("dokploy", [app()])
    made = []
    for seq, image in enumerate(["sha256:a", "sha256:b"], start=1):
        new = deployment(seq, commit=None, image="shop/web:latest")
        made.append(await served(journal, clock, new, None))
        await journal.prove(new.id, [image])

    fates = await journal.fates(made)
    assert [fate.now for fate in fates.values()] == [Now.REPLACED, Now.LIVE]
