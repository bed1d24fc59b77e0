"""Freezes and checks as `bridge.yaml` has them."""

from typing import Any

import pytest
from pydantic import ValidationError

from bridge.core.checks import CheckPolicy, Need, Otherwise
from bridge.settings.gates import Checks, FreezeRule, as_checks

DAILY = {"from": "16:00", "to": "18:00", "reason": "rest"}


@pytest.mark.parametrize(
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


@pytest.mark.parametrize(
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


@pytest.mark.parametrize("given", [[], [""], {"timeout": "soon"}, {"none": "maybe"}])
def test_wrong_checks_are_told(given: Any) -> None:
    with pytest.raises(ValidationError):
        Checks.model_validate(as_checks(given))
