"""The ledgers of what is served, on a made-up run: each harm turns its own line red."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bridge.core.gates.locks import BRIDGE, BY_ITSELF
from bridge.core.lifecycle import State
from bridge.core.lifecycle import Verdict as Judged
from tests.chaos.dokploy.jobs import PERSON, Job, Served
from tests.chaos.made_up import (
    FIRST,
    SECOND,
    Run,
    add_deployment,
    add_push,
    deployed,
    stage_of_nothing,
)
from tests.chaos.pages import Pages
from tests.chaos.places import Claim
from tests.chaos.pushes import fault_of
from tests.chaos.served import judge_broken, judge_superseded, untrue
from tests.chaos.verdicts import Record, Verdict

APP = "app-0"


@pytest.fixture
def run() -> Run:
    """Two versions of an app: the first was verified, the second is broken, and was left for it."""
    made = Run(stage_of_nothing(), Record([], {}, [], {}, [], []))
    stage = made.stage
    stage.pages = Pages(stage.backend, stage.repositories)
    made.repository.commits[SECOND].files[fault_of(APP)] = ("100644", "a bug")
    for seq, commit in enumerate((FIRST, SECOND), 1):
        add_push(made, seq, commit, {APP})
        add_deployment(made, deployed(seq, commit, APP))
        stage.backend.jobs[APP].append(job := made.ledger[-1].job)
        job.ended = float(seq)
    change(made, 0, verdict=Judged.VERIFIED)
    change(made, 1, state=State.UNHEALTHY, verdict=Judged.UNHEALTHY)
    stage.backend.backs.append(Served(made.ledger[0].job, 3.0, back=True))
    return made


def change(run: Run, place: int, **facts: Any) -> None:
    run.record.deployments[place] = replace(run.record.deployments[place], **facts)


def red(run: Run, *said: Claim) -> list[str]:
    """Return the lines that are not clean."""
    verdict = Verdict()
    judge_broken(verdict, run.stage, run.record)
    judge_superseded(verdict, run.stage, run.record)
    verdict.blame("said_to_be_live", untrue(run.stage, said))
    return sorted({line.partition(": ")[0] for line in verdict.wrong})


def lose_the_fix(run: Run, **facts: Any) -> None:
    """Have a push replaced by what the bridge does by itself, before it was asked for."""
    own = {"trigger": BRIDGE, "person": BY_ITSELF, "back_from": run.record.deployments[0].id}
    by = replace(deployed(3, FIRST, APP), commit=None, **own | facts)
    run.record.deployments.append(by)
    change(run, 1, state=State.SUPERSEDED, superseded_by=by.id)
    run.stage.backend.every.remove(run.ledger.pop().job)


def deploy_by_hand(run: Run) -> None:
    """Have somebody deploy the broken version at the backend."""
    job = Job("theirs", APP, "", "", 4.0, "done", by=PERSON, commit=SECOND)
    run.stage.backend.backs.append(Served(job, 4.0))


HARMS: dict[str, tuple[Callable[[Run], object], str]] = {
    "it is not gone back": (lambda run: run.stage.backend.backs.clear(), "broken served"),
    "a push gives way to the bridge": (lose_the_fix, "given way to nobody"),
    "it is never asked for": (
        lambda run: (run.ledger.pop(), run.stage.backend.every.pop()),
        "given way to nobody",
    ),
}


@pytest.mark.parametrize("harm", HARMS)
def test_each_harm_turns_its_own_line_red(run: Run, harm: str) -> None:
    do, line = HARMS[harm]
    assert red(run) == []

    do(run)

    assert red(run) == [line]


def test_a_push_may_give_way_to_what_a_person_has_asked_for(run: Run) -> None:
    lose_the_fix(run, person="cli:ada", back_from=None)

    assert red(run) == []


def test_what_a_person_has_deployed_at_the_backend_stays(run: Run) -> None:
    deploy_by_hand(run)

    assert red(run) == []


def test_a_broken_version_stays_where_no_verified_one_is_kept(run: Run) -> None:
    run.stage.backend.backs.clear()
    run.stage.backend.jobs[APP].clear()

    assert red(run) == []


@pytest.mark.parametrize(
    ("commit", "works", "line"),
    [
        (FIRST, True, []),
        (FIRST[:7], False, []),
        (SECOND, False, ["said to be live"]),
        ("", False, ["said to be live"]),
    ],
)
def test_a_place_may_only_say_what_is_served(
    run: Run, commit: str, works: bool, line: list[str]
) -> None:
    assert red(run, Claim("the card", APP, commit, works)) == line


def test_what_is_broken_may_not_be_called_verified(run: Run) -> None:
    deploy_by_hand(run)

    assert red(run, Claim("`apps`", APP, SECOND)) == []
    assert red(run, Claim("`apps`", APP, SECOND, works=True)) == ["said to be live"]
