"""One suite for the `Journal` port: what was decided and done, for good and without doubles."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, replace
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from bridge.core.apps import App, AppKind, Prereleases, Rules, Source, SourceType, Trigger
from bridge.core.changes import Live
from bridge.core.configuration.difference import Changed
from bridge.core.decision import Decision, Reason
from bridge.core.errors import Rejected, Unreachable
from bridge.core.events import Action
from bridge.core.lifecycle import MOVES, Cancel, Deployment, State
from bridge.core.rules import AppTags
from bridge.durable.system import sqlite_engine as workflows_engine
from bridge.ports.feedback import Pending
from bridge.ports.figures import JournalFigures
from bridge.ports.outcomes import (
    ABOUT_ANYTHING,
    BEGUN,
    LINK,
    Audited,
    Outcome,
    Pushed,
    PushSeen,
    Recorded,
    Subscription,
    about_change,
    about_delivery,
    about_deployment,
)
from bridge.storage import migrations, tables
from bridge.storage.engines import WRITES, postgres_engine, sqlite_engine
from bridge.storage.journal import SqlJournal, rows
from bridge.storage.journal.deployments import deployment_row
from bridge.storage.journal.recording import newest_done
from tests.fakes.journey import ManualClock, app, deployment
from tests.worlds.earlier import EARLIER, make_earlier

WINDOW = 600.0
A, B = "a" * 40, "b" * 40

Opened = Callable[[], Awaitable[Any]]


async def open_sqlite(folder: Path, clock: ManualClock) -> SqlJournal:
    journal = SqlJournal(sqlite_engine(folder / "journal.sqlite"), clock=clock)
    await journal.start()
    return journal


async def open_postgres(url: str, clock: ManualClock) -> SqlJournal:
    journal = SqlJournal(postgres_engine(url), clock=clock)
    await journal.start()
    return journal


IMPLEMENTATIONS: dict[str, Any] = {"sqlite": open_sqlite, "postgres": open_postgres}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=sorted(IMPLEMENTATIONS))
async def reopened(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[Opened]:
    """Opens the journal on the same place each time, closing what was open before."""
    last: list[Any] = []
    place = request.getfixturevalue("postgres") if request.param == "postgres" else tmp_path

    async def opened() -> Any:
        while last:
            await last.pop().stop()
        last.append(await IMPLEMENTATIONS[request.param](place, clock))
        return last[0]

    yield opened
    while last:
        await last.pop().stop()


@pytest.fixture
async def journal(reopened: Opened) -> Any:
    return await reopened()


def decision(app_id: str = "app-web", reason: Reason = Reason.NO_WATCH_PATHS) -> Decision:
    return Decision(app_id, f"shop/{app_id.removeprefix('app-')}", reason, "because")


def outcome(seq: int, *deployments: Deployment, **others: Any) -> Outcome:
    """What a delivery led to: one decision for each of its deployments."""
    decisions = tuple(decision(one.app_id) for one in deployments) or (decision(),)
    return replace(Outcome(seq, f"delivery-{seq}", decisions, deployments), **others)


def pushed(before: str = A, after: str = B, ref: str = "github 1 refs/heads/main") -> PushSeen:
    return PushSeen(ref, before, after)


async def record(journal: Any, *outcomes: Outcome) -> Recorded:
    found: Recorded = await journal.record(outcomes, window=WINDOW)
    return found


async def push(journal: Any, seq: int, before: str, after: str, **others: Any) -> str:
    """A delivery that brings a push; returns the reason of its one decision."""
    await record(journal, outcome(seq, deployment(seq), push=pushed(before, after), **others))
    (found,) = (await journal.decisions([seq]))[seq]
    return str(found.reason)


async def states(journal: Any, app_id: str = "app-web") -> dict[int, str]:
    found = await journal.deployments(limit=100, app_id=app_id)
    return {one.seq: str(one.state) for one in found}


# ── recording ────────────────────────────────────────────────────────────────


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
    ids = [f"app-{number}" for number in range(1100)]
    await record(journal, outcome(1, *(deployment(1, id_) for id_ in ids)))

    found = await record(journal, outcome(2, *(deployment(2, id_) for id_ in ids)))

    assert (len(found.start), len(found.drop)) == (1100, 1100)


# ── newer and older deployments of an app ────────────────────────────────────


@pytest.mark.parametrize(
    ("older", "newer", "superseded"),
    [
        (Action.DEPLOY, Action.DEPLOY, True),
        (Action.REDEPLOY, Action.DEPLOY, True),
        (Action.REDEPLOY, Action.REDEPLOY, True),
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
    await journal.intend(deployment(1).id, ["old"])
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


# ── the same push by two hooks ───────────────────────────────────────────────


async def test_the_same_push_within_the_window_deploys_once(
    journal: Any, clock: ManualClock
) -> None:
    assert await push(journal, 1, A, B) == "no_watch_paths"
    clock.now += WINDOW - 1
    assert await push(journal, 2, A, B) == "duplicate_push"

    assert await states(journal) == {1: "waiting"}
    (found,) = (await journal.decisions([2]))[2]
    assert found.evidence == "delivery delivery-1 brought the same push and has been decided"


async def test_the_same_push_after_the_window_is_a_new_one(
    journal: Any, clock: ManualClock
) -> None:
    await push(journal, 1, A, B)
    clock.now += WINDOW + 1

    assert await push(journal, 2, A, B) == "no_watch_paths"


async def told(journal: Any, seq: int, before: str, after: str, moment: str) -> str:
    """As `push`, of a host that says when it was pushed."""
    brought = replace(pushed(before, after), moment=moment)
    await record(journal, outcome(seq, deployment(seq), push=brought))
    (found,) = (await journal.decisions([seq]))[seq]
    return str(found.reason)


async def test_a_webhook_that_is_sent_again_is_the_same_push_however_late(
    journal: Any, clock: ManualClock
) -> None:
    """Its id is not signed, so whoever has caught it can give it another."""
    assert await told(journal, 1, A, B, "1795600000") == "no_watch_paths"
    for seq in (2, 3):
        clock.now += 30 * 86_400
        assert await told(journal, seq, A, B, "1795600000") == "duplicate_push"
    clock.now += WINDOW + 1

    assert await told(journal, 4, A, B, "1803400000") == "no_watch_paths"


async def test_it_may_come_again_among_others_that_are_new(
    journal: Any, clock: ManualClock
) -> None:
    await told(journal, 1, A, B, "1795600000")
    clock.now += 86_400
    moves = {2: ("c" * 40, "1795700000"), 3: (B, "1795600000"), 4: (B, "1795600001")}

    await record(
        journal,
        *(
            outcome(seq, deployment(seq), push=replace(pushed(A, after), moment=moment))
            for seq, (after, moment) in moves.items()
        ),
    )

    found = await journal.decisions(list(moves))
    assert [str(found[seq][0].reason) for seq in moves] == [
        "no_watch_paths",
        "duplicate_push",
        "duplicate_push",  # by the other hook, within the window
    ]


async def test_where_a_ref_has_gone_back_the_same_move_is_new_whatever_the_host_says(
    journal: Any, clock: ManualClock
) -> None:
    """A host may be late with the moment that it tells, and a push must not get lost for it."""
    for seq, move in enumerate([(A, B), (B, A), (A, B)], start=1):
        assert await told(journal, seq, *move, "1795600000") == "no_watch_paths"
        clock.now += 86_400


async def test_forth_and_back_and_forth_again_are_three_pushes_also_with_two_hooks(
    journal: Any,
) -> None:
    moves = [(A, B), (A, B), (B, A), (B, A), (A, B), (A, B)]

    found = [await push(journal, seq, *move) for seq, move in enumerate(moves, start=1)]

    assert found == ["no_watch_paths", "duplicate_push"] * 3


async def test_a_second_hook_that_is_a_push_behind_repeats_and_moves_nothing(
    journal: Any,
) -> None:
    C = "c" * 40  # noqa: N806 - as A and B
    firsts = [await push(journal, 1, A, B), await push(journal, 2, B, C)]

    seconds = [await push(journal, 3, A, B), await push(journal, 4, B, C)]

    assert (firsts, seconds) == (["no_watch_paths"] * 2, ["duplicate_push"] * 2)
    assert (await journal.newest_push("github 1 refs/heads/main")).after == C
    assert await push(journal, 5, A, B) == "duplicate_push"
    assert (await journal.newest_push("github 1 refs/heads/main")).after == C


@pytest.mark.parametrize("deploys", [True, False])
async def test_pushes_that_are_recorded_together_see_each_other(
    journal: Any, deploys: bool
) -> None:
    """As if one had come after the other, whether or not they deploy anything."""
    moves = [(A, B), (A, B), (B, A), (B, A), (A, B), (A, B), (A, B)]
    reason = Reason.NO_WATCH_PATHS if deploys else Reason.NO_PATH_HIT
    both = (
        (decision(), decision("app-api", Reason.NO_PATH_HIT))
        if deploys
        else (decision("app-web", reason),)
    )
    await record(
        journal,
        *(
            outcome(
                seq,
                *([deployment(seq)] if deploys else []),
                decisions=both,
                push=pushed(*move),
                explicit=seq == len(moves),
            )
            for seq, move in enumerate(moves, start=1)
        ),
    )

    found = await journal.decisions(range(1, 8))
    reasons = [str(found[seq][-1].reason) for seq in range(1, 8)]
    again = str(Reason.DUPLICATE_PUSH if deploys else reason)
    assert reasons == [str(reason), again] * 3 + [str(reason)]
    if deploys:
        assert await states(journal) == {
            1: "superseded", 3: "superseded", 5: "superseded", 7: "waiting",
        }  # fmt: skip


async def test_a_person_gets_the_same_push_again(journal: Any) -> None:
    await push(journal, 1, A, B)

    assert await push(journal, 2, A, B, explicit=True) == "no_watch_paths"


async def test_another_ref_that_moves_alike_is_another_push(journal: Any) -> None:
    await push(journal, 1, A, B)
    other = pushed(ref="github 1 refs/heads/release")
    await record(journal, outcome(2, deployment(2), push=other))

    assert (await journal.decisions([2]))[2] == [decision()]


async def test_what_would_not_deploy_keeps_its_reason_as_a_duplicate(journal: Any) -> None:
    no = decision("app-api", Reason.NO_PATH_HIT)
    both = (decision(), no)
    await record(journal, outcome(1, deployment(1), decisions=both, push=pushed()))
    await record(journal, outcome(2, deployment(2), decisions=both, push=pushed()))

    found = {one.app_id: one.reason for one in (await journal.decisions([2]))[2]}
    assert found == {"app-web": Reason.DUPLICATE_PUSH, "app-api": Reason.NO_PATH_HIT}


async def test_an_app_that_the_first_hook_did_not_decide_deploys_with_the_second(
    journal: Any,
) -> None:
    """It was made, or moved to that repository, between the two."""
    await record(journal, outcome(1, deployment(1), push=pushed()))
    both = (deployment(2), deployment(2, "app-new"))

    recorded = await record(journal, outcome(2, *both, push=pushed()))

    assert recorded.start == (deployment(2, "app-new").id,)
    found = {one.app_id: one.reason for one in (await journal.decisions([2]))[2]}
    assert found == {"app-web": Reason.DUPLICATE_PUSH, "app-new": Reason.NO_WATCH_PATHS}


# ── decided late, for apps that were found afterwards ────────────────────────


async def test_a_push_is_completed_for_a_further_app_and_stays_as_it_is_for_the_others(
    journal: Any,
) -> None:
    await push(journal, 1, A, B)
    first, other = deployment(1), deployment(1, "app-new")

    recorded = await journal.complete([outcome(1, first, other, push=pushed())])
    again = await journal.complete([outcome(1, first, other, push=pushed())])

    assert other.id in recorded.start
    assert again.start == recorded.start
    assert {one.app_id for one in (await journal.decisions([1]))[1]} == {"app-web", "app-new"}
    assert await states(journal) == {1: "waiting"}
    assert await states(journal, "app-new") == {1: "waiting"}


async def test_a_push_by_two_hooks_is_completed_once(journal: Any) -> None:
    assert await push(journal, 1, A, B) == "no_watch_paths"
    assert await push(journal, 2, A, B) == "duplicate_push"

    await journal.complete(
        [outcome(seq, deployment(seq, "app-new"), push=pushed()) for seq in (2, 1)]
    )

    assert await states(journal, "app-new") == {1: "waiting"}
    late = {one.app_id: str(one.reason) for one in (await journal.decisions([2]))[2]}
    assert late == {"app-web": "duplicate_push", "app-new": "duplicate_push"}


async def test_of_pushes_that_are_completed_the_newest_deploys(journal: Any) -> None:
    await push(journal, 1, A, B)
    await push(journal, 2, B, A)

    await journal.complete(
        [outcome(seq, deployment(seq, "app-new"), push=pushed()) for seq in (1, 2)]
    )

    assert await states(journal, "app-new") == {1: "superseded", 2: "waiting"}


async def test_a_push_that_was_forgotten_is_not_completed(journal: Any) -> None:
    recorded = await journal.complete([outcome(1, deployment(1), push=pushed())])

    assert recorded.start == ()
    assert await journal.decisions([1]) == {1: []}


async def test_the_repositories_of_pushes_are_told_by_key_and_name(journal: Any) -> None:
    named = PushSeen("github 1 refs/heads/main", A, B, repository="my-org/mono")
    await record(journal, outcome(1, push=named))
    await record(journal, outcome(2))

    assert await journal.pushed([1, 2]) == {1: Pushed("github 1", "my-org/mono")}


# ── a deployment's way ───────────────────────────────────────────────────────


async def test_only_the_moves_of_the_lifecycle_are_made(journal: Any) -> None:
    seq = 0
    for now, following in MOVES.items():
        for to in State:
            seq += 1
            new = deployment(seq, f"app-{seq}", state=now)
            await record(journal, outcome(seq, new))
            moved = await journal.move(new.id, to, "a note")
            assert (moved is not None) is (to in following), (now, to)
            found = await journal.deployment(new.id)
            assert found == (moved or new)


async def test_a_move_writes_its_facts_and_a_line_of_history(
    journal: Any, clock: ManualClock
) -> None:
    await record(journal, outcome(1, deployment(1)))
    clock.now += 5

    moved = await journal.move(
        deployment(1).id, State.RUNNING, "builds", backend_id="dep-1", started_at=clock.now
    )

    assert moved == replace(
        deployment(1), state=State.RUNNING, note="builds", backend_id="dep-1", started_at=clock.now
    )
    last = (await journal.changes(deployment(1).id))[-1]
    assert (last.at, last.state, last.note) == (clock.now, State.RUNNING, "builds")
    assert await journal.changes(deployment(1).id, after=1) == [last]


async def test_a_deployment_that_is_not_there_is_none(journal: Any) -> None:
    assert await journal.deployment("nothing") is None
    assert await journal.move("nothing", State.DONE) is None
    assert await journal.intend("nothing", []) is None
    await journal.withdraw("nothing")
    await journal.say("nothing", "words")
    assert await journal.changes("nothing") == []


async def test_an_intent_is_written_once_and_only_while_it_waits(
    journal: Any, clock: ManualClock
) -> None:
    await record(journal, outcome(1, deployment(1)))
    intended = await journal.intend(deployment(1).id, ["old-1", "old-2"])
    assert (intended.intent_at, intended.known_before) == (clock.now, ("old-1", "old-2"))
    assert await journal.intend(deployment(1).id, []) is None

    await journal.withdraw(deployment(1).id)
    assert (await journal.deployment(deployment(1).id)).intent_at is None
    await journal.move(deployment(1).id, State.SUPERSEDED)
    assert await journal.intend(deployment(1).id, []) is None


async def test_an_intent_of_what_was_asked_is_not_taken_back(
    journal: Any, clock: ManualClock
) -> None:
    await record(journal, outcome(1, deployment(1)))
    await journal.intend(deployment(1).id, [])
    await journal.move(deployment(1).id, State.ASKED)

    await journal.withdraw(deployment(1).id)

    assert (await journal.deployment(deployment(1).id)).intent_at == clock.now


async def test_what_is_said_twice_stands_there_once(journal: Any) -> None:
    await record(journal, outcome(1, deployment(1)))
    for note in ("the backend is away", "the backend is away", "it is back"):
        await journal.say(deployment(1).id, note)

    notes = [change.note for change in await journal.changes(deployment(1).id, after=1)]
    assert notes == ["the backend is away", "it is back"]
    found = await journal.deployment(deployment(1).id)
    assert (found.state, found.note) == (State.WAITING, "it is back")


async def test_errors_that_take_turns_stand_there_once_each(
    journal: Any, clock: ManualClock
) -> None:
    id_ = deployment(1).id
    await record(journal, outcome(1, deployment(1), subscriptions=(card(),)))
    for _ in range(3):
        for note in ("connection refused", "no answer within 30 s"):
            await journal.say(id_, note)

    notes = [change.note for change in await journal.changes(id_, after=1)]
    assert notes == ["connection refused", "no answer within 30 s"]

    (before,) = await due(journal, clock)
    await journal.say(id_, "connection refused")
    (pending,) = await due(journal, clock)
    assert (await journal.deployment(id_)).note == "connection refused"
    assert pending.wanted > before.wanted  # what shows how it stands shows that


async def test_what_was_said_before_a_deployment_moved_is_news_after_it(journal: Any) -> None:
    id_ = deployment(1).id
    await record(journal, outcome(1, deployment(1)))
    await journal.say(id_, "the backend is away")
    await journal.move(id_, State.ASKED, "accepted")
    await journal.say(id_, "the backend is away")

    lines = [(change.state, change.note) for change in await journal.changes(id_, after=1)]
    assert lines == [
        (State.WAITING, "the backend is away"),
        (State.ASKED, "accepted"),
        (State.ASKED, "the backend is away"),
    ]


async def test_what_has_ended_keeps_the_words_of_its_end(journal: Any) -> None:
    id_ = deployment(1).id
    await record(journal, outcome(1, deployment(1)))
    await journal.cancel("app-web", 3)

    await journal.say(id_, "waits for the backend")

    assert (await journal.deployment(id_)).note == "cancelled before the backend was asked"


async def test_a_cancel_takes_what_waits_and_came_before_it(
    journal: Any, clock: ManualClock
) -> None:
    before = deployment(2)
    await record(journal, outcome(1, deployment(1, "app-api")), outcome(2, before))
    await record(journal, outcome(4, deployment(4, "app-later")))

    cancelled = await journal.cancel("app-web", 3)
    nothing = await journal.cancel("app-later", 3)

    assert [one.id for one in cancelled] == [before.id]
    assert nothing == []
    note = "cancelled before the backend was asked"
    assert (cancelled[0].state, cancelled[0].note) == (State.CANCELLED, note)
    assert cancelled[0].finished_at == clock.now
    assert await states(journal, "app-api") == {1: "waiting"}
    assert (await journal.changes(before.id))[-1].state is State.CANCELLED


async def test_a_cancel_of_one_leaves_the_others_of_its_app(journal: Any) -> None:
    deploys, redeploys = deployment(1), deployment(2, action=Action.REDEPLOY)
    await record(journal, outcome(1, deploys), outcome(2, redeploys))

    other_app = await journal.cancel("app-api", 9, deploys.id)
    cancelled = await journal.cancel("app-web", 9, deploys.id)

    assert other_app == []
    assert [one.id for one in cancelled] == [deploys.id]
    assert await states(journal) == {1: "cancelled", 2: "waiting"}


async def test_a_cancel_marks_what_may_have_been_asked(journal: Any) -> None:
    await record(journal, outcome(1, deployment(1)))
    await journal.intend(deployment(1).id, [])

    assert await journal.cancel("app-web", 3) == []
    assert await states(journal) == {1: "waiting"}
    assert (await journal.deployment(deployment(1).id)).cancel is Cancel.REQUESTED

    await journal.mark_cancel(deployment(1).id, Cancel.INTERRUPTED)
    assert await journal.cancel("app-web", 4) == []
    assert (await journal.deployment(deployment(1).id)).cancel is Cancel.INTERRUPTED


async def test_what_was_cancelled_is_never_intended_again(journal: Any) -> None:
    id_ = deployment(1).id
    await record(journal, outcome(1, deployment(1)))
    await journal.intend(id_, [])
    await journal.cancel("app-web", 3)
    await journal.withdraw(id_)  # nothing was asked after all

    assert await states(journal) == {1: "cancelled"}
    assert await journal.intend(id_, []) is None


async def test_a_cancel_counts_once_it_is_recorded(journal: Any) -> None:
    """Also of what is recorded together with it; what came after it goes on."""
    redeploys = deployment(2, action=Action.REDEPLOY)
    await record(journal, outcome(1, deployment(1)), outcome(5, deployment(5, "app-api")))
    await journal.intend(deployment(1).id, [])

    cancel = Decision("app-web", "shop/web", Reason.CANCEL_ASKED, "ada asked to cancel")
    found = await record(
        journal, outcome(2, redeploys), Outcome(3, "c", (cancel,)), outcome(6, deployment(6))
    )

    assert found.start == (deployment(6).id,)
    assert await states(journal) == {1: "waiting", 2: "cancelled", 6: "waiting"}
    assert (await journal.deployment(deployment(1).id)).cancel is Cancel.REQUESTED
    assert (await journal.deployment(deployment(6).id)).cancel is None
    assert await states(journal, "app-api") == {5: "waiting"}


async def test_a_cancel_of_one_counts_for_it_alone_once_it_is_recorded(journal: Any) -> None:
    deploys, redeploys = deployment(1), deployment(2, action=Action.REDEPLOY)
    await record(journal, outcome(1, deploys), outcome(2, redeploys))

    cancel = Decision("app-web", "shop/web", Reason.CANCEL_ONE_ASKED, "ada asked to cancel one")
    await record(journal, Outcome(3, "c", (cancel,), only=deploys.id))

    assert await states(journal) == {1: "cancelled", 2: "waiting"}


@pytest.mark.parametrize("state", [State.ASKED, State.QUEUED, State.RUNNING])
async def test_what_the_backend_lost_waits_again_as_if_it_was_never_asked(
    journal: Any, state: State
) -> None:
    id_ = deployment(1).id
    await record(journal, outcome(1, deployment(1)))
    await journal.intend(id_, ["old"])
    await journal.move(id_, state, asked_at=1.0, started_at=2.0, backend_id="lost")

    found = await journal.take_back(id_, "[br-2]", "the backend lost it")

    assert found == await journal.deployment(id_)
    assert (found.state, found.note) == (State.WAITING, "the backend lost it; it waits here again")
    assert (found.token, found.asked_again, found.known_before) == ("[br-2]", 1, ())
    assert {found.backend_id, found.intent_at, found.asked_at, found.started_at} == {None}
    assert (await journal.changes(id_))[-1].state is State.WAITING


@pytest.mark.parametrize("state", [State.WAITING, State.DONE, State.CANCELLED])
async def test_only_what_is_with_the_backend_can_be_taken_back(journal: Any, state: State) -> None:
    await record(journal, outcome(1, deployment(1, state=state)))

    assert await journal.take_back(deployment(1).id, "[br-2]", "lost") is None


async def test_what_the_backend_lost_gives_way_to_a_newer_one(journal: Any) -> None:
    first, second = deployment(1), deployment(2)
    await record(journal, outcome(1, first))
    await journal.intend(first.id, [])
    await journal.move(first.id, State.QUEUED)
    await record(journal, outcome(2, second))

    found = await journal.take_back(first.id, "[br-2]", "the backend lost it")

    assert (found.state, found.superseded_by) == (State.SUPERSEDED, second.id)
    assert await states(journal) == {1: "superseded", 2: "waiting"}


async def test_what_the_backend_lost_and_was_cancelled_ends(journal: Any) -> None:
    await record(journal, outcome(1, deployment(1)))
    await journal.intend(deployment(1).id, [])
    await journal.move(deployment(1).id, State.RUNNING)
    await journal.cancel("app-web", 3)

    found = await journal.take_back(deployment(1).id, "[br-2]", "the backend lost it")

    assert (found.state, found.note) == (
        State.CANCELLED,
        "the backend lost it; it had been cancelled",
    )
    assert found.finished_at is not None


async def test_what_waits_again_gives_way_to_a_newer_one(journal: Any) -> None:
    first, second = deployment(1), deployment(2)
    await record(journal, outcome(1, first))
    await journal.intend(first.id, [])
    await record(journal, outcome(2, second))
    await journal.withdraw(first.id)

    assert await states(journal) == {1: "superseded", 2: "waiting"}
    assert await journal.intend(first.id, []) is None


async def test_the_records_that_an_apps_deployments_are_known_by_are_told(journal: Any) -> None:
    await record(journal, outcome(1, deployment(1)), outcome(2, deployment(2, "app-api")))
    await journal.move(deployment(1).id, State.RUNNING, backend_id="one")
    await record(journal, outcome(3, deployment(3)))
    await journal.move(deployment(2, "app-api").id, State.RUNNING, backend_id="two")

    assert await journal.pinned("app-web") == {"one"}


async def test_open_deployments_are_those_that_go_on_oldest_first(journal: Any) -> None:
    for seq, state in enumerate(State, start=1):
        await record(journal, outcome(seq, deployment(seq, f"app-{seq}", state=state)))

    found = await journal.open_deployments()

    assert [str(one.state) for one in found] == ["waiting", "asked", "queued", "running"]


@pytest.mark.parametrize(
    ("after", "live"),
    [
        ([], Live(A)),
        ([State.FAILED], Live(A, failed=True)),
        ([State.FAILED, State.CANCELLED], Live(A, failed=True)),
        ([State.CANCELLED, State.SUPERSEDED], Live(A)),
        ([State.UNKNOWN], Live(A, certain=False)),
        ([State.FAILED, State.UNKNOWN], Live(A, certain=False)),
        ([State.FAILED, State.RUNNING], Live(A, certain=False, failed=True)),
        ([State.DONE], Live(None)),
    ],
)
async def test_what_an_app_runs_is_what_was_done_last(
    journal: Any, after: list[State], live: Live
) -> None:
    await journal.save_apps("dokploy", [app(), app("app-api"), app("app-new")])
    states = [State.DONE, State.DONE, *after]
    made = [deployment(n, state=state) for n, state in enumerate(states, start=1)]
    made[1] = replace(made[1], deployed_commit=A)
    for one in [*made, deployment(3, "app-api", state=State.FAILED)]:
        await journal.record([Outcome(one.seq * 10 + len(one.app_id), "d", (), (one,))], window=0)

    assert await journal.live(["app-web", "app-api", "app-new", "nobody"]) == {
        "app-web": replace(live, seq=3 if after == [State.DONE] else 2)
    }


async def test_deployments_are_listed_newest_first_of_one_app_or_one_delivery(
    journal: Any,
) -> None:
    both = (deployment(1, "app-a"), deployment(1, "app-b"))
    await record(journal, outcome(1, *both), outcome(2, deployment(2, "app-a")))

    every = await journal.deployments(limit=10)
    of_app = await journal.deployments(limit=10, app_id="app-a")
    of_delivery = await journal.deployments(limit=10, seq=1)

    assert [(one.seq, one.app_id) for one in every] == [(2, "app-a"), (1, "app-a"), (1, "app-b")]
    assert [one.seq for one in of_app] == [2, 1]
    assert [one.app_id for one in of_delivery] == ["app-a", "app-b"]
    assert len(await journal.deployments(limit=1)) == 1


# ── apps ─────────────────────────────────────────────────────────────────────

EVERYTHING = App(
    id="app-full",
    name="full",
    project="shop",
    backend="dokploy",
    environment="staging",
    kind=AppKind.COMPOSE,
    source=Source(SourceType.GITLAB, "group/sub/x", "42", "host/x", "feature/a", "nginx"),
    trigger=Trigger.TAG,
    watch_paths=("web/**", "!docs/**"),
    auto_deploy=True,
    page="https://dokploy.example.com/dashboard/project/p1",
    url="https://shop.example.com",
)


async def test_apps_come_back_as_they_were_by_label(reopened: Opened) -> None:
    bare = App(id="app-bare", name="bare", project="shop", watch_paths=())
    await (await reopened()).save_apps("dokploy", [EVERYTHING, app(), bare])

    journal = await reopened()

    assert await journal.apps() == [bare, EVERYTHING, app()]
    assert await journal.app("app-full") == EVERYTHING
    assert await journal.app("nothing") is None


async def test_what_a_newer_release_says_of_an_app_is_no_trouble_to_an_older_one(
    journal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def newer(one: App) -> dict[str, Any]:
        said = asdict(one)
        del said["rules"]
        return said | {"colour": "blue", "source": said["source"] | {"depth": 1}}

    monkeypatch.setattr("bridge.storage.journal.rows._record", newer)
    await journal.save_apps("dokploy", [app()])

    assert await journal.apps() == [app()]


async def test_an_app_that_is_gone_is_still_known_and_may_come_back(journal: Any) -> None:
    await journal.save_apps("dokploy", [app("app-a"), app("app-b")])
    await journal.save_apps("dokploy", [app("app-b", name="renamed")])
    assert [one.label for one in await journal.apps()] == ["shop/renamed"]
    assert await journal.app("app-a") == app("app-a")
    assert await journal.gone_apps() == [app("app-a")]

    await journal.save_apps("dokploy", [app("app-a", name="back"), app("app-b")])
    assert [one.label for one in await journal.apps()] == ["shop/b", "shop/back"]
    assert await journal.gone_apps() == []


async def test_apps_of_another_backend_stay(journal: Any) -> None:
    other = app("app-b", backend="embedded")
    await journal.save_apps("dokploy", [app("app-a")])
    await journal.save_apps("embedded", [other])

    await journal.save_apps("dokploy", [])

    assert await journal.apps() == [other]


async def test_apps_that_were_not_read_anew_stay_as_they_are(journal: Any) -> None:
    await journal.save_apps("dokploy", [app("app-a"), app("app-b"), app("app-c")])

    await journal.save_apps("dokploy", [app("app-b", name="renamed")], kept=["app-a"])

    assert [one.label for one in await journal.apps()] == ["shop/a", "shop/renamed"]


async def test_single_apps_are_renewed_beside_the_others(journal: Any) -> None:
    await journal.save_apps("dokploy", [app("app-a"), app("app-b"), app("app-c")])
    before = await journal.apps_version()

    await journal.renew_apps([app("app-b", name="renamed"), app("app-new")], gone=["app-c"])

    labels = ["shop/a", "shop/new", "shop/renamed"]
    assert [one.label for one in await journal.apps()] == labels
    assert await journal.apps_version() > before


async def test_renewing_apps_that_are_as_before_is_nothing_new(journal: Any) -> None:
    await journal.save_apps("dokploy", [app("app-a"), app("app-b")])
    before = await journal.apps_version()

    await journal.renew_apps([app("app-a")], gone=["unknown"])

    assert await journal.apps_version() == before


async def test_an_app_that_is_listed_twice_is_one(journal: Any) -> None:
    await journal.save_apps("dokploy", [app(), app(name="again")])

    assert [one.name for one in await journal.apps()] == ["again"]


# ── tags of apps that take only newer ones ───────────────────────────────────


def tagged(seq: int, tag: str, **others: Any) -> Deployment:
    return deployment(seq, **{"ref": f"refs/tags/{tag}", "trigger": "tag"} | others)


async def test_tags_stand_where_their_deployments_do(journal: Any) -> None:
    """A superseded one stands where the one in its place does."""
    ends = {"v1": State.DONE, "v2": State.FAILED, "v3": State.CANCELLED, "v4": State.UNKNOWN}
    for seq, (tag, end) in enumerate(ends.items(), 1):
        await record(journal, outcome(seq, tagged(seq, tag)))
        await journal.move(tagged(seq, tag).id, end)
    for seq in (5, 6, 7):
        await record(journal, outcome(seq, tagged(seq, f"v{seq}")))
    waiting = tagged(7, "v7").id

    found = await journal.tags(["app-web", "app-b"])

    assert (sorted(found["app-web"].deployed), found["app-web"].under_way) == (
        ["v1", "v4"], {"v5": waiting, "v6": waiting, "v7": waiting},
    )  # fmt: skip
    assert found["app-b"] == AppTags([], {})

    await journal.move(waiting, State.FAILED)
    assert sorted((await journal.tags(["app-web"]))["app-web"].deployed) == ["v1", "v4"]
    assert (await journal.tags(["app-web"]))["app-web"].under_way == {}


@pytest.mark.parametrize(
    ("end", "becomes", "note"),
    [
        (State.DONE, "superseded", "deployment #1 brought up a newer tag"),
        (State.UNKNOWN, "superseded", "deployment #1 may have brought up a newer tag"),
        (State.FAILED, "waiting", "waits for its turn"),
        (State.CANCELLED, "waiting", "waits for its turn"),
    ],
)
async def test_what_is_behind_a_newer_tag_is_requested_only_if_that_brought_up_nothing(
    journal: Any, end: State, becomes: str, note: str
) -> None:
    newer = tagged(1, "v2")
    older = tagged(2, "v1", behind=newer.id)
    await record(journal, outcome(1, newer))
    recorded = await record(journal, outcome(2, older))
    assert recorded.drop == ()  # it takes the place of nothing
    assert await journal.intend(newer.id, []) is not None
    await journal.move(newer.id, end)

    intended = await journal.intend(older.id, [])

    found = await journal.deployment(older.id)
    assert (found.state, found.note) == (becomes, note)
    assert (intended is not None) is (becomes == "waiting")


async def test_what_is_behind_another_is_superseded_by_what_took_that_ones_place(
    journal: Any,
) -> None:
    newer, newest = tagged(1, "v2"), tagged(3, "v3")
    older = tagged(2, "v1", behind=newer.id)
    for one in (newer, older, newest):
        await record(journal, outcome(one.seq, one))

    assert await states(journal) == {1: "superseded", 2: "superseded", 3: "waiting"}
    assert (await journal.deployment(older.id)).superseded_by == newest.id


# ── configuring ──────────────────────────────────────────────────────────────

RULES = Rules(
    trigger=Trigger.TAG,
    branch="release/*",
    watch_paths=("a/**",),
    tags="v*",
    versions=">=1",
    tag_prefix="",
    prereleases=Prereleases.ONLY,
    only_newer=False,
    skip_directives=False,
)


async def test_rules_that_were_set_stay_and_come_with_their_app(reopened: Opened) -> None:
    journal = await reopened()
    await journal.save_apps("dokploy", [app("app-a"), app("app-b")])
    await journal.save_rules("app-a", Rules(tags="old"), by="cli: ada")
    await journal.save_rules("app-a", RULES, by="cli: ada")
    await journal.save_apps("dokploy", [app("app-a"), app("app-b")])

    journal = await reopened()

    assert await journal.rules("app-a") == RULES
    assert await journal.rules("app-b") == Rules()
    assert await journal.apps() == [app("app-a", rules=RULES), app("app-b")]
    assert await journal.app("app-a") == app("app-a", rules=RULES)


async def test_rules_that_say_nothing_are_no_rules(journal: Any) -> None:
    await journal.save_rules("app-a", RULES, by="cli: ada")
    await journal.save_rules("app-a", Rules(), by="cli: ada")

    assert await journal.rules("app-a") == Rules()


async def test_changes_are_noted_before_they_are_made_and_settled_after(
    reopened: Opened, clock: ManualClock
) -> None:
    journal = await reopened()
    changes = (Changed("branch", "main", None), Changed("watch_paths", None, ("ä/**",)))
    first = Audited(clock(), "cli: ada", "provider set", "app-a", "shop/a", changes)
    second = replace(first, what="clear", app_id="app-b", difference=())
    numbers = [await journal.audit(new) for new in (first, second)]
    await journal.settle(numbers[0], "done")

    journal = await reopened()

    done = replace(first, outcome="done", number=numbers[0])
    assert await journal.audited(limit=9) == [replace(second, number=numbers[1]), done]
    assert await journal.audited(limit=9, app_id="app-a") == [done]
    assert (await journal.audited(limit=1))[0].outcome == BEGUN


# ── the whole ────────────────────────────────────────────────────────────────


async def test_the_name_of_a_journal_stays_and_is_its_own(
    reopened: Opened, tmp_path: Path, clock: ManualClock
) -> None:
    journal = await reopened()
    names = await asyncio.gather(*(journal.instance() for _ in range(8)))
    other = await open_sqlite(tmp_path / "other", clock)

    assert set(names) == {await (await reopened()).instance()}
    assert await other.instance() not in names
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


# ── migrations ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize("before", ["", *EARLIER])
@pytest.mark.parametrize("where", ["sqlite", "postgres"])
def test_every_start_ends_with_the_tables_as_they_are_described(
    request: pytest.FixtureRequest, tmp_path: Path, where: str, before: str
) -> None:
    if where == "postgres":
        engine = postgres_engine(request.getfixturevalue("empty_postgres"))
    else:
        engine = sqlite_engine(tmp_path / "journal.sqlite")
    if before:
        make_earlier(engine, before)
    for first in (True, False):
        assert migrations.migrate(engine) is first
        with engine.connect() as connection:
            context = MigrationContext.configure(connection)
            assert context.get_current_revision() == migrations.HEAD
            assert compare_metadata(context, tables.metadata) == []
    engine.dispose()


@pytest.mark.parametrize("where", ["sqlite", "postgres"])
def test_how_often_a_build_was_interrupted_is_read_from_the_history_of_an_earlier_release(
    request: pytest.FixtureRequest, tmp_path: Path, where: str
) -> None:
    if where == "postgres":
        engine = postgres_engine(request.getfixturevalue("empty_postgres"))
    else:
        engine = sqlite_engine(tmp_path / "journal.sqlite")
    make_earlier(engine, "0012")
    restarted = "the backend was restarted while it built; asked again"
    lost = "the backend has lost it before it began, as a restart does; asked again"
    with engine.begin() as db:
        for seq, notes in enumerate([(lost, restarted), (lost,), ()]):
            one = deployment_row(deployment(seq, asked_again=len(notes)))
            for newer in ("interrupted", "maybe_asked", "behind"):
                del one[newer]
            columns = ", ".join(f'"{name}"' for name in one)
            values = ", ".join(f":{name}" for name in one)
            db.execute(sa.text(f"INSERT INTO deployments ({columns}) VALUES ({values})"), one)
            for note in notes:
                line = {"deployment": one["id"], "at": 1.0, "state": "waiting", "note": note}
                db.execute(sa.insert(tables.changes), [line])

    migrations.migrate(engine)

    t = tables.deployments
    with engine.begin() as db:
        found = db.execute(sa.select(t.c.interrupted, t.c.maybe_asked).order_by(t.c.seq)).all()
    assert [tuple(row) for row in found] == [(1, False), (0, False), (0, False)]
    engine.dispose()


def test_head_names_the_newest_migration() -> None:
    folder = ScriptDirectory(str(Path(migrations.__file__).parent))

    assert folder.get_heads() == [migrations.HEAD]


def test_a_journal_of_a_newer_release_is_left_alone_and_says_so(tmp_path: Path) -> None:
    engine = sqlite_engine(tmp_path / "journal.sqlite")
    migrations.migrate(engine)
    with engine.begin() as db:
        db.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(Rejected, match="9999"):
        migrations.migrate(engine)
    engine.dispose()


# ── feedback ─────────────────────────────────────────────────────────────────


def card(
    seq: int = 1, *, lane: str = "C1", name: str = "", app_id: str = "app-web"
) -> Subscription:
    """A card about a deployment."""
    id_ = deployment(seq, app_id).id
    name = name or f"card {seq}"
    return Subscription(name, "card", lane, (about_deployment(id_),), {"channel": lane})


async def due(journal: Any, clock: ManualClock, **others: Any) -> list[Pending]:
    found: list[Pending] = await journal.pending(clock.now, 100, **others)
    return found


async def ids(journal: Any, clock: ManualClock, **others: Any) -> list[str]:
    return [one.subscription.id for one in await due(journal, clock, **others)]


async def one_of(journal: Any, subscription_id: str) -> Pending:
    (found,) = [
        one for one in await journal.feedback(limit=100) if one.subscription.id == subscription_id
    ]
    return found  # type: ignore[no-any-return]


async def test_a_target_is_there_with_the_deployment_that_it_shows(
    reopened: Opened, clock: ManualClock
) -> None:
    subscription = replace(
        card(), follows=(about_delivery(1), about_deployment(deployment(1).id)), rank=3
    )
    await record(await reopened(), outcome(1, deployment(1), subscriptions=(subscription,)))

    (pending,) = await due(await reopened(), clock)

    assert pending == Pending(subscription, {}, wanted=1, due_at=clock.now)
    assert pending.subscription.rank == 3


async def test_wanting_again_changes_nothing_and_following_more_raises(
    journal: Any, clock: ManualClock
) -> None:
    await journal.subscribe([card()])
    (pending,) = await due(journal, clock)
    await journal.mark_published("card 1", pending.wanted)
    await journal.subscribe([card(), card()])
    assert await due(journal, clock) == []

    more = replace(card(), follows=(about_delivery(7),))
    await journal.subscribe([more])

    (pending,) = await due(journal, clock)
    assert set(pending.subscription.follows) == {about_delivery(7), *card().follows}


async def test_wanting_many_is_one_step_and_each_is_there(journal: Any, clock: ManualClock) -> None:
    await journal.subscribe([card(n, lane=f"C{n}") for n in range(1, 1201)])

    assert len(await journal.pending(clock.now, 5000)) == 1200
    assert len(await journal.pending(clock.now, 7)) == 7


async def test_each_change_raises_what_follows_it_and_nothing_else(
    journal: Any, clock: ManualClock
) -> None:
    subscriptions = (card(), Subscription("push 1", "push", "G", (about_delivery(1),), {}))
    await record(journal, outcome(1, deployment(1), subscriptions=subscriptions))
    other = card(2, lane="C2", app_id="app-api")
    await record(journal, outcome(2, deployment(2, "app-api"), subscriptions=(other,)))
    id_ = deployment(1).id

    async def raised_by(change: Awaitable[object]) -> list[str]:
        for pending in await due(journal, clock):
            await journal.mark_published(pending.subscription.id, pending.wanted)
        await change
        return sorted(await ids(journal, clock))

    for change in (
        journal.move(id_, State.ASKED),
        journal.say(id_, "waits for the backend"),
        journal.take_back(id_, "token", "lost"),
        journal.move(id_, State.DONE),
    ):
        assert await raised_by(change) == ["card 1", "push 1"]
    assert await raised_by(journal.move(id_, State.ASKED)) == []  # may not follow: no change
    assert await raised_by(journal.cancel("app-api", 99)) == ["card 2"]


async def test_of_each_lane_the_longest_waiting_goes_first_and_busy_lanes_wait(
    journal: Any, clock: ManualClock
) -> None:
    for name, lane in (("b", "C1"), ("a", "C2"), ("c", "C1"), ("d", "C3")):
        await journal.subscribe([card(name=name, lane=lane)])
        clock.now += 1

    assert await ids(journal, clock) == ["b", "a", "d"]
    assert await ids(journal, clock, busy=["C1", "C4"]) == ["a", "d"]
    assert [one.subscription.id for one in await journal.pending(clock.now - 3, 100)] == ["b", "a"]


async def test_in_a_lane_rank_counts_before_waiting_and_neither_before_what_is_ready(
    journal: Any, clock: ManualClock
) -> None:
    for name, rank in (("status", 2), ("object", 1), ("comment", 0), ("other", 0)):
        await journal.subscribe([replace(card(name=name), rank=rank)])
        clock.now += 1

    assert await ids(journal, clock) == ["comment"]
    assert await ids(journal, clock, ready=clock.now - 3) == ["object"]
    assert await ids(journal, clock, ready=clock.now - 4) == ["status"]


async def test_a_rank_is_favoured_in_its_lane_only_and_only_where_it_has_something(
    journal: Any, clock: ManualClock
) -> None:
    for lane in ("C1", "C2"):
        for name, rank in (("comment", 0), ("object", 1), ("status", 2)):
            await journal.subscribe([replace(card(name=f"{name} {lane}", lane=lane), rank=rank)])

    async def turns(**favoured: int) -> list[str]:
        return sorted(await ids(journal, clock, favoured=favoured))

    assert await turns() == ["comment C1", "comment C2"]
    assert await turns(C1=1) == ["comment C2", "object C1"]
    assert await turns(C1=2, C2=1) == ["object C2", "status C1"]
    assert await turns(C1=3, C9=1) == ["comment C1", "comment C2"]


async def test_a_burst_does_not_put_off_what_waits_already(
    journal: Any, clock: ManualClock
) -> None:
    await record(journal, outcome(1, deployment(1), subscriptions=(card(),)))
    began = clock.now
    for number in range(3):
        clock.now += 1
        await journal.say(deployment(1).id, f"line {number}")

    (pending,) = await due(journal, clock)
    assert (pending.wanted, pending.due_at) == (4, began)


async def test_what_has_changed_since_it_was_read_is_due_again(
    journal: Any, clock: ManualClock
) -> None:
    await record(journal, outcome(1, deployment(1), subscriptions=(card(),)))
    (pending,) = await due(journal, clock)
    await journal.say(deployment(1).id, "news")

    await journal.mark_published("card 1", pending.wanted)
    (again,) = await due(journal, clock)
    await journal.mark_published("card 1", again.wanted)

    assert (pending.wanted, again.wanted, again.shown) == (1, 2, 1)
    assert await due(journal, clock) == []


async def test_what_fails_keeps_its_pause_and_its_reason_until_it_works(
    journal: Any, clock: ManualClock
) -> None:
    await record(journal, outcome(1, deployment(1), subscriptions=(card(),)))
    failed_at = clock.now
    await journal.mark_failed("card 1", 1, "away", due_at=clock.now + 60)
    clock.now += 10
    await journal.say(deployment(1).id, "news")
    await journal.mark_failed("card 1", 2, "still away", due_at=failed_at + 90)

    assert await ids(journal, clock) == []
    (failing,) = await journal.feedback(limit=10, failing=True)
    assert (failing.attempts, failing.failing_since, failing.error, failing.due_at) == (
        2, failed_at, "still away", failed_at + 90,
    )  # fmt: skip
    await journal.mark_published("card 1", failing.wanted)
    assert await journal.feedback(limit=10, failing=True) == []
    well = await one_of(journal, "card 1")
    assert (well.attempts, well.failing_since, well.error) == (0, None, None)


async def test_what_is_parked_is_taken_up_by_the_next_change_and_begins_anew(
    journal: Any, clock: ManualClock
) -> None:
    await record(journal, outcome(1, deployment(1), subscriptions=(card(),)))
    await journal.mark_failed("card 1", 1, "channel_not_found", due_at=None)
    assert await ids(journal, clock) == []
    assert (await one_of(journal, "card 1")).parked

    clock.now += 5
    await journal.say(deployment(1).id, "news")

    (again,) = await due(journal, clock)
    assert (again.attempts, again.failing_since, again.parked) == (0, None, False)
    assert (again.due_at, again.error) == (clock.now, "channel_not_found")


async def test_a_change_while_it_was_tried_keeps_it_from_being_parked(
    journal: Any, clock: ManualClock
) -> None:
    await record(journal, outcome(1, deployment(1), subscriptions=(card(),)))
    await journal.say(deployment(1).id, "news")

    await journal.mark_failed("card 1", 1, "invalid_blocks", due_at=None)

    assert await ids(journal, clock) == ["card 1"]


async def test_one_or_all_that_fail_are_tried_at_once_where_asked(
    journal: Any, clock: ManualClock
) -> None:
    await journal.subscribe([card(n, lane=f"C{n}") for n in (1, 2, 3)])
    await journal.mark_published("card 1", 1)
    await journal.mark_failed("card 2", 1, "gone", due_at=None)
    await journal.mark_failed("card 3", 1, "away", due_at=clock.now + 600)

    assert await journal.retry_feedback("card 1") == 0
    assert await journal.retry_feedback("card 2") == 1
    assert await ids(journal, clock) == ["card 2"]
    assert await journal.retry_feedback() == 2
    assert await ids(journal, clock) == ["card 2", "card 3"]


async def test_a_place_remembers_across_restarts(reopened: Opened, clock: ManualClock) -> None:
    journal = await reopened()
    await journal.subscribe([card()])
    await journal.save_cursor("card 1", {"ts": "1.2", "shown": ["ü"]})
    await journal.save_cursor("no such target", {"ts": "0"})

    (pending,) = await due(await reopened(), clock)

    assert pending.cursor == {"ts": "1.2", "shown": ["ü"]}


async def test_who_has_lost_the_lease_changes_no_memory(journal: Any, clock: ManualClock) -> None:
    await journal.subscribe([card()])
    assert await journal.hold("feedback", "one", 15.0)
    assert await journal.save_cursor("card 1", {"saying": 2}, holding=("feedback", "one"))
    clock.now += 16
    await journal.release("feedback", "one")  # as its end would, which Postgres times itself
    assert await journal.hold("feedback", "two", 15.0)

    assert not await journal.save_cursor("card 1", {"said": 2}, holding=("feedback", "one"))

    (pending,) = await due(journal, clock)
    assert pending.cursor == {"saying": 2}


async def test_a_new_link_raises_what_may_link_to_it_and_only_once(
    journal: Any, clock: ManualClock
) -> None:
    """The superseded card, the push's own comment, and another card of the deployment."""
    comment = Subscription("comment", "push", "G", (about_delivery(2),), {})
    unlinked = card(3, lane="C9", app_id="app-api")
    second = card(2, name="second", lane="C2")
    await record(
        journal,
        outcome(1, deployment(1), subscriptions=(card(1, lane="C3"),)),
        outcome(2, deployment(2), subscriptions=(card(2), second, comment)),
        outcome(3, deployment(3, "app-api"), subscriptions=(unlinked,)),
    )
    for pending in await due(journal, clock):
        await journal.mark_published(pending.subscription.id, pending.wanted)

    await journal.save_cursor("card 2", {"ts": "1.2"})
    assert await ids(journal, clock) == []
    await journal.save_cursor("card 2", {"ts": "1.2", LINK: "https://chat.example/1.2"})

    assert sorted(await ids(journal, clock)) == ["card 1", "comment", "second"]
    for pending in await due(journal, clock):
        snapshot = await journal.snapshot(pending.subscription)
        assert snapshot.beside["card 2"] == {"ts": "1.2", LINK: "https://chat.example/1.2"}
        await journal.mark_published(pending.subscription.id, pending.wanted)
    await journal.save_cursor("card 2", {"ts": "1.2", "more": 1, LINK: "https://chat.example/1.2"})
    assert await ids(journal, clock) == []


async def test_a_story_tells_all_that_a_target_follows(journal: Any, clock: ManualClock) -> None:
    await journal.save_apps("dokploy", [app(), app("app-api")])
    both = (decision(), decision("app-api"))
    await record(journal, outcome(1, deployment(1), decisions=both, push=pushed()))
    await journal.move(deployment(1).id, State.ASKED, "asked")

    about_all = await journal.snapshot(Subscription("t", "push", "G", (about_delivery(1),), {}))
    about_one = await journal.snapshot(card())
    about_none = await journal.snapshot(card(9))

    assert [one.decision.app_id for one in about_all.explained] == ["app-api", "app-web"]
    assert [one.id for one in about_all.deployments] == [deployment(1).id]
    assert set(about_all.apps) == {"app-web", "app-api"}
    assert [change.state for change in about_one.history[deployment(1).id]] == ["waiting", "asked"]
    assert about_one.deployments[0].state is State.ASKED
    assert (about_none.explained, about_none.deployments, about_none.apps) == ((), (), {})


async def test_a_story_of_one_deployment_tells_what_was_live_and_its_comments(
    journal: Any, clock: ManualClock
) -> None:
    await journal.save_apps("dokploy", [app()])
    ends = [State.DONE, State.DONE, State.FAILED, State.DONE]
    for seq, end in enumerate(ends, 1):
        await record(journal, outcome(seq, deployment(seq), subscriptions=(card(seq),)))
        for state in (State.ASKED, State.RUNNING):
            await journal.move(deployment(seq).id, state)
        facts = {"deployed_commit": f"{seq}" * 40} if end is State.DONE else {}
        await journal.move(deployment(seq).id, end, **facts)
    places = {"comment": 4, "status": 4, "another": 3}
    for name, seq in places.items():
        kind = f"github.{'status' if name == 'status' else 'comment'}"
        await journal.subscribe(
            [Subscription(f"{kind} {name}", kind, "G", (about_delivery(seq),), {})]
        )
        await journal.save_cursor(f"{kind} {name}", {"comment": name})

    befores = [(await journal.snapshot(card(seq))).before for seq in range(1, 5)]
    beside = (await journal.snapshot(card(4))).beside

    assert befores == [
        {},
        {deployment(2).id: "1" * 40},
        {deployment(3).id: "2" * 40},
        {deployment(4).id: "2" * 40},
    ]
    assert beside == {"github.comment comment": {"comment": "comment"}}


async def test_a_story_of_very_many_pushes_tells_the_newest_of_each_app(
    journal: Any, clock: ManualClock
) -> None:
    await journal.save_apps("dokploy", [app(), app("app-api")])
    first = outcome(1, deployment(1, "app-api"), decisions=(decision("app-api"),))
    pushes = range(2, 62)
    await record(
        journal, first, *(outcome(seq, deployment(seq), decisions=(decision(),)) for seq in pushes)
    )
    follows = tuple(
        about_delivery(seq) for seq in [*range(-40_000, 0), 1, *pushes, *range(100, 999)]
    )
    subscription = Subscription("t", "comment", "G", follows, {})

    snapshot = await journal.snapshot(subscription)

    assert [one.seq for one in snapshot.deployments] == [*range(61, 41, -1), 1]
    assert [one.seq for one in snapshot.explained] == [*range(61, 41, -1), 1]


async def test_what_is_raised_wakes_and_what_only_shows_does_not(
    journal: Any, clock: ManualClock
) -> None:
    woken: list[float] = []
    journal.woken = lambda: woken.append(clock.now)
    await record(journal, outcome(1, deployment(1), subscriptions=(card(),)))
    await journal.move(deployment(1).id, State.ASKED)
    assert len(woken) == 2

    await due(journal, clock)
    await journal.snapshot(card())
    await journal.mark_published("card 1", 2)
    await journal.hold("feedback", "one", 5)

    assert len(woken) == 2


async def test_a_lease_is_held_until_it_is_over_or_given_back(
    journal: Any, clock: ManualClock
) -> None:
    assert await journal.hold("feedback", "one", 60)
    assert await journal.hold("feedback", "one", 60)
    assert not await journal.hold("feedback", "two", 60)
    assert await journal.hold("retention", "two", 60)

    await journal.release("feedback", "two")
    assert not await journal.hold("feedback", "two", 60)
    await journal.release("feedback", "one")
    assert await journal.hold("feedback", "two", -1)
    assert await journal.hold("feedback", "one", 60)


# ── forgetting ───────────────────────────────────────────────────────────────


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
    clock.now += 10

    assert [await journal.forget(clock.now, 1) for _ in range(3)] == [1, 1, 0]

    assert [one.seq for one in await journal.deployments(limit=10)] == [4, 3]
    assert await journal.decisions([1, 2]) == {1: [], 2: []}
    assert await journal.changes(deployment(1).id) == []
    assert await journal.feedback(limit=10) == []
    assert await journal.forget(clock.now - 20, 10) == 0


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


async def test_nobody_who_writes_waits_while_what_is_old_is_looked_for(
    tmp_path: Path, clock: ManualClock
) -> None:
    journal, writes = await begins_of(tmp_path, clock, [outcome(1)])

    assert await journal.forget(clock.now - 1, 10) == 0
    await journal.stop()

    assert writes == [False]


async def test_what_is_forgotten_at_a_time_is_written_in_parts(
    tmp_path: Path, clock: ManualClock
) -> None:
    journal, writes = await begins_of(tmp_path, clock, [outcome(seq) for seq in range(1, 51)])

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


async def test_what_still_goes_on_is_not_forgotten(journal: Any, clock: ManualClock) -> None:
    await journal.record([outcome(1, deployment(1))], window=WINDOW)
    await journal.intend(deployment(1).id, [])
    await journal.record([outcome(2, deployment(2))], window=WINDOW)

    assert await journal.forget(clock.now + 10, 10) == 0


async def test_old_entries_of_the_audit_are_forgotten(journal: Any, clock: ManualClock) -> None:
    for at in (1.0, 2.0, 3.0):
        await journal.audit(Audited(at, "cli: ada", "provider set", "app-web", "shop/web", ()))

    assert [await journal.forget_audit(3.0, 10), await journal.forget_audit(3.0, 10)] == [2, 0]
    assert [one.at for one in await journal.audited(limit=10)] == [3.0]


async def test_old_drafts_are_forgotten_though_nobody_makes_another(
    journal: Any, clock: ManualClock
) -> None:
    for name in "abc":
        await journal.keep_draft(name, "sealed")
        clock.now += 10

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


# ── for those who watch over it ──────────────────────────────────────────────


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


# ── configuring by chat ──────────────────────────────────────────────────────


def asked_for(seq: int, clock: ManualClock, **others: Any) -> Audited:
    """The note of a change that a delivery asked for."""
    note = Audited(clock(), "slack: ada", "provider set", "app-a", "shop/a", (), seq=seq)
    return replace(note, **others)


async def test_a_delivery_has_one_note_however_often_it_is_noted(
    reopened: Opened, clock: ManualClock
) -> None:
    journal = await reopened()
    first = await journal.audit(asked_for(7, clock))
    changes = (Changed("branch", "main", "dev"),)
    fuller = asked_for(7, clock, difference=changes, undoing="sealed", undoes=3)
    assert await journal.audit(fuller) == first
    await journal.audit(asked_for(8, clock))

    journal = await reopened()

    kept = replace(fuller, number=first)
    assert await journal.change_of(7) == await journal.change(first) == kept
    assert (await journal.change_of(9), await journal.change(99)) == (None, None)
    assert len(await journal.audited(limit=9)) == 2
    assert "sealed" not in repr(kept)


async def test_a_change_raises_what_shows_it_its_delivery_and_what_it_takes_back(
    journal: Any, clock: ManualClock
) -> None:
    made = await journal.audit(asked_for(1, clock))
    keys = {"it": about_change(made), "delivery": about_delivery(2), "all": ABOUT_ANYTHING}
    subscriptions = [Subscription(name, "k", name, (key,), {}) for name, key in keys.items()]
    await journal.subscribe(subscriptions)
    for name in keys:
        await journal.mark_published(name, 1)

    undoing = await journal.audit(asked_for(2, clock, undoes=made))
    assert sorted(await ids(journal, clock)) == ["all", "delivery", "it"]
    for name in keys:
        await journal.mark_published(name, 2)
    await journal.settle(undoing, "done")

    assert sorted(await ids(journal, clock)) == ["all", "delivery", "it"]
    snapshot = await journal.snapshot(subscriptions[0])
    assert [(one.number, one.outcome) for one in snapshot.audited] == [
        (made, BEGUN),
        (undoing, "done"),
    ]
    assert [one.number for one in (await journal.snapshot(subscriptions[1])).audited] == [undoing]


async def test_what_shows_how_everything_stands_is_raised_by_any_deployment_until_unwanted(
    journal: Any, clock: ManualClock
) -> None:
    home = Subscription("home", "k", "home", (ABOUT_ANYTHING,), {})
    await journal.subscribe([home])
    await journal.mark_published("home", 1)

    await record(journal, outcome(1, deployment(1)))
    assert await ids(journal, clock) == ["home"]
    await journal.unsubscribe("home")
    await record(journal, outcome(2, deployment(2)))

    assert await ids(journal, clock) == []
    await journal.subscribe([home])
    assert await ids(journal, clock) == ["home"]


async def test_a_draft_stays_until_it_is_dropped_or_a_week_old(
    reopened: Opened, clock: ManualClock
) -> None:
    journal = await reopened()
    await journal.keep_draft("a", "sealed")
    await journal.keep_draft("a", "sealed anew")
    await journal.keep_draft("b", "other")

    journal = await reopened()

    assert [await journal.draft(one) for one in "abc"] == ["sealed anew", "other", None]
    await journal.drop_draft("b")
    assert await journal.draft("b") is None
    clock.now += 7 * 86_400 + 1
    await journal.keep_draft("c", "new")
    assert [await journal.draft(one) for one in "ac"] == [None, "new"]


async def test_it_tells_when_the_last_push_of_an_app_came(journal: Any, clock: ManualClock) -> None:
    apps = [app(id_) for id_ in ("app-web", "app-api", "app-docs")]
    await journal.save_apps("dokploy", apps)
    both = (decision(), decision("app-api"))
    await record(journal, outcome(1, decisions=both, push=pushed()))
    first = clock.now
    clock.now += 60
    await record(journal, outcome(2, push=pushed(B, A)))
    await record(journal, outcome(3, decisions=(decision("app-docs"),)))  # by a command

    assert await journal.last_pushes() == {"app-api": first, "app-web": clock.now}


async def test_the_last_pushes_are_searched_for_and_not_scanned(
    tmp_path: Path, clock: ManualClock
) -> None:
    asked: list[str] = []
    engine = sqlite_engine(tmp_path / "journal.sqlite")
    journal = SqlJournal(engine, clock=clock)
    await journal.start()

    @sa.event.listens_for(engine, "before_cursor_execute")
    def ask(_db: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    await journal.last_pushes()
    (question,) = [text for text in asked if text.startswith("SELECT")]
    with engine.connect() as db:
        plan = [row[3] for row in db.exec_driver_sql(f"EXPLAIN QUERY PLAN {question}", (1, 0))]
    await journal.stop()

    assert any("decisions_by_app (app_id=?)" in step for step in plan)
    assert not any(step.startswith(("SCAN decisions", "SCAN pushes")) for step in plan)


def test_what_apps_run_is_searched_for_in_whatever_order_the_indexes_were_made() -> None:
    """SQLite's planner takes the first of those that seem as good, and a schema has no order."""
    for order in permutations(sorted(tables.deployments.indexes, key=lambda one: str(one.name))):
        engine = sa.create_engine("sqlite://")
        with engine.begin() as db:
            for table in (tables.apps, tables.deployments):
                db.execute(sa.schema.CreateTable(table))
            for one in order:
                db.execute(sa.schema.CreateIndex(one))
            query = newest_done([f"app-{number}" for number in range(200)])
            text = query.compile(engine, compile_kwargs={"literal_binds": True})
            first = db.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}").all()[0][3]
        engine.dispose()
        assert first.startswith("SEARCH apps"), [one.name for one in order]


MANY_OF_FEW = """
INSERT INTO deployments (id, seq, delivery, app_id, app, action, trigger, state, note, token,
    known_before, created_at)
SELECT lpad(n::text, 16, '0') || '.app-' || app, n, 'd', 'app-' || app, 'app', 'deploy', 'push',
    'done', '', '', '[]', 0 FROM generate_series(0, 1999) k, generate_series(0, 9) app,
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
    question, values = asked[-1]
    with engine.connect() as db:
        plan = [row[0] for row in db.exec_driver_sql(f"EXPLAIN {question}", values)]
    await journal.stop()

    assert {one.seq: id_ for id_, one in found.items()} == {
        19_990 + number: f"app-{number}" for number in range(10)
    }
    scans = [step for step in plan if "Scan" in step and "on deployments" in step]
    assert scans
    assert not [step for step in scans if "Seq Scan" in step or "deployments_by_seq" in step]
