"""From looks to a verdict, which rests on what was seen; and the rule for it in a line of text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.errors import Rejected
from bridge.core.health.verdict import Health, Sighting, Tally, judge_health
from bridge.core.policies import VerifyPolicy, read_statuses, read_verify, verify_text
from tests.worlds.rows import each_row

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


@each_row("text", ["", "ok", "20", "600", "399-200", "200-", "1e2", "²00"])
def test_what_is_no_status(text: str) -> None:
    with pytest.raises(Rejected):
        read_statuses(text)


def test_a_text_with_the_commit_waits_until_the_commit_is_known() -> None:
    policy = VerifyPolicy(contains="build {short} ({commit})")

    assert policy.wanted("abcdef1234567") == "build abcdef1 (abcdef1234567)"
    assert policy.wanted(None) is None
    assert VerifyPolicy(contains="{braces}").wanted("abcdef1") == "{braces}"


# ── the rule as one line of text ───────────────────────────────────────────────


URLS = st.sampled_from(["/", "/healthz", "https://shop.example.com/up?full=1"])
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1)


@given(
    st.builds(
        VerifyPolicy,
        on=st.just(True),
        url=URLS,
        status=st.sampled_from([((200, 299),), ((200, 399),), ((200, 200), (404, 404))]),
        contains=st.none() | st.builds(" ".join, st.lists(WORDS, min_size=1, max_size=3)),
        containers=st.booleans(),
        within=st.integers(60, 3600).map(float),
        consecutive=st.integers(1, 9),
        every=st.integers(1, 6).map(float),
        rollback=st.booleans(),
    )
)
def test_what_is_shown_reads_the_same(policy: VerifyPolicy) -> None:
    assert read_verify(verify_text(policy)) == policy


@each_row(
    ("text", "means"),
    [
        ("yes", VerifyPolicy()),
        ("No", VerifyPolicy(on=False)),
        ("/healthz", VerifyPolicy(url="/healthz")),
        (
            " / status=404 within=2m rollback=yes contains=all is  well ",
            VerifyPolicy(
                status=((404, 404),), within=120.0, rollback=True, contains="all is  well"
            ),
        ),
    ],
)
def test_people_write_it_in_a_line(text: str, means: VerifyPolicy) -> None:
    assert read_verify(text) == means


@each_row(
    ("text", "says"),
    [
        ("healthz", "'healthz' is no address: write a path such as /healthz"),
        ("ftp://x.example/", "is no address"),
        ("/ wihtin=2m", "'wihtin=2m' is none of status, containers, within"),
        ("/ within=2h", "'2h' is not between 1s and 3600s"),
        ("/ consecutive=0", "'0' is no number from 1 to 100"),
        ("/ status=ok", "'ok' is no HTTP status"),
        ("/ rollback=maybe", "'maybe' is neither yes nor no"),
        ("/ within=10s every=6s consecutive=3", "take longer than 10 s"),
    ],
)
def test_what_cannot_be_read_is_named_with_the_remedy(text: str, says: str) -> None:
    with pytest.raises(Rejected, match=says):
        read_verify(text)
