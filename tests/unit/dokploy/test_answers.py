"""Each answer becomes the error that says what to do next, in words fit to be shown."""

import json
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest

from bridge.backends.dokploy.answers import (
    WITHHELD,
    Answer,
    Call,
    Means,
    NotDokploy,
    error_in,
    fit,
    refusal_in,
    retry_after,
    row_of,
)
from bridge.core.errors import BridgeError, Refused, Unanswered, Unreachable
from tests.worlds.rows import each_row

NOW = 1_800_000_000.0
KEY = "bridge_s3cret-key"


def call() -> Call:
    return Call(
        service="dokploy",
        path="application.deploy",
        body={"applicationId": "a1"},
        auth="api-key",
        secrets=(KEY,),
    )


def answered(status: int, body: Any, **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(call(), status, headers, raw)


def said(status: int, body: Any, **headers: str) -> BridgeError | None:
    answer = answered(status, body, **headers)
    return error_in(answer, row_of(answer).means, NOW)


def trpc(message: str, code: str, status: int) -> dict[str, Any]:
    path = "application.deploy"
    data = {"code": code, "httpStatus": status, "path": path, "zodError": None}
    return {"message": message, "code": code, "data": data}


def test_a_key_that_passes_the_door_and_fails_behind_it_is_no_missing_permission() -> None:
    row = row_of(answered(401, trpc("UNAUTHORIZED", "UNAUTHORIZED", 401)))

    assert row.means is Means.KEY_OR_DATABASE


@each_row("status", [401, 403, 404])
def test_a_proxy_that_keeps_us_out_is_not_dokploy(status: int) -> None:
    error = said(status, b"<html>Who are you?</html>")

    assert isinstance(error, Unreachable)
    assert isinstance(error, NotDokploy)
    assert f"a proxy or another server answered {status}" in str(error)


def test_sql_never_passes() -> None:
    message = 'Failed query: update "application" set "env" = $1\nparams: TOKEN=abc'
    error = said(500, trpc(message, "INTERNAL_SERVER_ERROR", 500))

    assert isinstance(error, Unanswered)
    assert WITHHELD in str(error)
    assert "TOKEN" not in str(error)


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


def test_success_false_is_refused() -> None:
    refused, _ = refusal_in(call(), b'{"success":false,"message":"No"}')
    assert refused is not None
    assert refused.words == "No"

    refused, _ = refusal_in(call(), b'{"success":false}')
    assert refused is not None
    assert "application.deploy" in refused.words

    refused, _ = refusal_in(call(), b"false")
    assert refused is not None


@each_row(
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


# ── a server's words are shown only where they are fit to be ───────────────────


@each_row(
    "text",
    [
        'Failed query: update "application" set "watchPaths" = $1\nparams: a,b',
        'select "env" from "application" where id = 1',
        "SELECT env\nFROM secrets",
        'update "application" set "env" = $1',
        'insert or update on table "application" violates foreign key constraint "fk"',
        'duplicate key value violates unique constraint "x"',
        'relation "application" does not exist',
        "SQLITE_ERROR: no such table; SQLSTATE 42P01",
        "<!DOCTYPE html><html><body>Bad gateway</body></html>",
        'Traceback (most recent call last):\n  File "/app/x.py", line 3',
        "Error: boom\n    at Object.run (/app/dist/server.js:10:5)",
        "boom in /app/node_modules/pg/lib/client.js",
        "-----BEGIN RSA PRIVATE KEY----- MII",
    ],
)
def test_internals_are_withheld(text: str) -> None:
    assert fit(text) == WITHHELD


def test_secrets_are_not_repeated() -> None:
    text = "k3y1 at https://bob:pw@host/x ghp_0123456789abcdef token=abc glpat-abcdefghij"

    assert fit(text, ["k3y1", "at", ""]) == "*** at https://***@host/x *** token=*** ***"


def test_a_hostile_text_is_read_quickly() -> None:
    for text in ("select " * 10_000, " at " * 10_000, "update a" * 10_000, "://" * 10_000):
        assert fit(text)
