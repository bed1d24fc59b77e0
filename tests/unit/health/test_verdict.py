"""From looks to a verdict: never unhealthy without a bad look, never healthy without good ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.errors import Rejected
from bridge.core.health.verdict import Health, Sighting, Tally, judge_health
from bridge.core.policies import VerifyPolicy, read_statuses, statuses_text

POLICY = VerifyPolicy(within=10.0, consecutive=3, every=1.0)

looks = st.lists(st.sampled_from([True, False, None]), max_size=40)


@given(looks)
def test_each_verdict_rests_on_what_was_seen(seen: list[bool | None]) -> None:
    tally, known = Tally(), []
    for second, healthy in enumerate(seen):
        tally = tally.after(Sighting(healthy, f"look {second}"))
        known += [] if healthy is None else [healthy]
        health, why = judge_health(POLICY, tally, float(second))
        if health is Health.HEALTHY:
            assert known[-3:] == [True, True, True]
        elif health is Health.UNHEALTHY:
            assert second >= POLICY.within
            assert False in known
            assert "look" in why
        elif health is Health.UNTOLD:
            assert False not in known
        else:
            assert second < 2 * POLICY.within
            assert known[-3:] != [True, True, True]


def test_it_looks_on_while_only_the_number_of_good_looks_is_missing() -> None:
    tally = Tally().after(Sighting(False, "502")).after(Sighting(True, "200"))

    assert judge_health(POLICY, tally, 10.0)[0] is Health.UNDECIDED
    health, why = judge_health(POLICY, tally, 20.0)
    assert (health, why) == (Health.UNHEALTHY, "it is healthy only now and then; 502")


@pytest.mark.parametrize(
    ("text", "statuses", "shown"),
    [
        (200, ((200, 200),), "200"),
        ("2xx", ((200, 299),), "2xx"),
        ("200-399", ((200, 399),), "200-399"),
        ("200, 3xx,404", ((200, 200), (300, 399), (404, 404)), "200 or 3xx or 404"),
    ],
)
def test_statuses(text: str | int, statuses: object, shown: str) -> None:
    found = read_statuses(text)

    assert found == statuses
    assert statuses_text(found) == shown


@pytest.mark.parametrize("text", ["", "ok", "20", "600", "399-200", "200-", "1e2", "²00"])
def test_what_is_no_status(text: str) -> None:
    with pytest.raises(Rejected):
        read_statuses(text)


def test_a_text_with_the_commit_waits_until_the_commit_is_known() -> None:
    policy = VerifyPolicy(contains="build {short} ({commit})")

    assert policy.wanted("abcdef1234567") == "build abcdef1 (abcdef1234567)"
    assert policy.wanted(None) is None
    assert VerifyPolicy(contains="{braces}").wanted("abcdef1") == "{braces}"
