"""What the checks of a commit mean for a deployment; freezes and checks in bridge.yaml."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from bridge.core.checks import Check, CheckPolicy, CheckState, Need, Otherwise, Required
from bridge.core.gates.ci import Ci, CiState, judged
from bridge.settings.gates import Checks, FreezeRule, as_checks
from tests.worlds.rows import each_row

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


@each_row(
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


def test_pending_checks_hold_for_ever_unless_the_rules_say_so() -> None:
    late = SINCE + ALL.timeout
    pending = ci(("build", PENDING))

    found = judged(ALL, pending, since=SINCE, now=late)
    assert (found.state, found.opens_at) == (CiState.LATE, None)
    assert "waited already for 60 minutes" in found.says

    deploys = replace(ALL, late=Otherwise.DEPLOY)
    assert judged(deploys, pending, since=SINCE, now=late - 1).opens_at == late
    assert state(deploys, pending, now=late) is CiState.PASSED


ACTIONS, OTHER = 15368, 99
RUN = Check("build", PASSED, "GitHub Actions", app_id=ACTIONS)


@each_row(
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


# ── freezes and checks as bridge.yaml has them ─────────────────────────────────


DAILY = {"from": "16:00", "to": "18:00", "reason": "rest"}


@each_row(
    ("given", "says"),
    [
        ({"from": "noon"}, "no time"),
        ({"to": "25:00"}, "hours go to 24:00"),
        ({"tz": "Mars/Base"}, "no time zone"),
        ({"days": ["someday"]}, "no day"),
        ({"to": "16:00"}, "would never end"),
        ({"to": "fri 18:00"}, "different kinds"),
        ({"from": "fri 16:00", "to": "mon 08:00", "days": ["mon"]}, "names its day"),
        ({"from": "2027-01-02 08:00", "to": "2026-12-23 18:00"}, "before it begins"),
        ({"from": "2026-12-23 18:00", "to": "9999-12-31 24:00"}, "too far away"),
        ({"allow": ["push"]}, "always holds pushes"),
        ({"reason": ""}, "at least 1 character"),
    ],
)
def test_a_wrong_freeze_is_told(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        FreezeRule.model_validate(DAILY | given)


def test_a_time_without_quotes_is_read_as_yaml_has_it() -> None:
    """YAML takes 16:00 for a number of minutes."""
    assert FreezeRule.model_validate(DAILY | {"from": 960}).begins == "16:00"


@each_row(
    ("given", "policy"),
    [
        ("required", CheckPolicy(Need.REQUIRED)),
        ("all", CheckPolicy(Need.ALL)),
        (["build"], CheckPolicy(Need.ALL, ("build",))),
        ({"names": "GitHub Actions/build"}, CheckPolicy(of_apps=("GitHub Actions/build",))),
        (
            {"need": "all", "ignore": ["lint-*"], "timeout": "10m", "late": "deploy"},
            CheckPolicy(Need.ALL, ignore=("lint-*",), timeout=600.0, late=Otherwise.DEPLOY),
        ),
        ({"none_after": "2m", "none": "hold"}, CheckPolicy(none_after=120.0, none=Otherwise.HOLD)),
    ],
)
def test_checks_are_given_shortly_or_in_full(given: Any, policy: CheckPolicy) -> None:
    assert Checks.model_validate(as_checks(given)).policy() == policy


@each_row("given", [[], [""], {"timeout": "soon"}, {"none": "maybe"}])
def test_wrong_checks_are_told(given: Any) -> None:
    with pytest.raises(ValidationError):
        Checks.model_validate(as_checks(given))
