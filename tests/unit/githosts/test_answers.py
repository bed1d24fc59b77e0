"""What an answer of a host's API means, and that no secret is in its words."""

from email.utils import formatdate
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from urllib3.exceptions import MaxRetryError, NewConnectionError

from bridge.core.errors import BridgeError, NotFound, Refused, Unanswered, Unreachable
from bridge.core.masking import redact
from bridge.githosts.base.answers import Answer, Request, error_in, fit, trouble, words_in
from tests.worlds.rows import each_row

NOW = 1_700_000_000.0
READ = Request("github", "GET", "/repos/o/r/hooks", "ghp_secret")
WRITE = Request("github", "POST", "/repos/o/r/statuses/1", "ghp_secret")


def error_of(
    status: int, body: Any = None, request: Request = READ, *, needs: str = "", **headers: str
) -> BridgeError | None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return error_in(request, Answer(status, named, body, needs), NOW, "set another token")


@pytest.mark.parametrize("status", [200, 201, 202, 204, 304])
def test_a_good_answer_is_no_error(status: int) -> None:
    assert error_of(status) is None


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


@pytest.mark.parametrize("status", [401, 403, 404, 409, 410, 422])
def test_what_a_host_said_is_not_taken_for_a_secret(status: int) -> None:
    assert redact(said := str(error_of(status, {"message": "Not Found"}))) == said


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


def test_a_refusal_names_the_permission_that_is_missing() -> None:
    said = {"message": "Resource not accessible by integration"}
    error = error_of(403, said, needs="deployments=write")

    assert str(error) == (
        "github: Resource not accessible by integration (it needs deployments=write)"
    )


def test_a_credential_that_is_not_taken_has_a_remedy() -> None:
    assert str(error_of(401, {"message": "Bad credentials"})) == (
        "github: Bad credentials; set another token"
    )


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


def test_a_token_does_not_show_in_a_request() -> None:
    assert "ghp_secret" not in repr(WRITE)


@each_row(
    ("error", "kind"),
    [
        (requests.ConnectTimeout("slow"), Unreachable),
        (requests.exceptions.SSLError("certificate verify failed"), Unreachable),
        (requests.exceptions.ProxyError("no proxy"), Unreachable),
        (requests.ConnectionError(MaxRetryError(None, "/", NewConnectionError(None, "no"))),  # type: ignore[arg-type]
         Unreachable),
        (requests.ReadTimeout("slow"), Unanswered),
        (requests.ConnectionError("reset"), Unanswered),
        (ValueError("no JSON"), Unanswered),
        (RuntimeError("redirected from host a to b"), Refused),
    ],
)  # fmt: skip
def test_what_never_left_is_told_from_what_may_have_arrived(
    error: Exception, kind: type[BridgeError]
) -> None:
    assert type(trouble(WRITE, error)) is kind
    assert type(trouble(READ, error)) is (Refused if kind is Refused else Unreachable)
