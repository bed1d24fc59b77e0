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
from bridge.storage.journal import rows
from tests.fakes.journey import NO_GATES, ManualClock, deployment
from tests.worlds.journal import (
    Opened,
    decision,
    open_sqlite,
    outcome,
    record,
    states,
)


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


async def test_a_batch_is_recorded_whole_or_not_at_all(journal: Any) -> None:
    twice = outcome(2, deployment(2, "app-api"), decisions=(decision("app-api"),) * 2)

    with pytest.raises(sa.exc.IntegrityError):
        await record(journal, outcome(1, deployment(1)), twice)

    assert await journal.decisions([1, 2]) == {1: [], 2: []}
    assert await journal.deployments(limit=10) == []
    assert (await record(journal, outcome(1, deployment(1)))).start == (deployment(1).id,)


async def test_more_apps_than_one_statement_can_name_are_recorded(
    journal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "MANY", 20)
    ids = [f"app-{number}" for number in range(50)]
    await record(journal, outcome(1, *(deployment(1, id_) for id_ in ids)))

    found = await record(journal, outcome(2, *(deployment(2, id_) for id_ in ids)))

    assert (len(found.start), len(found.drop)) == (len(ids), len(ids))


# ── newer and older deployments of an app ────────────────────────────────────


async def test_a_newer_one_supersedes_an_older_one_that_it_can_stand_in_for(journal: Any) -> None:
    deploy, redeploy = Action.DEPLOY, Action.REDEPLOY
    for seq, older, newer, superseded in (
        (1, deploy, deploy, True),
        (3, redeploy, deploy, False),  # not before the deploy is asked for
        (5, deploy, redeploy, False),  # it fetches nothing, so it can't stand in
    ):
        name = f"app-{seq}"
        first = deployment(seq, name, action=older)
        second = deployment(seq + 1, name, action=newer)
        await record(journal, outcome(seq, first))

        recorded = await record(journal, outcome(seq + 1, second))

        became = "superseded" if superseded else "waiting"
        assert await states(journal, name) == {seq + 1: "waiting", seq: became}
        assert recorded.drop == ((first.id,) if superseded else ())
        found = await journal.deployment(first.id)
        assert found.superseded_by == (second.id if superseded else None)
        assert (found.finished_at is not None) is superseded
        assert found.note.startswith(f"deployment #{seq + 1} is newer") is superseded


async def test_what_may_have_been_asked_is_superseded_only_once_that_is_taken_back(
    journal: Any,
) -> None:
    for seq, begun in ((10, State.ASKED), (20, State.QUEUED), (30, State.RUNNING)):
        await record(journal, outcome(seq, deployment(seq, f"app-{begun}")))
        await journal.move(deployment(seq, f"app-{begun}").id, begun)
        await record(journal, outcome(seq + 1, deployment(seq + 1, f"app-{begun}")))
        assert await states(journal, f"app-{begun}") == {seq: str(begun), seq + 1: "waiting"}

    await record(journal, outcome(1, deployment(1)))
    await journal.intend(deployment(1).id, ["old"], NO_GATES)
    await record(journal, outcome(2, deployment(2)))
    assert await states(journal) == {1: "waiting", 2: "waiting"}

    await journal.withdraw(deployment(1).id)
    await record(journal, outcome(3, deployment(3)))

    assert await states(journal) == {1: "superseded", 2: "superseded", 3: "waiting"}


async def test_a_late_older_delivery_deploys_only_where_no_newer_one_has_done_its_work(
    journal: Any,
) -> None:
    ends = (State.WAITING, State.RUNNING, State.DONE, State.FAILED, State.CANCELLED)
    for seq, newer in enumerate(ends):
        name, moot = f"app-{newer}", newer is not State.CANCELLED
        early, late, redeploy = (10 * seq + n for n in (1, 2, 3))
        await record(journal, outcome(late, deployment(late, name)))
        again = deployment(redeploy, name, action=Action.REDEPLOY)
        await record(journal, outcome(redeploy, again))
        if newer is not State.WAITING:
            await journal.move(deployment(late, name).id, newer)

        recorded = await record(journal, outcome(early, deployment(early, name)))

        assert recorded.start == (() if moot else (deployment(early, name).id,)), newer
        assert (await states(journal, name))[early] == ("superseded" if moot else "waiting")
        assert (await states(journal, name))[late] == str(newer)


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
    assert await journal.instance() != await other.instance()
    await other.stop()


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


async def test_a_promotion_of_what_has_turned_out_to_be_unhealthy_is_refused(journal: Any) -> None:
    """It was asked for while that version was well."""
    for seq, state in ((1, State.DONE), (3, State.UNHEALTHY)):
        there = deployment(seq, f"from-{state}", app="shop/api")
        promoted = deployment(seq + 1, f"to-{state}", **PROMOTED | {"target": there.id})
        await record(journal, outcome(seq, there))
        await record(journal, outcome(seq + 1, promoted))
        await journal.move(there.id, State.VERIFYING)
        await journal.move(there.id, state)

        asked = await journal.intend(promoted.id, [], NO_GATES)

        assert (asked is not None) is (state is State.DONE)
    found = await journal.deployment(promoted.id)
    said = "refused: deployment #3 is unhealthy in shop/api"
    assert (found.state, found.note) == (State.CANCELLED, said)
