"""What the checks of a commit mean for a deployment."""

from dataclasses import replace

import pytest

from bridge.core.checks import Check, CheckPolicy, CheckState, Need, Otherwise, Required
from bridge.core.gates.ci import Ci, CiState, judged

COMMIT = "abc1234" + "0" * 33
PASSED, FAILED, PENDING = CheckState.PASSED, CheckState.FAILED, CheckState.PENDING
SINCE = 1000.0


def ci(*checks: tuple[str, CheckState], **others: object) -> Ci:
    found = tuple(Check(name, state) for name, state in checks)
    return replace(Ci(COMMIT, found, SINCE), **others)  # type: ignore[arg-type]


def requires(*names: str) -> tuple[Required, ...]:
    return tuple(map(Required, names))


def state(policy: CheckPolicy, known: Ci, *, now: float = SINCE + 1) -> CiState:
    return judged(policy, known, since=SINCE, now=now).state


ALL = CheckPolicy(Need.ALL)
REQUIRED = CheckPolicy()


@pytest.mark.parametrize(
    ("policy", "known", "expected"),
    [
        (ALL, ci(("build", PASSED), ("lint", PASSED)), CiState.PASSED),
        (ALL, ci(("build", PASSED), ("lint", PENDING)), CiState.PENDING),
        (ALL, ci(("build", PENDING), ("lint", FAILED)), CiState.FAILED),
        (
            CheckPolicy(Need.ALL, ignore=("lint*",)),
            ci(("lint-js", FAILED), ("a", PASSED)),
            "passed",
        ),
        (
            REQUIRED,
            ci(("build", PASSED), ("lint", FAILED), required=requires("build")),
            CiState.PASSED,
        ),
        (REQUIRED, ci(("build", PENDING), required=requires("build")), CiState.PENDING),
        (REQUIRED, ci(("lint", PASSED), required=requires("build")), CiState.PENDING),
        (REQUIRED, ci(required=requires("build")), CiState.PENDING),
        (REQUIRED, ci(("build", PASSED), ("lint", FAILED), required=requires()), CiState.FAILED),
        (REQUIRED, ci(("build", PASSED), required=None), CiState.PASSED),
        (REQUIRED, ci(("ci[1]", PASSED), required=requires("ci[1]")), CiState.PASSED),
        (
            CheckPolicy(ignore=("lint*",)),
            ci(("build", PASSED), ("lint", FAILED), required=requires("build", "lint")),
            CiState.PASSED,
        ),
        (CheckPolicy(names=("test-*",)), ci(("test-a", PASSED), ("x", FAILED)), CiState.PASSED),
        (CheckPolicy(names=("test-*",)), ci(("test-a", PASSED), ("test-b", FAILED)), "failed"),
        (CheckPolicy(names=("test-*", "e2e")), ci(("test-a", PASSED)), CiState.PENDING),
        (ALL, Ci(COMMIT), CiState.UNREAD),
        (ALL, replace(Ci(COMMIT), error="github is unreachable"), CiState.UNREAD),
        (ALL, ci(("build", PASSED), error="it is unreachable", fresh=False), CiState.UNREAD),
        (ALL, ci(("build", PASSED), fresh=False), CiState.PENDING),
        (ALL, ci(("build", FAILED), fresh=False), CiState.FAILED),
        (ALL, ci(), CiState.PENDING),
    ],
)
def test_each_case(policy: CheckPolicy, known: Ci, expected: str) -> None:
    assert state(policy, known) == expected


def test_a_commit_without_checks_deploys_after_a_while() -> None:
    early = judged(ALL, ci(), since=SINCE, now=SINCE + 89)

    assert (early.state, early.opens_at) == (CiState.PENDING, SINCE + 90)
    assert state(ALL, ci(), now=SINCE + 90) is CiState.PASSED


def test_or_is_held_where_the_rules_say_so() -> None:
    policy = replace(ALL, none=Otherwise.HOLD)

    found = judged(policy, ci(), since=SINCE, now=SINCE + 90)

    assert (found.state, found.opens_at) == (CiState.NONE, None)
    assert "no checks for 90 s" in found.says


def test_a_commit_whose_required_check_never_appears_is_not_without_checks() -> None:
    assert state(REQUIRED, ci(required=requires("build")), now=SINCE + 600) is CiState.PENDING


def test_pending_checks_hold_for_ever_unless_the_rules_say_so() -> None:
    late = SINCE + ALL.timeout
    pending = ci(("build", PENDING))

    found = judged(ALL, pending, since=SINCE, now=late)
    assert (found.state, found.opens_at) == (CiState.LATE, None)
    assert "waited already for 60 minutes" in found.says

    deploys = replace(ALL, late=Otherwise.DEPLOY)
    assert judged(deploys, pending, since=SINCE, now=late - 1).opens_at == late
    assert state(deploys, pending, now=late) is CiState.PASSED


def test_a_host_that_is_away_is_not_waited_for_longer_than_for_its_checks() -> None:
    away = replace(Ci(COMMIT), error="github is unreachable")
    late = SINCE + ALL.timeout

    assert state(ALL, away, now=late) is CiState.UNREAD
    assert state(replace(ALL, late=Otherwise.DEPLOY), away, now=late) is CiState.PASSED


def test_reasons_name_the_checks_and_the_commit() -> None:
    failed = judged(ALL, ci(("build", FAILED), ("lint", PASSED)), since=SINCE, now=SINCE)
    assert failed.says == "checks failed: build of abc1234"

    many = ci(*((f"job-{n}", PENDING) for n in range(8)))
    waits = judged(ALL, many, since=SINCE, now=SINCE)
    assert waits.says == "waits for checks of abc1234: job-0, job-1, job-2, job-3, job-4 and 3 more"


ACTIONS, OTHER = 15368, 99
RUN = Check("build", PASSED, "GitHub Actions", app_id=ACTIONS)


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        (RUN, CiState.PASSED),
        (replace(RUN, state=FAILED), CiState.FAILED),
        (replace(RUN, app="Somebody", app_id=OTHER), CiState.PENDING),
        (Check("build", PASSED), CiState.PENDING),  # a status, which anybody may set
        (Check("build", PASSED, app_id=ACTIONS), CiState.PASSED),  # one that this App has set
        (Check("GitHub Actions/build", PASSED), CiState.PENDING),
    ],
)
def test_what_an_app_has_to_report_nobody_else_reports(check: Check, expected: CiState) -> None:
    known = replace(ci(required=(Required("build", ACTIONS),)), checks=(check,))

    assert state(REQUIRED, known) is expected
    if check.app or expected is CiState.PENDING:  # whose status it is, a rule can't tell
        assert state(CheckPolicy(of_apps=("github actions/bu*",)), known) is expected


def test_the_app_that_is_waited_for_is_named() -> None:
    known = replace(ci(required=(Required("build", ACTIONS),)), checks=(Check("build", PASSED),))
    assert judged(REQUIRED, known, since=SINCE, now=SINCE).says.endswith("build (app 15368)")

    known = replace(known, checks=(*known.checks, replace(RUN, name="lint")))
    assert judged(REQUIRED, known, since=SINCE, now=SINCE).says.endswith("build (GitHub Actions)")
