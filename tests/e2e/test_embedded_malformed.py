"""Requests that are none, or half one: a clean refusal, and a log that quotes nothing of them."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.embedded.http.api import PROCEDURES
from tests.worlds.doors import raw
from tests.worlds.embedded import Client, running_server

HALF = "\ud800"
SECRET = "k3y-that-no-log-may-hold"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with running_server(tmp_path / "data") as client:
        yield client


# ── Halves of surrogate pairs ────────────────────────────────────────────────


TEXTS = {
    name: [
        field.alias or own_name
        for own_name, field in procedure.model.model_fields.items()
        if "bool" not in str(field.annotation)  # any text is true there, as in JavaScript
    ]
    for name, procedure in PROCEDURES.items()
    if procedure.method == "POST"
}


async def test_half_a_surrogate_pair_is_refused_as_invalid_input(client: Client) -> None:
    for procedure, fields in TEXTS.items():
        await refused(client, procedure, fields)


async def refused(client: Client, procedure: str, fields: list[str]) -> None:
    for field in fields:
        for value in (HALF, f"a{HALF}b", [HALF], {HALF: HALF}):
            body = json.dumps(dict.fromkeys(fields, "x") | {field: value}).encode()

            answer = await client.http.post(f"/api/{procedure}", content=body, headers=JSON)

            assert answer.status_code == 400, (field, answer.text)
            said = answer.json()
            assert (said["message"], said["code"]) == ("Input validation failed", "BAD_REQUEST")
            assert field in said["data"]["zodError"]["fieldErrors"]
            assert [one for one in said["issues"] if one["path"][:1] == [field]]


NO_TEXT = [
    (b"POST /api/application.deploy HTTP/1.1\r\nHost: x\r\nContent-Type: \xff\r\n", b"415"),
    (b"GET / HTTP/1.1\r\nHost: \xff.localhost\r\n", b"404"),
    (b"GET /apps/\xff/ HTTP/1.1\r\nHost: x\r\n", b"40"),
    (b"GET /api/\xff HTTP/1.1\r\nHost: x\r\n", b"40"),
    (b"GET /api/application.one?applicationId=%ff HTTP/1.1\r\nHost: x\r\n", b"404"),
]


async def test_bytes_that_are_no_text_are_refused(client: Client) -> None:
    key = f"x-api-key: {client.server.api_key}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    for head, status in NO_TEXT:
        api = await raw(client.server.url, head + key.encode())
        sites = await raw(client.server.sites_url, head + key.encode())

        assert api.startswith(b"HTTP/1."), api
        assert api.split()[1].startswith(status), api
        assert sites.split()[1].startswith(b"4"), sites


# ── The log ──────────────────────────────────────────────────────────────────

KEYED = f"Host: x\r\nx-api-key: {SECRET}\r\n".encode()
BAD = {
    "no HTTP": f"x-api-key {SECRET}\r\n\r\n".encode(),
    "a bad header": b"GET / HTTP/1.1\r\n" + KEYED + f"x-api-key {SECRET}\r\n\r\n".encode(),
    "a NUL": b"GET / HTTP/1.1\r\n" + f"x-api-key: {SECRET}\0\r\n\r\n".encode(),
    "a bad length": b"POST /api/x HTTP/1.1\r\n" + KEYED + b"Content-Length: " + SECRET.encode(),
    "a long header": b"GET / HTTP/1.1\r\nx-api-key: " + SECRET.encode() * 1000 + b"\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00" + SECRET.encode() + b"\r\n\r\n",
    "HTTP/9": b"GET / HTTP/9.9\r\n" + KEYED + b"\r\n",
    "a bad method": f"{SECRET}<> / HTTP/1.1\r\n\r\n".encode(),
}
POST = b"POST /api/project.create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
BODIES = {
    "a bad chunk": b"Transfer-Encoding: chunked\r\n\r\nzz" + SECRET.encode() + b"\r\n",
    "no gzip": b"Content-Encoding: gzip\r\nContent-Length: 40\r\n\r\n"
    + SECRET.encode()
    + b"x" * 16,
    "no brotli": b"Content-Encoding: deflate\r\nContent-Length: 40\r\n\r\n"
    + SECRET.encode()
    + b"x" * 16,
}


async def test_what_is_bad_is_refused_and_logged_without_its_words(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for bad in BAD.values():
        for url in (client.server.url, client.server.sites_url):
            answer = await raw(url, bad + b"\r\n\r\n")
            assert answer.split()[1].startswith(b"4"), answer
    assert [one for one in caplog.records if one.getMessage() == "the request is not valid HTTP"]

    key = f"x-api-key: {client.server.api_key}\r\nConnection: close\r\n".encode()
    for body in BODIES.values():
        answer = await raw(client.server.url, POST + key + body + b"\r\n\r\n")
        assert answer.split()[1] == b"400", answer
    assert_quiet(caplog)
    assert client.server.api_key not in caplog.text


async def test_who_hangs_up_in_the_middle_of_a_body_leaves_no_trace(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    key = f"x-api-key: {client.server.api_key}\r\nContent-Length: 1000\r\n\r\n".encode()

    await raw(client.server.url, POST + key + SECRET.encode(), hang_up=True)
    await client.ask("GET", "project.all")
    await asyncio.sleep(0.2)  # there is nothing to wait for: nothing may come

    assert_quiet(caplog)


def assert_quiet(caplog: pytest.LogCaptureFixture) -> None:
    assert SECRET not in caplog.text
    assert "Traceback" not in caplog.text
    assert not [one for one in caplog.records if one.exc_info]
    shown = [str(vars(one)) for one in caplog.records]
    assert not [one for one in shown if SECRET in one]
