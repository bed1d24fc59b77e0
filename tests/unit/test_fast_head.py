"""The fast reader of request heads takes only what aiohttp reads alike, and leaves it the rest."""

import asyncio
from collections.abc import Iterator

import pytest
from aiohttp import HttpVersion11
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser
from hypothesis import given
from hypothesis import strategies as st

from bridge.web.fast_connections import read_head
from tests.worlds.rows import each_row

HOSTS = {b"POST /hooks/github HTTP/1.1": "github"}
PLAIN = b"POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def test_a_plain_head_is_read() -> None:
    head = read_head(PLAIN + b"X-GitHub-Event:\tpush \r\nconnection: Close\r\n", HOSTS)

    assert head is not None
    assert (head.host, head.length, head.closes) == ("github", 2, True)
    assert head.headers.get("x-github-event") == "push"
    assert head.headers["X-GITHUB-EVENT"] == "push"
    assert "X-Github-Event" in head.headers
    assert head.headers.get("X-Other", "none") == "none"


@each_row(
    "head",
    [
        *(PLAIN.replace(b"POST", other) for other in (b"GET", b"post")),
        *(PLAIN.replace(b"github", other) for other in (b"gitea", b"github?a=b")),
        PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0"),
        PLAIN.replace(b" /", b"  /"),
        PLAIN.replace(b"Content-Length: 2\r\n", b""),
        *(
            PLAIN.replace(b": 2", b": " + length)
            for length in (b"-2", b"+2", b"2, 2", b"1_0", b"9" * 16)
        ),
        *(
            PLAIN + line + b"\r\n"
            for line in (
                *(b"content-length: 2", b"HOST: y", b"Transfer-Encoding: chunked"),
                *(b"Expect: 100-continue", b"Upgrade: websocket", b"Connection: upgrade"),
                *(b" folded: line", b"X-A : b", b"X-A", b": b", b"X-A: \xe9", b"X-A: \x00"),
                *(b"X-A: a\nX-B: b", b"X-A: a\rX-B: b"),
            )
        ),
        PLAIN.replace(b"\r\n", b"\n"),
    ],
)
def test_what_is_not_plain_is_left_alone(head: bytes) -> None:
    assert read_head(head, HOSTS) is None


NAMES = st.sampled_from(
    [b"X-A", b"X-GitHub-Event", b"Content-Length", b"Connection", b"Host", b"Transfer-Encoding"]
) | st.binary(min_size=1, max_size=3)
VALUES = st.sampled_from([b"2", b"close", b"push", b"keep-alive", b""]) | st.binary(max_size=4)


@given(st.lists(st.tuples(NAMES, st.sampled_from([b":", b": ", b" :", b"\t"]), VALUES), max_size=4))
def test_what_is_taken_is_what_aiohttp_reads(
    loop: asyncio.AbstractEventLoop, lines: list[tuple[bytes, bytes, bytes]]
) -> None:
    raw = PLAIN + b"".join(b"".join(line) + b"\r\n" for line in lines)
    head = read_head(raw, HOSTS)
    if head is None:
        return
    parser = HttpRequestParser(None, loop, 2**16)  # it reads no body here
    try:
        ((message, _),), upgrades, _ = parser.feed_data(raw + b"\r\n")
    except HttpProcessingError as error:
        raise AssertionError(f"aiohttp refuses what was taken: {raw!r}") from error

    assert (message.method, message.path) == ("POST", "/hooks/github")
    assert message.version == HttpVersion11
    assert dict(head.headers) == {k.lower(): v for k, v in message.headers.items()}
    assert head.closes == message.should_close
    assert [message.chunked, message.upgrade, upgrades] == [False, False, False]
    assert int(message.headers["Content-Length"]) == head.length
