"""Each answer becomes the error that says what to do next."""

import json
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest

from bridge.backends.dokploy.answers import (
    WITHHELD,
    Answer,
    Call,
    Forbidden,
    Means,
    NotDokploy,
    error_in,
    no_such_provider,
    refusal_in,
    retry_after,
    row_of,
)
from bridge.core.errors import BridgeError, Refused, Unanswered, Unreachable
from tests.worlds.rows import each_row

NOW = 1_800_000_000.0
KEY = "bridge_s3cret-key"


def call(path: str = "application.deploy", *, reads: bool = False, **fields: Any) -> Call:
    body = None if reads else {"applicationId": "a1"}
    given = {"service": "dokploy", "path": path, "body": body, "auth": "api-key"}
    return Call(**(given | {"secrets": (KEY,)} | fields))


def answered(status: int, body: Any, of: Call | None = None, **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(of or call(), status, named, raw)


def said(status: int, body: Any, of: Call | None = None, **headers: str) -> BridgeError | None:
    answer = answered(status, body, of, **headers)
    return error_in(answer, row_of(answer).means, NOW)


def means(status: int, body: Any, of: Call | None = None) -> Means:
    return row_of(answered(status, body, of)).means


def trpc(message: str, code: str, status: int, path: str = "application.deploy") -> dict[str, Any]:
    data = {"code": code, "httpStatus": status, "path": path, "zodError": None}
    return {"message": message, "code": code, "data": data}


def test_a_2xx_is_no_error() -> None:
    assert said(200, b"") is None


def test_a_4xx_is_refused_in_the_servers_own_words() -> None:
    error = said(404, trpc("Application not found", "NOT_FOUND", 404))

    assert isinstance(error, Refused)
    assert (error.words, error.status) == ("Application not found", 404)


def test_a_plain_text_400_is_refused_too() -> None:
    error = said(400, b"Invalid JSON")

    assert isinstance(error, Refused)
    assert error.words == "Invalid JSON"


def test_a_validation_error_names_the_fields() -> None:
    body = trpc("Input validation failed", "BAD_REQUEST", 400)
    body["data"]["zodError"] = {"formErrors": [], "fieldErrors": {"branch": ["Invalid string"]}}
    error = said(400, body)

    assert isinstance(error, Refused)
    assert error.words == "Input validation failed: branch: Invalid string"


@each_row(
    "body",
    [[], None, "x", {"message": 7}, {"data": "x"}, {"data": {"zodError": []}}, b"", b"\xff\xfe"],
)
def test_a_4xx_of_any_form_is_refused(body: Any) -> None:
    assert isinstance(said(400, body), Refused)


@pytest.mark.parametrize("body", [{"message": "Unauthorized"}, {"message": "U"}, b"", b"no"])
def test_a_401_without_code_is_the_keys_fault_or_the_databases(body: Any) -> None:
    assert means(401, body) is Means.KEY_OR_DATABASE


def test_a_key_that_passes_the_door_and_fails_behind_it_is_no_missing_permission() -> None:
    assert means(401, trpc("UNAUTHORIZED", "UNAUTHORIZED", 401)) is Means.KEY_OR_DATABASE


def test_a_key_whose_user_is_in_no_organisation_is_refused() -> None:
    assert means(401, trpc("Permission denied", "UNAUTHORIZED", 401)) is Means.KEY


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_proxy_that_keeps_us_out_is_not_dokploy(status: int) -> None:
    error = said(status, b"<html>Who are you?</html>")

    assert isinstance(error, Unreachable)
    assert isinstance(error, NotDokploy)
    assert f"a proxy or another server answered {status}" in str(error)


@pytest.mark.parametrize("status", [400, 500])
def test_a_failed_query_is_no_no(status: int) -> None:
    wrapped = trpc("Error: Failed query: select 1", "BAD_REQUEST", status)

    assert isinstance(said(status, wrapped), Unanswered)
    assert isinstance(said(status, wrapped, call(reads=True)), Unreachable)


def test_a_save_of_nothing_is_refused() -> None:
    body = trpc("No values to set", "INTERNAL_SERVER_ERROR", 500, "application.update")

    assert isinstance(said(500, body, call("application.update")), Refused)


def test_a_401_with_code_names_the_missing_permission() -> None:
    body = trpc("You don't have access to this service", "UNAUTHORIZED", 401, "application.one")
    error = said(401, body)

    assert isinstance(error, Forbidden)
    assert error.words == (
        "the key lacks a permission for application.one: You don't have access to this service"
    )
    assert error.status == 401


@pytest.mark.parametrize("status", [408, 425, 429])
def test_a_server_that_did_nothing_can_be_asked_again(status: int) -> None:
    error = said(status, {"message": "Slow down"}, retry_after="7")

    assert isinstance(error, Unreachable)
    assert error.retry_after == 7


def test_a_429_without_retry_after_can_be_asked_again_too() -> None:
    error = said(429, b"")

    assert isinstance(error, Unreachable)
    assert error.retry_after is None


def test_a_503_with_retry_after_did_nothing() -> None:
    error = said(503, b"", retry_after="3")

    assert isinstance(error, Unreachable)
    assert error.retry_after == 3


@pytest.mark.parametrize("status", [500, 502, 503, 504, 522])
def test_a_5xx_may_have_done_something(status: int) -> None:
    assert isinstance(said(status, b"<html>Bad gateway</html>"), Unanswered)
    assert isinstance(said(status, b"", call(reads=True)), Unreachable)


def test_sql_never_passes() -> None:
    message = 'Failed query: update "application" set "env" = $1\nparams: TOKEN=abc'
    error = said(500, trpc(message, "INTERNAL_SERVER_ERROR", 500))

    assert isinstance(error, Unanswered)
    assert WITHHELD in str(error)
    assert "TOKEN" not in str(error)


def test_a_failed_save_that_names_a_provider_has_two_causes() -> None:
    message = 'Failed query: update "application" set "watchPaths" = $1\nparams: nope,TOKEN'
    path = "application.saveGithubProvider"
    of = call(path, body={"applicationId": "a1", "githubId": "nope"})
    answer = answered(500, trpc(message, "INTERNAL_SERVER_ERROR", 500), of)

    assert row_of(answer).means is Means.PROVIDER_OR_DATABASE
    error = no_such_provider(answer)
    assert error.status == 500
    assert "no githubId 'nope'" in error.words
    assert "TOKEN" not in error.words
    assert "update" not in error.words


def test_a_failed_query_of_a_save_without_a_provider_is_unanswered() -> None:
    message = 'Failed query: update "application" set "watchPaths" = $1'
    of = call("application.saveGithubProvider", body={"githubId": None})

    assert isinstance(said(500, trpc(message, "INTERNAL_SERVER_ERROR", 500), of), Unanswered)


def test_a_404_of_the_proxy_is_not_dokploys() -> None:
    assert isinstance(said(404, b"404 page not found\n"), NotDokploy)
    assert isinstance(said(404, b"<html><title>404</title></html>"), NotDokploy)
    assert isinstance(said(404, {"message": "404 Not Found"}), NotDokploy)
    assert isinstance(said(404, trpc("Not found", "NOT_FOUND", 404)), Refused)


def test_a_redirect_is_named_without_its_secrets() -> None:
    error = said(302, b"", location="https://bob:pw@login.example.com/?token=abc")

    assert isinstance(error, Refused)
    assert "https://login.example.com (302)" in error.words
    assert "pw" not in error.words
    assert "abc" not in error.words


def test_the_key_is_never_repeated() -> None:
    for error in (
        said(400, {"message": f"bad key {KEY}"}),
        said(500, {"message": f"bad key {KEY}"}),
        said(401, trpc(KEY, "UNAUTHORIZED", 401)),
    ):
        assert KEY not in str(error)
        assert KEY not in repr(error)
    assert KEY not in repr(call())


@each_row(
    ("body", "words"),
    [
        (b"", ""),
        (b" \n", ""),
        (b"true", ""),
        (b"null", ""),
        (b'{"success":true}', ""),
        (b'{"success":true,"message":"Deployment queued","composeId":"c1"}', "Deployment queued"),
        (b'{"composeId":"c1","env":"TOKEN=abc"}', ""),
    ],
)
def test_the_documents_the_servers_and_the_clouds_answers_are_accepted(
    body: bytes, words: str
) -> None:
    assert refusal_in(call(), body) == (None, words)


def test_success_false_is_refused() -> None:
    refused, _ = refusal_in(call(), b'{"success":false,"message":"No"}')
    assert refused is not None
    assert refused.words == "No"

    refused, _ = refusal_in(call(), b'{"success":false}')
    assert refused is not None
    assert "application.deploy" in refused.words

    refused, _ = refusal_in(call(), b"false")
    assert refused is not None


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"<html>Log in</html>", "a web page"),
        (b'{"success":tr', "broken JSON"),
        (b"OK", "plain text"),
    ],
)
def test_an_answer_that_is_no_json_is_unanswered(body: bytes, what: str) -> None:
    with pytest.raises(Unanswered, match=f"deploy: {what} came instead of Dokploy's JSON"):
        refusal_in(call(), body)


@each_row(
    ("value", "seconds"),
    [
        (None, None),
        ("12", 12),
        ("0.5", 0.5),
        ("-3", 0),
        ("999999999", 3600),
        ("inf", 3600),
        ("nan", None),
        ("soon", None),
        ("", None),
        (format_datetime(datetime.fromtimestamp(NOW + 30, UTC), usegmt=True), 30),
        (format_datetime(datetime.fromtimestamp(NOW - 30, UTC), usegmt=True), 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds
