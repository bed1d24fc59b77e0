"""What an app serves, as far as is known, and how far that is behind its branch."""

from dataclasses import replace
from typing import Any

from bridge.core.changes import Move
from bridge.core.decision import Reason
from bridge.core.events import ZERO, Action
from bridge.core.health.serving import Behind, Serving, Works, behind
from bridge.core.lifecycle import Deployment, State, Verdict
from tests.fakes.journey import deployment
from tests.worlds.rows import each_row

HIT, MISSED = Reason.PATH_HIT, Reason.NO_PATH_HIT


def made(seq: int, version: str, state: State = State.DONE, **others: Any) -> Deployment:
    served: dict[str, Any] = {
        "deployed_commit": version * 40,
        "live_at": float(seq),
        "finished_at": seq + 0.5,
    }
    return deployment(seq, state=state, **(served | others))


def unknown(at: float) -> Deployment:
    return replace(deployment(90, state=State.UNKNOWN), finished_at=at)


@each_row(
    ("newest", "works"),
    [
        (made(2, "b"), Works.NOT_VERIFIED),
        (made(2, "b", verdict=Verdict.VERIFIED), Works.VERIFIED),
        (made(2, "b", verdict=Verdict.UNVERIFIED, note="not really; verified"), Works.NOT_VERIFIED),
        (made(2, "b", State.VERIFYING), Works.VERIFYING),
        (made(2, "b", State.UNHEALTHY), Works.UNHEALTHY),
        (made(2, "b", State.UNKNOWN), Works.UNKNOWN),
    ],
)
def test_whether_what_is_live_works(newest: Deployment, works: Works) -> None:
    serving = Serving(newest, made(1, "a"))

    assert serving.works is works
    assert serving.commit == (None if works is Works.UNKNOWN else "b" * 40)
    assert (serving.since is None) is (works is Works.UNKNOWN)


@each_row(("ended", "known"), [(1.9, True), (2.0, False), (7.0, False)])
def test_nothing_is_claimed_after_an_unknown_outcome(ended: float, known: bool) -> None:
    serving = Serving(made(2, "b"), made(1, "a"), unknown(ended))

    assert serving.known is known
    assert serving.commit == ("b" * 40 if known else None)
    assert known or serving.notes == ("unknown: bbbbbbb was live before",)


@each_row(
    ("before", "doubt", "left"),
    [
        (made(2, "b"), None, "bbbbbbb"),
        (made(2, "b", State.UNHEALTHY), None, "bbbbbbb"),
        (made(2, "b"), unknown(2.5), None),
        (made(2, "b", State.UNKNOWN), None, None),
        (None, None, None),
    ],
)
def test_a_rollback_says_what_it_led_away_from_if_that_is_known(
    before: Deployment | None, doubt: Deployment | None, left: str | None
) -> None:
    back = made(3, "a", action=Action.ROLLBACK, trigger="cli: ada", verdict=Verdict.VERIFIED)

    serving = Serving(back, before, doubt)

    assert (serving.rolled_back, serving.rolled_back_from) == (True, left)
    said = f"rolled back from {left}" if left else "rolled back"
    assert serving.notes == (said, "verified")
    assert str(serving.by) == "cli: ada"


A, B, C, D = (letter * 40 for letter in "abcd")
MOVES = [Move(1, ZERO, A), Move(2, A, B), Move(3, B, C), Move(4, C, D)]
HITS = {1: HIT, 2: HIT, 3: MISSED, 4: HIT}


@each_row(
    ("commit", "moves", "told", "expected"),
    [
        (D, MOVES, HITS, Behind(0, 0)),
        (B, MOVES, HITS, Behind(2, 1)),
        (A, MOVES, HITS, Behind(3, 2)),
        (B, MOVES[:3], HITS, Behind(1, 0)),
        (A, MOVES[1:], HITS, Behind(3, 2)),  # its own push is forgotten
        (B, MOVES, HITS | {3: Reason.SKIP_DIRECTIVE}, Behind(2, 2)),
        (B, [*MOVES, Move(5, ZERO, B, repeats=2)], HITS, Behind(2, 1)),
        (C, [MOVES[0], MOVES[2], replace(MOVES[1], seq=9)], HITS, Behind(0, 0)),  # late
        (None, MOVES, HITS, None),
        ("e" * 40, MOVES, HITS, None),
        (A, [MOVES[0], MOVES[3]], HITS, None),  # a gap
        (A, MOVES, {4: HIT, 2: HIT}, None),  # not decided for this app
        (C, [*MOVES, Move(5, D, ZERO)], HITS, None),  # the branch is deleted
        (B, [*MOVES, Move(5, D, A)], HITS | {5: HIT}, Behind(3, 2)),  # forced back beyond it
        (B, [*MOVES, Move(5, D, B)], HITS | {5: HIT}, Behind(0, 0)),
        (B, [], {}, None),
    ],
)
def test_how_far_a_commit_is_behind_its_branch(
    commit: str | None, moves: list[Move], told: dict[int, Reason], expected: Behind | None
) -> None:
    assert behind(commit, moves, told) == expected
