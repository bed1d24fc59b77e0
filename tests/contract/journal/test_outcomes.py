"""The `Journal` port: what is recorded, and which deployment of an app gives way to which."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bridge.core.errors import Unreachable
from bridge.core.events import Action
from bridge.core.lifecycle import State
from bridge.ports.outcomes import (
    Recorded,
)
from bridge.storage.journal.rows import MANY
from tests.fakes.journey import NO_GATES, ManualClock, deployment
from tests.worlds.journal import (
    A,
    B,
    Opened,
    decision,
    open_sqlite,
    outcome,
    push,
    pushed,
    record,
    states,
)


async def test_pushes_are_found_by_where_they_led_a_branch(journal: Any) -> None:
    elsewhere = "github 1 refs/heads/other"
    await push(journal, 1, A, B)
    await push(journal, 2, B, A)
    await push(journal, 3, A, B)
    await record(journal, outcome(4, deployment(4), push=pushed(A, B, elsewhere)))

    assert await journal.pushes_to("github 1 refs/heads/main", B) == [1, 3]
    assert await journal.pushes_to(elsewhere, B) == [4]
    assert await journal.pushes_to("github 1 refs/heads/main", "c" * 40) == []


async def test_what_is_recorded_is_there_after_a_restart(reopened: Opened) -> None:
    new = deployment(7, message="feat: ü\n\nmore", author="Ada")
    recorded = await record(await reopened(), outcome(7, new))

    journal = await reopened()

    assert recorded == Recorded(start=(new.id,), drop=())
    assert await journal.deployment(new.id) == new
    assert await journal.decisions([7, 8]) == {7: [decision()], 8: []}
    assert [change.state for change in await journal.changes(new.id)] == [State.WAITING]


async def test_recording_again_changes_nothing_and_says_the_same_again(journal: Any) -> None:
    both = (outcome(1, deployment(1)), outcome(2, deployment(2)))
    first = await record(journal, *both)
    changes = await journal.changes(deployment(2).id)

    assert await record(journal, *both) == first == Recorded((deployment(2).id,), first.drop)
    assert first.drop == (deployment(1).id,)
    assert await states(journal) == {1: "superseded", 2: "waiting"}
    assert await journal.changes(deployment(2).id) == changes


async def test_recording_again_after_the_deployment_has_begun_starts_nothing(journal: Any) -> None:
    await record(journal, outcome(1, deployment(1)))
    await journal.move(deployment(1).id, State.ASKED)

    assert (await record(journal, outcome(1, deployment(1)))).start == ()


async def test_a_batch_is_recorded_whole_or_not_at_all(journal: Any) -> None:
    twice = outcome(2, deployment(2, "app-api"), decisions=(decision("app-api"),) * 2)

    with pytest.raises(sa.exc.IntegrityError):
        await record(journal, outcome(1, deployment(1)), twice)

    assert await journal.decisions([1, 2]) == {1: [], 2: []}
    assert await journal.deployments(limit=10) == []
    assert (await record(journal, outcome(1, deployment(1)))).start == (deployment(1).id,)


async def test_nothing_to_record_is_nothing_to_start(journal: Any) -> None:
    assert await record(journal) == Recorded((), ())


async def test_more_apps_than_one_statement_can_name_are_recorded(journal: Any) -> None:
    ids = [f"app-{number}" for number in range(MANY + 50)]
    await record(journal, outcome(1, *(deployment(1, id_) for id_ in ids)))

    found = await record(journal, outcome(2, *(deployment(2, id_) for id_ in ids)))

    assert (len(found.start), len(found.drop)) == (len(ids), len(ids))


# ── newer and older deployments of an app ────────────────────────────────────


@pytest.mark.parametrize(
    ("older", "newer", "superseded"),
    [
        (Action.DEPLOY, Action.DEPLOY, True),
        (Action.REDEPLOY, Action.DEPLOY, False),  # not before the deploy is asked for
        (Action.DEPLOY, Action.REDEPLOY, False),  # it fetches nothing, so it can't stand in
    ],
)
async def test_a_newer_one_supersedes_an_older_one_that_it_can_stand_in_for(
    journal: Any, older: Action, newer: Action, superseded: bool
) -> None:
    first, second = deployment(1, action=older), deployment(2, action=newer)
    await record(journal, outcome(1, first))

    recorded = await record(journal, outcome(2, second))

    assert await states(journal) == {2: "waiting", 1: "superseded" if superseded else "waiting"}
    assert recorded.drop == ((first.id,) if superseded else ())
    found = await journal.deployment(first.id)
    assert found.superseded_by == (second.id if superseded else None)
    assert (found.finished_at is not None) is superseded
    assert found.note.startswith("deployment #2 is newer") is superseded


async def test_three_of_one_batch_leave_only_the_newest(journal: Any) -> None:
    recorded = await record(journal, *(outcome(seq, deployment(seq)) for seq in (1, 2, 3)))

    assert recorded.start == (deployment(3).id,)
    assert await states(journal) == {1: "superseded", 2: "superseded", 3: "waiting"}


async def test_other_apps_are_none_of_its_business(journal: Any) -> None:
    await record(journal, outcome(1, deployment(1, "app-api")))
    await record(journal, outcome(2, deployment(2, "app-web")))

    assert await states(journal, "app-api") == {1: "waiting"}


@pytest.mark.parametrize("begun", [State.ASKED, State.QUEUED, State.RUNNING])
async def test_what_the_backend_has_is_not_superseded(journal: Any, begun: State) -> None:
    await record(journal, outcome(1, deployment(1)))
    await journal.move(deployment(1).id, begun)

    await record(journal, outcome(2, deployment(2)))

    assert await states(journal) == {1: str(begun), 2: "waiting"}


async def test_what_may_have_been_asked_is_superseded_only_once_that_is_taken_back(
    journal: Any,
) -> None:
    await record(journal, outcome(1, deployment(1)))
    await journal.intend(deployment(1).id, ["old"], NO_GATES)
    await record(journal, outcome(2, deployment(2)))
    assert await states(journal) == {1: "waiting", 2: "waiting"}

    await journal.withdraw(deployment(1).id)
    await record(journal, outcome(3, deployment(3)))

    assert await states(journal) == {1: "superseded", 2: "superseded", 3: "waiting"}


@pytest.mark.parametrize(
    ("newer", "moot"),
    [
        (State.WAITING, True), (State.RUNNING, True), (State.DONE, True), (State.FAILED, True),
        (State.CANCELLED, False),
    ],
)  # fmt: skip
async def test_a_late_older_delivery_deploys_only_where_no_newer_one_has_done_its_work(
    journal: Any, newer: State, moot: bool
) -> None:
    await record(journal, outcome(2, deployment(2)))
    if newer is not State.WAITING:
        await journal.move(deployment(2).id, newer)

    recorded = await record(journal, outcome(1, deployment(1)))

    assert recorded.start == (() if moot else (deployment(1).id,))
    assert (await states(journal))[1] == ("superseded" if moot else "waiting")
    assert (await states(journal))[2] == str(newer)


async def test_a_late_older_delivery_is_moot_though_a_redeploy_came_last(journal: Any) -> None:
    await record(journal, outcome(2, deployment(2)))
    await record(journal, outcome(3, deployment(3, action=Action.REDEPLOY)))

    recorded = await record(journal, outcome(1, deployment(1)))

    assert recorded.start == ()
    assert (await journal.deployment(deployment(1).id)).superseded_by == deployment(2).id


async def test_a_late_deploy_is_not_moot_where_only_a_redeploy_is_newer(journal: Any) -> None:
    await record(journal, outcome(2, deployment(2, action=Action.REDEPLOY)))

    recorded = await record(journal, outcome(1, deployment(1)))

    assert recorded.start == (deployment(1).id,)


async def test_the_name_of_a_journal_stays_and_is_its_own(
    reopened: Opened, tmp_path: Path, clock: ManualClock
) -> None:
    journal = await reopened()
    names = await asyncio.gather(*(journal.instance() for _ in range(8)))
    other = await open_sqlite(tmp_path / "other", clock)

    assert set(names) == {await (await reopened()).instance()}
    assert await other.instance() not in names
    await other.stop()


async def test_a_secret_is_of_one_purpose_and_of_one_journal(
    reopened: Opened, tmp_path: Path, clock: ManualClock
) -> None:
    journal = await reopened()
    secrets = await asyncio.gather(*(journal.secret("a") for _ in range(8)))
    other = await open_sqlite(tmp_path / "other", clock)

    journal = await reopened()
    assert set(secrets) == {await journal.secret("a")}
    assert len(secrets[0]) == 64
    assert len({secrets[0], await journal.secret("b"), await other.secret("a")}) == 3
    await other.stop()


async def test_many_writers_at_once_lose_nothing(journal: Any) -> None:
    await asyncio.gather(
        *(record(journal, outcome(seq, deployment(seq, f"app-{seq % 7}"))) for seq in range(1, 60))
    )

    found = await journal.deployments(limit=100)
    waiting = [one.seq for one in found if one.state is State.WAITING]
    assert len(found) == 59
    assert sorted(waiting) == list(range(53, 60))


async def test_a_database_that_is_gone_is_unreachable(tmp_path: Path, clock: ManualClock) -> None:
    journal = await open_sqlite(tmp_path, clock)
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'journal.sqlite'}")
    with engine.begin() as db:
        db.execute(sa.text("DROP TABLE deployments"))
    engine.dispose()

    with pytest.raises(Unreachable) as caught:
        await journal.deployment("secret-id")

    assert "secret-id" not in str(caught.value)
    await journal.stop()


PROMOTED = {"target": "another app's", "way": "pin", "pinned": "b" * 40, "commit": "b" * 40}


async def test_a_promotion_leaves_the_push_that_waits(journal: Any) -> None:
    await record(journal, outcome(1, deployment(1)))

    await record(journal, outcome(2, deployment(2, **PROMOTED)))
    await record(journal, outcome(3, deployment(3)))

    assert await states(journal) == {1: "superseded", 2: "waiting", 3: "waiting"}
    assert (await journal.deployment(deployment(1).id)).superseded_by == deployment(3).id


async def test_a_promotion_that_waits_does_not_lead_back_from_a_later_push(journal: Any) -> None:
    await record(journal, outcome(2, deployment(2, **PROMOTED)))
    await record(journal, outcome(3, deployment(3)))
    await journal.move(deployment(3).id, State.DONE)

    assert await journal.intend(deployment(2).id, [], NO_GATES) is None

    found = await journal.deployment(deployment(2).id)
    assert (found.state, found.note) == (
        State.SUPERSEDED,
        "deployment #3 is newer and was deployed before it",
    )


@pytest.mark.parametrize("state", [State.UNHEALTHY, State.DONE])
async def test_a_promotion_of_what_has_turned_out_to_be_unhealthy_is_refused(
    journal: Any, state: State
) -> None:
    """It was asked for while that version was well."""
    there = deployment(1, "app-api")
    await record(journal, outcome(1, there))
    promoted = deployment(2, **PROMOTED | {"target": there.id})
    await record(journal, outcome(2, promoted))
    await journal.move(there.id, State.VERIFYING)
    await journal.move(there.id, state)

    asked = await journal.intend(promoted.id, [], NO_GATES)

    found = await journal.deployment(promoted.id)
    if state is State.DONE:
        assert asked is not None
    else:
        assert (found.state, found.note) == (
            State.CANCELLED,
            "refused: deployment #1 is unhealthy in shop/api",
        )
