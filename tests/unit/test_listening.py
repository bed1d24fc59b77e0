"""What listens: heads read fast, room for bodies, and parts that are not ready."""

import asyncio
import time
from collections.abc import Callable, Iterator
from unittest.mock import AsyncMock

import pytest
from aiohttp import HttpVersion11
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.errors import Unreachable
from bridge.listening.arriving import Arrivals, Crowded, Unread
from bridge.web.fast_connections import read_head
from bridge.web.hooks import Room
from bridge.web.server import Readiness
from tests.worlds.rows import each_row

# ── the fast reader takes only what aiohttp reads alike ───────────────────────────

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
    assert head.headers.get("x-github-event") == head.headers["X-GITHUB-EVENT"] == "push"
    assert "X-Github-Event" in head.headers
    assert head.headers.get("X-Other", "none") == "none"


FURTHER = (
    *(b"content-length: 2", b"HOST: y", b"Transfer-Encoding: chunked", b"Expect: 100-continue"),
    *(b"Upgrade: websocket", b"Connection: upgrade", b" folded: line", b"X-A : b", b"X-A", b": b"),
    *(b"X-A: \xe9", b"X-A: \x00", b"X-A: a\nX-B: b", b"X-A: a\rX-B: b"),
)


@each_row(
    ("plain", "odd"),
    [
        (b"POST", b"GET"), (b"POST", b"post"), (b"github", b"gitea"), (b"github", b"github?a=b"),
        (b"HTTP/1.1", b"HTTP/1.0"), (b" /", b"  /"), (b"Content-Length: 2\r\n", b""),
        *((b": 2", b": " + length) for length in (b"-2", b"+2", b"2, 2", b"1_0", b"9" * 16)),
        *((b"Host: x", b"Host: x\r\n" + line) for line in FURTHER), (b"\r\n", b"\n"),
    ],
)  # fmt: skip
def test_what_is_not_plain_is_left_alone(plain: bytes, odd: bytes) -> None:
    assert read_head(PLAIN.replace(plain, odd), HOSTS) is None


NAMES = st.sampled_from(
    [b"X-A", b"X-GitHub-Event", b"Content-Length", b"Connection", b"Host", b"Transfer-Encoding"]
) | st.binary(min_size=1, max_size=3)
VALUES = st.sampled_from([b"2", b"close", b"push", b"keep-alive", b""]) | st.binary(max_size=4)


@given(st.lists(st.tuples(NAMES, st.sampled_from([b":", b": ", b" :", b"\t"]), VALUES), max_size=4))
def test_what_is_taken_is_what_aiohttp_reads(loop, lines) -> None:
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


# ── the memory for bodies: nobody is passed over ──────────────────────────────────


async def both_in_one_round(soon: float, then: Callable[[], object]) -> None:
    """The loop finds itself late, so that it runs what was due after `soon` seconds and `then`."""
    asyncio.get_running_loop().call_later(2 * soon, then)
    time.sleep(4 * soon)  # noqa: ASYNC251 - the loop has to be late
    await asyncio.sleep(0)


async def test_who_has_waited_for_long_enough_as_room_is_given_is_told_so() -> None:
    room = Room(10)
    assert room.take(10)
    waiter = asyncio.create_task(room.wait(5, 0.01))
    await asyncio.sleep(0)

    await both_in_one_round(0.01, lambda: room.give(10))

    with pytest.raises(Unreachable, match="too many large webhooks"):
        await waiter
    assert room.take(10)


async def test_who_gives_up_holds_up_nobody_who_needs_less() -> None:
    room = Room(10)
    assert room.take(6)
    much = asyncio.create_task(room.wait(10, 0.01))
    await asyncio.sleep(0)
    little = asyncio.create_task(room.wait(4, 60.0))

    with pytest.raises(Unreachable):
        await much

    async with asyncio.timeout(5):
        await little


async def test_one_that_was_too_slow_is_dropped_for_another_without_a_fault() -> None:
    arrivals = Arrivals(10)
    unread = Unread(arrivals, lambda: None)
    unread.now(1)

    slow = asyncio.create_task(unread.wait_for(asyncio.Event().wait(), 0.01))
    await asyncio.sleep(0)
    faults: list[Exception] = []

    def another_comes() -> None:
        try:
            arrivals.begin(lambda: None).more(11)
        except RuntimeError as error:
            faults.append(error)

    await both_in_one_round(0.01, another_comes)

    with pytest.raises((TimeoutError, Crowded)):
        await slow
    assert faults == []


def test_what_is_over_takes_no_room_from_what_arrives() -> None:
    dropped: list[str] = []
    arrivals = Arrivals(10)
    for _ in range(3):
        over = arrivals.begin(lambda: dropped.append("over"))
        over.more(6)
        over.end()

    arrivals.begin(lambda: dropped.append("first")).more(4)
    arrivals.begin(lambda: dropped.append("second")).more(6)

    assert dropped == []


# ── parts that say nothing ────────────────────────────────────────────────────────


async def silent() -> str | None:
    """As of a database whose machine was stopped: no answer, and no error."""
    await asyncio.Event().wait()
    return None


async def test_a_silent_part_is_named_by_one_look_for_all_who_ask_at_a_time(caplog) -> None:
    readiness = Readiness({"inbox": silent, "journal": AsyncMock(return_value=None)}, patience=0.01)

    async with asyncio.timeout(5):
        told = await asyncio.gather(*(readiness.wrong() for _ in range(5)))

    assert told == [{"inbox": "it has not answered for 0.01 s", "journal": None}] * 5
    assert [record.message for record in caplog.records] == ["a part is not ready"]
