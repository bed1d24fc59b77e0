"""What an answer of a host's API means, without secrets, and how long a limit pauses."""

import time
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.errors import BridgeError, NotFound, Refused, Unanswered, Unreachable
from bridge.githosts.base.answers import Answer, Request, error_in, fit, words_in
from bridge.githosts.base.http import Pauses
from tests.fakes.journey import ManualClock
from tests.worlds.rows import each_row

NOW = 1_700_000_000.0
READ = Request("github", "GET", "/repos/o/r/hooks", "ghp_secret")
WRITE = Request("github", "POST", "/repos/o/r/statuses/1", "ghp_secret")


def error_of(
    status: int, body: Any = None, request: Request = READ, **headers: str
) -> BridgeError | None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return error_in(request, Answer(status, named, body), NOW, "set another token")


@each_row(
    ("status", "said", "read", "write"),
    [
        (301, None, Refused, Refused),
        (400, "bad", Refused, Refused),
        (401, "Bad credentials", Refused, Refused),
        (403, "Resource not accessible by integration", Refused, Refused),
        (403, "You have exceeded a secondary rate limit", Unreachable, Unreachable),
        (403, "API rate limit exceeded for user ID 1.", Unreachable, Unreachable),
        (404, "Not Found", NotFound, NotFound),
        (409, "Git Repository is empty.", Refused, Refused),
        (410, "Issues are disabled", NotFound, NotFound),
        (422, "No commit found for SHA: 1", NotFound, NotFound),
        (422, "Validation Failed", Refused, Refused),
        (429, "Too many", Unreachable, Unreachable),
        (500, None, Unreachable, Unanswered),
        (502, None, Unreachable, Unanswered),
        (503, "Unavailable", Unreachable, Unanswered),
    ],
)
def test_an_error_is_what_to_do_next(
    status: int, said: str | None, read: type[BridgeError], write: type[BridgeError]
) -> None:
    body = {"message": said} if said else None

    assert type(error_of(status, body)) is read
    assert type(error_of(status, body, WRITE)) is write


@each_row(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "999999"}, 3700.0),
        ({"x_ratelimit_remaining": "0", "x_ratelimit_reset": str(int(NOW) + 90)}, 90.0),
        ({"x_ratelimit_remaining": "0", "x_ratelimit_reset": str(int(NOW) - 90)}, 1.0),
        ({"ratelimit_reset": str(int(NOW) + 30)}, 30.0),
        ({"x_ratelimit_remaining": "4000", "x_ratelimit_reset": str(int(NOW) + 90)}, 60.0),
        ({"retry_after": "soon"}, 60.0),
        ({}, 60.0),
    ],
)
def test_a_limit_says_how_long_to_wait(headers: dict[str, Any], seconds: float) -> None:
    error = error_of(429, {"message": "Too many"}, **headers)

    assert isinstance(error, Unreachable)
    assert error.retry_after == seconds


def test_a_clock_that_is_wrong_here_makes_no_wrong_pause() -> None:
    theirs = NOW + 7200  # two hours ahead of ours
    error = error_of(
        403,
        {"message": "API rate limit exceeded"},
        x_ratelimit_remaining="0",
        x_ratelimit_reset=str(int(theirs) + 40),
        date=formatdate(theirs, usegmt=True),
    )

    assert isinstance(error, Unreachable)
    assert error.retry_after == 40.0


@each_row(
    ("body", "words"),
    [
        ({"message": "401 Unauthorized"}, "401 Unauthorized"),
        ({"message": {"state": ["is wrong", "is late"]}}, "state is wrong, is late"),
        ({"error": "name is missing"}, "name is missing"),
        ({"error": "invalid_token", "error_description": "Token is expired."}, "Token is expired."),
        (
            {"message": "Validation Failed", "errors": [{"message": "body is too long"}, "x"]},
            "Validation Failed; body is too long; x",
        ),
        ({"message": "Validation Failed", "errors": [{"field": "ref", "code": "missing"}]},
         "Validation Failed; field ref, code missing"),
        (["no", "object"], ""),
        ("<html>", ""),
        (None, ""),
    ],
)  # fmt: skip
def test_a_hosts_words_are_found_in_every_form(body: Any, words: str) -> None:
    assert words_in(body) == words


@settings(max_examples=40)
@given(st.text(max_size=20), st.text(max_size=350), st.text(max_size=50))
def test_words_are_one_line_without_the_token(token: str, before: str, after: str) -> None:
    token = f"tok_{token}"
    words = fit(before + token + after, (token,))

    assert token not in words
    assert len(words) <= 300
    assert words.isprintable() or not any(ord(c) < 32 or ord(c) == 127 for c in words)


# ── how long a credential is left alone after its limit ────────────────────────


LIMITED = Answer(403, {}, {"message": "You have exceeded a secondary rate limit"})
WELL = Answer(200, {"x-ratelimit-remaining": "4000"}, {})


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def pauses(clock: ManualClock) -> Pauses:
    return Pauses("github", time.time, clock)


def paused(pauses: Pauses) -> float:
    """Seconds until a credential may be used again."""
    try:
        pauses.check("")
    except Unreachable as error:
        return error.retry_after or 0.0
    return 0.0


def test_a_pause_without_a_time_doubles_until_an_answer_is_good(
    pauses: Pauses, clock: ManualClock
) -> None:
    seen = []
    for _ in range(9):
        pauses.heed("", LIMITED)
        seen.append(paused(pauses))
        clock.now += seen[-1]

    assert seen == [60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 3700.0, 3700.0, 3700.0]
    pauses.heed("", WELL)
    pauses.heed("", LIMITED)
    assert paused(pauses) == 60.0


def test_answers_to_what_was_asked_before_neither_end_nor_double_a_pause(pauses: Pauses) -> None:
    for answer in (LIMITED, WELL, LIMITED, WELL):
        pauses.heed("", answer)

    assert paused(pauses) == 60.0


def test_a_clock_that_is_set_back_does_not_prolong_a_pause(clock: ManualClock) -> None:
    day = ManualClock()
    pauses = Pauses("github", day, clock)
    pauses.heed("", LIMITED)
    day.now -= 1800.0
    clock.now += 61.0

    assert paused(pauses) == 0.0
