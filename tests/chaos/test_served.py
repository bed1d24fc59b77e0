"""The ledgers of what is served, on a made-up run: each harm turns its own lines red."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bridge.core.events import Action
from bridge.core.gates.locks import BRIDGE, BY_ITSELF
from bridge.core.lifecycle import Deployment, State
from bridge.core.lifecycle import Verdict as Judged
from bridge.core.people import Origin
from tests.chaos.claims import judge_claims
from tests.chaos.decided import judge_order
from tests.chaos.dokploy.jobs import PERSON, Job, Served
from tests.chaos.made_up import (
    FIRST,
    SECOND,
    THIRD,
    Run,
    add_deployment,
    add_push,
    deployed,
    stage_of_nothing,
)
from tests.chaos.pages import Pages
from tests.chaos.places import Claim
from tests.chaos.pushes import fault_of
from tests.chaos.served import judge_broken, judge_superseded, judge_unhealthy, untrue
from tests.chaos.verdicts import Record, Verdict
from tests.fakes.pulls import FakeCommit

APP = "app-0"


@pytest.fixture
def run() -> Run:
    """Two versions: the first was verified, the second is broken, and the bridge has left it."""
    made = Run(stage_of_nothing(), Record([], {}, [], {}, [], []))
    stage = made.stage
    stage.pages = Pages(stage.backend, stage.repositories)
    made.repository.commits[SECOND].files[fault_of(APP)] = ("100644", "a bug")
    for seq, commit in enumerate((FIRST, SECOND), 1):
        add_push(made, seq, commit, {APP})
        add_deployment(made, deployed(seq, commit, APP))
        stage.backend.jobs[APP].append(job := made.ledger[-1].job)
        job.ended = 1.0 + seq
    change(made, 0, verdict=Judged.VERIFIED)
    change(made, 1, state=State.UNHEALTHY, verdict=Judged.UNHEALTHY)
    stage.backend.backs.append(Served(made.ledger[0].job, 3.5, back=True))
    made.record.deployments.append(rollback(made))
    return made


def rollback(run: Run) -> Deployment:
    """Return what the bridge does by itself: it goes back from the second version to the first."""
    to, left = run.record.deployments[:2]
    own: dict[str, Any] = {"origin": Origin.read(BRIDGE), "person": BY_ITSELF, "back_from": left.id}
    own |= {"action": Action.ROLLBACK, "target": to.id, "intent_at": 3.2}
    return replace(deployed(3, FIRST, APP), commit=None, backend_id=None, **own)


def change(run: Run, place: int, **facts: Any) -> None:
    run.record.deployments[place] = replace(run.record.deployments[place], **facts)


def red(run: Run, *said: Claim) -> list[str]:
    """Return the lines that are not clean."""
    verdict = Verdict()
    judge_claims(verdict, run.stage, run.record)
    judge_unhealthy(verdict, run.stage, run.record)
    judge_broken(verdict, run.stage, run.record)
    judge_order(verdict, run.stage, run.sender.sent, run.record)
    judge_superseded(verdict, run.stage, run.record)
    verdict.blame("said_to_be_live", untrue(run.stage, run.record, said))
    return sorted({line.partition(": ")[0] for line in verdict.wrong})


def never_go_back(run: Run) -> None:
    run.record.deployments.pop()
    run.stage.backend.backs.clear()


def lose_the_fix(run: Run) -> None:
    """Have a push replaced by the rollback, before it was asked for."""
    change(run, 1, state=State.SUPERSEDED, superseded_by=run.record.deployments[2].id)
    run.stage.backend.every.remove(run.ledger.pop().job)


def mend(run: Run) -> None:
    """Have the second version work, though the journal calls it unhealthy."""
    run.repository.commits[SECOND].files.clear()


def leave_the_fix(run: Run) -> None:
    """Have the second version work, and be left all the same."""
    mend(run)
    change(run, 1, state=State.DONE, verdict=Judged.VERIFIED)


def build_a_later_one(run: Run) -> None:
    """Have a later commit be found broken, in place of the second version, which it contains."""
    files = {fault_of(APP): ("100644", "a bug")}
    run.repository.commits[THIRD] = FakeCommit(THIRD, (SECOND,), files)
    later = deployed(4, THIRD, APP)
    add_deployment(run, replace(later, state=State.UNHEALTHY, verdict=Judged.UNHEALTHY))
    change(run, 1, state=State.DONE, verdict=Judged.UNVERIFIED)
    change(run, 2, back_from=later.id)


def deploy_it_again(run: Run) -> None:
    """Have another push bring the second version again."""
    again = replace(deployed(4, SECOND, APP), state=State.UNHEALTHY, verdict=Judged.UNHEALTHY)
    add_deployment(run, again)
    run.ledger[-1].job.ended = 4.0


def by_a_person(run: Run) -> None:
    """Have a person ask for the rollback."""
    change(run, 2, origin=Origin.read("cli: ada"), person="cli:ada", back_from=None)


def deploy_by_hand(run: Run) -> None:
    """Have somebody deploy the broken version at the backend."""
    job = Job("theirs", APP, "", "", 4.0, "done", by=PERSON, commit=SECOND)
    run.stage.backend.backs.append(Served(job, 4.0))


HARMS: dict[str, tuple[Callable[[Run], object], list[str]]] = {
    "it is not gone back": (never_go_back, ["broken served"]),
    "it only says that it has gone back": (
        lambda run: run.stage.backend.backs.clear(),
        ["broken served", "claimed wrongly"],
    ),
    "a push gives way to the bridge": (lose_the_fix, ["given way to nobody", "old last"]),
    "what works is called unhealthy": (mend, ["claimed wrongly"]),
    "the bridge leaves a push that works": (leave_the_fix, ["old last"]),
    "it is never asked for": (
        lambda run: (run.ledger.pop(), run.stage.backend.every.pop()),
        ["claimed wrongly", "given way to nobody"],
    ),
}


@pytest.mark.parametrize("harm", HARMS)
def test_each_harm_turns_its_own_lines_red(run: Run, harm: str) -> None:
    do, lines = HARMS[harm]
    assert red(run) == []

    do(run)

    assert red(run) == lines


@pytest.mark.parametrize("lost", [lose_the_fix, leave_the_fix])
def test_a_push_may_give_way_to_what_a_person_has_asked_for(
    run: Run, lost: Callable[[Run], None]
) -> None:
    lost(run)
    by_a_person(run)

    assert red(run) == []


def test_the_bridge_may_leave_a_push_with_a_later_one_that_is_broken(run: Run) -> None:
    build_a_later_one(run)

    assert red(run) == []


def test_a_version_whose_own_record_is_not_known_can_be_gone_back_to(run: Run) -> None:
    change(run, 0, backend_id=None)

    assert red(run) == []


def test_what_a_person_has_deployed_at_the_backend_stays(run: Run) -> None:
    deploy_by_hand(run)

    assert red(run) == []


def test_the_bridge_goes_back_once_from_each_version(run: Run) -> None:
    deploy_it_again(run)

    assert red(run) == []

    del run.record.deployments[2]

    assert red(run) == ["broken served"]


def test_a_broken_version_stays_where_no_verified_one_is_kept(run: Run) -> None:
    never_go_back(run)
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


@pytest.mark.parametrize(
    ("own_record", "live_at", "line"),
    [
        (None, 5.0, []),
        (None, 4.4999995, []),
        (None, 3.5, ["said to be live"]),
        ("d-1-app-0", 5.0, ["said to be live"]),
    ],
    ids=[
        "looked at since",
        "with the same end, rounded",
        "looked at before",
        "its own record was known",
    ],
)
def test_what_a_person_has_deployed_is_verified_only_where_it_could_not_be_told_apart(
    run: Run, own_record: str | None, live_at: float, line: list[str]
) -> None:
    """Somebody has deployed the first version as well, just after the bridge."""
    theirs = Job("theirs", APP, "", "", 4.0, "done", by=PERSON, commit=FIRST, ended=4.5)
    run.stage.backend.backs.append(Served(theirs, 4.5))
    change(run, 0, backend_id=own_record, live_at=live_at)

    assert red(run, Claim("`apps`", APP, FIRST, works=True)) == line
