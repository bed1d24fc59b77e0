"""The life of a deployment as data."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bridge.core.events import Action
from bridge.core.holds import Lift
from bridge.core.lifecycle import (
    FINAL,
    LOSABLE,
    MOVES,
    OURS,
    SERVED,
    Deployment,
    State,
    deployment_id,
    goes_first,
    makes_moot,
    may_move,
)
from tests.fakes.journey import deployment
from tests.worlds.rows import each_row

states = st.sampled_from(State)

MAY = """
waiting superseded asked cancelled held
held waiting superseded cancelled
asked queued running done unknown verifying superseded
queued running cancelled superseded
running failed verifying superseded
verifying done unhealthy unknown
done unhealthy
"""
"""By state, what it may become; among it what skips states that nobody saw."""

MAY_NOT = """
asked waiting held
queued asked
running queued running unhealthy held
held asked running
verifying running superseded
done running
unknown done unhealthy
cancelled done
unhealthy done
superseded unhealthy
"""
"""Late and repeated news, and ways back."""


def test_a_deployment_goes_on_its_way_and_never_back() -> None:
    for table, may in ((MAY, True), (MAY_NOT, False)):
        for line in table.strip().splitlines():
            now, *moves = map(State, line.split())
            assert [may_move(now, to) for to in moves] == [may] * len(moves), now
    assert set(MOVES) == set(State)
    assert [now for now, to in MOVES.items() if State.WAITING in to] == [State.HELD]
    ends = ["done", "unhealthy", "failed", "cancelled", "superseded", "unknown"]
    assert set(map(State, ends)) == FINAL
    assert all(deployment(state=state).final == (state in FINAL) for state in State)


@given(start=states, wishes=st.lists(states, max_size=40))
def test_whatever_news_comes_a_life_is_short_and_its_end_stays(start, wishes) -> None:
    lived = [start]
    for wish in wishes:
        if may_move(lived[-1], wish):
            lived.append(wish)

    asked = [state for state in lived if state not in OURS]
    assert len(asked) == len(set(asked)) <= 5
    ends = [state for state in lived if state in FINAL]
    assert ends in ([], [lived[-1]], [State.DONE, State.UNHEALTHY])  # what is live may still break


@given(seq=st.integers(0, 10**15), later=st.integers(1, 10**6), app=st.text(min_size=1))
def test_ids_of_later_deliveries_sort_later_and_hold_the_app(seq, later, app) -> None:
    first = deployment_id(seq, app)

    assert first < deployment_id(seq + later, app)
    assert (int(first.partition(".")[0]), first.partition(".")[2]) == (seq, app)


def of(seq: int, action: Action, **facts: Any) -> Deployment:
    return deployment(seq, action=action, **facts)


def replaces(newer: Deployment, older: Deployment) -> str:
    """Return when a newer deployment replaces an older one."""
    waiting, asked, live = (
        makes_moot(replace(newer, state=state), older)
        for state in (State.WAITING, State.ASKED, State.DONE)
    )
    assert goes_first(newer, older) is (asked and not waiting)
    return "at once" if waiting else "asked for" if asked else "live" if live else "never"


DEPLOY, REDEPLOY, ROLLBACK = Action.DEPLOY, Action.REDEPLOY, Action.ROLLBACK
PERSON = {"person": "cli:ada"}
LIFT = Lift(("lock:app/app-web",), "ada", "cli:ada", "the fix", 1.0)


@each_row(
    ("newer", "older", "when"),
    [
        (of(2, DEPLOY), of(1, DEPLOY), "at once"),
        (of(2, DEPLOY, **PERSON), of(1, DEPLOY), "asked for"),
        (of(2, DEPLOY), of(1, DEPLOY, **PERSON), "asked for"),
        (of(2, DEPLOY), of(1, DEPLOY, lifts=(LIFT,)), "asked for"),
        (of(2, DEPLOY), of(1, REDEPLOY), "asked for"),
        (of(2, REDEPLOY), of(1, DEPLOY), "never"),
        (of(2, ROLLBACK, **PERSON), of(1, ROLLBACK), "asked for"),
        (of(2, DEPLOY), of(1, ROLLBACK, **PERSON), "live"),
        (of(2, ROLLBACK, back_from="0"), of(1, DEPLOY), "never"),
        (of(2, ROLLBACK, back_from="0"), of(1, ROLLBACK, **PERSON), "never"),
        (of(2, ROLLBACK, back_from="1"), of(1, ROLLBACK, back_from="0"), "asked for"),
    ],
)
def test_only_a_push_replaces_at_once_and_only_a_push_that_the_same_gates_hold(
    newer: Deployment, older: Deployment, when: str
) -> None:
    assert replaces(newer, older) == when


def test_what_the_bridge_does_by_itself_waits_for_what_goes_on_and_ends_with_what_is_live() -> None:
    own = of(3, ROLLBACK, back_from="1")
    for state in State:
        newer = of(2, DEPLOY, state=state)

        assert goes_first(newer, own) is (state is State.WAITING or state in LOSABLE)
        assert makes_moot(newer, own) is (state in SERVED)


PUSH = of(1, DEPLOY, commit="a" * 40)
LATER = of(4, DEPLOY, commit="c" * 40)
PROMOTION = of(3, DEPLOY, commit="b" * 40, pinned="b" * 40, target="staging", way="pin")
IMAGE = of(3, DEPLOY, commit=None, image="shop/web:1", target="staging", way="image")


@each_row(
    ("newer", "older", "moot"),
    [
        (PROMOTION, PUSH, False),
        (PROMOTION, replace(PUSH, commit="b" * 40), False),
        (replace(PROMOTION, state=State.ASKED), replace(PUSH, commit="b" * 40), True),
        (LATER, PROMOTION, False),
        (replace(LATER, state=State.RUNNING), PROMOTION, False),
        (replace(LATER, state=State.SUPERSEDED), PROMOTION, False),
        (replace(LATER, state=State.VERIFYING), PROMOTION, True),
        (IMAGE, PROMOTION, False),
        (replace(IMAGE, state=State.RUNNING), PROMOTION, True),
        (replace(PROMOTION, state=State.ASKED), of(1, REDEPLOY), True),
        (of(4, REDEPLOY, state=State.ASKED), PROMOTION, False),
        (of(4, ROLLBACK, state=State.ASKED), PROMOTION, True),
        (PROMOTION, of(1, ROLLBACK), False),
    ],
)
def test_a_promotion_and_a_push_are_deployed_in_their_order(newer, older, moot) -> None:
    """Unless both bring the same commit, or the later one has gone ahead."""
    assert makes_moot(newer, older) is moot
