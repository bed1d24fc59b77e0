"""The `verify` rule as one line of text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.errors import Rejected
from bridge.core.policies import VerifyPolicy, read_verify, verify_text

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


@pytest.mark.parametrize(
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


@pytest.mark.parametrize(
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
