"""What aiohttp would refuse in its own way is refused as the listener refuses everything else."""

import json
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.worlds.bridge import running_world
from tests.worlds.doors import raw

SECRET = b"k3y-that-no-answer-may-hold"
REST = b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Api-Key: " + SECRET + b"\r\n\r\n"
BODY = b"POST /nowhere HTTP/1.1\r\nHost: a\r\n"

REFUSED = {
    "CONNECT": (b"CONNECT a.example:443" + REST, 404),
    "OPTIONS *": (b"OPTIONS *" + REST, 404),
    "GET *": (b"GET *" + REST, 400),
    "no path": (b"GET nopath-" + SECRET + REST, 400),
    "half an address": (b"GET http://[::1" + REST, 400),
    "no port": (b"GET http://a:99999/" + SECRET + REST, 400),
    "no text": (b"GET /\xff" + SECRET + REST, 400),
    "another release": (b"GET /" + SECRET + b" HTTP/9.9\r\nHost: a\r\n\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "HTTP/2 in words": (b"GET /nowhere HTTP/2.0" + REST[9:], 404),
    "HTTP/0.9 in words": (b"GET /nowhere HTTP/0.9" + REST[9:], 404),
    "TLS": (b"\x16\x03\x01\x02\x00\x01" + SECRET + b"\r\n\r\n", 400),
    "no method": (b"G@T /" + SECRET + REST, 400),
    "no header": (b"GET / HTTP/1.1\r\nHost: a\r\n" + SECRET + b"\r\n\r\n", 400),
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "a long header": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + SECRET * 500 + b"\r\n\r\n", 400),
    "a long address": (b"GET /" + SECRET * 500 + REST, 400),
    "two lengths": (BODY + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "a bad chunk": (BODY + b"Transfer-Encoding: chunked\r\n\r\n" + SECRET + b"\r\n\r\n", 400),
    "nothing there": (b"GET /nowhere" + REST, 404),
    "another method": (b"DELETE /healthz" + REST, 404),
    "an expectation": (b"GET /nowhere HTTP/1.1\r\nExpect: x" + REST[9:], 417),
}


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def answer_in(said: bytes) -> Answer:
    head, _, body = said.partition(b"\r\n\r\n")
    line, _, lines = head.partition(b"\r\n")
    return Answer(int(line.split()[1]), dict(BytesHeaderParser().parsebytes(lines).items()), body)


@pytest.mark.parametrize("listener", ["door", "api", "sites"])
async def test_every_refusal_of_a_listener_has_one_form(tmp_path: Path, listener: str) -> None:
    async with running_world(tmp_path / "bridge") as world:
        urls = {
            "door": world.bridge.url,
            "api": (world.bridge.backend_url or "").removesuffix("/api"),
            "sites": world.bridge.sites_url or "",
        }
        for what, (request, _) in REFUSED.items():
            has_the_form(listener, what, await raw(urls[listener], request))


def has_the_form(listener: str, what: str, said: bytes) -> None:
    answer, status = answer_in(said), REFUSED[what][1]
    if (listener, what) == ("door", "an expectation"):
        status = 404  # the door reads what is expected only where there is something
    assert answer.status == status, (what, said)
    assert SECRET not in said
    assert said.startswith((b"HTTP/1.1 ", b"HTTP/1.0 ")), (what, said)
    assert answer.headers.get("Server", "dokploy-bridge") == "dokploy-bridge"
    for release in (b"Python", b"aiohttp", b"Traceback"):
        assert release not in said
    if listener == "sites":
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.body.endswith(b"\n")
        return
    assert answer.headers["Content-Type"].startswith("application/json")
    fields = json.loads(answer.body)
    assert set(fields) == ({"error"} if listener == "door" else {"message", "code"})
    assert all(fields.values())
