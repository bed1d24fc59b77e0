"""A server's words are shown only where they are fit to be."""

from bridge.backends.dokploy.answers import LIMIT, WITHHELD, fit
from tests.worlds.rows import each_row


@each_row(
    "text",
    [
        "Application not found",
        "Deployment cancellation only available in cloud version",
        "You don't have access to this service",
        "secretOrPrivateKey must be an asymmetric key when using RS256",
        "Invalid JSON",
        "Please update the branch and set it again",
        'Unsupported content-type "application/x-www-form-urlencoded',
        "Meet at 10:30 or at 12:45",
    ],
)
def test_plain_words_pass(text: str) -> None:
    assert fit(text) == text


@each_row(
    "text",
    [
        'Failed query: update "application" set "watchPaths" = $1\nparams: a,b',
        'select "env" from "application" where id = 1',
        "SELECT env\nFROM secrets",
        "INSERT INTO api_key VALUES (1)",
        "DELETE FROM deployment",
        'update "application" set "env" = $1',
        'insert or update on table "application" violates foreign key constraint "fk"',
        'duplicate key value violates unique constraint "x"',
        'relation "application" does not exist',
        "PostgresError: boom",
        "SQLITE_ERROR: no such table; SQLSTATE 42P01",
        "<!DOCTYPE html><html><body>Bad gateway</body></html>",
        "<center><h1>502 Bad Gateway</h1></center>",
        'Traceback (most recent call last):\n  File "/app/x.py", line 3',
        "Error: boom\n    at Object.run (/app/dist/server.js:10:5)",
        "TypeError at /app/.next/server/chunks/1.js:1:2345",
        "boom in /app/node_modules/pg/lib/client.js",
        "-----BEGIN RSA PRIVATE KEY----- MII",
    ],
)
def test_internals_are_withheld(text: str) -> None:
    assert fit(text) == WITHHELD


def test_long_words_are_cut_at_the_limit() -> None:
    words = fit("ä" * 1000)

    assert len(words) == LIMIT
    assert words.endswith("…")


def test_words_are_one_line_without_control_characters() -> None:
    assert fit(" a\r\n\tb\x1b[31m\u202ec\x00 ") == "a b [31m c"


def test_secrets_are_not_repeated() -> None:
    text = "k3y1 at https://bob:pw@host/x ghp_0123456789abcdef token=abc glpat-abcdefghij"

    assert fit(text, ["k3y1", "at", ""]) == "*** at https://***@host/x *** token=*** ***"


def test_a_hostile_text_is_read_quickly() -> None:
    for text in ("select " * 10_000, " at " * 10_000, "update a" * 10_000, "://" * 10_000):
        assert fit(text)
