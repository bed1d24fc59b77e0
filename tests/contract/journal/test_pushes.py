"""The `Journal` port: one push by two webhooks counts once, and apps found later get theirs."""

from dataclasses import replace
from typing import Any

import pytest

from bridge.core.decision import Reason
from tests.fakes.journey import ManualClock, deployment
from tests.worlds.journal import WINDOW, A, B, decision, outcome, push, pushed, record, states

# ── the same push by two hooks ───────────────────────────────────────────────


async def test_the_same_push_within_the_window_deploys_once(
    journal: Any, clock: ManualClock
) -> None:
    """But again for another ref, or where a person wants it."""
    assert await push(journal, 1, A, B) == "no_watch_paths"
    clock.now += WINDOW - 1
    assert await push(journal, 2, A, B) == "duplicate_push"

    assert await states(journal) == {1: "waiting"}
    (found,) = (await journal.decisions([2]))[2]
    assert found.evidence == "delivery delivery-1 brought the same push and has been decided"
    assert await push(journal, 3, A, B, explicit=True) == "no_watch_paths"
    other = pushed(ref="github 1 refs/heads/release")
    await record(journal, outcome(4, deployment(4), push=other))
    assert (await journal.decisions([4]))[4] == [decision()]
    clock.now += WINDOW + 1
    assert await push(journal, 5, A, B) == "no_watch_paths"


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


async def test_a_push_is_known_again_though_another_ref_has_moved_alike_since(journal: Any) -> None:
    await push(journal, 1, A, B)
    other = pushed(ref="github 1 refs/heads/release")
    await record(journal, outcome(2, deployment(2), push=other))

    assert await push(journal, 3, A, B) == "duplicate_push"


async def test_an_app_that_the_first_hook_did_not_decide_deploys_with_the_second(
    journal: Any,
) -> None:
    """It was made, or moved to that repository, between the two."""
    no = decision("app-api", Reason.NO_PATH_HIT)
    await record(journal, outcome(1, deployment(1), decisions=(decision(), no), push=pushed()))
    both = (deployment(2), deployment(2, "app-new"))
    all_three = (decision(), no, decision("app-new"))

    recorded = await record(journal, outcome(2, *both, decisions=all_three, push=pushed()))

    assert recorded.start == (deployment(2, "app-new").id,)
    found = {one.app_id: one.reason for one in (await journal.decisions([2]))[2]}
    assert found == {
        "app-web": Reason.DUPLICATE_PUSH,
        "app-api": Reason.NO_PATH_HIT,
        "app-new": Reason.NO_WATCH_PATHS,
    }


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


async def test_pushes_are_completed_once_and_the_newest_deploys(journal: Any) -> None:
    assert await push(journal, 1, A, B) == "no_watch_paths"
    assert await push(journal, 2, A, B) == "duplicate_push"
    assert await push(journal, 3, B, A) == "no_watch_paths"
    moves = {2: (A, B), 1: (A, B), 3: (B, A)}

    await journal.complete(
        [
            outcome(seq, deployment(seq, "app-new"), push=pushed(*move))
            for seq, move in moves.items()
        ]
    )

    assert await states(journal, "app-new") == {1: "superseded", 3: "waiting"}
    late = {one.app_id: str(one.reason) for one in (await journal.decisions([2]))[2]}
    assert late == {"app-web": "duplicate_push", "app-new": "duplicate_push"}
    forgotten = await journal.complete([outcome(9, deployment(9), push=pushed())])
    assert forgotten.start == ()
    assert await journal.decisions([9]) == {9: []}
